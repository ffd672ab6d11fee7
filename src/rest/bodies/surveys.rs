//! [`SurveyQuestion`].
//!
//! By hand, because PostHog's schema has a shape for each of five kinds of questions, most of whose fields are the same.

use super::prelude::*;
use serde_json::{Value, json};

object! {
    /// A question of a survey.
    ///
    /// ```
    /// use tracing_posthog::rest::bodies::SurveyQuestion;
    ///
    /// let questions = [
    ///     SurveyQuestion::rating("How likely would you recommend us?", 10).is_nps(true),
    ///     SurveyQuestion::single_choice("What do you use?", ["Web", "Mobile"]).has_open_choice(true),
    ///     SurveyQuestion::open("Anything else?").optional(true),
    /// ];
    /// ```
    pub struct SurveyQuestion {
        /// By which branches and answers refer to it. PostHog makes one where there is none.
        id: text,
        /// A text below the question.
        description: text,
        /// The format of the description.
        description_format as "descriptionContentType": part(super::SurveyTextFormat),
        /// Whether people may skip it.
        optional: boolean,
        /// The text of the button that leads on.
        button_text as "buttonText": text,
        /// The question in other languages: objects by language.
        translations: json,
        /// Whether the choices come in a random order. Of choices.
        shuffle_options as "shuffleOptions": boolean,
        /// Whether the last choice is a text that people write. Of choices.
        has_open_choice as "hasOpenChoice": boolean,
        /// What the lowest number means. Of ratings.
        lower_bound_label as "lowerBoundLabel": text,
        /// What the highest number means. Of ratings.
        upper_bound_label as "upperBoundLabel": text,
        /// Numbers or faces. Of ratings.
        display: part(RatingDisplay),
        /// Whether it measures the Net Promoter Score. Of ratings up to 10.
        is_nps as "isNpsQuestion": boolean,
        /// Which answers count: `[{"type": "min_length", "value": 10}]`. Of open questions.
        validation: json,
    }
}

one_of! {
    /// What a rating is given by.
    pub enum RatingDisplay {
        Number = "number",
        Emoji = "emoji",
    }
}

impl SurveyQuestion {
    /// People write a text.
    pub fn open(question: impl Into<String>) -> Self {
        Self::of("open", question.into())
    }

    /// People follow a link.
    pub fn link(question: impl Into<String>, url: impl Into<String>) -> Self {
        let mut link = Self::of("link", question.into());
        link.fields.text("link", url.into());
        link
    }

    /// People give a number from 1, or from 0 where the scale is 10, up to `scale`: 2, 3, 5, 7 or 10.
    pub fn rating(question: impl Into<String>, scale: impl Into<serde_json::Number>) -> Self {
        let mut rating = Self::of("rating", question.into());
        rating.fields.number("scale", Some(scale.into()));
        rating.fields.set("display", "number".into());
        rating
    }

    /// People choose one.
    pub fn single_choice(
        question: impl Into<String>,
        choices: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self::choice("single_choice", question.into(), choices)
    }

    /// People choose any number.
    pub fn multiple_choice(
        question: impl Into<String>,
        choices: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self::choice("multiple_choice", question.into(), choices)
    }

    /// The survey goes on with the question at that place, from 0.
    pub fn then_question(mut self, index: u32) -> Self {
        self.fields.set(
            "branching",
            json!({"type": "specific_question", "index": index}),
        );
        self
    }

    /// The survey ends with this question.
    pub fn then_end(mut self) -> Self {
        self.fields.set("branching", json!({"type": "end"}));
        self
    }

    /// Where the survey goes on depends on the answer: places of questions from 0, or `end`, by answer.
    pub fn branch(
        mut self,
        by_answer: impl IntoIterator<Item = (impl Into<String>, impl Into<Value>)>,
    ) -> Self {
        let mut values = super::models::Object::new();
        for (answer, to) in by_answer {
            values.insert(answer.into(), to.into());
        }
        self.fields.set(
            "branching",
            json!({"type": "response_based", "responseValues": values}),
        );
        self
    }

    fn of(kind: &str, question: String) -> Self {
        let mut fields = Fields::default();
        fields.set("type", kind.into());
        fields.text("question", question);
        Self { fields }
    }

    fn choice(
        kind: &str,
        question: String,
        choices: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let mut choice = Self::of(kind, question);
        let choices = choices.into_iter().map(|c| Ok(Value::String(c.into())));
        choice.fields.list("choices", choices);
        choice
    }
}

#[cfg(test)]
impl crate::rest::body::sample::Sample for SurveyQuestion {
    fn samples() -> Vec<Self> {
        use super::SurveyTextFormat;
        let common = |of: Self| {
            of.id("a")
                .description("b")
                .description_format(SurveyTextFormat::Html)
                .optional(true)
                .button_text("Next")
        };
        vec![
            Self::open("?"),
            common(Self::open("?")).then_question(1),
            common(Self::link("?", "https://example.com")).then_end(),
            common(Self::rating("?", 5))
                .lower_bound_label("bad")
                .upper_bound_label("good")
                .display(RatingDisplay::Emoji)
                .branch([("negative", json!(1)), ("positive", json!("end"))]),
            Self::rating("?", 10).is_nps(true),
            common(Self::single_choice("?", ["a", "b"]))
                .shuffle_options(true)
                .has_open_choice(true)
                .branch([("0", json!("end"))]),
            common(Self::multiple_choice("?", ["a", "b"])).has_open_choice(true),
        ]
    }
}
