//! Flags that can never be decided here, each named once.

use crate::flags::FlagDefinitions;
use crate::http::Http;
use crate::redact::excerpt;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// No more definitions are remembered. 160 kB.
const MOST_REMEMBERED: usize = 10_000;
/// No more flags are named in a line.
const MOST_NAMED: usize = 10;
/// Keys are shown up to this many characters.
const LONGEST_KEY: usize = 60;

/// The definitions that were named.
#[derive(Debug, Default)]
pub(super) struct Named {
    hasher: RandomState,
    known: HashSet<u64>,
}

impl Named {
    /// Flags of these definitions that have not been named: `beta-ui (experience_continuity), … and 3 more`.
    pub(super) fn new_ones(
        &mut self,
        definitions: &FlagDefinitions,
        http: &Http,
    ) -> Option<String> {
        let mut named = Vec::new();
        let mut more = 0_u32;
        for (key, reason) in definitions.undecidable() {
            let about = definitions.metadata(key);
            let about = about.map(|about| (about.id, about.version));
            let is_new = self.known.len() < MOST_REMEMBERED
                && self
                    .known
                    .insert(self.hasher.hash_one((key, about, reason)));
            match is_new {
                true if named.len() < MOST_NAMED => {
                    let key = excerpt(&http.clean(key), LONGEST_KEY);
                    named.push(format!("{} ({reason})", key.escape_debug()));
                }
                true => more += 1,
                false => {}
            }
        }
        let mut line = named.join(", ");
        if more > 0 {
            line += &format!(" and {more} more");
        }
        Some(line).filter(|line| !line.is_empty())
    }
}
