//! The processes of `panic_hook.rs`: each runs one scenario and says on its standard output how it goes.

use crate::support::{LONG, PROJECT_KEY, ms};
use std::fmt;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};
use tracing::{Instrument, Subscriber, info, info_span, span};
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, Clock, DropReason, Errors, PanicFlush, PostHog, PostHogBuilder,
    QueuePolicy, RetryPolicy, Symbols,
};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Holds the name of the scenario.
pub(crate) const SCENARIO: &str = "TRACING_POSTHOG_PANIC_SCENARIO";
/// Holds the address of PostHog.
pub(crate) const URL: &str = "TRACING_POSTHOG_PANIC_URL";

static HANDLE: OnceLock<CaptureHandle> = OnceLock::new();

/// Not a test: the entrance of the processes.
#[test]
#[ignore = "panic_hook.rs starts it"]
fn run_one() {
    let Ok(scenario) = std::env::var(SCENARIO) else {
        return;
    };
    panic::set_hook(Box::new(|_| say("the hook before")));
    match &*scenario {
        "main_thread" => main_thread(errors()),
        "main_thread_for_2_s" => main_thread(errors().panic_flush(PanicFlush::default())),
        "never_flushed" => main_thread(errors().panic_flush(PanicFlush::Never)),
        "spawned_thread" => spawned_thread(),
        "task" => task(),
        "task_on_the_main_thread" => task_on_the_main_thread(),
        "handler" => handler(),
        "debug_in_the_layer" => debug_in_the_layer(),
        "debug_in_the_log" => debug_in_the_log(),
        "poisoned_lock" => poisoned_lock(),
        "double_panic" => double_panic(),
        "foreign_boundary" => foreign_boundary(),
        "capacity_overflow" => panics(|| drop(Vec::<u8>::with_capacity(usize::MAX))),
        "allocation_fails" => panics(|| {
            let mut bytes = Vec::<u8>::new();
            bytes.try_reserve_exact(isize::MAX as usize).unwrap();
        }),
        "allocator_gives_up" => panics(|| drop(Vec::<u8>::with_capacity(isize::MAX as usize))),
        "odd_payload" => panics(|| panic_any(Hostile)),
        "long_message" => panics(|| panic!("{}", "€".repeat(100_000))),
        "in_before_send" => in_before_send(),
        "in_on_error" => in_on_error(),
        "in_the_clock" => in_the_clock(),
        "hostile_settings" => hostile_settings(),
        "exit_in_the_hook_before" => exit_in_the_hook_before(),
        "off" => {
            let _posthog = start(builder(Errors::new()));
            panics_in_span(|| panic!("not captured"));
        }
        "installed_often" => {
            let posthog = start(builder(errors()));
            posthog.install_panic_hook();
            posthog.handle().install_panic_hook();
            panics_in_span(|| panic!("once"));
        }
        "two_backends" => two_backends(),
        "after_the_shutdown" => {
            let posthog = start(builder(errors()));
            posthog.shutdown_blocking(LONG);
            panics_in_span(|| panic!("too late"));
            say_counts();
        }
        "own_runtime" => own_runtime(),
        "lock_of_before_send" => lock_of_before_send(),
        "full_queue" => full_queue(),
        "many_panics" => many_panics(),
        "many_panics_on_the_main_thread" => many_panics_on_the_main_thread(),
        "debug_on_the_main_thread" => debug_on_the_main_thread(),
        "subscriber_of_its_own" => subscriber_of_its_own(),
        unknown => panic!("no scenario {unknown}"),
    }
}

fn say(line: &str) {
    println!("{line}");
}

fn say_counts() {
    let stats = HANDLE.get().unwrap().stats();
    let settled = stats.delivered + stats.dropped.total();
    say(&format!("captured {}, settled {settled}", stats.captured));
}

fn wait_for_go() {
    let _ = std::io::stdin().read(&mut [0; 16]);
}

/// Names are left to PostHog: to read this binary's takes longer than a flush may, on a busy machine.
fn errors() -> Errors {
    let flush = PanicFlush::WhenFatal(LONG);
    Errors::new()
        .panics(true)
        .symbols(Symbols::PostHog)
        .panic_flush(flush)
}

/// Nothing is sent but by a flush.
fn builder(errors: Errors) -> PostHogBuilder {
    PostHog::builder()
        .project_api_key(PROJECT_KEY)
        .host(std::env::var(URL).unwrap())
        .client(|client| client.retry(RetryPolicy::default().first_delay(ms(2)).max_delay(ms(20))))
        .flush_interval(Duration::from_secs(3600))
        .shutdown_timeout(LONG)
        .errors(errors)
}

fn start(builder: PostHogBuilder) -> PostHog {
    start_with(builder, tracing_subscriber::layer::Identity::new())
}

fn start_with(
    builder: PostHogBuilder,
    other: impl Layer<tracing_subscriber::Registry> + Send + Sync,
) -> PostHog {
    let (layer, posthog) = builder.start().unwrap();
    tracing_subscriber::registry()
        .with(other)
        .with(layer)
        .init();
    HANDLE.set(posthog.handle().clone()).unwrap();
    posthog
}

