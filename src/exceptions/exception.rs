//! [`Exception`]: an error with what is known of it.

use super::into::IntoException;
use serde_json::{Map, Value};
use std::error::Error;
use std::fmt;

/// An error with what is known of it: types and texts of the error and its sources, and what you add.
///
/// ```
/// use tracing_posthog::Exception;
///
/// let failed: std::num::ParseIntError = "seven".parse::<i32>().unwrap_err();
/// let exception = Exception::of(&failed).property("field", "quantity").fingerprint("quantity-malformed");
/// assert_eq!(exception.type_name(), "core::num::error::ParseIntError");
/// ```
///
/// An `Exception` is an [`Error`] itself, so that the layer takes it as the value of a field. Its types and its backtrace
/// then count:
///
/// ```
/// # use tracing_posthog::Exception;
/// # fn f(report: std::io::Error) {
/// tracing::error!(error = &Exception::of(&report) as &dyn std::error::Error, "payment failed");
/// # }
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Exception {
    /// The outermost first. Never empty, but for `default`.
    pub(super) links: Vec<Link>,
    pub(super) backtrace: Option<Box<str>>,
    pub(super) distinct_id: Option<Box<str>>,
    pub(super) fingerprint: Option<Box<str>>,
    pub(super) level: Option<tracing::Level>,
    pub(super) properties: Map<String, Value>,
}

/// An error of the chain.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Link {
    pub(super) type_name: Box<str>,
    pub(super) value: Box<str>,
}

impl Exception {
    /// An error of that type and text, for what is no [`Error`].
    pub fn new(type_name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        Self {
            links: vec![Link {
                type_name: type_name.as_ref().into(),
                value: value.to_string().into(),
            }],
            ..Self::default()
        }
    }

    /// What is known of an error: see [`IntoException`].
    pub fn of<M>(error: impl IntoException<M>) -> Self {
        error.into_exception()
    }

    /// The type of the error.
    pub fn type_name(&self) -> &str {
        self.links.first().map_or("", |link| &link.type_name)
    }

    /// Replaces the type of the error.
    pub fn with_type_name(mut self, type_name: impl AsRef<str>) -> Self {
        if let Some(link) = self.links.first_mut() {
            link.type_name = type_name.as_ref().into();
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

    /// A property of the event.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.links.first().map_or("", |link| &link.value))
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
