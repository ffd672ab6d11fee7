//! Keys that neither the definitions nor PostHog's answers have: misspelt, or of a flag that was deleted.
//!
//! Without this, code that names such a key would cost a request at each evaluation. A key is absent until definitions are
//! confirmed again, so that a flag that is created is found as soon as its definition. A partial answer says nothing.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// More keys are not remembered: programs name theirs.
const MAX_KEYS: usize = 1_000;
/// Longer keys, in bytes, are not remembered. PostHog's have up to 400 characters.
const LONGEST_KEY: usize = 1_600;

#[derive(Debug, Default)]
pub(super) struct Absent(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How often definitions had been confirmed.
    confirmed: u64,
    keys: HashSet<Box<str>>,
}

impl Absent {
    /// Whether PostHog said that there is no such flag since the definitions were confirmed.
    pub(super) fn contains(&self, confirmed: u64, key: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.confirmed == confirmed && known.keys.contains(key)
    }

    /// PostHog says that there are no such flags. `confirmed`: how often definitions had been confirmed when it was asked.
    pub(super) fn note<'a>(&self, confirmed: u64, keys: impl IntoIterator<Item = &'a str>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.confirmed != confirmed {
            *known = Known {
                confirmed,
                keys: HashSet::new(),
            };
        }
        for key in keys {
            if known.keys.len() < MAX_KEYS && key.len() <= LONGEST_KEY {
                known.keys.insert(key.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_absent_until_definitions_are_confirmed_again() {
        let absent = Absent::default();
        assert!(!absent.contains(0, "a"));
        absent.note(1, ["a"]);
        absent.note(1, ["b"]);
        assert!(absent.contains(1, "a") && absent.contains(1, "b"));
        assert!(!absent.contains(2, "a"));
        absent.note(2, ["b"]);
        assert!(!absent.contains(2, "a") && absent.contains(2, "b"));
    }

    #[test]
    fn no_more_keys_are_remembered_than_programs_name() {
        let absent = Absent::default();
        let keys: Vec<_> = (0..2 * MAX_KEYS).map(|n| n.to_string()).collect();
        absent.note(1, keys.iter().map(String::as_str));
        let known = keys.iter().filter(|key| absent.contains(1, key)).count();
        assert_eq!(known, MAX_KEYS);
    }

    #[test]
    fn keys_that_no_flag_can_have_take_no_memory() {
        let absent = Absent::default();
        let longest = "k".repeat(LONGEST_KEY);
        let longer = "k".repeat(LONGEST_KEY + 1);
        absent.note(1, [&*longest, &*longer]);
        assert!(absent.contains(1, &longest) && !absent.contains(1, &longer));
    }
}
