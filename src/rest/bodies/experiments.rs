//! Constructors of metrics of experiments: PostHog's schema has one shape for four kinds, which need different fields.

use super::prelude::*;
use super::{
    ConversionWindowUnit, ExperimentMetric, ExperimentMetricStartHandling, ExperimentMetricType,
    ExperimentSource, ExperimentSourceKind,
};
use crate::rest::request::Problem;
use serde_json::Number;
use std::ops::RangeInclusive;

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

    /// How many people come back: who do the second within that time after the first.
    ///
    /// The window counts units from the start: `1..=7` days is from the next day on, for a week. Of several starts the
    /// first one counts, unless [`start_handling`](Self::start_handling) says another.
    ///
    /// ```
    /// use tracing_posthog::rest::bodies::{ConversionWindowUnit, ExperimentMetric, ExperimentSource};
    ///
    /// let comes_back = ExperimentMetric::retention(
    ///     ExperimentSource::event("signed up"),
    ///     ExperimentSource::event("opened"),
    ///     1..=7,
    ///     ConversionWindowUnit::Day,
    /// );
    /// ```
    pub fn retention(
        start: ExperimentSource,
        completion: ExperimentSource,
        window: RangeInclusive<u32>,
        unit: ConversionWindowUnit,
    ) -> Self {
        let mut metric = Self::of(ExperimentMetricType::Retention)
            .start_event(start)
            .completion_event(completion)
            .retention_window_start(*window.start())
            .retention_window_end(*window.end())
            .retention_window_unit(unit)
            .start_handling(ExperimentMetricStartHandling::FirstSeen);
        if window.is_empty() {
            metric.fields.fail(Problem {
                setting: "retention_window_end",
                problem: "the window ends before it starts; give a window such as 1..=7".into(),
            });
        }
        metric
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
            Self::retention(order(), order(), 1..=7, ConversionWindowUnit::Day),
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn retention_has_a_window_and_a_start() {
        let event = || ExperimentSource::event("a");
        let of = |window| {
            ExperimentMetric::retention(event(), event(), window, ConversionWindowUnit::Week)
        };
        let sent = serde_json::to_value(of(1..=7)).unwrap();
        for (field, value) in [
            ("retention_window_start", json!(1)),
            ("retention_window_end", json!(7)),
            ("retention_window_unit", json!("week")),
            ("start_handling", json!("first_seen")),
        ] {
            assert_eq!(sent[field], value, "{field}");
        }
        #[expect(clippy::reversed_empty_ranges, reason = "the mistake")]
        let error = serde_json::to_value(of(7..=1)).unwrap_err().to_string();
        assert!(error.starts_with("retention_window_end: "), "{error}");
    }
}
