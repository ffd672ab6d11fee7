//! Constructors of metrics of experiments: PostHog's schema has one shape for four kinds, which need different fields.

use super::prelude::*;
use super::{ExperimentMetric, ExperimentMetricType, ExperimentSource, ExperimentSourceKind};
use serde_json::Number;

impl ExperimentMetric {
    /// A number of each person: how often something was done, or a sum or average of a property of it.
    pub fn mean(source: ExperimentSource) -> Self {
        Self::of(ExperimentMetricType::Mean).source(source)
    }

    /// How many people do these, one after another.
    pub fn funnel(steps: impl IntoIterator<Item = ExperimentSource>) -> Self {
        Self::of(ExperimentMetricType::Funnel).series(steps)
    }

    /// One number by another.
    pub fn ratio(numerator: ExperimentSource, denominator: ExperimentSource) -> Self {
        Self::of(ExperimentMetricType::Ratio)
            .numerator(numerator)
            .denominator(denominator)
    }

    /// How many people come back.
    pub fn retention(start: ExperimentSource, completion: ExperimentSource) -> Self {
        Self::of(ExperimentMetricType::Retention)
            .start_event(start)
            .completion_event(completion)
    }

    fn of(kind: ExperimentMetricType) -> Self {
        let mut fields = Fields::default();
        fields.set("kind", "ExperimentMetric".into());
        Self { fields }.metric_type(kind)
    }

    #[cfg(test)]
    pub(super) fn minimal_samples() -> Vec<Self> {
        let order = || ExperimentSource::event("order");
        vec![
            Self::mean(order()),
            Self::funnel([order(), ExperimentSource::action(7)]),
            Self::ratio(order(), order()),
            Self::retention(order(), order()),
        ]
    }
}

impl ExperimentSource {
    /// The events of that name.
    pub fn event(name: impl Into<String>) -> Self {
        let fields = Fields::default();
        Self { fields }
            .kind(ExperimentSourceKind::EventsNode)
            .set("event", name.into())
    }

    /// What fits the action of that number.
    pub fn action(id: impl Into<Number>) -> Self {
        let fields = Fields::default();
        Self { fields }
            .kind(ExperimentSourceKind::ActionsNode)
            .set("id", id.into())
    }

    #[cfg(test)]
    pub(super) fn minimal_samples() -> Vec<Self> {
        vec![Self::event("order"), Self::action(7)]
    }
}
