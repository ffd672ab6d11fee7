//! Other layers see exactly what they see without ours, wherever ours stands and whatever wraps it.
//! Alone in their processes: the most verbose level that any subscriber wants is one for the whole process.

use crate::layers::Seen;
use crate::own_process::own_process;
use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, debug, debug_span, error, info, info_span, trace, trace_span, warn};
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{CaptureHandle, PostHogLayer, SpanFields};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, registry, reload};

/// Every level, with and without our fields, in spans of all levels.
fn program() {
    let outer = info_span!(
        "outer",
        posthog.distinct_id = "ada",
        late = tracing::field::Empty
    );
    let _outer = outer.enter();
    outer.record("late", 1);
    error!("e");
    warn!("w");
    info!("i");
    debug!("d");
    trace!("t");
    for _ in 0..2 {
        error!(posthog.event = "at error");
        info!(posthog.event = "at info", n = 1);
        debug!(posthog.event = "at debug");
        trace!(target: "elsewhere", "t");
        info!(target: "elsewhere", { posthog.event = "elsewhere" }, "message");
    }
    debug_span!("middle", plain = true).in_scope(|| {
        info!("in the middle");
        let timed = info_span!("timed", posthog.event = "a span");
        timed.in_scope(|| debug!("in a timed span"));
        trace_span!("inner", posthog.distinct_id = "bob").in_scope(|| warn!("within"));
    });
}

/// The other layers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    Missing,
    Plain,
    Errors,
    Debug,
    Trace,
    Env,
    GlobalWarn,
    GlobalEnv,
    Several,
}

const OTHERS: [Other; 9] = [
    Other::Missing,
    Other::Plain,
    Other::Errors,
    Other::Debug,
    Other::Trace,
    Other::Env,
    Other::GlobalWarn,
    Other::GlobalEnv,
    Other::Several,
];

impl Other {
    fn layer<S>(self, seen: &Seen) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let watch = seen.layer();
        match self {
            Self::Missing => None::<LevelFilter>.boxed(),
            Self::Plain => watch.boxed(),
            Self::Errors => watch.with_filter(LevelFilter::ERROR).boxed(),
            Self::Debug => watch.with_filter(LevelFilter::DEBUG).boxed(),
            Self::Trace => watch.with_filter(LevelFilter::TRACE).boxed(),
            Self::Env => watch
                .with_filter(EnvFilter::new("warn,elsewhere=trace,[middle]=debug"))
                .boxed(),
            Self::GlobalWarn => LevelFilter::WARN.boxed(),
            Self::GlobalEnv => EnvFilter::new("info,elsewhere=trace").boxed(),
            Self::Several => vec![
                seen.layer().with_filter(LevelFilter::ERROR).boxed(),
                watch.with_filter(LevelFilter::DEBUG).boxed(),
            ]
            .boxed(),
        }
    }

    fn is_global(self) -> bool {
        matches!(self, Self::GlobalWarn | Self::GlobalEnv)
    }
}

fn run(subscriber: impl Subscriber + Send + Sync) {
    tracing::subscriber::with_default(subscriber, program);
}

/// What two other layers see without us.
fn without(a: Other, b: Other) -> [Vec<String>; 2] {
    let seen = [Seen::default(), Seen::default()];
    run(registry().with(a.layer(&seen[0])).with(b.layer(&seen[1])));
    seen.map(|s| s.lines())
}

/// Checks that two other layers see the same with `$ours` in every place among them, and that ours
/// captures the same everywhere.
macro_rules! is_invisible {
    (|$captured:ident| $ours:expr, $delivers:expr) => {
        for a in OTHERS {
            for b in OTHERS {
                let want = without(a, b);
                let check = |place: &str, stack: &dyn Fn(&CapturedEvents, &[Seen; 2])| {
                    let captured = CapturedEvents::new();
                    let seen = [Seen::default(), Seen::default()];
                    stack(&captured, &seen);
                    let got = seen.map(|s| s.lines());
                    assert_eq!(got, want, "{a:?} and {b:?}, ours {place}");
                    // `tracing-subscriber` takes a `None` with ours in one, over another `None`, for no
                    // layer at all, as it does with any layer that has no level hint.
                    let nothing = place.ends_with("in one") && [a, b] == [Other::Missing; 2];
                    if !a.is_global() && !b.is_global() && !nothing {
                        let names = captured.events().into_iter().map(|e| e.event);
                        assert_eq!(
                            names.collect::<Vec<_>>(),
                            $delivers,
                            "{a:?} and {b:?}, ours {place}"
                        );
                    }
                };
                check("first", &|$captured, s| {
                    run(registry().with($ours).with(a.layer(&s[0])).with(b.layer(&s[1])));
                });
                check("between", &|$captured, s| {
                    run(registry().with(a.layer(&s[0])).with($ours).with(b.layer(&s[1])));
                });
                check("last", &|$captured, s| {
                    run(registry().with(a.layer(&s[0])).with(b.layer(&s[1])).with($ours));
                });
                // `and_then` makes of two layers one; with a global filter that is a filter of both.
                check("after, in one", &|$captured, s| {
                    run(registry().with(a.layer(&s[0])).with(b.layer(&s[1]).and_then($ours)));
                });
                check("before, in one", &|$captured, s| {
                    run(registry().with(a.layer(&s[0])).with(Layer::and_then($ours, b.layer(&s[1]))));
                });
            }
        }
    };
}

