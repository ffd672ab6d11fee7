//! The runtime under the types of [`bodies`](super::bodies): which fields were set, and with what.
//!
//! ```text
//!  NewFeatureFlag::new("beta").name("…")    ──► Fields ──► IntoBody ──► Content of a request
//!  Raw(value)                               ─────────────────┘
//! ```
//!
//! A field is in the JSON if and only if it was set. What cannot be JSON (NaN, a time out of range) is kept as the first
//! problem, and becomes the error of the request: making a body needs no `?`.

use super::Time;
use super::models::Object;
use super::models::field::EXACT;
use super::request::{Content, Problem};
use super::time::with_time_texts;
use serde::{Serialize, Serializer};
use serde_json::{Number, Value};
use std::fmt;

pub(crate) mod macros;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod with;

/// Any value as the body of an operation, in place of its own type.
///
/// For fields and shapes that this crate does not know. Operations that have no type for their body take nothing else.
///
/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use serde_json::json;
/// use tracing_posthog::rest::Raw;
///
/// let flags = client.project(12345).feature_flags();
/// flags.update(7, Raw(json!({"active": false}))).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<T>(pub T);

/// What an operation takes where its body is a `B`: a `B`, a `&B`, or [`Raw`] of anything.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the body of this operation",
    label = "this operation takes `{B}`",
    note = "make a `{B}`, or send any value with `rest::Raw(value)`"
)]
pub trait IntoBody<B>: sealed::Sealed {
    #[doc(hidden)]
    fn into_body(self) -> BodyContent;
}

/// What a request sends.
#[doc(hidden)]
#[derive(Debug)]
pub struct BodyContent(pub(crate) Content);

mod sealed {
    pub trait Sealed {}
}

pub(crate) use sealed::Sealed;

impl<T: Serialize> Sealed for Raw<T> {}
impl<T: Sealed> Sealed for &T {}

impl<B, T: Serialize> IntoBody<B> for Raw<T> {
    fn into_body(self) -> BodyContent {
        BodyContent(Content::json(serde_json::to_vec(&self.0)))
    }
}

/// A number of a body: an integer of any width, or a float. NaN and infinities, which JSON has no text for, make the
/// request fail with [`PostHogError::Config`](crate::PostHogError).
pub trait IntoNumber: sealed::Sealed {
    #[doc(hidden)]
    fn into_number(self) -> Option<Number>;
}

macro_rules! numbers {
    ($($integer:ty),*) => {$(
        impl Sealed for $integer {}
        impl IntoNumber for $integer {
            fn into_number(self) -> Option<Number> {
                Some(self.into())
            }
        }
    )*};
}

numbers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl Sealed for f64 {}

impl IntoNumber for f64 {
    /// A float without a fraction is written as an integer: PostHog compares `25` and `25.0` as text in places.
    fn into_number(self) -> Option<Number> {
        if self.fract() == 0.0 && self.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be exact")]
            return Some((self as i64).into());
        }
        Number::from_f64(self)
    }
}

impl Sealed for f32 {}

impl IntoNumber for f32 {
    fn into_number(self) -> Option<Number> {
        // By its text: `0.1_f32` as an `f64` is 0.10000000149011612.
        if self.is_finite() {
            self.to_string().parse::<f64>().ok()?.into_number()
        } else {
            None
        }
    }
}

/// A part of a body that has a type of its own: an object, or one of several texts.
pub(crate) trait Part {
    fn into_json(self) -> Result<Value, Problem>;
}

/// The fields that were set.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Fields {
    object: Object,
    /// What was wrong with the first value that cannot be sent.
    problem: Option<Problem>,
}

/// The names only: the values may be personal.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.object.keys()).finish()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match &self.problem {
            Some(problem) => Err(serde::ser::Error::custom(format_args!(
                "{}: {}",
                problem.setting, problem.problem
            ))),
            None => self.object.serialize(into),
        }
    }
}

impl Fields {
    pub(crate) fn set(&mut self, field: &str, value: Value) {
        self.object.insert(field.to_owned(), value);
    }

    /// The fields of an object.
    pub(crate) fn of(object: Object) -> Self {
        let problem = None;
        Self { object, problem }
    }

    /// Sets a field that is not set.
    pub(crate) fn set_new(&mut self, field: &str, value: Value) {
        self.object.entry(field).or_insert(value);
    }

    fn set_or(&mut self, field: &'static str, value: Result<Value, Problem>) {
        match value {
            Ok(value) => self.set(field, value),
            Err(problem) => self.fail(problem),
        }
    }

    pub(crate) fn null(&mut self, field: &'static str) {
        self.set(field, Value::Null);
    }

    pub(crate) fn text(&mut self, field: &'static str, value: String) {
        self.set(field, Value::String(value));
    }

    pub(crate) fn number(&mut self, field: &'static str, value: Option<Number>) {
        self.set_or(field, finite(field, value));
    }

    pub(crate) fn percentage(&mut self, field: &'static str, value: Option<Number>) {
        self.set_or(field, percentage(field, value));
    }

    pub(crate) fn time(&mut self, field: &'static str, value: Time) {
        self.set_or(field, time(field, value));
    }

