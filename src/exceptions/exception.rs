//! [`Exception`]: an error with what is known of it.

use super::chain::text_of;
use super::into::IntoException;
use super::text::limited;
use serde_json::{Map, Value};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::fmt;

/// An error with what is known of it: types and texts of the error and its sources, and what you add.
///
/// [`capture_error`](crate::PostHog::capture_error) makes one of an error by itself. Make it yourself to say more, or where
/// the layer would lose something:
///
/// ```
/// use tracing_posthog::Exception;
///
/// # let posthog = tracing_posthog::CaptureHandle::disabled();
/// let failed = "seven".parse::<i32>().unwrap_err();
/// let exception = Exception::of(&failed).property("field", "quantity").fingerprint("quantity-malformed");
/// assert_eq!(exception.type_name(), "std::num::ParseIntError");
/// posthog.capture_error(exception);
/// ```
///
/// An `Exception` is an [`Error`] itself, so that the layer takes it as the value of a field. What it knows then counts:
/// the backtrace of an `anyhow::Error`, say, which `error.as_ref()` does not have, or the attachments of a report of
/// `error-stack`.
///
/// ```
/// # use tracing_posthog::Exception;
/// # fn f(report: Box<dyn std::error::Error>) {
/// tracing::error!(error = &Exception::of(&report) as &dyn std::error::Error, "payment failed");
/// # }
/// ```
///
/// # Limits
///
/// 50 errors of a chain, 10,000 characters of each text and 60,000 of all together, 64 KiB of a backtrace. What is more is
/// left out.
#[derive(Clone, PartialEq)]
#[must_use = "an exception is not captured until it is given to `capture_error` or to a field of an event"]
pub struct Exception {
    /// The outermost first.
    pub(crate) links: Vec<Link>,
    /// The text of a backtrace.
    pub(crate) backtrace: Option<Box<str>>,
    pub(crate) distinct_id: Option<Box<str>>,
    pub(crate) fingerprint: Option<Box<str>>,
    pub(crate) level: Option<tracing::Level>,
    pub(crate) properties: Map<String, Value>,
}

/// How much of a backtrace is kept: some hundreds of frames.
const MAX_BACKTRACE: usize = 64 << 10;

/// An error of the chain.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Link {
    pub(crate) type_name: Box<str>,
    pub(crate) value: Box<str>,
}

impl Exception {
    /// An error of that type and text, for what is no [`Error`].
    pub fn new(type_name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        let mut exception = Self::empty();
        exception.links.push(Link {
            type_name: type_name.as_ref().into(),
            value: text_of(&value),
        });
        exception
    }

    /// What is known of an error: see [`IntoException`].
    pub fn of<M>(error: impl IntoException<M>) -> Self {
        error.into_exception()
    }

    pub(super) fn empty() -> Self {
        Self {
            links: Vec::new(),
            backtrace: None,
            distinct_id: None,
            fingerprint: None,
            level: None,
            properties: Map::new(),
        }
    }

    /// Adds what is known of a source. What is said already stays.
    pub(super) fn take_in(&mut self, source: &Self) {
        self.links.extend_from_slice(&source.links);
        let or = |said: &mut Option<Box<str>>, more: &Option<Box<str>>| {
            if said.is_none() {
                said.clone_from(more);
            }
        };
        or(&mut self.backtrace, &source.backtrace);
        or(&mut self.distinct_id, &source.distinct_id);
        or(&mut self.fingerprint, &source.fingerprint);
        self.level = self.level.or(source.level);
        for (name, value) in &source.properties {
            if !self.properties.contains_key(name) {
                self.properties.insert(name.clone(), value.clone());
            }
        }
    }

    /// Adds an error that caused this one, with its own sources.
    ///
    /// ```
    /// # use tracing_posthog::Exception;
    /// # fn f(error: std::io::Error) {
    /// let exception = Exception::new("ImportFailed", "cannot import the menu").caused_by(&error);
    /// # }
    /// ```
    pub fn caused_by<M>(mut self, source: impl IntoException<M>) -> Self {
        self.take_in(&source.into_exception());
        self
    }

    /// The type of the error: a path, where its type is known. Empty: not known; then PostHog gets a name made of the place
    /// where the error is captured.
    pub fn type_name(&self) -> &str {
        self.links.first().map_or("", |link| &link.type_name)
    }

    /// The text of the error.
    pub fn value(&self) -> &str {
        self.links.first().map_or("", |link| &link.value)
    }

    /// Replaces the type of the error.
    pub fn with_type_name(mut self, type_name: impl AsRef<str>) -> Self {
        if let Some(link) = self.links.first_mut() {
            link.type_name = type_name.as_ref().into();
        }
        self
    }

    /// The stack where the error arose, instead of the one where it is captured. One that was not captured, because
    /// `RUST_BACKTRACE` is not set, is ignored.
    ///
    /// Its names are looked up here and now, which takes some milliseconds the first time.
    ///
    /// ```
    /// # use tracing_posthog::Exception;
    /// use std::backtrace::Backtrace;
    ///
    /// # #[derive(Debug)]
    /// struct PayError { backtrace: Backtrace }
    /// # impl std::fmt::Display for PayError {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("failed") }
    /// # }
    /// # impl std::error::Error for PayError {}
    ///
    /// let error = PayError { backtrace: Backtrace::capture() };
    /// let exception = Exception::of(&error).backtrace(&error.backtrace);
    /// ```
    pub fn backtrace(mut self, backtrace: &Backtrace) -> Self {
        if backtrace.status() == BacktraceStatus::Captured {
            self.backtrace = Some(limited(backtrace, MAX_BACKTRACE).0.into());
        }
        self
    }

    /// Whom it happened to. Default: whom the current span names.
    pub fn distinct_id(mut self, id: impl AsRef<str>) -> Self {
        self.distinct_id = Some(id.as_ref().into());
        self
    }

    /// Makes PostHog group it with exceptions of the same fingerprint, whatever their types and stacks.
    pub fn fingerprint(mut self, fingerprint: impl AsRef<str>) -> Self {
        self.fingerprint = Some(fingerprint.as_ref().into());
        self
    }

    /// How severe it is. Default `ERROR`.
    pub fn level(mut self, level: tracing::Level) -> Self {
        self.level = Some(level);
        self
    }

    /// How severe somebody said it is.
    pub(crate) fn level_given(&self) -> Option<tracing::Level> {
        self.level
    }

    /// A property of the event.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value())
    }
}

/// Shows types. Texts and properties may be personal.
impl fmt::Debug for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<_> = self.links.iter().map(|link| &link.type_name).collect();
        f.debug_struct("Exception")
            .field("types", &types)
            .finish_non_exhaustive()
    }
}

impl Error for Exception {}
