//! A peer, and the one that this build has.

use crate::work::{Data, MARK};

#[cfg(feature = "loki")]
#[path = "loki.rs"]
mod chosen;
#[cfg(feature = "otel-log")]
#[path = "otel.rs"]
mod chosen;
#[cfg(feature = "posthog-rs")]
#[path = "posthog_rs.rs"]
mod chosen;
#[cfg(feature = "sentry-log")]
#[path = "sentry.rs"]
mod chosen;
#[cfg(feature = "tracing-posthog")]
#[path = "tracing_posthog.rs"]
mod chosen;

/// Something that gets events out of a program.
pub trait Peer: Sync {
    /// Runs `f` in two spans of two fields each.
    fn in_spans(&self, i: u64, f: &mut dyn FnMut()) {
        let outer = tracing::info_span!("request", distinct_id = i, path = "/signup/confirm");
        let _outer = outer.enter();
        let inner = tracing::info_span!("query", table = "accounts", rows = 3);
        let _inner = inner.enter();
        f();
    }

    /// One event of a name and five fields; with a note, one more, and the mark.
    fn event(&self, data: &Data, note: Option<&str>) {
        let Data {
            user,
            n,
            ratio,
            trial,
        } = data;
        match note {
            None => tracing::info!(
                posthog.event = "signup", plan = "pro", user = %user, n, ratio, trial
            ),
            Some(note) => tracing::info!(
                posthog.event = "signup", plan = MARK, user = %user, n, ratio, trial, note
            ),
        }
    }

    /// After so many events it is asked to wait until there is room.
    fn room(&self) -> u64;

    fn wait(&self);

    /// Delivers what is left.
    fn finish(&self);
}

/// This build's, installed. Without an address it delivers nothing, and its queue takes all there is.
pub fn this(url: Option<&str>) -> Box<dyn Peer> {
    #[cfg(any(
        feature = "loki",
        feature = "otel-log",
        feature = "posthog-rs",
        feature = "sentry-log",
        feature = "tracing-posthog",
    ))]
    return Box::new(chosen::new(url));
    #[cfg(not(any(
        feature = "loki",
        feature = "otel-log",
        feature = "posthog-rs",
        feature = "sentry-log",
        feature = "tracing-posthog",
    )))]
    panic!("build with the feature of one peer, not for {url:?}");
}

/// Makes a peer that is a layer the subscriber of the process.
#[cfg(not(any(feature = "posthog-rs", feature = "sink")))]
pub fn install<L>(layer: L)
where
    L: tracing_subscriber::Layer<
            tracing_subscriber::layer::Layered<
                tracing_subscriber::filter::LevelFilter,
                tracing_subscriber::Registry,
            >,
        > + Send
        + Sync,
{
    use tracing_subscriber::prelude::*;
    tracing_subscriber::registry()
        .with(tracing_subscriber::filter::LevelFilter::INFO)
        .with(layer)
        .init();
}
