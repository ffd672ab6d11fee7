//! PostHog's capture rules: which requests it takes, and what it says of those
//! that it does not. Here v0; v1 and feature flags have rules of their own.

#[cfg(feature = "flags")]
pub(super) mod flags;
mod tree;
mod v1;

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{EventVerdict, OK_BODY, Reply};
use super::recorded::{RecordedEvent, RecordedRequest};
use tree::{Object, Tree};

const MIB: usize = 1024 * 1024;
const BATCH_LIMIT: usize = 20 * MIB;
const SINGLE_LIMIT: usize = 2 * MIB;
const UNPACKED_LIMIT: usize = 20 * MIB;
const BODY_LIMIT_V1: usize = 10 * MIB;
const UNPACKED_LIMIT_V1: usize = 50 * MIB;
const DISTINCT_ID_CHARS: usize = 200;
const TOKEN_BYTES: usize = 64;
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
const ZLIB_MAGIC: u8 = 0x78;

pub(super) const BODY_TOO_LONG: &str = "Failed to buffer the request body: length limit exceeded";
const NO_SHAPE_FITS: &str =
    "failed to parse request: data did not match any variant of untagged enum RawRequest";
const NOT_FOUND: &str =
    r#"{"type":"invalid_request","code":"not_found","detail":"Endpoint not found.","attr":null}"#;

/// What PostHog makes of a request.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) reply: Reply,
    /// All of the request's events, or none.
    pub(super) events: Vec<RecordedEvent>,
    pub(super) duplicate_keys: usize,
}

/// Unpacks a body. The bytes are always usable for recording; the reply is
/// PostHog's refusal where it cannot read them.
pub(super) fn unpack(
    raw: Vec<u8>,
    path: &str,
    query: Option<&str>,
    encoding: Option<&str>,
) -> (Vec<u8>, Option<Reply>) {
    if v1::is_path(path) {
        return unpack_v1(raw, encoding);
    }
    let named = query_value(query, "compression")
        .or(encoding)
        .map(str::trim);
    let gzip = match named.map(str::to_ascii_lowercase).as_deref() {
        Some("gzip" | "gzip-js") => true,
        None | Some("" | "identity" | "plaintext") => raw.starts_with(&GZIP_MAGIC),
        Some(_) => {
            let refusal = Reply::text(400, "failed to decode request: invalid body encoding");
            return (raw, Some(refusal));
        }
    };
    if !gzip {
        return (raw, None);
    }
    let mut unpacked = Vec::new();
    // One member only, as PostHog does: what follows the first is not read.
    let read = GzDecoder::new(raw.as_slice())
        .take(UNPACKED_LIMIT as u64 + 1)
        .read_to_end(&mut unpacked);
    if read.is_err() {
        let refusal = Reply::text(400, "failed to decode request: invalid gzip data");
        return (raw, Some(refusal));
    }
    if unpacked.len() > UNPACKED_LIMIT {
        let refusal = Reply::text(400, "maximum event size exceeded");
        return (raw, Some(refusal));
    }
    (unpacked, None)
}

/// v1 goes by the header alone.
fn unpack_v1(raw: Vec<u8>, encoding: Option<&str>) -> (Vec<u8>, Option<Reply>) {
    fn all(from: impl Read) -> Result<Vec<u8>, Reply> {
        let mut unpacked = Vec::new();
        from.take(UNPACKED_LIMIT_V1 as u64 + 1)
            .read_to_end(&mut unpacked)
            .map_err(|_| v1::undecodable())?;
        if unpacked.len() > UNPACKED_LIMIT_V1 {
            return Err(v1::too_large());
        }
        Ok(unpacked)
    }
    if raw.len() > BODY_LIMIT_V1 {
        return (raw, Some(v1::too_large()));
    }
    let name = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    let unpacked = match name.as_str() {
        "" | "identity" => return (raw, None),
        "gzip" => all(GzDecoder::new(raw.as_slice())),
        "deflate" if raw.first() == Some(&ZLIB_MAGIC) => all(ZlibDecoder::new(raw.as_slice())),
        "deflate" => all(DeflateDecoder::new(raw.as_slice())),
        #[cfg(feature = "brotli")]
        "br" => all(brotli::Decompressor::new(raw.as_slice(), 4096)),
        #[cfg(feature = "zstd")]
        "zstd" => match zstd::Decoder::new(raw.as_slice()) {
            Ok(decoder) => all(decoder),
            Err(_) => Err(v1::undecodable()),
        },
        _ => Err(v1::unknown_encoding(&name)),
    };
    match unpacked {
        Ok(unpacked) => (unpacked, None),
        Err(refusal) => (raw, Some(refusal)),
    }
}

