//! The local PostHog itself: connections, memory, faults.

mod connection;
#[cfg(feature = "flags")]
mod flags;
mod memory;
mod routes;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::answer::Answer;
use super::recorded::{RecordedEvent, RecordedRequest, Recording};
use connection::Connection;
use memory::Shared;

/// A PostHog on a free port of this machine, for tests and demos.
///
/// It takes what PostHog's capture endpoints take, refuses what they refuse
/// with the same status and text, remembers what came, and gives faulty
/// answers when told to. It runs on plain threads, without a runtime; dropping
/// it stops it.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use std::time::Duration;
/// use tracing_posthog::testing::{Answer, PostHogServer};
///
/// # fn main() -> std::io::Result<()> {
/// let server = PostHogServer::start()?;
/// server.answer_next(Answer::accept().delay(Duration::from_millis(5)));
///
/// // Any client will do; point yours to `server.url()`.
/// let body = r#"{"api_key":"phc_test","batch":[
///     {"event":"invoice paid","distinct_id":"cust-77","properties":{"amount":12.5}}]}"#;
/// let mut client = TcpStream::connect(server.addr())?;
/// write!(
///     client,
///     "POST /batch/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
///     body.len(),
/// )?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK"));
///
/// assert!(server.wait_for_events(1, Duration::from_secs(5)));
/// let event = server.find("invoice paid").unwrap();
/// assert_eq!(event.distinct_id, "cust-77");
/// assert_eq!(event.property("amount").unwrap(), 12.5);
/// # Ok(())
/// # }
/// ```
///
/// # Which answer a request gets
///
/// The oldest answer of [`answer_next`](Self::answer_next), if one is left;
/// else that of [`answer_with`](Self::answer_with), if it gives one; else that
/// of the [route](Self::on) that fits, if there is one; else what PostHog would
/// say. A request and its events are recorded in one step, before any of the
/// answer is sent.
///
/// # What it keeps
///
/// The newest 10,000 requests (and 256 MiB of their bodies) and the newest 100,000 events, or what
/// [`keep_requests`](Self::keep_requests) and [`keep_events`](Self::keep_events) say. Older ones are let go and
/// counted; `Debug` shows how many. Waits and counts include them.
///
/// # What it does not do
///
/// It knows no projects, so every well-formed token is good, and no endpoints
/// other than capture (`/batch/`, `/e/`, `/capture/`, `/track/`, `/engage/`,
/// `/i/v0/e/`, and v1's `/i/v1/analytics/events`, each also behind a prefix and
/// with or without the last slash), `/_readiness`, `/_liveness` and, with the
/// feature `flags`, `/flags/` and `/flags/definitions`: others are 404 unless
/// [`on`](Self::on) or [`answer_with`](Self::answer_with) gives them an answer. It stores no
/// people and groups: flags are evaluated by what the request says, and a
/// property that it does not say matches no condition. Of the body encodings it knows gzip; by v1 also deflate, and `br` and `zstd` where this
/// crate's features of those names are on.
pub struct PostHogServer {
    shared: Arc<Shared>,
    addr: SocketAddr,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl PostHogServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the system gives no port or no thread.
    pub fn start() -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts a server on that address, for example where one was stopped.
    ///
    /// # Errors
    ///
    /// When the address is taken, or the system gives no thread.
    pub fn start_on(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let acceptor = thread::Builder::new()
            .name("posthog-server".to_owned())
            .spawn(move || accept(&listener, &for_thread))?;
        Ok(Self {
            shared,
            addr,
            acceptor: Mutex::new(Some(acceptor)),
        })
    }

    /// The address to give to a client: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes the port and cuts all connections. What was recorded can still
    /// be read, and nothing more is recorded. To start again on the same port,
    /// use [`start_on`](Self::start_on).
    pub fn stop(&self) {
        {
            let mut state = self.shared.lock();
            state.stopped = true;
            for stream in state.open.values() {
                // Fails where the client was faster.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.shared.recorded.notify_all();
        self.shared.stopped.notify_all();
        let acceptor = self
            .acceptor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(acceptor) = acceptor else {
            return;
        };
        // The acceptor sits in `accept` until somebody connects.
        let woken = TcpStream::connect_timeout(&reachable(self.addr), Duration::from_secs(1));
        if woken.is_ok() || acceptor.is_finished() {
            let _ = acceptor.join();
        }
    }

    /// The requests that were read to their end, in order: the newest 10,000, or as many as
    /// [`keep_requests`](Self::keep_requests) says.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.to_vec()
    }

    /// How many requests were read to their end, kept or not.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.shared.lock().request_count
    }

