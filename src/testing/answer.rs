//! What the local PostHog answers.

use std::time::Duration;

use serde_json::Value;

pub(super) const OK_BODY: &str = r#"{"status":"Ok"}"#;
pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// How one request is answered: as PostHog would, or with a fault.
///
/// ```
/// use std::time::Duration;
/// use tracing_posthog::testing::{Answer, PostHogServer};
///
/// # fn main() -> std::io::Result<()> {
/// let server = PostHogServer::start()?;
/// // Twice overloaded, then a lost answer: the events are kept, but the
/// // client sees a dead connection. Everything after that is accepted.
/// server.answer_next_times(2, Answer::status(503).header("retry-after", "1"));
/// server.answer_next(Answer::reset().after_accepting().delay(Duration::from_millis(20)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "an answer does nothing until a server is told to give it"]
pub struct Answer {
    pub(super) kind: Kind,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) delay: Duration,
    keeps_events: bool,
    verdicts: Vec<(String, EventVerdict)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Accept,
    Status(u16),
    Reset,
    ResetBeforeBody,
    Close,
    Half,
    Stall,
    WrongLength(usize),
    Raw(Vec<u8>),
}

impl Kind {
    /// Whether the client gets a status and a text, if not all of it.
    pub(super) fn is_http(&self) -> bool {
        matches!(
            self,
            Self::Accept | Self::Status(_) | Self::Half | Self::WrongLength(_)
        )
    }
}

impl Answer {
    fn new(kind: Kind) -> Self {
        Self {
            keeps_events: kind == Kind::Accept,
            kind,
            headers: Vec::new(),
            body: None,
            delay: Duration::ZERO,
            verdicts: Vec::new(),
        }
    }

    /// Behaves as PostHog: checks the request, keeps its events, answers.
    ///
    /// [`body`](Self::body) and [`json`](Self::json) replace the answer's text
    /// where PostHog would answer 200.
    pub fn accept() -> Self {
        Self::new(Kind::Accept)
    }

    /// That status, with what PostHog sends with it: a text, or by capture v1
    /// JSON and, where the client should wait, `Retry-After: 1`. No event is
    /// kept, not even with 200.
    pub fn status(status: u16) -> Self {
        Self::new(Kind::Status(status))
    }

    /// Reads the request to its end, then resets the connection (TCP RST).
    ///
    /// The client sees "connection reset by peer" instead of an answer. The
    /// reset comes from closing the socket with one byte unread; Linux and
    /// Windows answer this with RST, elsewhere it may be a plain close.
    pub fn reset() -> Self {
        Self::new(Kind::Reset)
    }

    /// Resets the connection after the head of the request. The client sees
    /// "connection reset by peer" or "broken pipe" while it sends the body.
    ///
    /// The request is not recorded, as it was not read. From
    /// [`answer_with`](super::PostHogServer::answer_with), which sees whole
    /// requests, this is the same as [`reset`](Self::reset).
    pub fn reset_before_body() -> Self {
        Self::new(Kind::ResetBeforeBody)
    }

    /// Reads the request, then closes the connection (TCP FIN) unanswered. The
    /// client sees the end of the stream where it waits for a status line.
    pub fn close() -> Self {
        Self::new(Kind::Close)
    }

    /// Status 200 and the full `Content-Length`, then half of the body, then
    /// the end of the connection.
    pub fn half() -> Self {
        Self::new(Kind::Half)
    }

    /// Reads the request and never answers. The connection stays open until
    /// the client closes it or the server stops.
    pub fn stall() -> Self {
        Self::new(Kind::Stall)
    }

    /// Status 200 with a `Content-Length` of `length` whatever the body's
    /// length is, then the body, then the end of the connection.
    pub fn wrong_length(length: usize) -> Self {
        Self::new(Kind::WrongLength(length))
    }

