//! Version operators: semantic versions as the `semver` crate orders them, read more leniently.
//!
//! A version may have one to three numbers, with leading zeros, and one `v` before it.

use super::given::Given;
use semver::{BuildMetadata, Prerelease, Version, VersionReq};
use serde_json::Value;

#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Order {
    pub(super) fn holds(self, left: &Version, right: &Version) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

/// Allocates only for a long pre-release or build text.
pub(super) fn version(given: Given<'_>) -> Option<Version> {
    given.with_text(parse)
}

fn bare(text: &str) -> &str {
    text.strip_prefix('v').unwrap_or(text).trim()
}

/// The numbers of a version, and what follows them.
fn halves(text: &str) -> (&str, &str) {
    text.split_at(text.find(['-', '+']).unwrap_or(text.len()))
}

fn parse(text: &str) -> Option<Version> {
    let (numbers, suffix) = halves(bare(text));
    let mut version = Version::new(0, 0, 0);
    let mut parts = numbers.split('.');
    for (at, slot) in [&mut version.major, &mut version.minor, &mut version.patch]
        .into_iter()
        .enumerate()
    {
        match parts.next() {
            Some(part) if part.bytes().all(|byte| byte.is_ascii_digit()) => {
                *slot = part.parse().ok()?;
            }
            None if at > 0 => {}
            _ => return None,
        }
    }
    if parts.next().is_some() {
        return None;
    }
    if !suffix.is_empty() {
        let (pre, build) = match suffix.split_once('+') {
            Some((pre, build)) => (pre, Some(build)),
            None => (suffix, None),
        };
        if let Some(pre) = pre.strip_prefix('-') {
            version.pre = Prerelease::new(pre).ok().filter(|pre| !pre.is_empty())?;
        }
        if let Some(build) = build {
            version.build = BuildMetadata::new(build)
                .ok()
                .filter(|build| !build.is_empty())?;
        }
    }
    Some(version)
}

/// What `semver_tilde` (`~`) and `semver_caret` (`^`) ask for.
pub(super) fn requirement(sign: char, value: &Value) -> Option<VersionReq> {
    Given::from(value).with_text(|text| {
        let (numbers, suffix) = halves(bare(text));
        let mut parts: Vec<&str> = numbers.split('.').map(without_zeros).collect();
        while parts.len() < 3 {
            parts.push("0");
        }
        VersionReq::parse(&format!("{sign}{}{suffix}", parts.join("."))).ok()
    })
}

/// What `semver_wildcard` asks for. Without a star it is a caret requirement.
pub(super) fn wildcard(value: &Value) -> Option<VersionReq> {
    Given::from(value).with_text(|text| {
        let parts: Vec<&str> = bare(text).split('.').map(without_zeros).collect();
        VersionReq::parse(&parts.join(".").replace('*', "x")).ok()
    })
}

fn without_zeros(part: &str) -> &str {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return part;
    }
    match part.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    }
}
