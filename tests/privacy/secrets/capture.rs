//! Capturing, whatever a server echoes: nothing of it shows in what `on_error` gets, in the log or in summaries.

use super::behaviours::{BEHAVIOURS, STATUSES};
use super::{LONG, Leaks, Log, client_of, everything, marked_event, shown_by};
use crate::own_process::own_process;
use crate::support::wait_until;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{CaptureProtocol, EventCaptureBackend, PostHogClient};

#[test]
fn echoes_to_capture_v0_show_nothing() {
    own_process!();
    capture(CaptureProtocol::V0);
}

#[test]
fn echoes_to_capture_v1_show_nothing() {
    own_process!();
    capture(CaptureProtocol::V1);
}

#[test]
fn echoes_to_a_capture_that_finds_its_protocol_show_nothing() {
    own_process!();
    capture(CaptureProtocol::Auto);
}

#[test]
fn echoes_to_a_batch_show_nothing() {
    own_process!();
    let log = Log::start();
    let mut leaks = Leaks::default();
    let mut errors = 0;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for status in STATUSES {
        for behaviour in BEHAVIOURS {
            let case = format!("{status}, {}", behaviour.name);
            let server = PostHogServer::start().unwrap();
            server.answer_with(move |request| Some((behaviour.answer)(request, status)));
            let client = client_of(&server).build().unwrap();
            let summary = runtime
                .block_on(client.capture_batch([marked_event()]))
                .unwrap();
            assert_ne!(server.request_count(), 0, "{case}");
            let mut shown = vec![("summary".to_owned(), format!("{summary:?}"))];
            errors += summary.errors.len();
            shown.extend(summary.errors.iter().flat_map(shown_by));
            shown.extend(log.take());
            leaks.look(&case, &everything(), shown);
        }
    }
    leaks.assert_none(STATUSES.len() * BEHAVIOURS.len());
    // All but those that are a 200.
    assert!(
        errors >= (STATUSES.len() - 1) * BEHAVIOURS.len(),
        "{errors}"
    );
}

fn capture(protocol: CaptureProtocol) {
    let log = Log::start();
    let mut leaks = Leaks::default();
    let mut hooks_ran = 0;
    for status in STATUSES {
        for behaviour in BEHAVIOURS {
            let case = format!("{status}, {}", behaviour.name);
            let server = PostHogServer::start().unwrap();
            server.answer_with(move |request| Some((behaviour.answer)(request, status)));
            let client = client_of(&server).build().unwrap();
            let mut shown = deliver(client, protocol, &server);
            hooks_ran += shown.iter().filter(|(what, _)| what == "on_error").count();
            shown.extend(log.take());
            leaks.look(&case, &everything(), shown);
        }
    }
    leaks.assert_none(STATUSES.len() * BEHAVIOURS.len());
    // All but those that are a 200.
    let at_least = (STATUSES.len() - 1) * BEHAVIOURS.len();
    assert!(hooks_ran >= at_least, "{hooks_ran}");
}

/// Captures one event and waits until its first attempt is over; gives what was shown of it.
pub(super) fn deliver(
    client: PostHogClient,
    protocol: CaptureProtocol,
    server: &PostHogServer,
) -> Vec<(String, String)> {
    let failures = Arc::new(Mutex::new(Vec::new()));
    let seen = failures.clone();
    let builder = EventCaptureBackend::builder(client)
        .protocol(protocol)
        .flush_at(1)
        .flush_interval(Duration::from_millis(5))
        .on_error(move |failure| {
            let mut shown = vec![
                ("on_error".to_owned(), format!("{failure:?}")),
                ("detail".to_owned(), format!("{:?}", failure.detail)),
            ];
            shown.extend(failure.error.into_iter().flat_map(shown_by));
            seen.lock().unwrap().extend(shown);
        });
    let mut shown = vec![("builder".to_owned(), format!("{builder:?}"))];
    let handle = builder.start().unwrap();
    handle.capture(marked_event());
    wait_until("the first attempt is over", || {
        let stats = handle.stats();
        server.request_count() > 0 && stats.in_flight == 0
    });
    // What is left is dropped soon, which is told too.
    let report = handle.shutdown_blocking(Duration::from_millis(20));
    wait_until("the actor's end", || {
        let stats = handle.stats();
        stats.queued + stats.in_flight == 0
    });
    handle.shutdown_blocking(LONG);
    shown.push(("report".to_owned(), format!("{report} {report:?}")));
    shown.push((
        "stats".to_owned(),
        format!("{:?} {handle:?}", handle.stats()),
    ));
    shown.extend(failures.lock().unwrap().drain(..));
    shown
}
