//! [`CapturedException`]: a `$exception` event, parsed for tests.
//!
//! ```text
//! RecordedEvent ─[exception]─► CapturedException ─[grouping]─► Grouping: what makes PostHog's issue
//!                                   │
//!                                   └─ errors: type, text, CapturedFrame…
//! ```
//!
//! Invariants:
//! - Everything is read from the properties as they are sent; nothing is asked of the code that captured.
//! - Text of events goes to a terminal escaped.

use super::recorded::printable;
use super::{CapturedEvents, Grouping, RecordedEvent};
use serde_json::Value;
use std::fmt;

impl CapturedEvents {
    /// All exceptions so far, in order of capture: the `$exception` events, parsed.
    ///
    /// ```
    /// use tracing_posthog::testing::CapturedEvents;
    ///
    /// let captured = CapturedEvents::new();
    /// let failed = "seven".parse::<i32>().unwrap_err();
    /// captured.handle().capture_error(&failed);
    ///
    /// let exceptions = captured.exceptions();
    /// assert_eq!(exceptions.len(), 1, "{captured:?}");
    /// assert_eq!(exceptions[0].types(), ["std::num::ParseIntError"]);
    /// assert_eq!(exceptions[0].values(), ["invalid digit found in string"]);
    /// ```
    ///
    /// # Panics
    /// As [`events`](Self::events).
    #[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
    pub fn exceptions(&self) -> Vec<CapturedException> {
        let events = self.events();
        events.iter().filter_map(RecordedEvent::exception).collect()
    }
}

impl RecordedEvent {
    /// The event as an exception. `None` if it is another event, or if it has no `$exception_list` with an error in it.
    #[must_use]
    #[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
    pub fn exception(&self) -> Option<CapturedException> {
        if self.event != "$exception" {
            return None;
        }
        let list = self.property("$exception_list")?.as_array()?;
        let errors: Vec<_> = list.iter().map(CapturedError::of).collect();
        (!errors.is_empty()).then(|| CapturedException {
            event: self.clone(),
            errors,
        })
    }
}

/// An exception as PostHog's error tracking gets it: an error with its sources, and what stands beside it.
///
/// Made by [`CapturedEvents::exceptions`] and [`RecordedEvent::exception`]. `Display` shows it like a report of an error,
/// with its own frames.
#[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
#[derive(Clone, PartialEq)]
pub struct CapturedException {
    event: RecordedEvent,
    /// Never empty.
    errors: Vec<CapturedError>,
}

/// One entry of `$exception_list`.
#[derive(Clone, PartialEq)]
pub(super) struct CapturedError {
    pub(super) type_name: String,
    pub(super) value: String,
    handled: Option<bool>,
    /// Empty: no stack.
    pub(super) frames: Vec<CapturedFrame>,
}

impl CapturedException {
    /// The types of the error and its sources, the outermost first.
    #[must_use]
    pub fn types(&self) -> Vec<&str> {
        self.errors.iter().map(|it| &*it.type_name).collect()
    }

    /// The texts of the error and its sources, the outermost first.
    #[must_use]
    pub fn values(&self) -> Vec<&str> {
        self.errors.iter().map(|it| &*it.value).collect()
    }

    /// `$exception_level`: `fatal`, `error`, `warning`, `info` or `debug`. Empty if there is none.
    #[must_use]
    pub fn level(&self) -> &str {
        self.text("$exception_level").unwrap_or_default()
    }

    /// Whether the program dealt with it. `false` for panics.
    #[must_use]
    pub fn is_handled(&self) -> bool {
        self.errors[0].handled.unwrap_or(true)
    }

    /// The fingerprint that the program gave it (`posthog.fingerprint`, `Exception::fingerprint`). `None` if PostHog is to
    /// find out what it belongs to: see [`grouping`](Self::grouping).
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.text("$exception_fingerprint")
    }

    /// The title that a new issue gets. `None`: the type of the outermost error.
    #[must_use]
    pub fn issue_name(&self) -> Option<&str> {
        self.text("$issue_name")
    }

    /// The stack, the outermost frame first: that of the first error that has one. Empty if there is none.
    #[must_use]
    pub fn frames(&self) -> &[CapturedFrame] {
        let stacks = self.errors.iter().map(|it| &*it.frames);
        stacks.into_iter().find(|it| !it.is_empty()).unwrap_or(&[])
    }

    /// The frames of the program's own code, the outermost first. The last one is where it happened.
    pub fn in_app_frames(&self) -> impl DoubleEndedIterator<Item = &CapturedFrame> {
        self.frames().iter().filter(|frame| frame.in_app)
    }

    /// Whom it belongs to.
    #[must_use]
    pub fn distinct_id(&self) -> &str {
        &self.event.distinct_id
    }

    /// The whole event, with all properties.
    #[must_use]
    pub fn event(&self) -> &RecordedEvent {
        &self.event
    }

    /// What PostHog makes the issue of. Exceptions with the same grouping are one issue.
    ///
    /// ```
    /// use tracing_posthog::testing::CapturedEvents;
    ///
    /// let captured = CapturedEvents::new();
    /// for text in ["x", "", "999999999999"] {
    ///     captured.handle().capture_error(&text.parse::<i32>().unwrap_err());
    /// }
    /// let groupings: Vec<_> = captured.exceptions().iter().map(|it| it.grouping()).collect();
    /// assert_eq!(groupings[0], groupings[1], "the text does not matter");
    /// assert_eq!(groupings[0], groupings[2]);
    /// ```
    #[must_use]
    pub fn grouping(&self) -> Grouping {
        Grouping::of(self.fingerprint(), &self.errors)
    }

    fn text(&self, property: &str) -> Option<&str> {
        self.event.property(property)?.as_str()
    }
}

