//! The field `posthog.event`, and nothing else, makes an event an analytics event.

use crate::layers::{captured, captured_with};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Span, debug, debug_span, error, info, info_span, trace, warn};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{CaptureHandle, PostHogLayer, SpanFields};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{registry, reload};

fn names(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|e| e.event.as_str()).collect()
}

#[test]
fn events_without_the_field_are_not_captured() {
    let captured = CapturedEvents::new();
    tracing::subscriber::with_default(registry().with(captured.layer()), || {
        info!("a log line");
        info!(plan = "pro", event = "signup", "posthog.event");
        info!(posthog.distinct_id = "ada", posthog.set.plan = "pro");
        info!(
            posthog.events = "x",
            posthog.event.name = "x",
            posthog_event = "x"
        );
        info_span!("a span", posthog.distinct_id = "ada").in_scope(|| error!("in it"));
    });
    assert_eq!(
        captured.handle().stats().captured,
        0,
        "not even to be dropped"
    );
}

#[test]
fn an_event_with_the_field_is_captured_once() {
    let events = captured(|| info!(posthog.event = "signup", plan = "pro"));
    assert_eq!(names(&events), ["signup"]);
    assert_eq!(events[0].properties["plan"], "pro");
}

#[test]
fn questions_about_levels_between_events_lose_none() {
    let events = captured(|| {
        for _ in 0..100 {
            let _ = log::log_enabled!(log::Level::Info);
            let _ = tracing::enabled!(tracing::Level::INFO);
            let _ = tracing::event_enabled!(tracing::Level::INFO, posthog.event);
            let _ = tracing::span_enabled!(tracing::Level::INFO, posthog.event);
            info!(posthog.event = "asked");
        }
    });
    assert_eq!(events.len(), 100);
}

#[test]
fn events_at_the_level_or_above_it_are_captured() {
    let all = || {
        error!(posthog.event = "error");
        warn!(posthog.event = "warn");
        info!(posthog.event = "info");
        debug!(posthog.event = "debug");
        trace!(posthog.event = "trace");
    };
    assert_eq!(names(&captured(all)), ["error", "warn", "info"]);
    for (level, count) in [
        (LevelFilter::OFF, 0),
        (LevelFilter::ERROR, 1),
        (LevelFilter::DEBUG, 4),
        (LevelFilter::TRACE, 5),
    ] {
        assert_eq!(
            captured_with(|o| o.max_level(level), all).len(),
            count,
            "{level}"
        );
    }
}

#[test]
fn spans_below_the_level_are_no_events() {
    let spans = || {
        tracing::debug_span!("s", posthog.event = "debug").in_scope(|| {});
        info_span!("s", posthog.event = "info").in_scope(|| {});
    };
    assert_eq!(names(&captured(spans)), ["info"]);
}

#[test]
fn a_disabled_layer_captures_nothing() {
    let layer = PostHogLayer::new(CaptureHandle::disabled());
    assert!(!layer.is_enabled());
    let handle = layer.handle().clone();
    tracing::subscriber::with_default(registry().with(layer), || {
        info_span!("s", posthog.event = "a span").in_scope(|| info!(posthog.event = "x"));
    });
    let stats = handle.stats();
    assert!(stats.disabled);
    assert_eq!(stats.captured, 0);
}

#[test]
fn opting_out_stops_capturing_and_opting_in_goes_on_with_open_spans() {
    let captured = CapturedEvents::new();
    let handle = captured.handle();
    tracing::subscriber::with_default(registry().with(captured.layer()), || {
        info!(posthog.event = "before");
        handle.opt_out();
        assert!(!handle.is_enabled());
        let span = info_span!("s", posthog.distinct_id = "ada", posthog.event = "a span");
        let _entered = span.enter();
        info!(posthog.event = "opted out");
        info_span!("s", posthog.event = "a span opted out").in_scope(|| {});
        handle.opt_in();
        info!(posthog.event = "after");
    });
    let events = captured.events();
    assert_eq!(names(&events), ["before", "after", "a span"]);
    assert_eq!(events[1].distinct_id, "ada");
    assert_eq!(handle.stats().captured, 3, "refused ones are not counted");
}

#[test]
fn a_reloadable_layer_is_taken_out_and_put_back_and_open_spans_survive() {
    let captured = CapturedEvents::new();
    let (layer, reload) = reload::Layer::new(Some(captured.layer()));
    tracing::subscriber::with_default(registry().with(layer), || {
        let open = info_span!("s", posthog.distinct_id = "ada", posthog.event = "a span");
        let _entered = open.enter();
        info!(posthog.event = "in");
        let mut out = None;
        reload.modify(|layer| out = layer.take()).unwrap();
        info!(posthog.event = "out");
        reload.modify(|layer| *layer = out).unwrap();
        info!(posthog.event = "in again");
    });
    let events = captured.events();
    assert_eq!(names(&events), ["in", "in again", "a span"]);
    assert!(events.iter().all(|e| e.distinct_id == "ada"));
}

