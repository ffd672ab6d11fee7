//! What a form of an error becomes, as a table says it.

use crate::seen::{kit, list_of};
use serde_json::{Value, json};
use tracing_posthog::testing::RecordedEvent;

/// A form that somebody writes, and what is expected of it.
pub(crate) struct Form {
    what: &'static str,
    run: Box<dyn FnOnce()>,
    links: Vec<(&'static str, String)>,
    user: Option<&'static str>,
    properties: Vec<(&'static str, Value)>,
    absent: Vec<&'static str>,
}

pub(crate) fn form(what: &'static str, run: impl FnOnce() + 'static) -> Form {
    Form {
        what,
        run: Box::new(run),
        links: Vec::new(),
        user: None,
        properties: Vec::new(),
        absent: Vec::new(),
    }
}

impl Form {
    /// The next error of the chain.
    pub(crate) fn link(mut self, type_name: &'static str, value: impl Into<String>) -> Self {
        self.links.push((type_name, value.into()));
        self
    }

    pub(crate) fn user(mut self, id: &'static str) -> Self {
        self.user = Some(id);
        self
    }

    pub(crate) fn property(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.properties.push((name, value.into()));
        self
    }

    pub(crate) fn message(self, text: &'static str) -> Self {
        self.property("message", text)
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.absent.push(name);
        self
    }

    /// Says what is not as expected.
    fn check(self, events: &[RecordedEvent]) -> Vec<String> {
        let [event] = events else {
            return vec![format!("{}: {} events", self.what, events.len())];
        };
        let mut wrong = Vec::new();
        let mut same = |what: &str, got: Value, want: Value| {
            if got != want {
                wrong.push(format!("{}: {what} is {got}, not {want}", self.what));
            }
        };
        same("name", json!(event.event), json!("$exception"));
        let list = list_of(event);
        same("links", json!(list.len()), json!(self.links.len()));
        for (n, ((type_name, value), link)) in self.links.iter().zip(&list).enumerate() {
            same(&format!("value {n}"), link["value"].clone(), json!(value));
            same(&format!("type {n}"), link["type"].clone(), json!(type_name));
        }
        match self.user {
            Some(user) => same("user", json!(event.distinct_id), json!(user)),
            None => {
                let profile = event.properties.get("$process_person_profile");
                same("profile", json!(profile), json!(false));
            }
        }
        let property = |name: &str| event.properties.get(name).cloned().unwrap_or_default();
        for (name, want) in self.properties {
            same(name, property(name), want);
        }
        for name in self.absent {
            same(name, property(name), Value::Null);
        }
        wrong
    }
}

/// Runs each form, all with one kit.
#[track_caller]
pub(crate) fn check(forms: Vec<Form>) {
    let kit = kit();
    let mut wrong = Vec::new();
    for mut form in forms {
        let run = std::mem::replace(&mut form.run, Box::new(|| {}));
        kit.in_scope(run);
        wrong.extend(form.check(&kit.take()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
