//! What the generated methods need of a request beyond what its users have.

use crate::client::{AnyQuery, Request};
use serde_json::Value;
use std::fmt::Display;

impl<A, Q> Request<A, Q> {
    /// The same request without its types, so that different ones can stand in one list.
    pub fn untyped(self) -> Request<Value, AnyQuery> {
        Request::new(self.call)
    }

    /// A list of texts, as JSON: what PostHog's own client sends.
    pub(crate) fn query_list(
        self,
        name: &'static str,
        items: impl IntoIterator<Item = impl Display>,
    ) -> Self {
        let items = items.into_iter().map(|i| i.to_string().into()).collect();
        self.query(name, Value::Array(items))
    }

    pub(crate) fn query_ints(
        self,
        name: &'static str,
        items: impl IntoIterator<Item = i64>,
    ) -> Self {
        self.query(
            name,
            Value::Array(items.into_iter().map(Value::from).collect()),
        )
    }
}