#[test]
fn a_layer_put_in_later_minds_no_spans_from_before() {
    let captured = CapturedEvents::new();
    let (layer, reload) = reload::Layer::new(None);
    tracing::subscriber::with_default(registry().with(layer), || {
        let before = info_span!(
            "before",
            posthog.event = "unseen",
            late = tracing::field::Empty
        );
        let _entered = before.enter();
        reload
            .modify(|layer| *layer = Some(captured.layer()))
            .unwrap();
        before.record("late", 1);
        info!(posthog.event = "after");
    });
    assert_eq!(names(&captured.events()), ["after"]);
}

#[test]
fn a_filter_of_the_user_selects_among_analytics_events() {
    let captured = CapturedEvents::new();
    let mine = filter_fn(|metadata| metadata.target() != "theirs");
    let subscriber = registry().with(captured.layer().with_filter(mine));
    tracing::subscriber::with_default(subscriber, || {
        info!(posthog.event = "mine");
        info!(target: "theirs", { posthog.event = "theirs" }, "message");
    });
    assert_eq!(names(&captured.events()), ["mine"]);
}

#[test]
fn two_subscribers_on_two_threads_do_not_mix() {
    let threads = ["one", "two"].map(|name| {
        std::thread::spawn(move || {
            let events = captured(|| {
                info_span!("s", posthog.distinct_id = name).in_scope(|| {
                    for _ in 0..1_000 {
                        info!(posthog.event = name);
                    }
                });
            });
            assert_eq!(events.len(), 1_000);
            assert!(
                events
                    .iter()
                    .all(|e| e.event == name && e.distinct_id == name)
            );
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn events_have_no_other_field_or_many() {
    let [none, many] = captured(|| {
        info!(posthog.event = "none");
        info!(
            posthog.event = "many",
            a1 = 1,
            a2 = 2,
            a3 = 3,
            a4 = 4,
            a5 = 5,
            a6 = 6,
            a7 = 7,
            a8 = 8,
            a9 = 9,
            a10 = 10,
            a11 = 1,
            a12 = 2,
            a13 = 3,
            a14 = 4,
            a15 = 5,
            a16 = 6,
            a17 = 7,
            a18 = 8,
            a19 = 9,
            a20 = 10,
            a21 = 1,
            a22 = 2,
            a23 = 3,
            a24 = 4,
            a25 = 5,
            a26 = 6,
            a27 = 7,
            a28 = 8,
            a29 = 9,
            a30 = 10,
            a31 = 1,
            a32 = 2,
            a33 = 3,
            a34 = 4,
            a35 = 5,
            a36 = 6,
            a37 = 7,
            a38 = 8,
            a39 = 9,
            a40 = 40,
        );
    })
    .try_into()
    .unwrap();
    assert!(
        none.properties.keys().all(|key| key.starts_with('$')),
        "{none:?}"
    );
    let own = many.properties.keys().filter(|key| !key.starts_with('$'));
    assert_eq!(own.count(), 40);
    assert_eq!(many.properties["a40"], 40);
}

#[test]
fn a_layer_that_was_out_minds_no_span_that_closed_meanwhile() {
    let captured = CapturedEvents::new();
    let (layer, reload) = reload::Layer::new(Some(captured.layer()));
    let open = |user| info_span!("s", posthog.event = "a span", posthog.distinct_id = user);
    tracing::subscriber::with_default(registry().with(layer), || {
        let mut out = None;
        let stale = open("stranger");
        let id = stale.id();
        reload.modify(|layer| out = layer.take()).unwrap();
        drop(stale);
        reload.modify(|layer| *layer = out).unwrap();

        // The registry gives the id again after some thousand spans: to a span of another callsite, and of the same.
        let plain = || info_span!("plain");
        let comes_again = |open: &dyn Fn() -> Span| {
            let again = (0..1_000_000)
                .map(|_| open())
                .find(|span| span.id() == id)
                .expect("the id comes again");
            again.in_scope(|| info!(posthog.event = "within"));
        };
        comes_again(&plain);
        captured.handle().opt_out();
        let of_ada = || {
            let span = open("ada");
            if span.id() == id {
                captured.handle().opt_in();
            }
            span
        };
        comes_again(&of_ada);
    });
    let events = captured.events();
    assert_eq!(names(&events), ["within", "within", "a span"]);
    let ids: Vec<_> = events.iter().map(|e| e.distinct_id.as_str()).collect();
    assert_ne!(ids[0], "stranger");
    assert_eq!(ids[1..], ["ada", "ada"]);
}

/// What replaces a layer within a `reload` while a span is open goes on with it.
fn replaced_within_a_span(
    reload: impl FnOnce(&CapturedEvents),
) -> impl FnOnce(&CapturedEvents) -> Vec<RecordedEvent> {
    |captured| {
        let outer = info_span!("outer", posthog.distinct_id = "ada");
        let _outer = outer.enter();
        let span = info_span!(
            "s",
            posthog.event = "a span",
            posthog.session_id = Empty,
            n = 1
        );
        span.record("posthog.session_id", "s1");
        span.in_scope(|| {
            info!(posthog.event = "before");
            reload(captured);
            info!(posthog.event = "after");
        });
        span.record("n", 2);
        drop(span);
        captured.events()
    }
}

#[test]
fn a_layer_that_replaces_another_over_the_same_handle_goes_on_with_open_spans() {
    let captured = CapturedEvents::new();
    let (layer, reload) = reload::Layer::new(captured.layer());
    let program = replaced_within_a_span(|captured| reload.reload(captured.layer()).unwrap());
    let events = tracing::subscriber::with_default(registry().with(layer), || program(&captured));
    assert_eq!(names(&events), ["before", "after", "a span"]);
    for event in &events {
        assert_eq!(event.distinct_id, "ada");
        assert_eq!(event.properties["$session_id"], "s1");
    }
    assert_eq!(events[2].properties["n"], 2);
}

#[test]
fn so_does_one_in_an_option_and_one_behind_a_filter() {
    let captured = CapturedEvents::new();
    let (layer, reload) = reload::Layer::new(Some(captured.layer()));
    let layer = layer.with_filter(filter_fn(|metadata| metadata.name() != "hidden"));
    let program = replaced_within_a_span(|captured| {
        reload
            .modify(|layer| *layer = Some(captured.layer()))
            .unwrap();
    });
    let events = tracing::subscriber::with_default(registry().with(layer), || program(&captured));
    assert_eq!(names(&events), ["before", "after", "a span"]);
    assert!(events.iter().all(|e| e.distinct_id == "ada"), "{events:?}");
}

#[test]
fn a_layer_of_another_handle_does_not_go_on_with_them() {
    let (before, after) = (CapturedEvents::new(), CapturedEvents::new());
    let (layer, reload) = reload::Layer::new(before.layer());
    let program = replaced_within_a_span(|_| reload.reload(after.layer()).unwrap());
    tracing::subscriber::with_default(registry().with(layer), || program(&before));
    assert_eq!(names(&before.events()), ["before"]);
    assert_eq!(names(&after.events()), ["after"]);
    assert_ne!(after.events()[0].distinct_id, "ada");
}

#[test]
fn a_layer_that_ends_with_its_subscriber_leaves_nothing_to_the_next() {
    let captured = CapturedEvents::new();
    let (first, second) = (captured.layer(), captured.layer());
    let filtered = |layer: PostHogLayer| layer.with_filter(filter_fn(|m| m.name() != "hidden"));
    for layer in [first, second] {
        let all_spans = registry().with(crate::layers::Seen::default().layer());
        tracing::subscriber::with_default(all_spans.with(filtered(layer)), || {
            // Found past the filter, by the subscriber that the layer is part of.
            let ada = info_span!("s", posthog.distinct_id = "ada");
            info_span!(parent: &ada, "hidden").in_scope(|| info!(posthog.event = "x"));
        });
    }
    let events = captured.events();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|e| e.distinct_id == "ada"), "{events:?}");
}

#[test]
fn a_span_below_the_level_says_nothing_whatever_other_layers_let_through() {
    let program = || {
        for _ in 0..2 {
            info_span!("far", posthog.distinct_id = "ada").in_scope(|| {
                debug_span!("near", posthog.distinct_id = "grace", plan = "pro")
                    .in_scope(|| info!(posthog.event = "x"));
            });
        }
    };
    let by = |level: LevelFilter, others: Option<LevelFilter>| {
        let (captured, seen) = (CapturedEvents::new(), crate::layers::Seen::default());
        let layer = PostHogLayer::builder(captured.handle())
            .max_level(level)
            .span_fields(SpanFields::all());
        let others = others.map(|level| seen.layer().with_filter(level));
        let subscriber = registry().with(others).with(layer.build());
        let events = tracing::subscriber::with_default(subscriber, || {
            program();
            captured.events()
        });
        assert_eq!(events.len(), 2);
        let ids: Vec<_> = events.into_iter().map(|e| e.distinct_id).collect();
        assert_eq!(ids[0], ids[1]);
        (ids[0].clone(), seen.with(" tracing_posthog::"))
    };
    for others in [None, Some(LevelFilter::INFO), Some(LevelFilter::DEBUG)] {
        assert_eq!(by(LevelFilter::INFO, others).0, "ada", "{others:?}");
        assert_eq!(by(LevelFilter::DEBUG, others).0, "grace", "{others:?}");
    }

    // Where another layer makes the span exist, its fields are not ignored in silence.
    let (_, said) = by(LevelFilter::INFO, Some(LevelFilter::DEBUG));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("near (DEBUG, ") && said[0].contains("max_level"));
    let (_, said) = by(LevelFilter::DEBUG, Some(LevelFilter::DEBUG));
    assert_eq!(said, [""; 0]);
}
