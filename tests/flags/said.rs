//! What is said of flags, how often, and that no key is in it. Each test has a process of its own: it listens to all
//! that is traced there.

use crate::own_process::own_process;
use crate::poller::{answer_loads, deciding, deciding_at, definitions, flags_of, good, is_load};
use crate::remote::{asking, flags_of as asking_flags};
use crate::support::*;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_posthog::testing::Answer;
use tracing_posthog::{FlagMode, FlagSettings};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

/// All that is traced in this process, spans too.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    pub(crate) fn listen() -> Self {
        let said = Self::default();
        tracing_subscriber::registry().with(said.clone()).init();
        said
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The lines about flags that a person is to read.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.all();
        lines.retain(|line| line.contains("tracing_posthog::flags") && !line.starts_with("DEBUG"));
        lines
    }

    /// The same since the last time, without those that say where flags are evaluated.
    pub(crate) fn new_lines(&self) -> Vec<String> {
        self.new_of(|line| !says_where(line))
    }

    /// The lines since the last time that say where flags are evaluated.
    pub(crate) fn new_places(&self) -> Vec<String> {
        self.new_of(says_where)
    }

    fn new_of(&self, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| keep(line));
        self.0.lock().unwrap().clear();
        lines
    }
}

fn says_where(line: &str) -> bool {
    line.contains("are evaluated by PostHog") || line.contains("are evaluated in this process")
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: tracing::Subscriber> Layer<S> for Said {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let line = format!("{:?}", attributes.values());
        self.0.lock().unwrap().push(line);
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

#[track_caller]
pub(crate) fn assert_line(lines: &[String], level: &str, texts: &[&str]) {
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with(level), "{lines:?}");
    for text in texts {
        assert!(lines[0].contains(text), "{text}: {lines:?}");
    }
}

#[tokio::test]
async fn refusals_of_loads_are_said_once_with_a_remedy() {
    own_process!();
    let said = Said::listen();
    for (status, level, remedy) in [
        (401, "ERROR", "POSTHOG_FEATURE_FLAGS_SECRET_KEY"),
        (402, "WARN", "raise the billing limit"),
        (403, "ERROR", "feature_flag:read"),
        (429, "WARN", "those that were loaded before"),
        (500, "WARN", "those that were loaded before"),
    ] {
        let server = server();
        let no = || Answer::status(status);
        answer_loads(
            &server,
            [good(&["a"]), no(), no(), no(), good(&["a"]), no()],
        );
        let flags = flags_of(&server);
        flags.ready().await.unwrap();
        assert_eq!(said.new_lines(), [""; 0]);
        for _ in 0..3 {
            flags.refresh().await.unwrap_err();
        }
        assert_line(&said.new_lines(), level, &[remedy, &status.to_string()]);
        flags.refresh().await.unwrap();
        assert_line(&said.new_lines(), "INFO", &["loaded again"]);
        // Another episode, less than a minute later.
        flags.refresh().await.unwrap_err();
        assert_eq!(said.new_lines(), [""; 0]);
    }
}

#[tokio::test]
async fn a_posthog_that_is_down_from_the_start_is_said_once() {
    own_process!();
    let said = Said::listen();
    let flags = deciding_at("http://127.0.0.1:9").build().unwrap().flags();
    for _ in 0..3 {
        flags.refresh().await.unwrap_err();
    }
    assert_line(
        &said.lines(),
        "WARN",
        &["there are none yet", "no connection"],
    );
}

#[tokio::test]
async fn failures_of_requests_are_said_once_with_a_remedy() {
    own_process!();
    let said = Said::listen();
    let answered = |body: serde_json::Value| Answer::status(200).json(body);
    let computing = json!({"flags": {"a": {"enabled": true}}, "errorsWhileComputingFlags": true});
    for (answer, level, remedy) in [
        (Answer::status(401), "ERROR", "POSTHOG_API_KEY"),
        (Answer::status(402), "WARN", "quota"),
        (
            answered(json!({"quotaLimited": ["feature_flags"]})),
            "WARN",
            "quota",
        ),
        (answered(computing), "WARN", "could not evaluate all flags"),
        (Answer::status(500), "WARN", "500"),
        (Answer::status(200).body("<html>"), "WARN", "HTML"),
    ] {
        let server = server();
        let flags = asking_flags(asking(&server));
        flags.evaluate("user_42").await.unwrap();
        server.answer_next_times(3, answer);
        for _ in 0..3 {
            flags.evaluate("user_42").await.unwrap();
        }
        assert_line(&said.new_lines(), level, &[remedy]);
        flags.evaluate("user_42").await.unwrap();
        assert_line(&said.new_lines(), "INFO", &["evaluates flags again"]);
    }
}

#[tokio::test]
async fn flags_that_can_never_be_decided_are_named_once_for_each_definition() {
    own_process!();
    let said = Said::listen();
    let server = server();
    let undecidable = |key: &str, version: u32| {
        json!({"id": 1, "key": key, "active": true, "version": version,
            "ensure_experience_continuity": true, "filters": {"groups": []}})
    };
    let of = |flags: Vec<serde_json::Value>| {
        let mut body = definitions(&["a"]);
        body["flags"].as_array_mut().unwrap().extend(flags);
        Answer::status(200).json(body)
    };
    let long = "x".repeat(500);
    let many = (0..15).map(|n| undecidable(&format!("many-{n:02}"), 1));
    answer_loads(
        &server,
        [
            of(vec![undecidable("old", 1), undecidable(&long, 1)]),
            of(vec![undecidable("old", 1)]),
            of(vec![
                undecidable("old", 2),
                undecidable("phx_key\nin a flag", 1),
            ]),
            of(many.collect()),
        ],
    );
    let flags = flags_of(&server);
    flags.ready().await.unwrap();
    let lines = said.new_lines();
    assert_line(&lines, "WARN", &["old (experience_continuity)", "xxx… ("]);
    assert!(lines[0].len() < 500, "{lines:?}");
    flags.refresh().await.unwrap();
    assert_eq!(said.new_lines(), [""; 0]);
    flags.refresh().await.unwrap();
    let lines = said.new_lines();
    assert_line(
        &lines,
        "WARN",
        &["old (experience_continuity)", "phx_[redacted]"],
    );
    assert!(!lines[0].contains('\n'), "{lines:?}");
    flags.refresh().await.unwrap();
    assert_line(&said.new_lines(), "WARN", &["many-09", "and 5 more"]);
    assert!(!said.lines().iter().any(|line| line.contains("many-10")));
}

#[tokio::test]
async fn no_key_is_in_anything_that_is_said() {
    own_process!();
    let said = Said::listen();
    // Nothing but the client knows that it is one.
    let unmarked = "unmarked_secret_key_of_the_tests";
    let keys = format!("no {unmarked}, {PROJECT_KEY} or phx_Another_1");
    // Nothing personal is sent for definitions.
    let personal = format!("{keys} for secret-plan");
    let status = |status| move |echo: String| Answer::status(status).body(echo);
    type Answers = Box<dyn Fn(String) -> Answer + Send + Sync>;
    let answers: [Answers; 8] = [
        Box::new(|echo| {
            let body = json!({"type": "authentication_error", "detail": echo});
            Answer::status(401).json(body)
        }),
        Box::new(|echo| Answer::status(403).json(json!({"detail": echo, "error": echo}))),
        Box::new(status(500)),
        Box::new(status(200)),
        Box::new(|echo| Answer::status(200).json(json!({"flags": echo}))),
        Box::new(move |_| {
            let elsewhere = format!("http://127.0.0.1:9/{unmarked}");
            Answer::status(301).header("location", elsewhere)
        }),
        Box::new(|_| Answer::close()),
        Box::new(|_| Answer::reset()),
    ];
    let mut shown = Vec::new();
    for answer in answers {
        let server = server();
        let (keys, personal) = (keys.clone(), personal.clone());
        server.answer_with(move |request| match is_load(request) {
            true => Some(answer(keys.clone())),
            false => Some(answer(personal.clone())),
        });
        let client = deciding(&server).feature_flags_secret_key(unmarked);
        let client = client.build().unwrap();
        let flags = client.flags();
        let error = flags.ready().await.unwrap_err();
        shown.push(format!("{error} {error:?}"));
        let user = flags.evaluate("user_42").person("plan", "secret-plan");
        shown.push(format!("{user:?}"));
        let user = user.await.unwrap();
        let error = user.error().unwrap();
        shown.push(format!("{error} {error:?} {user:?}"));
        shown.push(format!("{client:?} {flags:?} {}", flags.stats()));
        assert!(server.requests().iter().any(is_load));
    }
    let local = |flags: FlagSettings| flags.mode(FlagMode::LocalOnly);
    let builder = deciding_at("http://127.0.0.1:9").flags(local);
    shown.push(format!(
        "{builder:?} {:?}",
        builder.clone().build().unwrap()
    ));
    let lines = said.all();
    assert!(!lines.is_empty());
    for text in shown.iter().chain(&lines) {
        for secret in ["key_of_the_tests", "Another_1", "secret-plan"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
