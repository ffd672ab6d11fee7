//! The harness's side: an adapter and a PostHog on real sockets, and what the tests ask of both.
#![allow(dead_code, unreachable_pub)]

use reqwest::{Client, Response, StatusCode};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tracing_posthog::testing::{PostHogServer, RecordedRequest};
use tracing_posthog_adapter::{Codec, Options, Protocol, router};

pub const BOTH: [Protocol; 2] = [Protocol::V0, Protocol::V1];

/// Longer than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(20);

/// A running adapter. Its task ends with the test's runtime.
#[derive(Clone)]
pub struct Adapter {
    url: String,
    http: Client,
}

impl Adapter {
    pub async fn start(protocol: Protocol, codec: Codec) -> Self {
        let port = 0;
        let options = Options {
            protocol,
            codec,
            port,
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router(options)).await });
        Self {
            url,
            http: Client::new(),
        }
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = self.http.get(format!("{}{path}", self.url));
        read(request.send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        read(request.send().await.unwrap()).await
    }

    /// As the harness asks for a flush: with no body and no content type.
    pub async fn post_nothing(&self, path: &str) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.url));
        read(request.send().await.unwrap()).await
    }
}

async fn read(answer: Response) -> (StatusCode, Value) {
    (answer.status(), answer.json().await.unwrap())
}

/// One test of the suite: an adapter, and a PostHog that nobody else sends to.
pub struct Case {
    pub adapter: Adapter,
    pub posthog: PostHogServer,
    /// `?test_id=…`, or nothing.
    query: String,
}

impl Case {
    pub async fn new(protocol: Protocol) -> Self {
        Self::with(Adapter::start(protocol, Codec::Gzip).await)
    }

    pub fn with(adapter: Adapter) -> Self {
        let posthog = PostHogServer::start().unwrap();
        Self {
            adapter,
            posthog,
            query: String::new(),
        }
    }

    /// One of several at the same adapter.
    pub fn in_parallel(adapter: &Adapter, test_id: &str) -> Self {
        Self {
            query: format!("?test_id={test_id}"),
            ..Self::with(adapter.clone())
        }
    }

    pub async fn succeed(&self, path: &str, body: Option<&Value>) -> Value {
        let path = format!("{path}{}", self.query);
        let (status, answer) = match body {
            Some(body) => self.adapter.post(&path, body).await,
            None => self.adapter.post_nothing(&path).await,
        };
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        assert_eq!(answer["success"], true, "{path}: {answer}");
        answer
    }

    pub async fn init(&self, more: Value) {
        let mut settings = json!({"api_key": "phc_test_key", "host": self.posthog.url()});
        merge(&mut settings, more);
        self.succeed("/init", Some(&settings)).await;
    }

    /// Gives the uuid that the adapter answers.
    pub async fn capture(&self, name: &str) -> String {
        self.capture_with(json!({"event": name})).await
    }

    pub async fn capture_with(&self, more: Value) -> String {
        // The harness sends what is absent as null.
        let mut event = json!({
            "distinct_id": "test_user", "event": "test_event", "properties": null, "timestamp": null,
        });
        merge(&mut event, more);
        let answer = self.succeed("/capture", Some(&event)).await;
        answer["uuid"].as_str().unwrap().to_owned()
    }

    pub async fn flush(&self) -> u64 {
        let answer = self.succeed("/flush", None).await;
        answer["events_flushed"].as_u64().unwrap()
    }

    pub async fn reset(&self) {
        self.succeed("/reset", None).await;
    }

    pub async fn state(&self) -> Value {
        let (status, state) = self.adapter.get(&format!("/state{}", self.query)).await;
        assert_eq!(status, StatusCode::OK, "{state}");
        state
    }

    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.posthog.requests()
    }

    /// The events of each request.
    pub fn batches(&self) -> Vec<Vec<Value>> {
        self.requests().iter().map(batch).collect()
    }

    /// The only event of the only request.
    #[track_caller]
    pub fn event(&self) -> Value {
        let batches = self.batches();
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
        batches[0][0].clone()
    }

    /// Sees to it that nothing is left that would be sent later: what is captured now is all that comes.
    pub async fn assert_only_this_comes(&self, name: &str) {
        let before = self.posthog.request_count();
        self.capture(name).await;
        self.flush().await;
        let since: Vec<_> = self.batches().into_iter().skip(before).collect();
        let names: Vec<_> = since.iter().flatten().map(|e| &e["event"]).collect();
        assert_eq!(names, [name]);
        assert_eq!(self.state().await["pending_events"], 0);
    }
}

pub fn merge(into: &mut Value, more: Value) {
    let more: Map<String, Value> = serde_json::from_value(more).unwrap();
    into.as_object_mut().unwrap().extend(more);
}

pub fn batch(request: &RecordedRequest) -> Vec<Value> {
    let body = request.json().unwrap();
    body["batch"].as_array().unwrap().clone()
}

pub fn values<'a>(events: &'a [Value], field: &str) -> Vec<&'a str> {
    events.iter().map(|e| e[field].as_str().unwrap()).collect()
}

pub fn headers(requests: &[RecordedRequest], name: &str) -> Vec<String> {
    let header = |r: &RecordedRequest| r.header(name).unwrap_or_default().to_owned();
    requests.iter().map(header).collect()
}

/// How long PostHog waited for each request after the one before it.
pub fn gaps(requests: &[RecordedRequest]) -> Vec<Duration> {
    requests
        .windows(2)
        .map(|pair| pair[1].received_at - pair[0].received_at)
        .collect()
}

pub fn is_uuid(text: &str) -> bool {
    text.parse::<tracing_posthog::Uuid>().is_ok()
}

/// The form that the harness asks for: RFC 3339, in UTC.
#[track_caller]
pub fn assert_utc(text: &str) {
    let Some((day, time)) = text.split_once('T') else {
        panic!("{text}: no T");
    };
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(shape(day), "0000-00-00", "{text}");
    let time = time.strip_suffix('Z').or(time.strip_suffix("+00:00"));
    let time = time.unwrap_or_else(|| panic!("{text}: not in UTC"));
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    assert_eq!(shape(seconds), "00:00:00", "{text}");
    assert!(!fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()));
    assert!(text.parse::<jiff::Timestamp>().is_ok(), "{text}");
}