/// What PostHog says with that status on that path.
pub(super) fn of_status(status: u16, path: &str) -> Reply {
    #[cfg(feature = "flags")]
    if let Some(reply) = flags::of_status(status, path) {
        return reply;
    }
    let by_v1 = v1::is_path(path).then(|| v1::of_status(status));
    by_v1.flatten().unwrap_or_else(|| Reply::of_status(status))
}

/// Judges a request whose body went through [`unpack`].
pub(super) fn judge(
    request: &RecordedRequest,
    unreadable: Option<Reply>,
    told: &[(String, EventVerdict)],
) -> Verdict {
    if v1::is_path(&request.path) {
        return v1::judge(request, unreadable, told);
    }
    let mut duplicate_keys = 0;
    let outcome = route(&request.method, &request.path).and_then(|route| match route {
        Route::Health => Ok((Reply::text(200, "ok"), Vec::new())),
        Route::Capture { limit, .. } if request.raw_body_len > limit => {
            Err(Reply::text(413, BODY_TOO_LONG))
        }
        Route::Capture { engage, .. } => {
            if let Some(refusal) = unreadable {
                return Err(refusal);
            }
            let events = capture(&request.body, engage, &mut duplicate_keys)?;
            let beacon = query_value(request.query.as_deref(), "beacon") == Some("1");
            let reply = if beacon {
                Reply::text(204, "")
            } else {
                Reply::json(200, OK_BODY)
            };
            Ok((reply, events))
        }
    });
    let (reply, events) = outcome.unwrap_or_else(|refusal| (refusal, Vec::new()));
    Verdict {
        reply,
        events,
        duplicate_keys,
    }
}

enum Route {
    Capture { limit: usize, engage: bool },
    Health,
}

fn route(method: &str, path: &str) -> Result<Route, Reply> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if matches!(path, "/_readiness" | "/_liveness") {
        return Ok(Route::Health);
    }
    // Proxies put a prefix in front: only the end of the path counts. This
    // also covers `/i/v0/e`.
    let limit = match path.rsplit_once('/').map(|(_, last)| last) {
        Some("batch") => BATCH_LIMIT,
        Some("e" | "capture" | "track" | "engage") => SINGLE_LIMIT,
        _ => return Err(Reply::json(404, NOT_FOUND)),
    };
    if method != "POST" {
        return Err(Reply::text(405, ""));
    }
    Ok(Route::Capture {
        limit,
        engage: path.ends_with("/engage"),
    })
}

fn query_value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The three shapes of a capture body.
enum Body {
    Envelope(Envelope),
    Array(Vec<RawEvent>),
    Single(Box<RawEvent>),
}

impl Body {
    fn events_mut(&mut self) -> &mut [RawEvent] {
        match self {
            Self::Envelope(envelope) => &mut envelope.batch,
            Self::Array(events) => events,
            Self::Single(event) => std::slice::from_mut(event.as_mut()),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(alias = "token")]
    api_key: String,
    historical_migration: Option<bool>,
    sent_at: Option<String>,
    batch: Vec<RawEvent>,
}

#[derive(Deserialize)]
struct RawEvent {
    #[serde(alias = "$token", alias = "api_key")]
    token: Option<String>,
    #[serde(alias = "$distinct_id")]
    distinct_id: Option<Tree>,
    uuid: Option<String>,
    event: Option<String>,
    #[serde(default)]
    properties: Object,
    timestamp: Option<String>,
    #[serde(rename = "offset")]
    _offset: Option<i64>,
    #[serde(rename = "$set")]
    set: Option<Object>,
    #[serde(rename = "$set_once")]
    set_once: Option<Object>,
}

/// All events of a body, or PostHog's refusal of the whole.
fn capture(
    body: &[u8],
    engage: bool,
    duplicate_keys: &mut usize,
) -> Result<Vec<RecordedEvent>, Reply> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Reply::text(400, "failed to decode request: invalid body encoding"))?;
    let mut body = parse(text).map_err(|_| no_shape_fits(text, duplicate_keys))?;
    for event in body.events_mut() {
        *duplicate_keys += event.duplicates();
        if engage && event.event.is_none() {
            event.event = Some("$identify".to_owned());
        }
        if event.event.is_none() || !event.has_valid_uuid() {
            return Err(no_shape_fits(text, duplicate_keys));
        }
    }
    let token = token_of(&body)?;
    check_token(&token)?;
    let (raw, sent_at, historical_migration) = match body {
        Body::Envelope(all) => (all.batch, all.sent_at, all.historical_migration),
        Body::Array(events) => (events, None, None),
        Body::Single(event) => (vec![*event], None, None),
    };
    if raw.is_empty() {
        return Err(Reply::text(400, "request holds no event"));
    }
    raw.into_iter()
        .map(|event| {
            event.accept(
                &token,
                sent_at.as_deref(),
                historical_migration.unwrap_or(false),
            )
        })
        .collect()
}

