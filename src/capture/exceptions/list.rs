//! `$exception_list`, and what stands beside it.
//!
//! The shape is PostHog's (<https://github.com/PostHog/sdk-specs>, "exception event metadata"): the outermost error first,
//! the outermost frame first, unknown fields left out.
//!
//! Invariants:
//! - Each entry has a type. PostHog groups by it, so it never depends on a text.
//! - Each entry has a stack if the exception has one: sources have its place. PostHog groups by the text otherwise.
//! - All texts together take at most [`MAX_TEXTS`] bytes: a long chain costs texts, not the event.
//! - Fields of the event and of spans take the place of no property that PostHog reads or writes itself.

use super::symbols::{Frame, Image, Stack};
use super::{Config, Kind, Parts, paths, scrub};
use crate::event::Event;
use crate::event::record::Val;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// How many characters of a text PostHog keeps.
const MAX_VALUE: usize = 10_000;

/// How many bytes all texts of a chain take.
const MAX_TEXTS: usize = 256 << 10;

/// How many characters the title of an issue takes from a message.
const MAX_TITLE: usize = 200;

/// The type of an error in a chain, where nothing is known of it.
const UNKNOWN: &str = "Error";

/// What PostHog's processing adds. From a client it would be taken for PostHog's.
const OWNED_BY_POSTHOG: [&str; 10] = [
    "$exception_types",
    "$exception_values",
    "$exception_sources",
    "$exception_functions",
    "$exception_handled",
    "$exception_fingerprint_version",
    "$exception_fingerprint_record",
    "$exception_issue_id",
    "$exception_release",
    "$cymbal_errors",
];

/// Adds the properties of an exception to its event.
pub(super) fn write(parts: &Parts<'_>, stack: &Stack, config: &Config, event: &mut Event) {
    let properties = &mut event.properties;
    for name in OWNED_BY_POSTHOG {
        properties.remove(name);
    }
    let mut put = |name: &str, value: Option<Value>| match value {
        Some(value) => drop(properties.insert(name.to_owned(), value)),
        None if name.starts_with('$') => drop(properties.remove(name)),
        None => {}
    };
    let kind = parts.kind.unwrap_or(Kind::Log);
    put("$exception_list", Some(list(parts, kind, stack, config)));
    put("$exception_level", Some(parts.level.into()));
    put("$exception_source", source(kind).map(Into::into));
    let images: Vec<_> = stack.images.iter().map(image).collect();
    put("$debug_images", (!images.is_empty()).then(|| images.into()));
    let message = shown(parts.message, config);
    let spans: Vec<String> = serde_json::from_str(parts.spans).unwrap_or_default();
    let issue_name = parts.issue_name.and_then(text_of);
    let issue_name = issue_name.and_then(|name| Some(title(&shown(&name, config))?.to_owned()));
    let issue_name = issue_name.or_else(|| title(&message).map(str::to_owned));
    // As `#[instrument(err)]` logs: its type is the callsite's, and says less than the function.
    let is_text = parts
        .links
        .first()
        .is_some_and(|link| link.type_name.is_empty());
    let of_span = || Some(format!("error in {}", spans.last()?));
    let issue_name = issue_name.or_else(|| of_span().filter(|_| is_text));
    for (name, value) in [
        (
            "$exception_fingerprint",
            parts.fingerprint.and_then(text_of),
        ),
        ("$issue_name", issue_name),
        (
            "$release_id",
            config.release_id.as_deref().map(str::to_owned),
        ),
        (
            "message",
            Some(message.into_owned()).filter(|m| !m.is_empty()),
        ),
    ] {
        if value.is_some() {
            put(name, value.map(Into::into));
        }
    }
    if !spans.is_empty() {
        put("spans", Some(spans.into()));
    }
    if parts.suppressed > 0 {
        put("exceptions_suppressed", Some(parts.suppressed.into()));
    }
}

