//! [`Recent`]: which errors were captured a moment ago, so that one that is logged again on its way out is one issue.
//!
//! ```text
//! error!(error = &e, …)        "card declined"                    captured
//! Err(e), #[instrument(err)]   "card declined"                    a duplicate
//! error!("order failed: {e}")  "order failed: card declined"      a duplicate
//! ```
//!
//! Two exceptions are the same error if they have the same scope (the outermost span, else the thread), come within the
//! window (a tenth of it where the thread is the scope), stand at different callsites, and one of these holds:
//! - the text of the later one, or of one of its sources, is the text of the earlier one;
//! - the text of one ends in that of the other, after `": "`, as a message does that shows an error.
//!
//! At the same callsite it is the same error a second time, which counts. A panic is never a duplicate.
//!
//! Invariant: bounded: [`MAX_TEXTS`] texts are remembered, as numbers.

use super::{Kind, Parts};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How many texts are remembered.
const MAX_TEXTS: usize = 4_096;

/// How many ends of a text count, the shortest ones.
const MAX_ENDS: usize = 8;

/// Shorter texts are the same by chance.
const MIN_TEXT: usize = 4;

/// The texts of errors that were captured a moment ago.
#[derive(Debug, Default)]
pub(super) struct Recent {
    hasher: RandomState,
    texts: HashMap<Text, Captured>,
    /// The oldest first.
    order: VecDeque<(Text, i64)>,
}

/// A text in its scope, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Text {
    Whole(u64),
    End(u64),
}

#[derive(Debug, Clone, Copy)]
struct Captured {
    /// The callsite, as a number.
    place: u64,
    at: i64,
}

impl Recent {
    /// Whether the same error was captured a moment ago. If not, it is remembered.
    pub(super) fn is_duplicate(&mut self, parts: &Parts<'_>, at: i64, window: Duration) -> bool {
        if window.is_zero() {
            return false;
        }
        // What runs on one thread belongs together less than what is in one span.
        let window = match parts.spans.is_empty() {
            true => window / 10,
            false => window,
        };
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let here = Captured {
            place: self.hasher.hash_one((parts.file, parts.line)),
            at,
        };
        let number = |text: &str| self.hasher.hash_one((parts.scope, text.trim()));
        let was = |text: Text| {
            let earlier = self.texts.get(&text);
            earlier.is_some_and(|e| e.place != here.place && at.abs_diff(e.at) <= window)
        };
        let own = match parts.links.first() {
            Some(link) => link.value,
            None => parts.message,
        };
        let is_panic = matches!(parts.kind, Some(Kind::Panic | Kind::FatalPanic));
        let sources = parts.links.iter().skip(1).map(|link| link.value);
        let mut wholes = sources.chain([own]).filter(|text| counts(text));
        let is_duplicate = !is_panic
            && (wholes.any(|text| was(Text::Whole(number(text))))
                || ends(own).any(|end| was(Text::Whole(number(end))))
                || counts(own) && was(Text::End(number(own))));
        // Only the innermost callsite is remembered: when the error happens there again, it is a new one.
        if is_duplicate {
            return true;
        }
        let mut texts: Vec<Text> = ends(own).map(|end| Text::End(number(end))).collect();
        if counts(own) {
            texts.push(Text::Whole(number(own)));
        }
        for text in texts {
            self.remember(text, here);
        }
        false
    }

    fn remember(&mut self, text: Text, here: Captured) {
        self.texts.insert(text, here);
        self.order.push_back((text, here.at));
        if self.order.len() > MAX_TEXTS
            && let Some((oldest, at)) = self.order.pop_front()
            // Else it was captured again since.
            && self.texts.get(&oldest).is_some_and(|captured| captured.at == at)
        {
            self.texts.remove(&oldest);
        }
    }
}

fn counts(text: &str) -> bool {
    text.trim().len() >= MIN_TEXT
}

/// What a text ends in, after each `": "`.
fn ends(text: &str) -> impl Iterator<Item = &str> {
    text.rmatch_indices(": ")
        .filter_map(|(at, colon)| text.get(at + colon.len()..))
        .filter(|end| counts(end))
        .take(MAX_ENDS)
}

