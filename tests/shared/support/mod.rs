//! What the tests of delivery share.
#![allow(dead_code, unreachable_pub)]

pub mod clock;
pub mod spooling;

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, Once, mpsc};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedEvent, RecordedRequest};
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, EventCaptureBackend, PostHog, PostHogClient,
    PostHogClientBuilder, RetryPolicy, Stats,
};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

pub const PROJECT_KEY: &str = "phc_project_key_of_the_tests";
pub const PERSONAL_KEY: &str = "phx_personal_key_of_the_tests";

/// Longer than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);
/// Nothing takes so long that does not wait for what it should not, also on a machine that stands still
/// for a while.
pub const SLOW: Duration = Duration::from_secs(15);

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn server() -> PostHogServer {
    PostHogServer::start().unwrap()
}

/// Retries as by default, but without their long waits.
pub fn quick() -> RetryPolicy {
    RetryPolicy::default().first_delay(ms(2)).max_delay(ms(20))
}

pub fn client_of(server: &PostHogServer) -> PostHogClientBuilder {
    client_at(server.url())
}

pub fn client_at(url: impl Into<String>) -> PostHogClientBuilder {
    PostHogClient::builder()
        .project_api_key(PROJECT_KEY)
        .personal_api_key(PERSONAL_KEY)
        .host(url)
        .retry(quick())
}

/// An actor that sends soon.
pub fn capture_to(server: &PostHogServer) -> CaptureBuilder {
    capture_with(client_of(server))
}

pub fn capture_with(client: PostHogClientBuilder) -> CaptureBuilder {
    EventCaptureBackend::builder(client.build().unwrap())
        .flush_interval(ms(20))
        .flush_timeout(LONG)
        .shutdown_timeout(LONG)
}

/// What shuts this handle's actor down when it is dropped. Its client is another one, and unused.
pub fn kept(handle: CaptureHandle) -> PostHog {
    let unused = client_at("http://127.0.0.1:9").build().unwrap();
    PostHog::from_parts(unused, handle)
}

/// Answers of a server that come only when it is dropped.
pub struct Held {
    arrived: mpsc::Receiver<()>,
    _release: mpsc::Sender<()>,
}

impl Held {
    pub fn by(server: &PostHogServer) -> Self {
        Self::answering(server, || None)
    }

    /// The same, with answers other than a healthy PostHog's.
    pub fn answering(
        server: &PostHogServer,
        answer: impl Fn() -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let (arrive, arrived) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        server.answer_with(move |_| {
            let _ = arrive.send(());
            let _ = released.lock().unwrap().recv();
            answer()
        });
        Self {
            arrived,
            _release: release,
        }
    }

    /// Waits for a request.
    #[track_caller]
    pub fn wait(&self) {
        self.arrived.recv_timeout(LONG).unwrap();
    }

    /// Whether there is a request, without waiting for it. Each is told once.
    pub fn has_come(&self) -> bool {
        self.arrived.try_recv().is_ok()
    }
}

/// Waits for a condition, and says which one never came true.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "never happened: {what}");
        std::thread::sleep(ms(1));
    }
}

/// The same, for tests whose actor lives on their own runtime.
#[track_caller]
pub fn until<'a>(
    what: &'a str,
    mut condition: impl FnMut() -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    let start = Instant::now();
    async move {
        while !condition() {
            assert!(start.elapsed() < LONG, "never happened: {what}");
            tokio::time::sleep(ms(1)).await;
        }
    }
}

/// How long the tasks of a current-thread runtime work within that time, rather than wait.
pub fn busy_time(runtime: &tokio::runtime::Runtime, time: Duration) -> Duration {
    runtime.block_on(async {
        let metrics = tokio::runtime::Handle::current().metrics();
        let before = metrics.worker_total_busy_duration(0);
        tokio::time::sleep(time).await;
        metrics.worker_total_busy_duration(0) - before
    })
}

#[track_caller]
pub fn assert_conserved(stats: &Stats) {
    assert_eq!(
        stats.captured + stats.recovered,
        stats.delivered + stats.dropped.total() + stats.queued + stats.in_flight + stats.spooled,
        "{stats:?}"
    );
}

/// Everything captured is delivered or dropped.
#[track_caller]
pub fn assert_settled(stats: &Stats) {
    assert_conserved(stats);
    assert_eq!((stats.queued, stats.in_flight), (0, 0), "{stats:?}");
}

/// Waits for the actor's end after a short shutdown, and gives the stats. On a machine that stands still for a
/// while it may come after those who wait for it gave up.
#[track_caller]
pub fn wait_for_end(posthog: &CaptureHandle) -> Stats {
    posthog.shutdown_blocking(LONG);
    let stats = posthog.stats();
    assert_settled(&stats);
    stats
}

pub fn names(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|e| e.event.as_str()).collect()
}

/// The events of a request's body.
pub fn batch(request: &RecordedRequest) -> Vec<serde_json::Value> {
    let body = request.json().unwrap();
    body["batch"].as_array().unwrap().clone()
}

/// Keeps what is emitted through `tracing` on this thread, and wherever its subscriber goes with a task, spans
/// included, as lines of text.
#[derive(Clone, Default)]
pub struct Diagnostics(Arc<Mutex<Vec<String>>>);

/// Ends the listening.
pub struct Listening {
    _scope: tracing::subscriber::DefaultGuard,
}

impl Diagnostics {
    /// Listens until the guard is dropped.
    ///
    /// A second subscriber stands behind all of these, for the whole process: where there is but one, `tracing`
    /// asks only the thread that meets a callsite first whether anybody wants it.
    pub fn listen() -> (Self, Listening) {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| tracing_subscriber::registry().init());
        let this = Self::default();
        let subscriber = tracing_subscriber::registry().with(Listener(this.clone()));
        let scope = tracing::subscriber::set_default(subscriber);
        (this, Listening { _scope: scope })
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The lines that hold all of these texts.
    pub fn with(&self, texts: &[&str]) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| texts.iter().all(|text| line.contains(text)));
        lines
    }

    /// The crate's own warnings.
    pub fn warnings(&self) -> Vec<String> {
        self.with(&["WARN tracing_posthog::capture"])
    }
}

struct Listener(Diagnostics);

impl Listener {
    fn add(&self, kind: &str, metadata: &tracing::Metadata<'_>, fields: impl FnOnce(&mut Line)) {
        let mut line = Line(format!(
            "{kind} {} {} {}",
            metadata.level(),
            metadata.target(),
            metadata.name()
        ));
        fields(&mut line);
        self.0.0.lock().unwrap().push(line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S> Layer<S> for Listener
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.add("span", attributes.metadata(), |line| {
            attributes.record(line);
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let span = ctx.span(id).unwrap();
        self.add("record", span.metadata(), |line| values.record(line));
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.add("event", event.metadata(), |line| event.record(line));
    }
}
