//! `regex` and `not_regex`: patterns of `fancy-regex`, which is what PostHog has.

use super::given::Given;
use fancy_regex::{CompileError, Error, Regex, RegexBuilder};
use serde_json::Value;
use std::sync::OnceLock;

/// How often a pattern may step back before it counts as no match, as at PostHog.
const BACKTRACK_LIMIT: usize = 10_000;

/// A pattern, compiled when it is first needed: compiling takes longer than all else that is done with a flag at load.
///
/// No reader waits for another one: whoever needs a pattern that is not there compiles it.
#[derive(Debug)]
pub(super) struct Pattern {
    text: Box<str>,
    compiled: OnceLock<Option<Box<Regex>>>,
}

impl Pattern {
    pub(super) fn new(value: &Value) -> Self {
        Self {
            text: Given::from(value).with_text(|text| text.into()),
            compiled: OnceLock::new(),
        }
    }

    /// `None`: the pattern is invalid, or takes too long.
    pub(super) fn holds(&self, given: Given<'_>) -> Option<bool> {
        let compiled = match self.compiled.get() {
            Some(compiled) => compiled,
            None => {
                let _ = self.compiled.set(compile(&self.text));
                self.compiled.get()?
            }
        };
        let regex = compiled.as_ref()?;
        given.with_text(|text| regex.is_match(text)).ok()
    }
}

fn compile(text: &str) -> Option<Box<Regex>> {
    match RegexBuilder::new(text)
        .backtrack_limit(BACKTRACK_LIMIT)
        .build()
    {
        Ok(regex) => Some(Box::new(regex)),
        Err(Error::CompileError(error)) if matches!(*error, CompileError::InnerError(_)) => None,
        Err(_) => None,
    }
}
