//! Trace and span ids: of exceptions, and of all events where they are asked for.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tracing::{error, info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{Errors, PostHogLayerBuilder, Stacks, TraceIds};

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const SPAN: u64 = 0x00ad_6b71_6920_3331;

fn captured(
    layer: impl Fn(PostHogLayerBuilder) -> PostHogLayerBuilder + Send + Sync + 'static,
    run: impl FnOnce(),
) -> Vec<RecordedEvent> {
    let kit = CapturedEvents::builder().layer(layer).build().unwrap();
    kit.in_scope(run);
    kit.events()
}

fn errors() -> Errors {
    Errors::new().stacks(Stacks::None)
}

fn ids_of(event: &RecordedEvent) -> [Value; 2] {
    ["$trace_id", "$span_id"].map(|name| event.properties.get(name).cloned().unwrap_or_default())
}

fn both() -> [Value; 2] {
    [
        json!("0af7651916cd43dd8448eb211c80319c"),
        json!("00ad6b7169203331"),
    ]
}

const NONE: [Value; 2] = [Value::Null, Value::Null];

#[test]
fn exceptions_have_those_of_their_settings_and_other_events_none() {
    let errors = errors().trace_ids(|| Some(TraceIds::new(TRACE, SPAN)));
    let events = captured(
        move |layer| layer.errors(errors.clone()),
        || {
            error!("failed");
            info!(posthog.event = "signup");
        },
    );
    let [exception, signup] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(ids_of(exception), both());
    assert_eq!(ids_of(signup), NONE);
}

#[test]
fn all_events_of_a_layer_have_those_of_the_layer() {
    let events = captured(
        |layer| {
            layer
                .trace_ids(|| Some(TraceIds::new(TRACE, SPAN)))
                .errors(errors())
        },
        || {
            error!("failed");
            info!(posthog.event = "signup");
            drop(info_span!("report", posthog.event = "report built"));
        },
    );
    assert_eq!(events.len(), 3);
    for event in &events {
        assert_eq!(ids_of(event), both(), "{event:?}");
    }
}

#[test]
fn what_an_event_says_itself_wins_and_zero_is_none() {
    let events = captured(
        |layer| layer.trace_ids(|| Some(TraceIds::new(0, 7))),
        || {
            info!(posthog.event = "own", { "$span_id" } = "mine");
            info!(posthog.event = "zero");
        },
    );
    let [own, zero] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(ids_of(own), [Value::Null, json!("mine")]);
    assert_eq!(ids_of(zero), [Value::Null, json!("0000000000000007")]);
}

#[test]
fn a_provider_that_panics_or_captures_costs_the_ids_at_most() {
    let events = captured(
        |layer| layer.trace_ids(|| panic!("no ids")),
        || info!(posthog.event = "signup"),
    );
    assert_eq!(events.len(), 1);
    assert_eq!(ids_of(&events[0]), NONE);

    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let events = captured(
        move |layer| {
            let count = count.clone();
            layer.errors(errors()).trace_ids(move || {
                count.fetch_add(1, Relaxed);
                error!("no tracer");
                Some(TraceIds::new(TRACE, SPAN))
            })
        },
        || info!(posthog.event = "signup"),
    );
    assert_eq!(asked.load(Relaxed), 1);
    let ids: Vec<_> = events
        .iter()
        .map(|e| (e.event.as_str(), ids_of(e)))
        .collect();
    assert!(ids.contains(&("signup", both())), "{ids:?}");
}

#[cfg(feature = "opentelemetry")]
mod opentelemetry_context {
    use super::*;
    use opentelemetry::Context;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TracerProvider,
    };
    use tracing_subscriber::prelude::*;

    fn attached() -> opentelemetry::ContextGuard {
        let span = SpanContext::new(
            TraceId::from(TRACE),
            SpanId::from(SPAN),
            TraceFlags::SAMPLED,
            false,
            Default::default(),
        );
        Context::new().with_remote_span_context(span).attach()
    }

    #[test]
    fn exceptions_have_the_current_context_by_default_and_other_events_if_asked() {
        let run = || {
            let _context = attached();
            error!("failed");
            info!(posthog.event = "signup");
        };
        let events = captured(|layer| layer.errors(errors()), run);
        assert_eq!([ids_of(&events[0]), ids_of(&events[1])], [both(), NONE]);
        let events = captured(
            |layer| layer.errors(errors()).trace_ids(TraceIds::of_opentelemetry),
            run,
        );
        assert_eq!([ids_of(&events[0]), ids_of(&events[1])], [both(), both()]);
    }

    #[test]
    fn outside_of_every_context_there_are_none() {
        let events = captured(|layer| layer.errors(errors()), || error!("failed"));
        assert_eq!(ids_of(&events[0]), NONE);
    }

    /// The layer of `tracing-opentelemetry` makes the context of a span current when that is entered.
    #[test]
    fn the_spans_of_tracing_opentelemetry_are_the_context() {
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::default();
        let kit = CapturedEvents::builder()
            .layer(|layer| layer.errors(errors()).trace_ids(TraceIds::of_opentelemetry))
            .build()
            .unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("shop")))
            .with(kit.layer());
        let (outer, inner) = tracing::subscriber::with_default(subscriber, || {
            let here = || TraceIds::of_opentelemetry().unwrap().to_string();
            let _request = info_span!("request").entered();
            info!(posthog.event = "signup");
            let outer = here();
            let _query = info_span!("query").entered();
            error!("failed");
            (outer, here())
        });
        let events = kit.events();
        let shown = |event: &RecordedEvent| {
            ids_of(event)
                .map(|id| id.as_str().unwrap().to_owned())
                .join("-")
        };
        assert_eq!(
            [shown(&events[0]), shown(&events[1])],
            [outer.clone(), inner.clone()]
        );
        assert_eq!(outer.split('-').next(), inner.split('-').next());
        assert_ne!(outer, inner);
    }
}
