//! What was read, as what is sent: parts of answers go into bodies with all that they have.
//!
//! By hand, because the schemas do not say which part of an answer is which part of a body.

use super::models::{self, field::ToObject};
use super::prelude::*;
use super::{ActionStep, AlertThreshold, PropertyFilter, SurveyQuestion};

/// `$without`: what PostHog makes, and does not take.
macro_rules! from_models {
    ($($name:ident without [$($without:literal),*];)*) => {$(
        #[doc = concat!("What was read, with all that it has", $(", but not `", $without, "`",)* ".")]
        impl From<models::$name> for $name {
            fn from(model: models::$name) -> Self {
                #[allow(unused_mut)]
                let mut object = model.to_object();
                $( object.remove($without); )*
                let fields = Fields::of(object);
                Self { fields }
            }
        }
    )*};
}

from_models! {
    ActionStep without ["selector_regex"];
    AlertThreshold without ["id", "created_at"];
    PropertyFilter without [];
    SurveyQuestion without [];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::bodies::{IssueChange, IssueStatus, RatingDisplay};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn sent<M: DeserializeOwned + Into<B>, B: serde::Serialize>(read: &Value) -> Value {
        let model: M = serde_json::from_value(read.clone()).unwrap();
        serde_json::to_value(model.into()).unwrap()
    }

    #[test]
    fn what_was_read_goes_into_bodies() {
        let filter =
            json!({"key": "a", "value": 1.0, "operator": "gt", "type": "person", "new": 1});
        assert_eq!(
            sent::<models::PropertyFilter, PropertyFilter>(&filter),
            filter
        );
        let question =
            json!({"type": "rating", "question": "?", "scale": 5, "isNpsQuestion": true});
        assert_eq!(
            sent::<models::SurveyQuestion, SurveyQuestion>(&question),
            question
        );

        let mut step =
            json!({"event": "a", "selector": "b", "selector_regex": "c", "url_matching": "regex"});
        let sent_step = sent::<models::ActionStep, ActionStep>(&step);
        step.as_object_mut().unwrap().remove("selector_regex");
        assert_eq!(sent_step, step);

        let threshold = json!({"id": "a", "created_at": "b", "name": "c", "configuration": {"type": "absolute"}});
        assert_eq!(
            sent::<models::AlertThreshold, AlertThreshold>(&threshold),
            json!({"name": "c", "configuration": {"type": "absolute"}})
        );
    }

    #[test]
    fn values_that_were_read_are_values_to_send() {
        let issue: models::ErrorTrackingIssue =
            serde_json::from_value(json!({"status": "resolved"})).unwrap();
        let change = IssueChange::new().status(issue.status.unwrap());
        assert_eq!(
            serde_json::to_value(change).unwrap(),
            json!({"status": "resolved"})
        );
        assert_eq!(
            IssueStatus::from("later"),
            IssueStatus::Other("later".into())
        );
        assert_eq!(RatingDisplay::from("emoji").to_string(), "emoji");
    }
}
