//! The texts of an error's sources are held to the limit of the record they are written to.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use tracing::{info, info_span};
use tracing_posthog::DropReason;
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::prelude::*;

const PIECE: usize = 1 << 10;

thread_local! {
    static PIECES: Cell<usize> = const { Cell::new(0) };
    static LINKS: Cell<usize> = const { Cell::new(0) };
}

/// 64 MiB of text, in pieces that are counted.
#[derive(Debug)]
struct Long;

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let piece = "x".repeat(PIECE);
        for _ in 0..(64 << 20) / PIECE {
            PIECES.set(PIECES.get() + 1);
            f.write_str(&piece)?;
        }
        Ok(())
    }
}

impl Error for Long {}

/// Caused by itself, each time with that much text.
#[derive(Debug)]
struct Endless(usize);

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&"x".repeat(self.0))
    }
}

impl Error for Endless {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        LINKS.set(LINKS.get() + 1);
        Some(self)
    }
}

#[derive(Debug)]
struct Outer<E>(E);

impl<E> fmt::Display for Outer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl<E: Error + 'static> Error for Outer<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Runs `f` where events are captured: the most memory it takes at once.
fn peak(captured: &CapturedEvents, f: impl FnOnce()) -> u64 {
    let subscriber = tracing_subscriber::registry().with(captured.layer());
    tracing::subscriber::with_default(subscriber, || {
        info!(posthog.event = "warm");
        allocation_counter::measure(f).bytes_max
    })
}

#[test]
fn an_events_sources_stop_at_the_limit_of_an_event() {
    let captured = CapturedEvents::new();
    let error = Outer(Long);
    let bytes = peak(&captured, || {
        info!(posthog.event = "failed", error = &error as &dyn Error);
    });
    assert!(
        PIECES.get() < 1_000,
        "{} pieces were asked for",
        PIECES.get()
    );
    assert!(bytes < 4 << 20, "{bytes} bytes");
    assert_eq!(
        captured.handle().stats().dropped.by(DropReason::TooLarge),
        1
    );
}

#[test]
fn a_spans_sources_stop_at_the_limit_of_a_span() {
    let captured = CapturedEvents::new();
    let error = Outer(Long);
    let bytes = peak(&captured, || {
        let span = info_span!(
            "s",
            posthog.event = "worked",
            n = 7,
            error = &error as &dyn Error
        );
        drop(span);
    });
    assert!(PIECES.get() < 100, "{} pieces were asked for", PIECES.get());
    assert!(bytes < 1 << 20, "{bytes} bytes");
    let event = captured.find("worked").unwrap();
    assert_eq!(event.properties["error"], "outer");
    assert!(!event.properties.contains_key("error.chain"));
    assert_eq!(event.properties["n"], 7);
}

#[test]
fn an_endless_chain_ends_at_32_links() {
    let captured = CapturedEvents::new();
    let bytes = peak(&captured, || {
        info!(posthog.event = "failed", error = &Endless(4) as &dyn Error);
    });
    assert!(LINKS.get() <= 33, "{} links", LINKS.get());
    assert!(bytes < 1 << 20, "{bytes} bytes");
    let event = captured.find("failed").unwrap();
    assert_eq!(
        event.properties["error.chain"],
        serde_json::json!(vec!["xxxx"; 32])
    );
}

#[test]
fn an_endless_chain_of_long_texts_ends_where_no_more_fits() {
    let captured = CapturedEvents::new();
    let bytes = peak(&captured, || {
        info!(
            posthog.event = "failed",
            error = &Endless(300 << 10) as &dyn Error
        );
    });
    assert!(LINKS.get() <= 4, "{} links", LINKS.get());
    assert!(bytes < 4 << 20, "{bytes} bytes");
    assert_eq!(
        captured.handle().stats().dropped.by(DropReason::TooLarge),
        1
    );
}
