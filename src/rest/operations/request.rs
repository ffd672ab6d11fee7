//! What the generated methods need of a request beyond what its users have: bodies, and parameters that can be wrong.
//!
//! A parameter that cannot be sent (a time out of range, NaN) does not panic and is not left out: the request keeps the
//! problem, and fails with a `PostHogError::Config` that names the parameter instead of being sent.

use crate::rest::body::{finite, to_json};
use crate::rest::request::Problem;
use crate::rest::{AnyParams, BodyContent, IntoBody, Request, Time, Untyped};
use serde::Serialize;
use serde_json::{Number, Value};
use std::fmt::Display;

impl<A, P> Request<A, P> {
    /// The same request without its types, so that different ones can stand in one list.
    pub fn untyped(self) -> Request<Untyped, AnyParams> {
        Request::new(self.call)
    }

    /// The body that the operation takes as an argument.
    pub(super) fn with<B>(mut self, body: impl IntoBody<B>) -> Self {
        let BodyContent(content) = body.into_body();
        self.call.put(content);
        self
    }

    fn query_checked(mut self, name: &'static str, value: Result<String, Problem>) -> Self {
        match value {
            Ok(value) => self.call.set(name.to_owned(), value),
            Err(problem) => self.call.fail(problem),
        }
        self
    }

    pub(super) fn query_time(self, name: &'static str, value: Time) -> Self {
        self.query_checked(name, value.checked(name))
    }

    pub(super) fn query_number(self, name: &'static str, value: Option<Number>) -> Self {
        let value = finite(name, value);
        self.query_checked(name, value.map(|number| number.to_string()))
    }

    /// Any value, as JSON; a text stands there without quotes.
    pub(super) fn query_json(self, name: &'static str, value: &impl Serialize) -> Self {
        let value = to_json(name, value).map(|value| match value {
            Value::String(text) => text,
            value => value.to_string(),
        });
        self.query_checked(name, value)
    }

    /// A list of texts, as JSON: what PostHog's own client sends.
    pub(super) fn query_list(
        self,
        name: &'static str,
        items: impl IntoIterator<Item = impl Display>,
    ) -> Self {
        let items = items.into_iter().map(|i| i.to_string().into()).collect();
        self.query(name, Value::Array(items))
    }

    pub(super) fn query_integers(
        self,
        name: &'static str,
        items: impl IntoIterator<Item = impl Into<Number>>,
    ) -> Self {
        let items = items.into_iter().map(|i| Value::Number(i.into()));
        self.query(name, Value::Array(items.collect()))
    }
}
