//! A panic during delivery costs one attempt, never an event: everything captured before and after it is delivered,
//! and `flush` reports the truth. One test runs in its own process: it installs a global metrics recorder.

use crate::own_process::own_process;
use crate::support::*;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, SharedString, Unit};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::SystemTime;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CaptureHandle, CircuitBreaker, Clock, DropReason, Event, FlushReport, Method,
    PostHogClientBuilder, PostHogError,
};

/// Retries soon, without a circuit breaker.
fn patient(client: PostHogClientBuilder) -> PostHogClientBuilder {
    client.circuit_breaker(CircuitBreaker::off())
}

fn capture(posthog: &CaptureHandle, names: impl IntoIterator<Item = String>) {
    for name in names {
        let event = Event::new(name).distinct_id("ada");
        let captured = catch_unwind(AssertUnwindSafe(|| posthog.capture(event)));
        assert!(captured.is_ok(), "capturing panics; {:?}", posthog.stats());
    }
}

fn named(prefix: &str, events: usize) -> impl Iterator<Item = String> + use<> {
    let prefix = prefix.to_owned();
    (0..events).map(move |n| format!("{prefix}{n}"))
}

/// Repeats the flush while events are pending: a batch that failed in all its attempts ends a flush early.
fn flush_patiently(posthog: &CaptureHandle) -> FlushReport {
    let mut report = posthog.flush_blocking(SLOW);
    for _ in 0..100 {
        if report.pending > 0 {
            report = posthog.flush_blocking(SLOW);
        }
    }
    report
}

/// Every captured event has arrived, and flush and stats agree.
#[track_caller]
fn assert_all_arrive(posthog: &CaptureHandle, server: &PostHogServer, captured: usize) {
    let report = flush_patiently(posthog);
    let events = server.events();
    let arrived: BTreeSet<_> = events.iter().map(|e| &e.event).collect();
    let stats = posthog.stats();
    assert_eq!(arrived.len(), captured, "{report}; {stats:?}");
    assert!(report.is_complete(), "{report}; {stats:?}");
    assert_eq!(stats.delivered, captured as u64, "{stats:?}");
    assert_settled(&stats);
}

/// A client whose redirect policy panics while the flag is set.
fn that_panics_at_redirects(server: &PostHogServer) -> (PostHogClientBuilder, Arc<AtomicBool>) {
    let panics = Arc::new(AtomicBool::new(true));
    let armed = panics.clone();
    let policy = reqwest::redirect::Policy::custom(move |attempt| {
        assert!(!armed.load(SeqCst), "of the caller's redirect policy");
        attempt.follow()
    });
    let http = reqwest::Client::builder().redirect(policy).build().unwrap();
    (patient(client_of(server).reqwest_client(http)), panics)
}

fn redirect() -> Answer {
    Answer::status(307).header("location", "/batch/")
}

#[test]
fn a_redirect_policy_that_panics_once_costs_an_attempt() {
    let server = server();
    server.answer_next(redirect());
    let (client, _) = that_panics_at_redirects(&server);
    let posthog = capture_with(client).flush_at(1).start().unwrap();
    capture(&posthog, named("first", 1));
    assert!(server.wait_for_requests(1, LONG));
    capture(&posthog, named("later", 1_000));
    assert_all_arrive(&posthog, &server, 1_001);
}

#[test]
fn a_redirect_policy_that_always_panics_for_a_batch_costs_no_other() {
    let server = server();
    server.answer_with(|request| {
        let text = String::from_utf8_lossy(&request.body);
        text.contains("\"redirected\"").then(redirect)
    });
    let (client, panics) = that_panics_at_redirects(&server);
    let posthog = capture_with(client)
        .flush_at(1)
        .batch_events(1)
        .start()
        .unwrap();
    capture(&posthog, ["redirected".to_owned()]);
    assert!(server.wait_for_requests(1, LONG));
    capture(&posthog, named("other", 100));
    assert!(server.wait_for_events(100, SLOW), "{:?}", posthog.stats());
    let report = posthog.flush_blocking(ms(100));
    assert_eq!((report.dropped, report.pending), (0, 1), "{report}");
    panics.store(false, SeqCst);
    server.answer_with(|_| None);
    assert_all_arrive(&posthog, &server, 101);
}

#[test]
fn a_rest_call_whose_redirect_policy_panics_is_an_error() {
    let server = server();
    server.answer_with(|_| Some(redirect()));
    let (client, _) = that_panics_at_redirects(&server);
    let client = client.retry(quick().attempts(2)).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let call = client.request(Method::GET, "/api/users/@me/").send();
    let answer = catch_unwind(AssertUnwindSafe(|| runtime.block_on(call)));
    let error: PostHogError = answer.expect("the panic reaches the caller").unwrap_err();
    assert!(matches!(error, PostHogError::RequestError(_)), "{error:?}");
}