#[cfg(test)]
mod tests {
    use super::super::parts::Link;
    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    fn parts<'a>(line: u32, texts: &[&'a str]) -> Parts<'a> {
        Parts {
            kind: Some(Kind::Log),
            file: "src/pay.rs",
            line,
            scope: 7,
            spans: r#"["request"]"#,
            links: texts
                .iter()
                .map(|value| Link {
                    type_name: "",
                    value,
                })
                .collect(),
            ..Parts::default()
        }
    }

    fn message(line: u32, message: &str) -> Parts<'_> {
        Parts {
            message,
            ..parts(line, &[])
        }
    }

    /// Whether the second is a duplicate of the first.
    fn again(first: &Parts<'_>, second: &Parts<'_>) -> bool {
        let mut recent = Recent::default();
        assert!(!recent.is_duplicate(first, 1_000, WINDOW));
        recent.is_duplicate(second, 1_500, WINDOW)
    }

    #[test]
    fn the_same_error_further_out_is_a_duplicate() {
        let declined = parts(1, &["card declined"]);
        assert!(again(&declined, &parts(2, &["card declined"])));
        assert!(again(
            &declined,
            &parts(2, &["order failed", "card declined"])
        ));
        assert!(again(&declined, &message(2, "order failed: card declined")));
        let shown = message(1, "payment failed: card declined");
        assert!(again(&shown, &parts(2, &["card declined"])));
        let deep = "a: b: c: d: e: f: g: h: i: j: k: card declined";
        assert!(again(&message(1, deep), &parts(2, &["card declined"])));
        assert!(again(&shown, &message(2, "payment failed: card declined")));
    }

    #[test]
    fn what_is_not_the_same_is_none() {
        let declined = parts(1, &["card declined"]);
        assert!(!again(&declined, &declined));
        assert!(!again(&declined, &parts(2, &["card expired"])));
        let elsewhere = Parts {
            scope: 8,
            ..parts(2, &["card declined"])
        };
        assert!(!again(&declined, &elsewhere));
        let panic = Parts {
            kind: Some(Kind::Panic),
            ..parts(2, &["card declined"])
        };
        assert!(!again(&declined, &panic));
        assert!(again(&panic, &declined));
        // Two texts that end alike.
        assert!(!again(
            &message(1, "user: not found"),
            &message(2, "menu: not found")
        ));
        assert!(!again(&parts(1, &["no"]), &parts(2, &["no"])));
        assert!(!again(&message(1, ""), &message(2, "")));
    }

    #[test]
    fn an_error_that_happens_again_is_logged_again_on_its_way_out() {
        let mut recent = Recent::default();
        let (inner, outer) = (parts(1, &["card declined"]), parts(2, &["card declined"]));
        for at in 0..5 {
            assert!(!recent.is_duplicate(&inner, at, WINDOW));
            assert!(recent.is_duplicate(&outer, at, WINDOW));
        }
    }

    #[test]
    fn the_window_counts_in_either_direction() {
        let (first, second) = (parts(1, &["card declined"]), parts(2, &["card declined"]));
        for (at, is_duplicate) in [(2_000, true), (2_001, false), (0, true), (-1, false)] {
            let mut recent = Recent::default();
            assert!(!recent.is_duplicate(&first, 1_000, WINDOW));
            assert_eq!(
                recent.is_duplicate(&second, at, WINDOW),
                is_duplicate,
                "{at}"
            );
        }
        for (at, is_duplicate) in [(1_100, true), (1_101, false)] {
            let on_a_thread = |line| Parts {
                spans: "",
                ..parts(line, &["card declined"])
            };
            let mut recent = Recent::default();
            assert!(!recent.is_duplicate(&on_a_thread(1), 1_000, WINDOW));
            assert_eq!(
                recent.is_duplicate(&on_a_thread(2), at, WINDOW),
                is_duplicate
            );
        }
        let mut recent = Recent::default();
        assert!(!recent.is_duplicate(&first, 1_000, Duration::ZERO));
        assert!(!recent.is_duplicate(&second, 1_000, Duration::ZERO));
        assert!(!recent.is_duplicate(&first, i64::MIN, Duration::MAX));
        assert!(!recent.is_duplicate(&first, i64::MAX, Duration::MAX));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        for n in 0..2 * MAX_TEXTS {
            let text = format!("order {n}: card {n} declined");
            assert!(!recent.is_duplicate(&message(1, &text), 1_000, WINDOW));
        }
        assert_eq!(
            (recent.texts.len(), recent.order.len()),
            (MAX_TEXTS, MAX_TEXTS)
        );
        // One that comes again and again stays.
        let often = parts(1, &["card declined"]);
        for n in 0..2 * MAX_TEXTS {
            recent.is_duplicate(&often, n as i64, WINDOW);
            recent.is_duplicate(&message(1, &format!("order {n}")), n as i64, WINDOW);
        }
        let last = 2 * MAX_TEXTS as i64;
        assert!(recent.is_duplicate(&parts(2, &["card declined"]), last, WINDOW));
    }
}
