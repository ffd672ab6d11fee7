//! Tests of code that reads feature flags: each branch, each payload, and a PostHog that is down.
//!
//!     cargo run --example flags_in_tests
//!
//! The functions below the line are what would stand under `#[test]`; here `main` calls them. Your `Cargo.toml` needs
//! `tracing-posthog = { version = "0.1", features = ["flags", "testing"] }` among the dev-dependencies.

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::time::Duration;
use tracing_posthog::testing::{Answer, CapturedEvents, Flags, PostHogServer};
use tracing_posthog::{FeatureFlags, PostHogClient, PostHogError};

// The code under test. It takes a `FeatureFlags`, wherever that comes from: `posthog.flags()` in the program.

#[derive(serde::Deserialize)]
struct Discount {
    percent: u32,
}

/// What a user pays, in cents.
fn price(flags: &FeatureFlags, user: &str) -> Result<u32, PostHogError> {
    let user = flags.evaluate(user).locally();
    let full = match user.variant("pricing") {
        Some("yearly") => 900,
        _ => 1_000,
    };
    let discount = user.payload::<Discount>("discount")?;
    let percent = discount.map_or(0, |discount| discount.percent.min(100));
    Ok(full * (100 - percent) / 100)
}

/// Whether to take orders. Closed only if a flag says so.
async fn takes_orders(flags: &FeatureFlags, user: &str) -> Result<bool, PostHogError> {
    let user = flags.evaluate(user).await?;
    Ok(user.is_enabled_or("orders-open", true))
}

// ---------------------------------------------------------------------------------------------------------------------

/// No network, no thread: a flag is what the test says.
fn each_branch_has_a_test() -> Result<(), PostHogError> {
    assert_eq!(price(&Flags::new().build(), "ada")?, 1_000);
    let yearly = Flags::new().variant("pricing", "yearly").build();
    assert_eq!(price(&yearly, "ada")?, 900);
    let discount = Flags::new().payload("discount", json!({"percent": 20}));
    assert_eq!(price(&discount.build(), "ada")?, 800);
    Ok(())
}

fn one_user_differs_from_the_others() -> Result<(), PostHogError> {
    let flags = Flags::new().variant_for("pricing", "ada", "yearly").build();
    assert_eq!(price(&flags, "ada")?, 900);
    assert_eq!(price(&flags, "grace")?, 1_000);
    Ok(())
}

fn a_payload_of_another_shape_is_an_error_that_names_the_flag() -> Result<(), PostHogError> {
    let flags = Flags::new().payload("discount", "a lot").build();
    let error = price(&flags, "ada").err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("discount")));
    Ok(())
}

/// What PostHog's experiments count: who was shown which variant.
fn the_variant_that_was_shown_is_captured_once() -> Result<(), PostHogError> {
    let captured = CapturedEvents::new();
    let flags = Flags::new().variant("pricing", "yearly").build();
    let flags = flags.capture_to(captured.handle());
    price(&flags, "ada")?;
    price(&flags, "ada")?;

    let events = captured.events();
    let called = events
        .iter()
        .filter(|it| it.event == "$feature_flag_called");
    let shown: Vec<_> = called
        .map(|it| {
            (
                it.distinct_id.as_str(),
                &it.properties["$feature_flag_response"],
            )
        })
        .collect();
    assert_eq!(shown, [("ada", &json!("yearly"))], "{captured:?}");
    Ok(())
}

/// The whole road, and what the code does without PostHog.
fn orders_are_taken_while_posthog_is_down() -> Result<(), Box<dyn std::error::Error>> {
    let posthog = PostHogServer::start()?;
    let client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host(posthog.url())
        .flags(|flags| flags.request_timeout(Duration::from_secs(60)))
        .build()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        posthog.flags(Flags::new().off("orders-open"));
        assert!(!takes_orders(&client.flags(), "ada").await?);
        posthog.answer_next(Answer::status(500));
        assert!(takes_orders(&client.flags(), "ada").await?);
        Ok(())
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    each_branch_has_a_test()?;
    println!("ok: each branch has a test");
    one_user_differs_from_the_others()?;
    println!("ok: one user differs from the others");
    a_payload_of_another_shape_is_an_error_that_names_the_flag()?;
    println!("ok: a payload of another shape is an error that names the flag");
    the_variant_that_was_shown_is_captured_once()?;
    println!("ok: the variant that was shown is captured once");
    orders_are_taken_while_posthog_is_down()?;
    println!("ok: orders are taken while PostHog is down");
    Ok(())
}
