//! [`SeenSpans`]: the callsites of spans that were shown to the layer. A filter around the layer hides others from it, and
//! would not tell it of their end; so nothing is set on these by hand.
//!
//! A table without locks, because a callsite that shares its place in the table of interests with another is looked up here
//! each time one of the two comes. The few that find no place in the table go to a set.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use tracing::Metadata;

const PLACES: usize = 1024;
/// How many places after its own a callsite may take.
const TRIES: usize = 16;

#[derive(Debug)]
pub(crate) struct SeenSpans {
    places: Box<[AtomicUsize; PLACES]>,
    others: Mutex<HashSet<usize>>,
}

impl Default for SeenSpans {
    fn default() -> Self {
        Self {
            places: Box::new([const { AtomicUsize::new(0) }; PLACES]),
            others: Mutex::default(),
        }
    }
}

impl SeenSpans {
    fn places_of(&self, address: usize) -> impl Iterator<Item = &AtomicUsize> {
        let first = ((address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize;
        (first..first + TRIES).map(|place| &self.places[place % PLACES])
    }

    /// False: try again another time. The set may be growing, in an allocator that opens spans itself.
    pub(crate) fn add(&self, metadata: &'static Metadata<'static>) -> bool {
        self.add_address(std::ptr::from_ref(metadata).addr())
    }

    fn add_address(&self, address: usize) -> bool {
        for place in self.places_of(address) {
            let taken = match place.load(Relaxed) {
                0 => place.compare_exchange(0, address, Relaxed, Relaxed),
                other => Err(other),
            };
            if taken.is_ok() || taken == Err(address) {
                return true;
            }
        }
        match self.others.try_lock() {
            Ok(mut others) => {
                others.insert(address);
                true
            }
            Err(_) => false,
        }
    }

    pub(crate) fn contains(&self, metadata: &'static Metadata<'static>) -> bool {
        self.contains_address(std::ptr::from_ref(metadata).addr())
    }

    fn contains_address(&self, address: usize) -> bool {
        for place in self.places_of(address) {
            match place.load(Relaxed) {
                0 => return false,
                other if other == address => return true,
                _ => {}
            }
        }
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.contains(&address)
    }

    /// Adds those of a layer that is replaced.
    pub(crate) fn adopt(&self, replaced: &Self) {
        let others = replaced
            .others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let places = replaced.places.iter().map(|place| place.load(Relaxed));
        for address in places.filter(|address| *address != 0).chain(others) {
            self.add_address(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_callsites_is_remembered() {
        let (seen, heir) = (SeenSpans::default(), SeenSpans::default());
        let addresses = |n: usize| (1..=n).map(|n| 0x5000 + 0x60 * n);
        for n in [100, 5_000] {
            assert!(addresses(n).all(|address| seen.add_address(address)));
            assert!(addresses(n).all(|address| seen.add_address(address)));
            assert!(addresses(n).all(|address| seen.contains_address(address)));
            assert!(!seen.contains_address(0x50));
        }
        assert!(!seen.others.lock().unwrap().is_empty());
        heir.adopt(&seen);
        assert!(addresses(5_000).all(|address| heir.contains_address(address)));
    }
}