fn list(parts: &Parts<'_>, kind: Kind, stack: &Stack, config: &Config) -> Value {
    let mut left = MAX_TEXTS;
    let mut value = |text: &str| {
        let text = shown(text, config);
        let text = cut(&text, MAX_VALUE, left);
        left -= text.len();
        text.to_owned()
    };
    let mut list: Vec<Value> = Vec::new();
    if parts.links.is_empty() {
        let text = match parts.message {
            "" if parts.file.is_empty() => String::new(),
            "" => format!("{}:{}", paths::shown::<&str>(parts.file, &[]), parts.line),
            message => value(message),
        };
        list.push(json!({"type": callsite_type(parts), "value": text}));
    }
    for (n, link) in parts.links.iter().enumerate() {
        let type_name = match (link.type_name, n) {
            ("", 0) => callsite_type(parts),
            ("", _) => UNKNOWN,
            (known, _) => known,
        };
        list.push(json!({"type": type_name, "value": value(link.value)}));
    }
    let is_synthetic = parts.links.is_empty();
    for (n, entry) in list.iter_mut().enumerate() {
        entry["mechanism"] = match n {
            0 => outermost(kind, is_synthetic),
            n => json!({
                "type": "chained",
                "source": "cause",
                "synthetic": false,
                "exception_id": n,
                "parent_id": n - 1,
            }),
        };
    }
    if let Some(place) = place(&stack.frames) {
        let whole: Vec<_> = stack.frames.iter().map(frame).collect();
        let of_sources = vec![frame(place)];
        for (n, entry) in list.iter_mut().enumerate() {
            let frames = if n == 0 { &whole } else { &of_sources };
            entry["stacktrace"] = json!({"type": "raw", "frames": frames});
        }
    }
    list.into()
}

/// The frame that sources get. PostHog groups an error without a stack by its text, which would make one issue for each
/// text of a source.
fn place(frames: &[Frame]) -> Option<&Frame> {
    let own = frames.iter().rev().find(|frame| frame.in_app);
    own.or(frames.last())
}

/// The type of an exception without an error value: where it was captured.
fn callsite_type<'a>(parts: &Parts<'a>) -> &'a str {
    let names = [parts.target, parts.module];
    names
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or(UNKNOWN)
}

fn outermost(kind: Kind, synthetic: bool) -> Value {
    let (name, handled) = match kind {
        Kind::Log => ("logger", true),
        Kind::Manual => ("generic", true),
        Kind::Panic | Kind::FatalPanic => ("panic", false),
    };
    json!({"type": name, "handled": handled, "synthetic": synthetic, "exception_id": 0})
}

/// Which hook captured it.
fn source(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Log => Some("tracing.layer"),
        Kind::Manual => None,
        Kind::Panic | Kind::FatalPanic => Some("rust.panic_hook"),
    }
}

fn frame(frame: &Frame) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<Box<str>>| text.as_deref().map(Into::into);
    let is_named = !frame.function.is_empty();
    put("platform", Some("native".into()));
    put("lang", Some("rust".into()));
    put("function", is_named.then(|| (&*frame.function).into()));
    put("module", text(&frame.module));
    put("filename", text(&frame.filename));
    put("lineno", frame.line.map(Into::into));
    put("colno", frame.column.map(Into::into));
    put("in_app", Some(frame.in_app.into()));
    put("synthetic", Some(frame.synthetic.into()));
    put("client_resolved", Some(is_named.into()));
    if let Some(address) = frame.address {
        put("instruction_addr", Some(hex(address.instruction)));
        put("image_addr", Some(hex(address.image)));
    }
    fields.into()
}

fn image(image: &Image) -> Value {
    let mut fields = json!({
        "type": image.kind,
        "debug_id": image.debug_id,
        "image_addr": hex(image.address),
        "image_size": image.size,
        "image_vmaddr": hex(image.stated_address),
        "code_file": image.file,
        "arch": image.arch,
    });
    if let Some(id) = &image.code_id {
        fields["code_id"] = (&**id).into();
    }
    fields
}

fn hex(address: u64) -> Value {
    format!("{address:#x}").into()
}

/// The text of a field. `None`: it says nothing.
fn text_of(value: Val<'_>) -> Option<String> {
    Some(value.to_text()).filter(|text| !text.trim().is_empty())
}

fn shown<'a>(text: &'a str, config: &Config) -> Cow<'a, str> {
    match config.scrub {
        true => scrub::scrub(text),
        false => Cow::Borrowed(text),
    }
}

/// The first line, up to its limit.
fn title(message: &str) -> Option<&str> {
    let line = message
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())?;
    Some(cut(line, MAX_TITLE, usize::MAX))
}

/// The beginning of a text, up to so many characters and bytes.
fn cut(text: &str, chars: usize, bytes: usize) -> &str {
    let end = text
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(end, _)| end);
    let end = (0..=end.min(bytes))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