/// Resolves every name to this machine, but panics the first times.
struct Resolver {
    panics_left: Arc<AtomicUsize>,
    within_the_future: bool,
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let left = self.panics_left.clone();
        let panics = move || {
            let take = |left: usize| left.checked_sub(1);
            let panics = left.fetch_update(SeqCst, SeqCst, take).is_ok();
            assert!(!panics, "of the caller's resolver");
        };
        if !self.within_the_future {
            panics();
            return Box::pin(async { Ok(here()) });
        }
        Box::pin(async move {
            panics();
            Ok(here())
        })
    }
}

fn here() -> reqwest::dns::Addrs {
    Box::new(std::iter::once(([127, 0, 0, 1], 0).into()))
}

fn delivers_with_a_resolver_that_panics(times: usize, within_the_future: bool) {
    let server = server();
    let panics_left = Arc::new(AtomicUsize::new(times));
    let resolver = Resolver {
        panics_left: panics_left.clone(),
        within_the_future,
    };
    let http = reqwest::Client::builder().dns_resolver(Arc::new(resolver));
    let url = format!("http://posthog.invalid:{}", server.addr().port());
    let client = client_at(url).reqwest_client(http.build().unwrap());
    let posthog = capture_with(patient(client)).flush_at(1).start().unwrap();
    capture(&posthog, named("before", 1));
    wait_until("a panic", || panics_left.load(SeqCst) < times);
    capture(&posthog, named("after", 1_000));
    assert_all_arrive(&posthog, &server, 1_001);
    assert_eq!(panics_left.load(SeqCst), 0);
}

#[test]
fn a_resolver_that_panics_once_costs_an_attempt() {
    delivers_with_a_resolver_that_panics(1, false);
}

#[test]
fn a_resolver_that_panics_in_its_future_costs_an_attempt() {
    delivers_with_a_resolver_that_panics(1, true);
}

#[test]
fn a_resolver_that_panics_more_often_than_a_batch_has_attempts_costs_no_event() {
    delivers_with_a_resolver_that_panics(20, false);
}

#[test]
fn a_batch_sent_at_once_whose_resolver_panics_is_tried_again() {
    let server = server();
    let resolver = Resolver {
        panics_left: Arc::new(AtomicUsize::new(1)),
        within_the_future: true,
    };
    let http = reqwest::Client::builder().dns_resolver(Arc::new(resolver));
    let url = format!("http://posthog.invalid:{}", server.addr().port());
    let client = client_at(url).reqwest_client(http.build().unwrap());
    let client = client.build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sending = client.capture_batch([Event::new("now")]);
    let sending = catch_unwind(AssertUnwindSafe(|| runtime.block_on(sending)));
    let summary = sending.expect("the panic reaches the caller").unwrap();
    assert!(summary.is_complete(), "{:?}", summary.errors);
    assert_eq!(server.event_count(), 1);
}

/// A clock that always panics.
struct Broken;

impl Clock for Broken {
    fn now(&self) -> SystemTime {
        panic!("of the caller's clock")
    }
}

#[test]
fn a_clock_that_panics_costs_no_event_and_events_have_the_systems_time() {
    let server = server();
    let posthog = capture_to(&server).clock(Broken).start().unwrap();
    capture(&posthog, named("e", 10));
    assert_eq!(posthog.stats().dropped.by(DropReason::Invalid), 0);
    assert_all_arrive(&posthog, &server, 10);
    for event in server.events() {
        let at: jiff::Timestamp = event.timestamp.unwrap().parse().unwrap();
        let age = jiff::Timestamp::now().duration_since(at);
        assert!(age.unsigned_abs() < LONG, "{at}");
    }
}

/// A metrics recorder that always panics.
struct Metrics(Arc<AtomicUsize>);

impl Metrics {
    fn meet(&self) -> ! {
        self.0.fetch_add(1, SeqCst);
        panic!("of the program's metrics")
    }
}

impl metrics::Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.meet()
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.meet()
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.meet()
    }

    fn register_counter(&self, _: &Key, _: &metrics::Metadata<'_>) -> Counter {
        self.meet()
    }

    fn register_gauge(&self, _: &Key, _: &metrics::Metadata<'_>) -> Gauge {
        self.meet()
    }

    fn register_histogram(&self, _: &Key, _: &metrics::Metadata<'_>) -> Histogram {
        self.meet()
    }
}

#[test]
fn a_recorder_of_metrics_that_panics_costs_no_event() {
    own_process!();
    let panics = Arc::<AtomicUsize>::default();
    metrics::set_global_recorder(Metrics(panics.clone())).unwrap();
    let server = server();
    let posthog = capture_to(&server).start().unwrap();
    capture(&posthog, named("before", 1));
    wait_until("a panic", || panics.load(SeqCst) > 0);
    capture(&posthog, named("after", 1_000));
    assert_all_arrive(&posthog, &server, 1_001);
}
