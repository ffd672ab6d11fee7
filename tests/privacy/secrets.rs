//! Nothing foreign is shown uncleaned: marked secrets are sent, servers echo them in every way, and none of them may
//! stand in an error, a hook's argument, a log line or a `Debug`.

mod behaviours;
mod capture;
mod config;
mod debug;
mod disguised;
mod encoded;
#[cfg(feature = "rest")]
mod rest;
mod useful;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{
    CircuitBreaker, Event, PostHogClient, PostHogClientBuilder, PostHogError, RetryPolicy,
};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

const PROJECT_KEY: &str = "phc_ProjectMark7Q2wZ";
const PERSONAL_KEY: &str = "phx_PersonalMark4Tn9";
const TENANT: &str = "TenantMark-9f8e7d6c";
const BASIC: &str = "Basic BasicMarkc2VjcmV0";
const EMAIL: &str = "emailmark@example.com";
/// Only small letters: nothing tells it from a word.
const ID: &str = "idmark";
const PROPERTY: &str = "propertymark";
const COMPANY: &str = "companymark";

/// What may show nowhere: keys and values of configured headers. Each is the part by which it is found, also where
/// its end is cut off.
const KEYS: [&str; 4] = ["ProjectMar", "PersonalMar", "TenantMar", "BasicMar"];
/// What may show in PostHog's own words to a REST call, and nowhere else.
const DATA: [&str; 4] = ["emailmark", ID, PROPERTY, COMPANY];

fn everything() -> Vec<&'static str> {
    [KEYS, DATA].concat()
}

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn client_of(server: &PostHogServer) -> PostHogClientBuilder {
    PostHogClient::builder()
        .project_api_key(PROJECT_KEY)
        .personal_api_key(PERSONAL_KEY)
        .header("x-tenant-token", TENANT)
        .header("x-proxy-credentials", BASIC)
        .host(server.url())
        .retry(RetryPolicy::none())
        .circuit_breaker(CircuitBreaker::off())
}

fn marked_event() -> Event {
    Event::new("paid")
        .distinct_id(ID)
        .property("plan", PROPERTY)
        .set("email", EMAIL)
        .group("company", COMPANY)
}

/// All that an error shows of itself, each as a text with a name.
fn shown_by(error: &PostHogError) -> Vec<(String, String)> {
    let mut shown = vec![
        ("Display".to_owned(), error.to_string()),
        ("Debug".to_owned(), format!("{error:?}")),
        ("alternate Debug".to_owned(), format!("{error:#?}")),
    ];
    let mut source = error.source();
    for depth in 1..32 {
        let Some(error) = source else { break };
        shown.push((format!("source {depth}"), format!("{error} / {error:?}")));
        source = error.source();
    }
    shown
}

/// What programs can read of a refusal. It may hold what a server echoes, but no key.
fn fields_of(error: &PostHogError) -> Vec<(String, String)> {
    let Some(api) = error.api_error() else {
        return Vec::new();
    };
    let fields = format!(
        "{:?} {:?} {} {:?} {:?} {:?} {}",
        api.kind, api.code, api.detail, api.attr, api.extra, api.list, api.path
    );
    vec![
        ("fields".to_owned(), fields),
        ("body".to_owned(), api.body.clone()),
    ]
}

/// Collects what leaks, over many cases.
#[derive(Default)]
struct Leaks {
    /// One line for each case: what shows which secrets, and one place where it does.
    found: Vec<String>,
    looked_at: usize,
}

impl Leaks {
    fn look(&mut self, case: &str, secrets: &[&str], shown: Vec<(String, String)>) {
        let mut leaks = BTreeSet::new();
        let mut example = None;
        for (what, text) in &shown {
            self.looked_at += 1;
            for secret in secrets {
                if let Some(at) = text.find(secret) {
                    leaks.insert(format!("{what} shows {secret}"));
                    example.get_or_insert_with(|| around(text, at));
                }
            }
        }
        if let Some(example) = example {
            let leaks: Vec<_> = leaks.into_iter().collect();
            self.found
                .push(format!("{case}: {}, as in …{example:?}…", leaks.join(", ")));
        }
    }

    /// Fails where something leaked, and where there was less to look at than `at_least` texts.
    #[track_caller]
    fn assert_none(&self, at_least: usize) {
        assert!(
            self.found.is_empty(),
            "{} cases leak:\n{}",
            self.found.len(),
            self.found.join("\n")
        );
        assert!(self.looked_at >= at_least, "only {} texts", self.looked_at);
    }
}

/// The text around the place of a leak.
fn around(text: &str, at: usize) -> String {
    let before = text[..at]
        .chars()
        .rev()
        .take(80)
        .map(char::len_utf8)
        .sum::<usize>();
    let after = text[at..]
        .chars()
        .take(40)
        .map(char::len_utf8)
        .sum::<usize>();
    text[at - before..at + after].to_owned()
}

/// What this crate logs on all threads, spans included. For tests in their own process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn start() -> Self {
        let log = Self::default();
        tracing_subscriber::registry().with(log.clone()).init();
        log
    }

    /// The lines since the last call.
    fn take(&self) -> Vec<(String, String)> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        let named = |line| ("log".to_owned(), line);
        lines.into_iter().map(named).collect()
    }

    fn add(&self, metadata: &tracing::Metadata<'_>, record: impl FnOnce(&mut Line)) {
        if metadata.target().starts_with("tracing_posthog") {
            let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
            record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.add(attributes.metadata(), |line| attributes.record(line));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        self.add(span.metadata(), |line| values.record(line));
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.add(event.metadata(), |line| event.record(line));
    }
}
