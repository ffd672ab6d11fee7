//! UUIDs of version 7: the ids of events, requests and personless events.

use std::hash::{BuildHasher, RandomState};
use uuid::Uuid;

/// UUIDs of version 7. Those of one millisecond count up from random bits, so that they sort as the events
/// came, and what is alike in them is compressed ([RFC 9562, 6.2], method 2).
///
/// [RFC 9562, 6.2]: https://www.rfc-editor.org/rfc/rfc9562#section-6.2
#[derive(Debug)]
pub(crate) struct UuidV7 {
    millis: i64,
    /// The random part of the last one. The version and the variant stand over six of its bits.
    high: [u8; 2],
    low: u64,
}

impl Default for UuidV7 {
    fn default() -> Self {
        Self {
            millis: i64::MIN,
            high: [0; 2],
            low: 0,
        }
    }
}

impl UuidV7 {
    pub(crate) fn at(&mut self, millis: i64) -> Uuid {
        if millis == self.millis {
            self.low = self.low.wrapping_add(1);
        } else {
            self.millis = millis;
            self.begin();
        }
        let mut bits = [0; 10];
        bits[..2].copy_from_slice(&self.high);
        bits[2..].copy_from_slice(&self.low.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis.max(0).unsigned_abs(), &bits).into_uuid()
    }

    fn begin(&mut self) {
        let mut random = [0; 10];
        if getrandom::fill(&mut random).is_err() {
            // The system has no random bits yet; std's hasher keys are unlike in each process.
            let bits = RandomState::new().hash_one(self.millis);
            random[2..].copy_from_slice(&bits.to_ne_bytes());
        }
        let [h0, h1, low @ ..] = random;
        self.high = [h0, h1];
        // With room to count up in, so that it does not go over into the bits of the variant.
        self.low = u64::from_be_bytes(low) >> 3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_of_their_time_and_all_different() {
        let (mut ids, mut others) = (UuidV7::default(), UuidV7::default());
        let times = (0..10_000).map(|n| 1_735_787_045_678 + n / 3 % 2);
        let made: std::collections::HashSet<_> = times
            .flat_map(|at| [(ids.at(at), at), (others.at(at), at)])
            .collect();
        assert_eq!(made.len(), 20_000);
        for (id, at) in made {
            assert_eq!(
                (id.get_version_num(), id.get_variant()),
                (7, uuid::Variant::RFC4122)
            );
            assert_eq!(id.as_u64_pair().0 >> 16, at.unsigned_abs());
        }
    }

    #[test]
    fn ids_of_one_millisecond_sort_as_they_came() {
        for _ in 0..100 {
            let mut ids = UuidV7::default();
            let made: Vec<_> = (0..1_000).map(|_| ids.at(1_735_787_045_678)).collect();
            assert!(made.is_sorted());
        }
    }
}
