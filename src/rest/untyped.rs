//! [`Untyped`]: the answer of an operation whose answer has no type here.
//!
//! It notes the operation that it answers while it is read, so that [`Untyped::into`] can name it. It keeps all of the
//! JSON, and no error shows a value of it.

use crate::error::PostHogError;
use crate::http::answer;
use crate::rest::whole::Whole;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::ops::Deref;

/// Any JSON: the answer of an operation that has no model yet.
///
/// Use it like a [`Value`], or turn it into a type of yours with [`into`](Self::into). A later version may answer a model
/// instead; [`send_as`](super::Request::send_as) reads any answer as your own type, in this version and later ones.
///
/// All of the answer is kept, except for what a [`Value`] cannot hold: an integer beyond 64 bits is a rounded float, and an
/// object that has a name twice is an error. [`send_for_text`](super::Request::send_for_text) gives the JSON as PostHog
/// wrote it.
///
/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// let answer = client.project(12345).feature_flags().remote_config(7).await?;
/// println!("{}", answer["colour"]);
///
/// #[derive(serde::Deserialize)]
/// struct Theme {
///     colour: String,
/// }
/// let theme: Theme = answer.into()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Untyped {
    value: Value,
    /// What was being done when the answer came.
    operation: Option<&'static str>,
}

impl Untyped {
    /// Reads the answer as a type of yours.
    ///
    /// # Errors
    /// [`PostHogError::SerializationError`] if the answer does not fit the type. It names the operation, the type and the
    /// place in the answer, and shows no value of it.
    #[allow(clippy::should_implement_trait)] // may fail
    pub fn into<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        let Self { value, operation } = self;
        // Text, for an error to have a place.
        let json = value.to_string();
        drop(value);
        serde_json::from_str(&json).map_err(|source| {
            let operation = operation.unwrap_or("read an answer");
            answer::misfit_of::<T>(operation, json.as_bytes(), &source)
        })
    }

    /// The JSON itself.
    pub fn into_value(self) -> Value {
        self.value
    }
}

impl<'de> Deserialize<'de> for Untyped {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self {
            value: Whole::deserialize(from)?.0,
            operation: answer::operation_being_read(),
        })
    }
}

impl Serialize for Untyped {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(into)
    }
}

impl fmt::Debug for Untyped {
    /// The JSON, over several lines with `{:#?}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => write!(f, "Untyped({:#})", self.value),
            false => write!(f, "Untyped({})", self.value),
        }
    }
}

impl fmt::Display for Untyped {
    /// The JSON, over several lines with `{:#}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl Deref for Untyped {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

impl From<Value> for Untyped {
    fn from(value: Value) -> Self {
        Self {
            value,
            operation: None,
        }
    }
}

impl From<Untyped> for Value {
    fn from(answer: Untyped) -> Self {
        answer.value
    }
}

impl PartialEq for Untyped {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq<Value> for Untyped {
    fn eq(&self, other: &Value) -> bool {
        self.value == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_shows_itself_as_json() {
        let answer = Untyped::from(json!({"a": [1]}));
        assert_eq!(format!("{answer:?}"), r#"Untyped({"a":[1]})"#);
        assert_eq!(format!("{answer}"), r#"{"a":[1]}"#);
        assert!(format!("{answer:#?}").contains("{\n  \"a\": ["));
        assert_eq!(serde_json::to_value(&answer).unwrap(), json!({"a": [1]}));
        assert_eq!(answer.into_value(), json!({"a": [1]}));
    }

    #[test]
    fn a_name_that_an_object_has_twice_is_an_error() {
        for text in [r#"{"a": 1, "a": 2}"#, r#"[{"a": {"b": 1, "b": 1}}]"#] {
            let error = serde_json::from_str::<Untyped>(text).unwrap_err();
            assert!(error.to_string().contains("a name twice"), "{error}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_but_not_shown() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its reading is looked at")]
        struct Person {
            id: u64,
        }
        let answer = json!({"results": [{"id": 1}, {"id": "ada@example.com"}]});
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its reading is looked at")]
        struct List {
            results: Vec<Person>,
        }
        let error = Untyped::from(answer).into::<List>().unwrap_err();
        let said = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(said.contains("read an answer: "), "{said}");
        assert!(
            said.contains("List at results[1].id: invalid type: string, expected u64"),
            "{said}"
        );
        assert!(!said.contains("ada"), "{said}");
    }
}