fn ada() -> tracing::Span {
    info_span!(
        "request",
        posthog.distinct_id = "ada",
        posthog.group.company = "acme"
    )
}

/// Panics within a span, on a thread of that name, and catches it there.
fn panics_in_span_on(name: &str, f: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(|| ada().in_scope(f)).unwrap();
    assert!(thread.join().is_err());
}

fn panics_in_span(f: impl FnOnce() + Send + 'static) {
    panics_in_span_on("worker", f);
}

/// The same with the usual settings, and delivered by the end.
fn panics(f: impl FnOnce() + Send + 'static) {
    let _posthog = start(builder(errors()));
    panics_in_span(f);
}

struct Hostile;

impl fmt::Debug for Hostile {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("of a Debug")
    }
}

fn main_thread(errors: Errors) {
    let posthog = start(builder(errors));
    // A thread of that name counts as the main one.
    panics_in_span_on("main", || panic!("on the main thread"));
    say_counts();
    std::mem::forget(posthog);
    std::process::abort();
}

fn spawned_thread() {
    let _posthog = start(builder(errors()));
    panics_in_span(|| panic!("on a thread"));
    say("joined");
    wait_for_go();
}

fn task() {
    let _posthog = start(builder(errors()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let task = async {
            tokio::task::yield_now().await;
            panic!("in a task");
        };
        assert!(tokio::spawn(task.instrument(ada())).await.is_err());
    });
}

fn task_on_the_main_thread() {
    let _posthog = start(builder(errors()));
    let thread = std::thread::Builder::new().name("main".to_owned());
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(tokio::spawn(async { panic!("in a task") }).await.is_err());
        });
    };
    thread.spawn(run).unwrap().join().unwrap();
    say("caught");
    wait_for_go();
}

fn handler() {
    use axum::{Router, body::Body, http::Request, routing::get};
    use tower::ServiceExt;
    use tracing_posthog::{PostHogSpanExt, tower::RequestContextLayer};

    let _posthog = start(builder(errors()));
    async fn handle() {
        tracing::Span::current().set_distinct_id("ada");
        tokio::task::yield_now().await;
        panic!("in a handler");
    }
    let app = Router::new()
        .route("/", get(handle))
        .layer(RequestContextLayer::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let answered = tokio::spawn(app.oneshot(Request::new(Body::empty())));
        assert!(answered.await.is_err());
    });
}

fn debug_in_the_layer() {
    let _posthog = start(builder(errors()));
    ada().in_scope(|| info!(posthog.event = "with the value", value = ?Hostile));
}

fn debug_in_the_log() {
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let _posthog = start_with(builder(errors()), log);
    panics_in_span(|| info!(value = ?Hostile, "to the log"));
}

fn poisoned_lock() {
    let _posthog = start(builder(errors()));
    let lock = Arc::new(Mutex::new(0));
    for _ in 0..2 {
        let lock = Arc::clone(&lock);
        panics_in_span(move || {
            let _guard = lock.lock().unwrap();
            panic!("with the lock");
        });
    }
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("the second");
    }
}

fn double_panic() {
    let _posthog = start(builder(errors()));
    panics_in_span(|| {
        let _second = PanicsInDrop;
        panic!("the first");
    });
}

fn foreign_boundary() {
    extern "C" fn called_by_foreign_code() {
        panic!("across the boundary");
    }
    let _posthog = start(builder(errors()));
    panics_in_span(|| called_by_foreign_code());
}

fn in_before_send() {
    let first = AtomicBool::new(true);
    let posthog = start(builder(errors()).before_send(move |event| {
        assert!(!first.swap(false, SeqCst), "of before_send");
        Some(event)
    }));
    capture_two(&posthog);
}

fn in_on_error() {
    let settings = |capture: CaptureBuilder| capture.on_error(|_| panic!("of on_error"));
    capture_two(&start(builder(errors()).capture(settings)));
}

struct Panics;

impl Clock for Panics {
    fn now(&self) -> SystemTime {
        panic!("of the clock")
    }
}

/// Panics within the panic hook, which ends the process.
#[track_caller]
fn not_in_the_hook() {
    assert!(!std::thread::panicking(), "in the panic hook");
}

struct NotInTheHook;

impl Clock for NotInTheHook {
    fn now(&self) -> SystemTime {
        not_in_the_hook();
        SystemTime::now()
    }
}

fn in_the_clock() {
    capture_two(&start(
        builder(errors()).capture(|capture| capture.clock(Panics)),
    ));
}

fn capture_two(posthog: &PostHog) {
    for event in ["the first", "the last"] {
        info!(posthog.event = event);
        posthog.flush_blocking(LONG);
    }
}

impl<S: Subscriber> Layer<S> for NotInTheHook {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        not_in_the_hook();
    }
}