    pub(crate) fn json(&mut self, field: &'static str, value: &impl Serialize) {
        self.set_or(field, to_json(field, value));
    }

    pub(crate) fn part<P: Part>(&mut self, field: &'static str, value: P) {
        self.set_or(field, value.into_json());
    }

    /// A list. The first item that cannot be sent is the problem of all of them.
    pub(crate) fn list(
        &mut self,
        field: &'static str,
        items: impl Iterator<Item = Result<Value, Problem>>,
    ) {
        self.set_or(field, items.collect::<Result<_, _>>().map(Value::Array));
    }

    /// An object of any values.
    pub(crate) fn entries(
        &mut self,
        field: &'static str,
        entries: impl Iterator<Item = (String, Result<Value, Problem>)>,
    ) {
        let entries = entries.map(|(name, value)| value.map(|value| (name, value)));
        self.set_or(field, entries.collect::<Result<_, _>>().map(Value::Object));
    }

    /// Adds one entry to an object, which is made where there is none.
    pub(crate) fn entry(&mut self, field: &'static str, name: String, value: &impl Serialize) {
        match to_json(field, value) {
            Ok(value) => {
                if let Some(object) = self.object_mut(field) {
                    object.insert(name, value);
                }
            }
            Err(problem) => self.fail(problem),
        }
    }

    /// Adds one item to a list, which is made where there is none.
    pub(crate) fn push(&mut self, field: &'static str, item: impl Part) {
        match item.into_json() {
            Ok(item) => {
                if let Some(list) = self.list_mut(field) {
                    list.push(item);
                }
            }
            Err(problem) => self.fail(problem),
        }
    }

    /// The object of a field, which is made where there is none or `null`. Anything else there is a problem.
    pub(crate) fn object_mut(&mut self, field: &'static str) -> Option<&mut Object> {
        let there = self.object.entry(field).or_insert(Value::Null);
        match as_object(field, there) {
            Ok(object) => Some(object),
            Err(problem) => {
                self.problem.get_or_insert(problem);
                None
            }
        }
    }

    /// The list of a field, which is made where there is none or `null`. Anything else there is a problem.
    pub(crate) fn list_mut(&mut self, field: &'static str) -> Option<&mut Vec<Value>> {
        let there = self.object.entry(field).or_insert(Value::Null);
        match as_list(field, there) {
            Ok(list) => Some(list),
            Err(problem) => {
                self.problem.get_or_insert(problem);
                None
            }
        }
    }

    /// Takes the value of a field out, to put it back edited.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.object.remove(field)
    }

    /// Records what is wrong with a body. The first problem counts.
    pub(crate) fn fail(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    pub(crate) fn content(&self) -> Content {
        match &self.problem {
            Some(problem) => Content::Bad(problem.clone()),
            None => Content::json(serde_json::to_vec(&self.object)),
        }
    }

    pub(crate) fn into_json(self) -> Result<Value, Problem> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(Value::Object(self.object)),
        }
    }
}

pub(crate) fn finite(field: &'static str, value: Option<Number>) -> Result<Value, Problem> {
    value.map(Value::Number).ok_or_else(|| Problem {
        setting: field,
        problem: "NaN and infinities cannot be sent; give a finite number".into(),
    })
}

/// The object in a value, which replaces `null`.
pub(crate) fn as_object<'a>(
    field: &'static str,
    value: &'a mut Value,
) -> Result<&'a mut Object, Problem> {
    if value.is_null() {
        *value = Value::Object(Object::new());
    }
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Problem {
            setting: field,
            problem: "it is set to what is no object, and nothing can be added to that".into(),
        }),
    }
}

/// The list in a value, which replaces `null`.
pub(crate) fn as_list<'a>(
    field: &'static str,
    value: &'a mut Value,
) -> Result<&'a mut Vec<Value>, Problem> {
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(list) => Ok(list),
        _ => Err(Problem {
            setting: field,
            problem: "it is set to what is no list, and nothing can be added to that".into(),
        }),
    }
}

/// A percentage, from 0 to 100.
pub(crate) fn percentage(field: &'static str, value: Option<Number>) -> Result<Value, Problem> {
    let value = finite(field, value)?;
    match value.as_f64() {
        Some(number) if (0.0..=100.0).contains(&number) => Ok(value),
        _ => Err(Problem {
            setting: field,
            problem: format!("{value} is no percentage; give a number from 0 to 100"),
        }),
    }
}

/// One number of a list.
pub(crate) fn number(field: &'static str, value: impl IntoNumber) -> Result<Value, Problem> {
    finite(field, value.into_number())
}

/// A time, as a text that PostHog reads.
pub(crate) fn time(field: &'static str, value: Time) -> Result<Value, Problem> {
    value.checked(field).map(Value::String)
}

/// A value of the caller's as JSON.
pub(crate) fn to_json(field: &'static str, value: &impl Serialize) -> Result<Value, Problem> {
    let value = serde_json::to_value(value).map(with_time_texts);
    value.map_err(|error| Problem {
        setting: field,
        problem: format!("the value cannot be written as JSON: {error}"),
    })
}