    /// TCP connections accepted so far.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.shared.lock().connection_count
    }

    /// The accepted events in order of arrival, repeated ones included: the newest 100,000, or as many as
    /// [`keep_events`](Self::keep_events) says.
    #[must_use]
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.shared.lock().events.to_vec()
    }

    /// How many events were accepted, kept or not.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.shared.lock().event_count
    }

    /// The first event of that name, of those that are kept.
    #[must_use]
    pub fn find(&self, event: &str) -> Option<RecordedEvent> {
        let state = self.shared.lock();
        state
            .events
            .iter()
            .find(|recorded| recorded.event == event)
            .cloned()
    }

    /// How many keys came twice in one JSON object, at any depth of the events
    /// sent so far. PostHog keeps the last of them in properties and refuses
    /// the request where its own fields come twice.
    #[must_use]
    pub fn duplicate_keys_seen(&self) -> usize {
        self.shared.lock().duplicate_keys
    }

    /// Waits until at least `n` events were accepted; false when the time is
    /// up or the server stopped before.
    ///
    /// Where events do not come, PostHog may have refused them. The server's
    /// `Debug` names the last refusal, and each of the
    /// [`requests`](Self::requests) has its answer:
    ///
    /// ```
    /// # use std::io::{Read, Write};
    /// # use std::net::TcpStream;
    /// # use std::time::Duration;
    /// # use tracing_posthog::testing::PostHogServer;
    /// # fn main() -> std::io::Result<()> {
    /// let server = PostHogServer::start()?;
    /// // The code under test sends an event without a name.
    /// # let body = r#"{"api_key":"phc_test","batch":[{"event":"","distinct_id":"d"}]}"#;
    /// # let mut client = TcpStream::connect(server.addr())?;
    /// # let head = "POST /batch/ HTTP/1.1\r\nconnection: close\r\ncontent-length: ";
    /// # write!(client, "{head}{}\r\n\r\n{body}", body.len())?;
    /// # client.read_to_string(&mut String::new())?;
    ///
    /// // In a test: `assert!(server.wait_for_events(1, …), "{server:?}")`.
    /// assert!(!server.wait_for_events(1, Duration::from_millis(1)));
    /// let says = format!("{server:?}");
    /// assert!(says.contains("POST /batch/: 400 event submitted with an empty event name"));
    ///
    /// let refused = &server.requests()[0];
    /// assert_eq!(refused.status, Some(400));
    /// assert_eq!(refused.answer, "event submitted with an empty event name");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn wait_for_events(&self, n: usize, timeout: Duration) -> bool {
        self.shared
            .wait_until(timeout, |state| state.event_count >= n)
    }

    /// Waits until at least `n` requests were read; false when the time is up
    /// or the server stopped before.
    #[must_use]
    pub fn wait_for_requests(&self, n: usize, timeout: Duration) -> bool {
        self.shared
            .wait_until(timeout, |state| state.request_count >= n)
    }

    /// Gives this answer to one coming request, whatever its path, after the
    /// answers already waiting.
    pub fn answer_next(&self, answer: Answer) {
        self.answer_next_times(1, answer);
    }

    /// Gives this answer to `n` coming requests.
    pub fn answer_next_times(&self, n: usize, answer: Answer) {
        let mut state = self.shared.lock();
        state.script.extend(std::iter::repeat_n(answer, n));
    }

    /// Asks `f` about each request that has no answer waiting. `None` means
    /// the answer of the [route](Self::on) that fits, or what PostHog would say.
    /// Replaces the function given before.
    ///
    /// `f` is asked before the request is recorded, on the thread of its
    /// connection; other connections do not wait for it.
    pub fn answer_with(
        &self,
        f: impl Fn(&RecordedRequest) -> Option<Answer> + Send + Sync + 'static,
    ) {
        // The function replaced may own a server: drop it without the lock.
        let _replaced = self.shared.lock().answerer.replace(Arc::new(f));
    }

    /// Chooses how much is remembered of coming requests.
    pub fn record(&self, recording: Recording) {
        self.shared.lock().recording = recording;
    }

    /// Sets how many requests are kept. Default 10,000, whose bodies have 256 MiB together at most. The oldest are let
    /// go first; [`requests_let_go`](Self::requests_let_go) counts them.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let server = tracing_posthog::testing::PostHogServer::start()?;
    /// server.keep_requests(100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_requests(&self, requests: usize) {
        self.shared.lock().requests.set_limit(requests);
    }

    /// Sets how many events are kept. Default 100,000. The oldest are let go first;
    /// [`events_let_go`](Self::events_let_go) counts them.
    pub fn keep_events(&self, events: usize) {
        self.shared.lock().events.set_limit(events);
    }

    /// How many requests were let go because newer ones came. Those that [`record`](Self::record) leaves out do not
    /// count.
    #[must_use]
    pub fn requests_let_go(&self) -> usize {
        self.shared.lock().requests.let_go
    }

    /// How many events were let go because newer ones came.
    #[must_use]
    pub fn events_let_go(&self) -> usize {
        self.shared.lock().events.let_go
    }

    /// Forgets requests, refusals, events, repeated keys and their counts. Waiting
    /// answers, routes and the count of connections stay.
    pub fn clear(&self) {
        let mut state = self.shared.lock();
        state.requests.clear();
        state.request_count = 0;
        state.events.clear();
        state.event_count = 0;
        state.duplicate_keys = 0;
        state.last_refusal = None;
    }
}

impl Drop for PostHogServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for PostHogServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("PostHogServer")
            .field("addr", &self.addr)
            .field("stopped", &state.stopped)
            .field("connections", &state.connection_count)
            .field("requests", &state.request_count)
            .field("requests_let_go", &state.requests.let_go)
            .field("events", &state.event_count)
            .field("events_let_go", &state.events.let_go)
            .field("routes", &state.routes.len())
            .field("ignored_routes", &state.routes.mistakes())
            .field("last_refusal", &state.last_refusal)
            .finish_non_exhaustive()
    }
}

/// The address under which this machine reaches a listener.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        let mut state = shared.lock();
        if state.stopped {
            return;
        }
        let Ok((stream, _)) = accepted else {
            drop(state);
            // Out of file handles, most likely: do not spin until there are some.
            shared.pause(Duration::from_millis(10));
            continue;
        };
        let stream = Arc::new(stream);
        let id = state.connection_count;
        state.connection_count += 1;
        state.open.insert(id, Arc::clone(&stream));
        drop(state);
        let connection = Connection {
            id,
            stream,
            shared: Arc::clone(shared),
        };
        // Where there is no thread, dropping the connection closes it.
        let _ = thread::Builder::new()
            .name(format!("posthog-server-{id}"))
            .spawn(move || connection.serve());
    }
}
