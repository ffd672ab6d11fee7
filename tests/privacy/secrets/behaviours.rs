//! The ways in which a server echoes what it was sent.

use serde_json::{Value, json};
use tracing_posthog::testing::{Answer, RecordedRequest};

/// The statuses that each of them answers with.
pub(super) const STATUSES: [u16; 7] = [200, 301, 400, 401, 402, 413, 500];

pub(super) struct Behaviour {
    pub(super) name: &'static str,
    /// Whether these are PostHog's own words to a REST call, which may name the data that they are about.
    pub(super) posthogs: bool,
    pub(super) answer: fn(&RecordedRequest, u16) -> Answer,
}

/// The whole request, as text.
fn echo(request: &RecordedRequest) -> String {
    let mut text = first_line(request);
    for (name, value) in &request.headers {
        text += &format!(" {name}: {value};");
    }
    text + " " + &String::from_utf8_lossy(&request.body)
}

fn first_line(request: &RecordedRequest) -> String {
    let query = request.query.as_deref().unwrap_or_default();
    format!("{} {}?{query}", request.method, request.path)
}

/// The request, as the path of an address.
fn echo_as_path(request: &RecordedRequest) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    echo(request).replace(|c| !plain(c), "/")
}

/// The values that a header or a status line can hold.
fn echo_in_a_line(request: &RecordedRequest) -> String {
    echo(request).replace(|c: char| !matches!(c, ' '..='~'), " ")
}

/// The words of the request that can be the name of a header.
fn names(request: &RecordedRequest) -> Vec<String> {
    let echo = echo(request);
    let words = echo.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
    words
        .filter(|word| word.len() > 3)
        .map(str::to_owned)
        .collect()
}

fn uuid(request: &RecordedRequest) -> String {
    let body = request.json().unwrap_or_default();
    let uuid = body.pointer("/batch/0/uuid").and_then(Value::as_str);
    uuid.unwrap_or("none").to_owned()
}

fn verdict(request: &RecordedRequest, status: u16, verdict: Value) -> Answer {
    let uuid = uuid(request);
    Answer::status(status).json(json!({"results": {uuid: verdict}}))
}

const fn foreign(name: &'static str, answer: fn(&RecordedRequest, u16) -> Answer) -> Behaviour {
    Behaviour {
        name,
        posthogs: false,
        answer,
    }
}

