//! `regex` and `not_regex`: patterns of `fancy-regex`, which PostHog uses too.

use super::given::Given;
use super::verdict::{UNSUPPORTED, Verdict};
use fancy_regex::{CompileError, Error, Regex, RegexBuilder};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often a pattern may step back before it counts as no match, as at PostHog.
const BACKTRACK_LIMIT: usize = 10_000;

/// How large a compiled pattern may be, in bytes. A larger one is undecided. PostHog allows five times as much.
const SIZE_LIMIT: usize = 2 << 20;

/// How long the text of a pattern may be, in bytes. A longer one is undecided: it would hardly be compiled within
/// [`SIZE_LIMIT`], and to find that out takes a thousand times its size.
const LONGEST_TEXT: usize = 64 << 10;

/// How long the text of a property may be, in bytes, for a pattern that steps back. For a longer one it is undecided: the
/// time is bounded by [`BACKTRACK_LIMIT`] times the length, and the text may come from a user.
const LONGEST_STEPPED: usize = 4 << 10;

/// How long reading definitions may compile patterns. Most take 30 µs; `\w` and other large classes take several times
/// that.
const COMPILE_TIME: Duration = Duration::from_millis(20);

/// A pattern. One that was not compiled when definitions were read is compiled soon afterwards by who loaded them, or by
/// whoever needs it before; nobody waits for somebody else to do that.
#[derive(Debug)]
pub(super) struct Pattern {
    text: Box<str>,
    compiled: OnceLock<Compiled>,
}

#[derive(Debug)]
enum Compiled {
    Regex {
        regex: Box<Regex>,
        /// It may: others take time in proportion to the text.
        steps_back: bool,
    },
    Invalid,
    TooLarge,
}

impl Pattern {
    /// Whether it occurs in the text. `Err`: what to say, inverse or not, of a pattern that cannot be used.
    pub(super) fn holds(&self, given: Given<'_>) -> Result<bool, Verdict> {
        match self.compiled() {
            Some(Compiled::Regex { regex, steps_back }) => given.with_text(|text| {
                if *steps_back && text.len() > LONGEST_STEPPED {
                    return Err(UNSUPPORTED);
                }
                regex.is_match(text).map_err(|_| Verdict::No)
            }),
            Some(Compiled::Invalid) => Err(Verdict::No),
            Some(Compiled::TooLarge) | None => Err(UNSUPPORTED),
        }
    }

    fn compiled(&self) -> Option<&Compiled> {
        self.compile();
        self.compiled.get()
    }

    #[inline]
    pub(super) fn compile(&self) {
        if self.compiled.get().is_none() {
            // Not `get_or_init`, where others would wait. Who comes second drops its own.
            let _ = self.compiled.set(Compiled::new(&self.text));
        }
    }

    #[cfg(all(test, feature = "testing"))]
    pub(super) fn is_compiled(&self) -> bool {
        self.compiled.get().is_some()
    }
}

impl Compiled {
    fn new(text: &str) -> Self {
        if text.len() > LONGEST_TEXT {
            return Self::TooLarge;
        }
        let built = RegexBuilder::new(text)
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(SIZE_LIMIT)
            .build();
        match built {
            Ok(regex) => Self::Regex {
                regex: Box::new(regex),
                steps_back: may_step_back(text),
            },
            Err(Error::CompileError(error)) => match *error {
                CompileError::InnerError(error) if error.size_limit().is_some() => Self::TooLarge,
                _ => Self::Invalid,
            },
            Err(_) => Self::Invalid,
        }
    }
}

/// Whether a pattern has what `fancy-regex` finds by stepping back: look-around, atomic groups, conditions, possessive
/// repetitions and references to groups. It does not tell, so this may be true of others, but is of all of these.
fn may_step_back(pattern: &str) -> bool {
    let groups = [
        "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?(", "(?~", "(?P=", "(?P>", "(?&", "(?R",
    ];
    let possessive = ["++", "*+", "?+", "}+"];
    let escaped = pattern.split('\\').skip(1);
    let mut escaped = escaped.filter_map(|rest| rest.chars().next());
    groups
        .iter()
        .chain(&possessive)
        .any(|it| pattern.contains(it))
        || escaped.any(|c| c.is_ascii_digit() || "kKGgRX".contains(c))
}

/// The patterns of definitions, each once.
#[derive(Default)]
pub(super) struct Patterns(RefCell<HashMap<Box<str>, Arc<Pattern>>>);

impl Patterns {
    pub(super) fn get(&self, value: &Value) -> Arc<Pattern> {
        Given::from(value).with_text(|text| {
            let mut known = self.0.borrow_mut();
            if let Some(pattern) = known.get(text) {
                return Arc::clone(pattern);
            }
            let pattern = Arc::new(Pattern {
                text: text.into(),
                compiled: OnceLock::new(),
            });
            known.insert(text.into(), Arc::clone(&pattern));
            pattern
        })
    }

    /// Compiles them, as far as there is time. Returns those that are left.
    pub(super) fn compile(self) -> Vec<Arc<Pattern>> {
        let start = Instant::now();
        let mut left: Vec<_> = self.0.into_inner().into_values().collect();
        while start.elapsed() <= COMPILE_TIME
            && let Some(pattern) = left.pop()
        {
            pattern.compile();
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(pattern: &str, text: &str) -> Option<bool> {
        let pattern = Patterns::default().get(&pattern.into());
        let holds = pattern.holds(Given::Text(text));
        match holds {
            Ok(holds) => Some(holds),
            Err(Verdict::No) => Some(false),
            Err(_) => None,
        }
    }

    #[test]
    fn a_pattern_that_steps_back_is_undecided_for_a_long_text_only() {
        let (short, long) = ("ab".repeat(100), "ab".repeat(20_000));
        for pattern in [
            "(?=.*b)a",
            "(?!b)a",
            "(?<=a)b",
            "(?<!b)b",
            "(?>a)b",
            r"(a)b\1",
            r"(?<x>a)b\k<x>",
            "a++b",
        ] {
            assert!(may_step_back(pattern), "{pattern}");
            assert_eq!(holds(pattern, &short), Some(true), "{pattern}");
            assert_eq!(holds(pattern, &long), None, "{pattern}");
        }
        for pattern in [
            "^(ab)+$",
            r"\bab",
            "(?i)AB",
            "a{1,3}b",
            r"\w+\.?",
            "(?:a|b)+?",
            "[+*?]+|a",
        ] {
            assert!(!may_step_back(pattern), "{pattern}");
            assert_eq!(holds(pattern, &long), Some(true), "{pattern}");
        }
    }
}
