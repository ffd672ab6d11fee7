//! Where somebody is between 0 and 1, for one flag: the same everywhere, as PostHog's SDKs and service agree on it.

use sha1::{Digest, Sha1};

/// The largest value of 60 bits.
const SCALE: f64 = 0x0fff_ffff_ffff_ffff_u64 as f64;

/// For the rollout of a flag.
pub(super) fn rollout(key: &str, id: &str) -> f64 {
    of(&[key.as_bytes(), b".", id.as_bytes()])
}

/// For the variants of a flag.
pub(super) fn variant(key: &str, id: &str) -> f64 {
    of(&[key.as_bytes(), b".", id.as_bytes(), b"variant"])
}

/// For all holdouts.
pub(super) fn holdout(id: &str) -> f64 {
    of(&[b"holdout-", id.as_bytes()])
}

fn of(parts: &[&[u8]]) -> f64 {
    let mut sha1 = Sha1::new();
    for part in parts {
        sha1.update(part);
    }
    let digest = sha1.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(first) >> 4) as f64 / SCALE
}