const CAPTURED: [&str; 7] = [
    "at error",
    "at info",
    "elsewhere",
    "at error",
    "at info",
    "elsewhere",
    "a span",
];

#[test]
fn as_it_is() {
    own_process!();
    is_invisible!(|c| c.layer(), CAPTURED);
}

#[test]
fn in_an_option() {
    own_process!();
    is_invisible!(|c| Some(c.layer()), CAPTURED);
}

#[test]
fn in_a_box() {
    own_process!();
    is_invisible!(|c| c.layer().boxed(), CAPTURED);
}

#[test]
fn in_a_vec_of_one() {
    own_process!();
    is_invisible!(|c| vec![c.layer()], CAPTURED);
}

#[test]
fn in_a_reloadable() {
    own_process!();
    is_invisible!(|c| reload::Layer::new(c.layer()).0, CAPTURED);
}

#[test]
fn behind_a_filter() {
    own_process!();
    is_invisible!(|c| c.layer().with_filter(LevelFilter::INFO), CAPTURED);
}

#[test]
fn wanting_every_level_and_every_field() {
    own_process!();
    is_invisible!(
        |c| PostHogLayer::builder(c.handle())
            .max_level(LevelFilter::TRACE)
            .span_fields(SpanFields::all())
            .build(),
        [
            "at error",
            "at info",
            "at debug",
            "elsewhere",
            "at error",
            "at info",
            "at debug",
            "elsewhere",
            "a span",
        ]
    );
}

#[test]
fn disabled() {
    own_process!();
    is_invisible!(|_c| PostHogLayer::new(CaptureHandle::disabled()), [""; 0]);
}

#[test]
fn a_layer_reloaded_beneath_still_sees_every_level() {
    own_process!();
    let seen = Seen::default();
    let quiet: Box<dyn Layer<_> + Send + Sync> = LevelFilter::WARN.boxed();
    let (other, reload) = reload::Layer::new(quiet);
    let subscriber = registry().with(other).with(CapturedEvents::new().layer());
    tracing::subscriber::with_default(subscriber, || {
        trace!("not yet");
        reload.reload(seen.layer().boxed()).unwrap();
        trace!("now");
    });
    assert_eq!(seen.with("message").len(), 1, "{:?}", seen.lines());
}

/// What the process wants to hear while a subscriber is the default.
fn wanted(subscriber: impl Subscriber + Send + Sync) -> LevelFilter {
    tracing::subscriber::with_default(subscriber, LevelFilter::current)
}

#[test]
fn the_level_of_the_process_is_raised_no_further_than_ours() {
    own_process!();
    let (captured, seen) = (CapturedEvents::new(), Seen::default());
    let ours = || captured.layer();
    let errors = || seen.layer().with_filter(LevelFilter::ERROR);
    let debug = || seen.layer().with_filter(LevelFilter::DEBUG);

    assert_eq!(wanted(registry().with(errors())), LevelFilter::ERROR);
    assert_eq!(
        wanted(registry().with(errors()).with(ours())),
        LevelFilter::INFO
    );
    assert_eq!(
        wanted(registry().with(debug()).with(ours())),
        LevelFilter::DEBUG
    );
    let two = registry().with(errors()).with(ours()).with(ours());
    assert_eq!(wanted(two), LevelFilter::INFO);
    let global = registry().with(EnvFilter::new("warn")).with(seen.layer());
    assert_eq!(wanted(global.with(ours())), LevelFilter::INFO);
    let verbose = PostHogLayer::builder(captured.handle()).max_level(LevelFilter::DEBUG);
    assert_eq!(
        wanted(registry().with(errors()).with(verbose.build())),
        LevelFilter::DEBUG
    );
}

#[test]
fn a_disabled_layer_does_not_raise_the_level_of_the_process() {
    own_process!();
    let seen = Seen::default();
    let errors = seen.layer().with_filter(LevelFilter::ERROR);
    let subscriber = registry()
        .with(errors)
        .with(PostHogLayer::new(CaptureHandle::disabled()));
    assert_eq!(wanted(subscriber), LevelFilter::ERROR);
}

#[test]
#[ignore = "tokio-rs/tracing#2519: any layer without a filter of its own makes questions reach the \
            filters of others, whose answer the next event then gets"]
fn an_errors_only_layer_sees_errors_after_questions_about_levels() {
    own_process!();
    fn questions() {
        for _ in 0..100 {
            let _ = tracing::enabled!(tracing::Level::INFO);
            error!("after a question");
        }
    }
    let seen = Seen::default();
    let subscriber = registry()
        .with(seen.layer().with_filter(LevelFilter::ERROR))
        .with(CapturedEvents::new().layer());
    tracing::subscriber::with_default(subscriber, questions);
    assert_eq!(seen.lines().len(), 100);
}
