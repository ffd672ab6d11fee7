//! Mistakes that do not compile. Only rustdoc reads this module.
//!
//! Each example is a line of [`Right`] with one thing changed, so that nothing else is what fails. A nightly rustdoc, or one
//! with `RUSTC_BOOTSTRAP=1`, also compares the codes of the errors.

/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use serde_json::json;
/// use tracing_posthog::rest::bodies::*;
/// use tracing_posthog::rest::models::{FeatureFlag, SurveyType};
/// use tracing_posthog::rest::{Raw, Time};
///
/// let flags = client.project(1).feature_flags();
/// flags.create(NewFeatureFlag::new("key")).await?;
/// flags.create(&NewFeatureFlag::new("key")).await?;
/// flags.create(Raw(())).await?;
/// flags.create(Raw(json!({"key": "key"}))).await?;
/// flags.update(1, Raw(FeatureFlag::default())).await?;
/// NewSurvey::new("name", SurveyType::Api);
/// NewAnnotation::new("text").date_marker(Time::at(std::time::SystemTime::now()));
/// NewAnnotation::new("text").date_marker(Time::at(chrono::DateTime::UNIX_EPOCH));
/// IssueChange::new().status(IssueStatus::Resolved);
/// NewFeatureFlag::new("key").filters(FlagFilters::new().payload("true", 1));
/// FeatureFlagChange::new().filters(FlagFilters::new().variant(FlagVariant::new("a", 100)));
/// # Ok(())
/// # }
/// ```
pub enum Right {}

/// The body of another operation.
///
/// ```compile_fail,E0277
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use tracing_posthog::rest::bodies::*;
/// client.project(1).feature_flags().create(FeatureFlagChange::new()).await?;
/// # Ok(())
/// # }
/// ```
///
/// No body at all.
///
/// ```compile_fail,E0277
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// client.project(1).feature_flags().create(&()).await?;
/// # Ok(())
/// # }
/// ```
///
/// JSON that does not say that it is meant.
///
/// ```compile_fail,E0277
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use serde_json::json;
/// client.project(1).feature_flags().create(json!({"key": "key"})).await?;
/// # Ok(())
/// # }
/// ```
///
/// What was read, sent back.
///
/// ```compile_fail,E0277
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use tracing_posthog::rest::models::FeatureFlag;
/// client.project(1).feature_flags().update(1, FeatureFlag::default()).await?;
/// # Ok(())
/// # }
/// ```
///
/// Something required is missing.
///
/// ```compile_fail,E0061
/// use tracing_posthog::rest::bodies::*;
/// NewSurvey::new("name");
/// ```
///
/// A text for a time: chrono's has a form that PostHog misreads.
///
/// ```compile_fail,E0277
/// use tracing_posthog::rest::bodies::*;
/// NewAnnotation::new("text").date_marker(chrono::DateTime::UNIX_EPOCH.to_string());
/// ```
///
/// A value of another enum.
///
/// ```compile_fail,E0277
/// use tracing_posthog::rest::bodies::*;
/// IssueChange::new().status(IssueSeverity::High);
/// ```
///
/// A payload where PostHog looks for none.
///
/// ```compile_fail,E0599
/// use tracing_posthog::rest::bodies::*;
/// NewFeatureFlag::new("key").payload("true", 1);
/// ```
///
/// A variant in place of all filters that a flag has.
///
/// ```compile_fail,E0599
/// use tracing_posthog::rest::bodies::*;
/// FeatureFlagChange::new().variant(FlagVariant::new("a", 100));
/// ```
pub enum Wrong {}
