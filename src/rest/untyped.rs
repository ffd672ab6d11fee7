//! [`Untyped`]: the answer of an operation whose answer has no type here.

use crate::error::PostHogError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::Deref;

/// Any JSON: the answer of an operation that has no model yet.
///
/// It reads like a [`Value`], and becomes a type of yours with [`into`](Self::into). A later version may answer a model
/// instead; [`send_as`](super::Request::send_as) reads any answer as your own type, now and then.
///
/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// let answer = client.project(12345).feature_flags().my_flags().await?;
/// println!("{}", answer[0]["feature_flag"]["key"]);
///
/// #[derive(serde::Deserialize)]
/// struct MyFlag {
///     value: serde_json::Value,
/// }
/// let flags: Vec<MyFlag> = answer.into()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untyped(Value);

impl Untyped {
    /// Reads the answer as a type of yours.
    ///
    /// # Errors
    /// [`PostHogError::SerializationError`] where the answer does not fit the type.
    #[allow(clippy::should_implement_trait)] // may fail
    pub fn into<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        serde_json::from_value(self.0).map_err(|source| PostHogError::SerializationError {
            operation: "read an answer",
            what: std::any::type_name::<T>().into(),
            source,
        })
    }

    /// The JSON itself.
    pub fn into_value(self) -> Value {
        self.0
    }
}

impl Deref for Untyped {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl From<Value> for Untyped {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<Untyped> for Value {
    fn from(answer: Untyped) -> Self {
        answer.0
    }
}

impl PartialEq<Value> for Untyped {
    fn eq(&self, other: &Value) -> bool {
        self.0 == *other
    }
}
