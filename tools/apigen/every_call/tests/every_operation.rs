//! Every operation that was seen of PostHog's API makes one right call.
//!
//! The calls are made of the table of operations; what is right is said by the data, `api/operations.json`: the method,
//! the path, and the names of the parameters. Every id is one that would leave its segment if it were not encoded.

#![allow(deprecated)]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};
use tracing_posthog::PostHogClient;
use tracing_posthog::rest::{AnyParams, Form, OPERATIONS, Raw, Request, Time, Untyped, values};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};

const SEEN: &str = include_str!("../../../../api/operations.json");

/// One call of a method with every id and parameter.
struct Call {
    /// Empty for a second way to say an operation.
    operation: &'static str,
    method: &'static str,
    /// With ids in braces.
    path: &'static str,
    /// What `{scope}` in it is.
    scope: &'static str,
    query: &'static [(&'static str, &'static str)],
    /// JSON, or `form`.
    body: &'static str,
    make: fn(&PostHogClient) -> Request<Untyped, AnyParams>,
}

const fn call(
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: &'static str,
    make: fn(&PostHogClient) -> Request<Untyped, AnyParams>,
) -> Call {
    Call {
        operation,
        method,
        path,
        scope,
        query,
        body,
        make,
    }
}

const TEXT: &str = "x &=é/+";

fn time() -> Time {
    Time::at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500))
}

fn json() -> Value {
    json!({"a": [1]})
}

fn body() -> Raw<Value> {
    Raw(json!({"a": 1}))
}

fn form() -> Form {
    Form::new().text("a", 1)
}

const CALLS: &[Call] = &include!(concat!(env!("OUT_DIR"), "/calls.rs"));

/// What was seen: method and path, with the names of the parameters.
fn seen() -> BTreeMap<(String, String), BTreeSet<String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows: Vec<Value> = serde_json::from_str(SEEN).unwrap();
    let rows = rows.iter().map(|row| {
        let params = row["query_params"].as_array().into_iter().flatten();
        let params = params.map(|p| text(&p["name"])).collect();
        ((text(&row["method"]), text(&row["path"])), params)
    });
    rows.collect()
}

/// The path with every id `{x}` as `x/b c`, which is what the calls give.
fn path_of(path: &str, scope: &str) -> String {
    let path = path.replace("{scope}", scope);
    let ids = path.replace('{', "").replace('}', "%2Fb%20c");
    assert!(!ids.contains("//"), "{ids}");
    ids
}

/// The parameters of a query string, read without the help of what wrote it.
fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(b) = rest.next() {
            bytes.push(match b {
                b'%' => {
                    let hex = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                b => b,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = query.iter().flat_map(|q| q.split('&')).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        (decode(name), decode(value))
    });
    pairs.collect()
}

fn check(call: &Call, request: &RecordedRequest) {
    let what = format!("{} {} {}", call.operation, call.method, call.path);
    assert_eq!(request.method, call.method, "{what}");
    assert_eq!(request.path, path_of(call.path, call.scope), "{what}");
    let query = call.query.iter();
    let query: Vec<_> = query
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    assert_eq!(pairs(request.query.as_deref()), query, "{what}");
    let key = request.header("authorization");
    assert_eq!(key, Some("Bearer phx_every"), "{what}");
    let kind = request.header("content-type");
    let body = String::from_utf8_lossy(&request.body);
    if call.body == "form" {
        let boundary = kind.and_then(|k| k.strip_prefix("multipart/form-data; boundary="));
        assert!(body.contains(boundary.unwrap()), "{what}: {body}");
        assert!(body.contains("name=\"a\"\r\n\r\n1\r\n"), "{what}: {body}");
    } else {
        assert_eq!(body, call.body, "{what}");
        let json = Some("application/json").filter(|_| !call.body.is_empty());
        assert_eq!(kind, json, "{what}");
    }
}

#[tokio::test]
async fn every_operation_makes_one_right_call() {
    let server = PostHogServer::start().unwrap();
    server.answer_with(|_| Some(Answer::status(200).body("{}")));
    let client = PostHogClient::builder()
        .personal_api_key("phx_every")
        .host(server.url())
        .build()
        .unwrap();
    let seen = seen();
    let mut called = BTreeSet::new();
    let mut right = BTreeSet::new();
    let mut unlisted = BTreeSet::new();
    for call in CALLS {
        (call.make)(&client).send_as::<Value>().await.unwrap();
        let requests = server.requests();
        server.clear();
        assert_eq!(requests.len(), 1, "{}", call.operation);
        check(call, &requests[0]);
        called.insert(call.operation);
        let key = (call.method.to_owned(), call.path.to_owned());
        let Some(params) = seen.get(&key) else {
            unlisted.insert(key);
            continue;
        };
        if !call.operation.is_empty() {
            let given: BTreeSet<String> = call.query.iter().map(|(n, _)| (*n).to_owned()).collect();
            assert_eq!(&given, params, "{}", call.operation);
            right.insert(key);
        }
    }
    let missed: Vec<_> = seen.keys().filter(|key| !right.contains(key)).collect();
    assert!(missed.is_empty(), "never called: {missed:#?}");
    println!(
        "{} of {} operations make one right call",
        right.len(),
        seen.len()
    );
    println!("in no document, and called all the same: {unlisted:?}");
    assert_eq!(unlisted.len(), 1);

    let all = OPERATIONS.iter();
    let all: BTreeSet<String> = all.map(|o| format!("{}.{}", o.resource, o.name)).collect();
    let missed: Vec<_> = all
        .iter()
        .filter(|o| !called.contains(o.as_str()))
        .collect();
    assert!(missed.is_empty(), "never called: {missed:#?}");
}