/// A frame of a stack, as it is sent.
#[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CapturedFrame {
    /// The function. `None` if PostHog is to find it.
    pub function: Option<String>,
    /// The module, if it is sent.
    pub module: Option<String>,
    /// The source file, without the directories of the machine that built the program.
    pub filename: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// Whether it is the program's own code.
    pub in_app: bool,
    /// Whether it is no frame of the stack, but the place of the capture.
    pub synthetic: bool,
    /// The address by which PostHog finds function, file and line, such as `0x55d0c0de1000`. `None` if they were found
    /// before.
    pub address: Option<String>,
    /// Where the image begins that the address lies in.
    pub(super) image: Option<String>,
    pub(super) language: Option<String>,
}

impl CapturedError {
    fn of(entry: &Value) -> Self {
        let text = |name| text_of(entry, name).unwrap_or_default();
        let frames = &entry["stacktrace"]["frames"];
        Self {
            type_name: text("type"),
            value: text("value"),
            handled: entry["mechanism"]["handled"].as_bool(),
            frames: (frames.as_array().into_iter().flatten())
                .map(CapturedFrame::of)
                .collect(),
        }
    }
}

impl CapturedFrame {
    fn of(frame: &Value) -> Self {
        let text = |name| text_of(frame, name).filter(|text| !text.is_empty());
        let number = |name: &str| frame[name].as_u64().and_then(|n| u32::try_from(n).ok());
        let flag = |name: &str| frame[name] == true;
        Self {
            function: text("function"),
            module: text("module"),
            filename: text("filename"),
            line: number("lineno"),
            column: number("colno"),
            in_app: flag("in_app"),
            synthetic: flag("synthetic"),
            // Inlined frames have the address of the frame that they are in, and are not looked up.
            address: text("instruction_addr").filter(|_| !flag("inline")),
            image: text("image_addr"),
            language: text("lang"),
        }
    }
}

fn text_of(object: &Value, name: &str) -> Option<String> {
    object[name].as_str().map(str::to_owned)
}

/// `pay (src/pay.rs:12)`.
impl fmt::Display for CapturedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (&self.function, &self.address) {
            (Some(function), _) => function,
            (None, Some(address)) => address,
            (None, None) => "unknown",
        };
        f.write_str(&printable(name))?;
        let Some(file) = self.filename.as_deref().map(printable) else {
            return Ok(());
        };
        match self.line {
            // A place of capture has it in its name.
            Some(line) if self.synthetic && *name == format!("{file}:{line}") => Ok(()),
            Some(line) => write!(f, " ({file}:{line})"),
            None => write!(f, " ({file})"),
        }
    }
}

/// `type: text` of an error.
impl fmt::Display for CapturedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (type_name, value) = (printable(&self.type_name), printable(&self.value));
        write!(f, "{type_name}: {value}")
    }
}

/// The errors, then the program's own frames, the innermost first.
impl fmt::Display for CapturedException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = printable(self.distinct_id());
        write!(f, "{}  ({id})", self.errors[0])?;
        for source in &self.errors[1..] {
            write!(f, "\n    caused by {source}")?;
        }
        for frame in self.in_app_frames().rev() {
            write!(f, "\n    at {frame}")?;
        }
        Ok(())
    }
}

/// Without the other properties; see [`CapturedException::event`] for these.
impl fmt::Debug for CapturedException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<_> = self.errors.iter().map(ToString::to_string).collect();
        let frames: Vec<_> = self.frames().iter().map(shown).collect();
        let mut s = f.debug_struct("CapturedException");
        s.field("errors", &errors)
            .field("level", &self.level())
            .field("handled", &self.is_handled())
            .field("distinct_id", &self.distinct_id());
        if let Some(fingerprint) = self.fingerprint() {
            s.field("fingerprint", &fingerprint);
        }
        if let Some(name) = self.issue_name() {
            s.field("issue_name", &name);
        }
        s.field("frames", &frames).finish_non_exhaustive()
    }
}

fn shown(frame: &CapturedFrame) -> String {
    let mark = match (frame.in_app, frame.synthetic) {
        (true, false) => "",
        (true, true) => ", synthetic",
        (false, _) => ", not in app",
    };
    format!("{frame}{mark}")
}
