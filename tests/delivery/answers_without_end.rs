//! Endless answers: capture needs a few bytes of an answer, so the crate reads no more, and waits no longer than
//! the attempt timeout.

use crate::hostile::{Peer, read_request};
use crate::support::*;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tracing_posthog::{CaptureProtocol, CircuitBreaker, Event, PostHogClientBuilder};

const MIB: usize = 1 << 20;

/// Writes the same text until the client closes the connection, and counts the bytes it could write.
fn write_without_end(stream: &mut TcpStream, text: &[u8], written: &AtomicUsize) {
    while written.load(SeqCst) < 1024 * MIB && stream.write_all(text).is_ok() {
        written.fetch_add(text.len(), SeqCst);
    }
}

/// Answers each request with this head and an endless body.
fn endless(head: &'static str) -> (Peer, Arc<AtomicUsize>) {
    let written = Arc::<AtomicUsize>::default();
    let counted = written.clone();
    let peer = Peer::start(move |mut stream, _| {
        if read_request(&mut stream).is_some() {
            let _ = stream.write_all(head.as_bytes());
            let chunk = vec![b' '; 64 << 10];
            write_without_end(&mut stream, &chunk, &counted);
        }
    });
    (peer, written)
}

fn patient(peer: &Peer) -> PostHogClientBuilder {
    client_at(peer.url())
        .circuit_breaker(CircuitBreaker::off())
        .attempt_timeout(LONG)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"status\":\"Ok\"}";

#[test]
fn an_answer_without_end_is_read_no_further_than_it_is_of_use() {
    let (peer, written) = endless(OK);
    let posthog = capture_with(patient(&peer)).flush_at(1).start().unwrap();
    posthog.capture(Event::new("e").distinct_id("ada"));
    let report = posthog.flush_blocking(LONG);
    let bytes = written.load(SeqCst);
    // The count includes what only reached the socket buffers.
    assert!(bytes < 8 * MIB, "{bytes} bytes; {report}");
    assert_eq!((report.delivered, report.dropped), (1, 0), "{report}");
    assert_eq!(peer.connections(), 1, "it is sent once");
}

#[test]
fn a_batch_sent_at_once_reads_no_answer_without_end_either() {
    let (peer, written) = endless(OK);
    let client = patient(&peer).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sending = client.capture_batch([Event::new("e").distinct_id("ada")]);
    let summary = runtime.block_on(sending).unwrap();
    let bytes = written.load(SeqCst);
    assert!(bytes < 8 * MIB, "{bytes} bytes; {summary:?}");
    assert_eq!(summary.delivered, 1, "{summary:?}");
}

#[test]
fn a_refusal_without_end_is_read_no_further_than_it_is_of_use() {
    let (peer, written) = endless("HTTP/1.1 400 Bad Request\r\n\r\n");
    let posthog = capture_with(patient(&peer)).flush_at(1).start().unwrap();
    posthog.capture(Event::new("e").distinct_id("ada"));
    let report = posthog.flush_blocking(LONG);
    let bytes = written.load(SeqCst);
    assert!(bytes < 8 * MIB, "{bytes} bytes; {report}");
    assert_eq!((report.delivered, report.dropped), (0, 1), "{report}");
}

#[test]
fn by_capture_v1_an_answer_without_end_is_not_read_for_ever() {
    // v1 needs the verdicts in the body, but these are small.
    let (peer, written) = endless("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{");
    let client = patient(&peer).retry(quick().attempts(1));
    let posthog = capture_with(client)
        .protocol(CaptureProtocol::V1)
        .flush_at(1)
        .start()
        .unwrap();
    posthog.capture(Event::new("e").distinct_id("ada"));
    posthog.flush_blocking(LONG);
    let bytes = written.load(SeqCst);
    assert!(bytes < 16 * MIB, "{bytes} bytes");
    posthog.shutdown_blocking(ms(1));
}
