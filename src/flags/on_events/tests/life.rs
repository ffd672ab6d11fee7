//! Which layers and threads have them, and for how long.

use super::*;
use crate::{CaptureHandle, PostHogLayer};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, Weak};
use tracing::instrument::WithSubscriber;
use tracing::{Dispatch, Instrument, dispatcher};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{registry, reload};

#[test]
fn all_layers_of_the_subscriber_have_them_but_no_other_and_a_reload_keeps_them() {
    let all: [_; 4] = std::array::from_fn(|_| CapturedEvents::new());
    let [plain, reloaded, filtered, elsewhere] = &all;
    let (to_reload, reload) = reload::Layer::new(reloaded.layer());
    let not_hidden = filter_fn(|m| m.name() != "hidden");
    let other = Dispatch::new(registry().with(elsewhere.layer()));
    let subscriber = registry()
        .with(PostHogLayer::new(CaptureHandle::disabled()))
        .with(to_reload)
        .with(filtered.layer().with_filter(not_hidden))
        .with(plain.layer());
    tracing::subscriber::with_default(subscriber, || {
        let shared = flags([]);
        let (late, own) = (info_span!("late"), info_span!("own", posthog.event = "x"));
        let hidden = info_span!("hidden");
        for span in [&late, &own, &hidden] {
            attach(span, &shared);
        }
        late.in_scope(say);
        reload.reload(reloaded.layer()).unwrap();
        shared.set([("a", ON)].into_iter());
        late.in_scope(say);
        hidden.in_scope(say);
        drop(own);
        dispatcher::with_default(&other, || info_span!("late").in_scope(say));
    });
    for captured in [plain, reloaded] {
        assert_eq!(
            each(&captured.events()),
            [none(), one("a"), one("a"), one("a")]
        );
    }
    assert_eq!(
        each(&filtered.events()),
        [none(), one("a"), none(), one("a")]
    );
    assert_eq!(each(&elsewhere.events()), [none()]);
}

#[test]
fn nothing_happens_where_there_is_no_span_no_layer_or_no_subscriber() {
    let shared = flags([("a", ON)]);
    attach(&Span::current(), &shared);
    attach(&info_span!("nobody's"), &shared);
    attach(&Span::none(), &shared);
    let disabled = registry().with(PostHogLayer::new(CaptureHandle::disabled()));
    for dispatch in [Dispatch::new(registry()), Dispatch::new(disabled)] {
        dispatcher::with_default(&dispatch, || {
            let span = info_span!("s", posthog.distinct_id = "ada");
            attach(&span, &shared);
            span.in_scope(say);
        });
    }
    let events = said(|| {
        attach(&Span::current(), &shared);
        attach(&tracing::debug_span!("disabled"), &shared);
        say();
    });
    assert_eq!(events, [none()]);
    assert_eq!(Arc::strong_count(&shared.fields), 1);
}

#[test]
fn neither_keeps_the_other_and_each_may_be_gone_first() {
    let captured = CapturedEvents::new();
    captured.in_scope(|| {
        for open in [
            || info_span!("foreign"),
            || info_span!("ours", posthog.distinct_id = "ada"),
            || info_span!("timed", posthog.event = Empty),
        ] {
            // The snapshot outlives the span.
            let (span, shared) = (open(), flags([("a", ON)]));
            let fields = Arc::downgrade(&shared.fields);
            let inner = info_span!(parent: &span, "inner", posthog.session_id = "s");
            attach(&span, &shared);
            drop(span);
            inner.in_scope(say); // `inner` keeps it open
            drop(inner);
            assert_eq!(fields.strong_count(), 1);
            shared.set([("b", ON)].into_iter());
            say();
            // The span outlives the snapshot.
            let span = open();
            attach(&span, &shared);
            drop(shared);
            span.in_scope(say);
            assert_eq!(fields.strong_count(), 1);
            attached(&span, &[("c", ON)]);
            assert_eq!(fields.strong_count(), 0);
            assert!(Weak::upgrade(&fields).is_none());
        }
    });
    let events = each(&captured.events());
    for of_span in events.chunks(3) {
        assert_eq!(of_span, [one("a"), none(), one("b")]);
    }
    assert_eq!(events.len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_threads_within_the_span_carry_them() {
    let captured = CapturedEvents::new();
    let dispatch = Dispatch::new(registry().with(captured.layer()));
    let task = {
        let _default = dispatcher::set_default(&dispatch);
        let span = info_span!("request");
        attached(&span, &[("a", ON)]);
        let (here, dispatch) = (span.clone(), dispatch.clone());
        std::thread::spawn(move || dispatcher::with_default(&dispatch, || here.in_scope(say)))
            .join()
            .unwrap();
        let later = async {
            tokio::task::yield_now().await;
            say();
        };
        later.instrument(span).with_current_subscriber()
    };
    tokio::spawn(task).await.unwrap();
    assert_eq!(each(&captured.events()), [one("a"), one("a")]);
}

/// Each event has the flags of one moment.
#[test]
fn events_of_all_threads_see_whole_changes() {
    let captured = CapturedEvents::new();
    let dispatch = Dispatch::new(registry().with(captured.layer()));
    let shared = flags([
        ("a", FlagValue::Variant("0")),
        ("b", FlagValue::Variant("0")),
    ]);
    let span = dispatcher::with_default(&dispatch, || info_span!("s"));
    attach(&span, &shared);
    let (start, done) = (Barrier::new(4), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                dispatcher::with_default(&dispatch, || {
                    start.wait();
                    let mut events = 0;
                    while events < 200 || (!done.load(Relaxed) && events < 5_000) {
                        span.in_scope(say);
                        events += 1;
                    }
                });
            });
        }
        start.wait();
        for n in 1..=500 {
            // Of another length each time.
            let value = n.to_string().repeat(1 + n % 50);
            let value = FlagValue::Variant(&value);
            shared.set([("a", value), ("b", value)].into_iter());
        }
        done.store(true, Relaxed);
    });
    let mut events = captured.take();
    dispatcher::with_default(&dispatch, || span.in_scope(say));
    events.extend(captured.events());
    for event in &events {
        let p = &event.properties;
        assert_eq!(p["$feature/a"], p["$feature/b"]);
    }
    let last = &events[events.len() - 1].properties;
    assert!(last["$feature/a"].as_str().unwrap().starts_with("500"));
}