fn hostile_settings() {
    let errors = errors()
        .trace_ids(|| {
            not_in_the_hook();
            None
        })
        .panic_flush(PanicFlush::Always(LONG));
    let before_send = |event| {
        not_in_the_hook();
        Some(event)
    };
    let builder = builder(errors)
        .before_send(before_send)
        .capture(|capture| capture.clock(NotInTheHook));
    let _posthog = start_with(builder, NotInTheHook);
    panics_in_span(|| panic!("amid hostile settings"));
}

fn exit_in_the_hook_before() {
    panic::set_hook(Box::new(|_| {
        say("the hook before");
        std::process::exit(7);
    }));
    let _posthog = start(builder(errors().panic_flush(PanicFlush::Always(LONG))));
    panics_in_span(|| panic!("and exit"));
}

fn two_backends() {
    let (layer, posthog) = builder(errors()).start().unwrap();
    let _other = start_with(builder(errors()), layer);
    panics_in_span(|| panic!("for both"));
    drop(posthog);
}

fn own_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let home = runtime.handle().clone();
    let errors = errors().panic_flush(PanicFlush::Always(LONG));
    // A line that the hook logs would panic in this layer.
    let builder = builder(errors).capture(move |c| c.spawn_on(&home));
    let posthog = start_with(builder, NotInTheHook);
    runtime.block_on(async move {
        let caught = catch_unwind(|| ada().in_scope(|| panic!("on the actor's runtime")));
        assert!(caught.is_err());
        posthog.shutdown().await;
    });
}

fn lock_of_before_send() {
    let lock = Arc::new(Mutex::new(()));
    let wanted = Arc::clone(&lock);
    let errors = errors().panic_flush(PanicFlush::Always(Duration::from_secs(2)));
    let _posthog = start(builder(errors).before_send(move |event| {
        drop(wanted.lock());
        Some(event)
    }));
    panics_in_span(move || {
        let _guard = lock.lock();
        panic!("with the lock");
    });
}

fn full_queue() {
    let policy = QueuePolicy::Block { timeout: LONG * 10 };
    let full = move |capture: CaptureBuilder| capture.queue_events(1).queue_policy(policy);
    let posthog = start(builder(errors()).capture(full));
    info!(posthog.event = "takes the room");
    panics_in_span(|| panic!("no room"));
    let dropped = posthog.stats().dropped.by(DropReason::QueueFull);
    say(&format!("refused {dropped}"));
    std::process::abort();
}

fn many_panics() {
    let posthog = start(builder(errors().rate_limit(3, Duration::from_secs(3600))));
    for _ in 0..100 {
        let caught = catch_unwind(AssertUnwindSafe(|| panic!("again")));
        assert!(caught.is_err());
    }
    let dropped = posthog.stats().dropped.by(DropReason::RateLimited);
    say(&format!("limited {dropped}"));
}

/// They are caught, as a runner of jobs does.
fn many_panics_on_the_main_thread() {
    let _posthog = start(builder(errors()));
    let thread = std::thread::Builder::new().name("main".to_owned());
    let run = || {
        for _ in 0..1_000 {
            let _ = catch_unwind(|| panic!("of a job"));
        }
    };
    thread.spawn(run).unwrap().join().unwrap();
    let dropped = HANDLE.get().unwrap().stats().dropped;
    say(&format!(
        "held back {}",
        dropped.by(DropReason::RateLimited)
    ));
}

/// The layer catches it, so the process does not end.
fn debug_on_the_main_thread() {
    let _posthog = start(builder(errors()));
    let thread = std::thread::Builder::new().name("main".to_owned());
    let run = || info!(posthog.event = "with the value", value = ?Hostile);
    thread.spawn(run).unwrap().join().unwrap();
    say("captured");
    wait_for_go();
}

/// A registry that panics under a lock of its own, and waits for that lock where it is asked for the current span.
struct Locking {
    registry: Registry,
    lock: Mutex<()>,
}

impl<'a> LookupSpan<'a> for Locking {
    type Data = <Registry as LookupSpan<'a>>::Data;

    fn span_data(&'a self, id: &span::Id) -> Option<Self::Data> {
        self.registry.span_data(id)
    }
}

impl Subscriber for Locking {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        self.registry.new_span(attributes)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let _lock = self.lock.lock();
        if event.metadata().target() == "panics" {
            panic!("under a lock");
        }
    }

    fn enter(&self, id: &span::Id) {
        self.registry.enter(id);
    }

    fn exit(&self, id: &span::Id) {
        self.registry.exit(id);
    }

    fn current_span(&self) -> tracing_core::span::Current {
        let _lock = self.lock.lock();
        self.registry.current_span()
    }
}

fn subscriber_of_its_own() {
    let (layer, posthog) = builder(errors()).start().unwrap();
    let base = Locking {
        registry: tracing_subscriber::registry(),
        lock: Mutex::new(()),
    };
    base.with(layer).init();
    let thread = std::thread::spawn(|| info!(target: "panics", "now"));
    assert!(thread.join().is_err());
    say("joined");
    drop(posthog);
}