const fn posthogs(name: &'static str, answer: fn(&RecordedRequest, u16) -> Answer) -> Behaviour {
    Behaviour {
        posthogs: true,
        ..foreign(name, answer)
    }
}

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    foreign("JSON of its own", |request, status| {
        let body = request
            .json()
            .unwrap_or_else(|| String::from_utf8_lossy(&request.body).into());
        let headers: serde_json::Map<_, _> = request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let url = first_line(request);
        Answer::status(status).json(json!({"url": url, "headers": headers, "json": body}))
    }),
    posthogs("PostHog's shape", |request, status| {
        Answer::status(status).json(json!({
            "type": "validation_error", "code": "invalid_input", "detail": echo(request), "attr": null,
        }))
    }),
    posthogs("PostHog's shape, everywhere", |request, status| {
        let echo = echo(request);
        Answer::status(status).json(json!({
            "type": "validation_error", "code": echo, "detail": echo, "attr": echo, "extra": {"echo": echo},
        }))
    }),
    posthogs("PostHog's shape, several", |request, status| {
        let one = json!({"code": "invalid", "detail": echo(request), "attr": "email"});
        Answer::status(status).json(json!({
            "type": "multiple", "code": "multiple", "detail": null, "attr": null, "list": [one],
        }))
    }),
    posthogs("a detail alone", |request, status| {
        Answer::status(status).json(json!({"detail": echo(request)}))
    }),
    posthogs("an error alone", |request, status| {
        Answer::status(status).json(json!({"error": echo(request)}))
    }),
    posthogs("v1's shape", |request, status| {
        let echo = echo(request);
        Answer::status(status).json(json!({
            "error": "invalid_batch", "error_description": echo, "error_uri": echo,
        }))
    }),
    posthogs("a failed query", |request, status| {
        Answer::status(status).json(json!({"results": [], "error": echo(request)}))
    }),
    posthogs("a failed query in the background", |request, status| {
        Answer::status(status).json(json!({
            "query_status": {"id": "q", "complete": true, "error": true, "error_message": echo(request)},
        }))
    }),
    foreign("a title of HTML", |request, status| {
        let page = format!("<html><head><title>{}</title></head></html>", echo(request));
        Answer::status(status)
            .header("content-type", "text/html")
            .body(page)
    }),
    foreign("a page of HTML", |request, status| {
        let page = format!(
            "<!doctype html><h1>502 Bad Gateway</h1><pre>{}",
            echo(request)
        );
        Answer::status(status)
            .header("content-type", "text/html")
            .body(page)
    }),
    foreign("XML", |request, status| {
        Answer::status(status).body(format!(
            "<?xml version='1.0'?><Error>{}</Error>",
            echo(request)
        ))
    }),
    foreign("plain text", |request, status| {
        Answer::status(status).body(format!("cannot forward {}", echo(request)))
    }),
    foreign("the body alone", |request, status| {
        Answer::status(status).body(request.body.clone())
    }),
    foreign("the path of a redirect", |request, status| {
        let path = echo_as_path(request);
        Answer::status(status).header("location", format!("https://login.example.com/{path}"))
    }),
    foreign("the path of a redirect, an id alone", |_, status| {
        Answer::status(status).header("location", format!("/{}/", super::ID))
    }),
    foreign("the query of a redirect", |request, status| {
        let path = echo_as_path(request);
        Answer::status(status).header(
            "location",
            format!(
                "https://user:{}@login.example.com/?next={path}#{path}",
                super::TENANT
            ),
        )
    }),
    foreign("a verdict that drops", |request, status| {
        let echo = echo(request);
        verdict(request, status, json!({"result": "drop", "details": echo}))
    }),
    foreign("a verdict that drops, an id alone", |request, status| {
        let details = super::ID;
        verdict(
            request,
            status,
            json!({"result": "drop", "details": details}),
        )
    }),
    foreign("a verdict with an object", |request, status| {
        let details = json!({"event": echo(request), super::ID: super::PROPERTY});
        verdict(
            request,
            status,
            json!({"result": "drop", "details": details}),
        )
    }),
    foreign("a verdict that warns", |request, status| {
        let echo = echo(request);
        verdict(
            request,
            status,
            json!({"result": "warning", "details": echo}),
        )
    }),
    foreign("a verdict to send again", |request, status| {
        let echo = echo(request);
        verdict(request, status, json!({"result": "retry", "details": echo}))
    }),
    foreign("an unknown verdict", |request, status| {
        let result = echo_as_path(request);
        verdict(request, status, json!({"result": result}))
    }),
    foreign("a verdict of the wrong type", |request, status| {
        let echo = echo(request);
        verdict(request, status, json!(echo))
    }),
    foreign("JSON text", |request, status| {
        Answer::status(status).json(json!(echo(request)))
    }),
    foreign("a list of JSON texts", |request, status| {
        Answer::status(status).json(json!([echo(request)]))
    }),
    foreign("results of the wrong type", |request, status| {
        Answer::status(status).json(json!({"results": echo(request)}))
    }),
    foreign("rows of the wrong type", |request, status| {
        let echo = echo(request);
        Answer::status(status).json(json!({
            "columns": [echo], "types": [[echo, echo]], "results": [[echo], {"id": echo}],
        }))
    }),
    foreign("a next page elsewhere", |request, status| {
        let path = echo_as_path(request);
        Answer::status(status).json(json!({
            "results": [], "next": format!("https://elsewhere.example.com/{path}?token={path}"),
        }))
    }),
    foreign("keys that are wrong", |request, status| {
        let mut map = serde_json::Map::new();
        map.insert(echo(request), json!({"results": 5}));
        Answer::status(status).json(map.into())
    }),
    foreign("half a page", |request, status| {
        half(request, status, format!("<title>{}", echo(request)))
    }),
    foreign("half a JSON text", |request, status| {
        let text = json!({"detail": echo(request)}).to_string();
        half(request, status, text[..text.len() - 1].to_owned())
    }),
    foreign("JSON that breaks off", |request, status| {
        let text = json!({"results": [echo(request)]}).to_string();
        Answer::status(status).body(text[..text.len() - 2].to_owned())
    }),
    foreign("names of headers", |request, status| {
        let names = names(request);
        names
            .into_iter()
            .fold(Answer::status(status), |answer, name| {
                answer.header(name, "1")
            })
    }),
    foreign("values of headers", |request, status| {
        let line = echo_in_a_line(request);
        [
            "x-echo",
            "retry-after",
            "content-type",
            "server",
            "via",
            "location",
        ]
        .into_iter()
        .fold(Answer::status(status), |answer, name| {
            answer.header(name, &line)
        })
    }),
    foreign("a malformed header", |request, status| {
        let line = echo_in_a_line(request);
        Answer::raw(format!(
            "HTTP/1.1 {status} OK\r\n{line}\r\nno header {line}\r\n\r\n"
        ))
    }),
    foreign("a malformed chunk", |request, status| {
        let echo = echo(request);
        Answer::raw(format!(
            "HTTP/1.1 {status} OK\r\ntransfer-encoding: chunked\r\n\r\n{echo}\r\n0\r\n\r\n"
        ))
    }),
    foreign("a reason phrase", |request, status| {
        let line = echo_in_a_line(request);
        Answer::raw(format!(
            "HTTP/1.1 {status} {line}\r\ncontent-length: 0\r\n\r\n"
        ))
    }),
    foreign("no HTTP", |request, _| Answer::raw(echo(request))),
];

fn half(_: &RecordedRequest, status: u16, body: String) -> Answer {
    let length = body.len() * 2;
    Answer::raw(format!(
        "HTTP/1.1 {status} OK\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}