    /// Sends exactly these bytes, then closes the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Kind::Raw(bytes.into()))
    }

    /// Adds a header. It replaces the server's own of that name, such as
    /// `Content-Type` or `Retry-After`; `Connection: close` also closes.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets a JSON body and its `Content-Type`.
    pub fn json(self, value: Value) -> Self {
        self.header("content-type", JSON).body(value.to_string())
    }

    /// Waits before answering, after the request was recorded. A stopping
    /// server does not wait.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Keeps the events as PostHog would, then answers like this: the server
    /// has the events, the client believes that it does not. Without effect on
    /// [`reset_before_body`](Self::reset_before_body).
    pub fn after_accepting(mut self) -> Self {
        self.keeps_events = true;
        self
    }

    /// By capture v1, says this of the events of that name or uuid, where the
    /// server goes by PostHog's rules ([`accept`](Self::accept),
    /// [`after_accepting`](Self::after_accepting)).
    ///
    /// ```
    /// use tracing_posthog::testing::{Answer, EventVerdict};
    /// let answer = Answer::accept().verdict("signup", EventVerdict::Retry("not_persisted".into()));
    /// ```
    pub fn verdict(mut self, event: impl Into<String>, verdict: EventVerdict) -> Self {
        self.verdicts.push((event.into(), verdict));
        self
    }

    pub(super) fn verdicts(&self) -> &[(String, EventVerdict)] {
        &self.verdicts
    }

    /// Whether the request goes through PostHog's rules.
    pub(super) fn keeps_events(&self) -> bool {
        self.keeps_events
    }

    /// Whether it closes the connection by its own header.
    pub(super) fn says_close(&self) -> bool {
        self.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
        })
    }
}

/// What capture v1 says of one event.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventVerdict {
    /// Kept.
    Ok,
    /// Kept, with a remark.
    Warning(String),
    /// Not kept, for good, for that reason.
    Drop(String),
    /// Not kept, and to be sent again.
    Retry(String),
    /// Kept, with a word that no client knows.
    Other(String),
    /// Kept, and not spoken of.
    Silence,
}

impl EventVerdict {
    pub(super) fn keeps(&self) -> bool {
        !matches!(self, Self::Drop(_) | Self::Retry(_))
    }

    pub(super) fn json(&self) -> Option<Value> {
        let (result, details) = match self {
            Self::Ok => ("ok", None),
            Self::Warning(details) => ("warning", Some(details)),
            Self::Drop(details) => ("drop", Some(details)),
            Self::Retry(details) => ("retry", Some(details)),
            Self::Other(word) => (word.as_str(), None),
            Self::Silence => return None,
        };
        Some(match details {
            Some(details) => serde_json::json!({"result": result, "details": details}),
            None => serde_json::json!({"result": result}),
        })
    }
}

/// Status, type and text of an answer, without the wire format.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            status,
            content_type: TEXT,
            body,
            headers: Vec::new(),
        }
    }

    pub(super) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            status,
            content_type: JSON,
            body,
            headers: Vec::new(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// What PostHog says with that status, by v0.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::json(status, OK_BODY),
            400 => Self::text(400, "failed to parse request: invalid request"),
            401 => Self::text(401, "event submitted without an api_key"),
            413 => Self::text(413, super::rules::BODY_TOO_LONG),
            429 => Self::text(429, "rate limited"),
            503 => Self::text(503, "transient error, please retry"),
            _ => Self::text(status, reason(status).to_ascii_lowercase()),
        }
    }

    /// The bytes on the wire. `declared` is a `Content-Length` to claim in
    /// place of the true one.
    pub(super) fn render(
        &self,
        extra: &[(String, String)],
        declared: Option<usize>,
        to_head_request: bool,
    ) -> Vec<u8> {
        let given = |name: &str| extra.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let may_have_body = !matches!(self.status, 100..=199 | 204 | 304);
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut line = |name: &str, value: &str| {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        };
        if may_have_body && !given("content-type") {
            line("content-type", self.content_type);
        }
        if may_have_body && !given("content-length") {
            let length = declared.unwrap_or(self.body.len());
            line("content-length", &length.to_string());
        }
        for (name, value) in &self.headers {
            if !given(name) {
                line(name, value);
            }
        }
        for (name, value) in extra {
            line(name, value);
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if may_have_body && !to_head_request {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
