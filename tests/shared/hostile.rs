//! Building blocks of hostile programs: a raw TCP peer, an executor without a runtime, and a recorder of the whole
//! process's log.
#![allow(dead_code, unreachable_pub)]

use crate::support::{LONG, ms, wait_until};
use std::fmt::{Debug, Write as _};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context as LayerContext, Layer};
use tracing_subscriber::prelude::*;

/// A TCP server that runs a function for each connection, each on its own thread.
pub struct Peer {
    addr: SocketAddr,
    stopped: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    /// `serve` gets a connection and its number, counted from 0.
    pub fn start(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Self {
            addr: listener.local_addr().unwrap(),
            stopped: Arc::default(),
            connections: Arc::default(),
        };
        let (stopped, connections) = (peer.stopped.clone(), peer.connections.clone());
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(SeqCst) {
                    return;
                }
                let number = connections.fetch_add(1, SeqCst);
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream, number));
            }
        });
        peer
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stopped.store(true, SeqCst);
        // Wakes the listener, so that its thread ends.
        drop(TcpStream::connect(self.addr));
    }
}

/// Reads one request with its body; `None` where the connection ends before.
pub fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let head = request.windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(end) = head.map(|at| at + 4) {
            let text = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if request.len() >= end + length {
                return Some(request);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Waits until the other side closes or resets the connection; false where it does not.
pub fn sees_the_end(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(n) => n == 0,
        Err(e) => !matches!(
            e.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ),
    }
}

pub fn answer(stream: &mut TcpStream, status: &str, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
    // The other side may be gone.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.as_bytes());
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor without a runtime: polls on this thread, and parks in between.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_for(future, LONG).expect("the future never ends")
}

/// The same, for at most that long; `None` where the future is still pending.
#[track_caller]
pub fn block_on_for<F: Future>(future: F, at_most: Duration) -> Option<F::Output> {
    assert!(tokio::runtime::Handle::try_current().is_err());
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let start = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = at_most.saturating_sub(start.elapsed());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

/// Polls a future once, and expects it to stay pending.
#[track_caller]
pub fn poll_once<F: Future + Unpin>(future: &mut F) {
    let mut context = Context::from_waker(Waker::noop());
    let polled = Pin::new(future).poll(&mut context);
    assert!(polled.is_pending(), "it is ready");
}

/// Polls a future until a condition holds, and expects it to stay pending.
#[track_caller]
pub fn poll_until<F: Future + Unpin>(future: &mut F, mut happened: impl FnMut() -> bool) {
    wait_until("what is polled for", || {
        poll_once(future);
        happened()
    });
}

/// The shortest time of several tries, which filters out noise of a busy machine. Stops at the first try that is
/// fast enough.
pub fn best_of(tries: usize, enough: Duration, mut run: impl FnMut() -> Duration) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..tries {
        best = best.min(run());
        if best < enough {
            break;
        }
    }
    best
}

/// Ends the process when a test hangs: a deadlocked thread cannot be ended otherwise.
#[allow(clippy::print_stderr)]
pub fn watch_over(what: &'static str, at_most: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(at_most);
        eprintln!("hangs: {what}");
        std::process::exit(101);
    });
}

/// Records what every thread of this process logs, as lines of text. For tests in their own process.
#[derive(Clone, Default)]
pub struct ProcessLog(Arc<Mutex<Vec<String>>>);

impl ProcessLog {
    pub fn start() -> Self {
        let log = Self::default();
        tracing_subscriber::registry().with(log.clone()).init();
        log
    }

    /// The warnings of this crate, in order.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.retain(|line| line.starts_with("WARN tracing_posthog"));
        lines
    }

    /// The lines of this crate at INFO or above.
    pub fn said(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.retain(|line| {
            ["ERROR", "WARN", "INFO"]
                .iter()
                .any(|level| line.starts_with(&format!("{level} tracing_posthog")))
        });
        lines
    }

    /// Waits for a warning that contains all of these texts, ignoring case.
    pub fn wait_for_warning(&self, texts: &[&str], at_most: Duration) -> Option<String> {
        let start = Instant::now();
        loop {
            let found = self.warnings().into_iter().find(|line| holds(line, texts));
            if found.is_some() || start.elapsed() > at_most {
                return found;
            }
            std::thread::sleep(ms(1));
        }
    }
}

/// Whether a line contains all of these texts, ignoring case.
pub fn holds(line: &str, texts: &[&str]) -> bool {
    let line = line.to_lowercase();
    texts.iter().all(|text| line.contains(&text.to_lowercase()))
}

impl<S: tracing::Subscriber> Layer<S> for ProcessLog {
    fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
