//! [`Grouping`]: what PostHog makes an issue of.
//!
//! The rules are those of PostHog's error tracking service (`cymbal`: the fingerprint of an exception list and of a
//! frame, in its first and current version), as its public source has them on 2026-11-28. They are written here for a
//! project without grouping rules of its own, whose symbols are not uploaded: a frame that PostHog is to look up counts as
//! not found.
//!
//! ```text
//! fingerprint of the program? ──yes──► that, and nothing else
//!      │ no
//!      ▼
//! each error of the list, the outermost first:
//!      type ─► has it a stack? ──no──► its text
//!                   │ yes
//!                   ▼
//!              its own frames; if any frame of the stack is found, those that are found. No own frame: the first frame
//!                   └─► each: file, module, function (without a function: also line, column, language)
//! ```
//!
//! Invariant: the same events have the same grouping on every machine and in every process, as far as PostHog's own
//! rules hold.

use super::exceptions::{CapturedError, CapturedFrame};
use super::recorded::printable;
use std::fmt;

/// What PostHog makes the issue of an exception of. Exceptions of the same grouping are one issue.
///
/// By PostHog's rules, the issue is made of
/// - the fingerprint that the program gave (`posthog.fingerprint`), and nothing else; or, without one,
/// - of every error of the chain, its type, and
///   - its text, if the error has no stack of its own; this counts for sources too,
///   - otherwise file, module and function of its own frames ([`in_app`](CapturedFrame::in_app)), or of the outermost frame
///     if none is its own. Lines do not count, if the function is known.
///
/// Not known here are a project's own grouping rules, and the names that PostHog finds with uploaded symbols: a frame with
/// an [`address`](CapturedFrame::address) counts as not found.
///
/// ```
/// use tracing_posthog::Exception;
/// use tracing_posthog::testing::{CapturedEvents, GroupingInput};
///
/// let captured = CapturedEvents::new();
/// for order in [17, 18] {
///     captured.handle().capture_error(Exception::new("Declined", format!("order {order}")));
/// }
/// let [first, second] = &captured.exceptions()[..] else { panic!("{captured:?}") };
/// assert_eq!(first.grouping(), second.grouping());
/// assert_eq!(first.grouping().inputs()[0], GroupingInput::Type("Declined".into()));
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Grouping {
    inputs: Vec<GroupingInput>,
}

/// One part of what an issue is made of.
#[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupingInput {
    /// The fingerprint that the program gave.
    Fingerprint(String),
    /// The type of an error.
    Type(String),
    /// The text of an error without a stack.
    Message(String),
    /// The source file of a frame. PostHog puts module and image there if a frame that it looks up has no file.
    File(String),
    /// The module of a frame.
    Module(String),
    /// The function of a frame. Empty if it is not known.
    Function(String),
    /// The line of a frame without a function.
    Line(u32),
    /// The column of a frame without a function.
    Column(u32),
    /// The language of a frame without a function.
    Language(String),
}

impl Grouping {
    pub(super) fn of(fingerprint: Option<&str>, errors: &[CapturedError]) -> Self {
        let mut inputs = Vec::new();
        match fingerprint {
            Some(fingerprint) => inputs.push(GroupingInput::Fingerprint(fingerprint.to_owned())),
            None => errors.iter().for_each(|it| add_error(it, &mut inputs)),
        }
        Self { inputs }
    }

    /// What the issue is made of, in PostHog's order.
    #[must_use]
    pub fn inputs(&self) -> &[GroupingInput] {
        &self.inputs
    }
}

fn add_error(error: &CapturedError, inputs: &mut Vec<GroupingInput>) {
    inputs.push(GroupingInput::Type(error.type_name.clone()));
    if error.frames.is_empty() {
        inputs.push(GroupingInput::Message(error.value.clone()));
    }
    for frame in counted(&error.frames) {
        add_frame(frame, inputs);
    }
}

/// The frames that count.
fn counted(frames: &[CapturedFrame]) -> Vec<&CapturedFrame> {
    if !frames.iter().any(|frame| frame.in_app) {
        return frames.first().into_iter().collect();
    }
    let some_are_found = frames.iter().any(is_found);
    let own = frames.iter().filter(|frame| frame.in_app);
    own.filter(|frame| is_found(frame) || !some_are_found)
        .collect()
}

/// Whether PostHog knows the frame without symbols.
fn is_found(frame: &CapturedFrame) -> bool {
    frame.address.is_none() && frame.function.is_some()
}

fn add_frame(frame: &CapturedFrame, inputs: &mut Vec<GroupingInput>) {
    let file = frame.filename.clone().or_else(|| image_of(frame));
    inputs.extend(file.map(GroupingInput::File));
    inputs.extend(frame.module.clone().map(GroupingInput::Module));
    let function = frame.function.clone();
    let is_named = function.is_some();
    inputs.push(GroupingInput::Function(function.unwrap_or_default()));
    if is_named {
        return;
    }
    inputs.extend(frame.line.map(GroupingInput::Line));
    inputs.extend(frame.column.map(GroupingInput::Column));
    inputs.push(GroupingInput::Language(language_of(frame).to_owned()));
}

/// What PostHog shows as the file of a frame that it did not find.
fn image_of(frame: &CapturedFrame) -> Option<String> {
    frame.address.as_ref()?;
    let module = frame.module.as_ref()?;
    Some(match &frame.image {
        Some(image) => format!("{module} +{image}"),
        None => module.clone(),
    })
}

fn language_of(frame: &CapturedFrame) -> &str {
    let file = frame.filename.as_deref().unwrap_or_default();
    match file.rsplit_once('.') {
        Some((_, "rs")) => "rust",
        Some((_, "c" | "h")) => "c",
        Some((_, "cpp" | "cc" | "cxx" | "hpp" | "hh" | "hxx")) => "cpp",
        _ => frame.language.as_deref().unwrap_or("native"),
    }
}

/// `type Declined`, `file src/pay.rs`, …
impl fmt::Display for GroupingInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, text) = match self {
            Self::Fingerprint(text) => ("fingerprint", text),
            Self::Type(text) => ("type", text),
            Self::Message(text) => ("message", text),
            Self::File(text) => ("file", text),
            Self::Module(text) => ("module", text),
            Self::Function(text) => ("function", text),
            Self::Language(text) => ("language", text),
            Self::Line(line) => return write!(f, "line {line}"),
            Self::Column(column) => return write!(f, "column {column}"),
        };
        write!(f, "{name} {}", printable(text))
    }
}

/// The inputs, separated by commas. The same text for the same inputs.
impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, input) in self.inputs.iter().enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            write!(f, "{separator}{input}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grouping({self})")
    }
}