/// PostHog tells bad JSON from good JSON of no known shape.
fn no_shape_fits(text: &str, duplicate_keys: &mut usize) -> Reply {
    match serde_json::from_str::<Tree>(text) {
        Err(error) => Reply::text(400, format!("failed to parse request: {error}")),
        Ok(tree) => {
            *duplicate_keys = tree.duplicates;
            Reply::text(400, NO_SHAPE_FITS)
        }
    }
}

fn parse(text: &str) -> serde_json::Result<Body> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map(Body::Array);
    }
    serde_json::from_str(text)
        .map(Body::Envelope)
        .or_else(|_| serde_json::from_str(text).map(Body::Single))
}

fn token_of(body: &Body) -> Result<String, Reply> {
    let events = match body {
        Body::Envelope(envelope) => return Ok(envelope.api_key.clone()),
        Body::Array(events) => events.as_slice(),
        Body::Single(event) => std::slice::from_ref(event.as_ref()),
    };
    let mut tokens = events.iter().filter_map(RawEvent::token);
    let Some(token) = tokens.next() else {
        return Err(Reply::text(401, "event submitted without an api_key"));
    };
    if tokens.any(|other| other != token) {
        let text = "batch submitted with inconsistent api_key values";
        return Err(Reply::text(401, text));
    }
    Ok(token.to_owned())
}

fn check_token(token: &str) -> Result<(), Reply> {
    let wrong = if token.is_empty() {
        "empty"
    } else if token.len() > TOKEN_BYTES {
        "too_long"
    } else if !token.is_ascii() {
        "not_ascii"
    } else if token.starts_with("phx_") {
        "personal_api_key"
    } else {
        return Ok(());
    };
    Err(Reply::text(401, format!("API key is not valid: {wrong}")))
}

impl RawEvent {
    fn token(&self) -> Option<&str> {
        let inside = || self.properties.map.get("token").and_then(Value::as_str);
        self.token.as_deref().or_else(inside)
    }

    fn has_valid_uuid(&self) -> bool {
        let uuid = self.uuid.as_deref().unwrap_or_default();
        uuid.is_empty() || uuid::Uuid::parse_str(uuid).is_ok()
    }

    fn duplicates(&self) -> usize {
        let objects = [
            Some(&self.properties),
            self.set.as_ref(),
            self.set_once.as_ref(),
        ];
        let inside: usize = objects
            .into_iter()
            .flatten()
            .map(|object| object.duplicates)
            .sum();
        inside + self.distinct_id.as_ref().map_or(0, |tree| tree.duplicates)
    }

    fn accept(
        self,
        api_key: &str,
        sent_at: Option<&str>,
        historical_migration: bool,
    ) -> Result<RecordedEvent, Reply> {
        let event = self.event.unwrap_or_default();
        if event.is_empty() {
            return Err(Reply::text(400, "event submitted with an empty event name"));
        }
        let mut properties = self.properties.map;
        let given = self.distinct_id.map(|tree| tree.value);
        let distinct_id = match given.as_ref().or_else(|| properties.get("distinct_id")) {
            None | Some(Value::Null) => {
                return Err(Reply::text(400, "event submitted without a distinct_id"));
            }
            Some(Value::String(text)) if text.is_empty() => {
                return Err(Reply::text(
                    400,
                    "event submitted with an empty distinct_id",
                ));
            }
            Some(Value::String(text)) => text.chars().take(DISTINCT_ID_CHARS).collect(),
            Some(other) => other.to_string().chars().take(DISTINCT_ID_CHARS).collect(),
        };
        for (name, object) in [("$set", self.set), ("$set_once", self.set_once)] {
            if let Some(object) = object {
                properties.entry(name).or_insert(Value::Object(object.map));
            }
        }
        Ok(RecordedEvent {
            event,
            distinct_id,
            uuid: self.uuid.filter(|uuid| !uuid.is_empty()),
            timestamp: self.timestamp,
            properties,
            api_key: api_key.to_owned(),
            sent_at: sent_at.map(str::to_owned),
            historical_migration,
        })
    }
}
