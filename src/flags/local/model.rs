//! Definitions as they are evaluated: what flags refer to is resolved, what they compare with is prepared.
//!
//! Flags and cohorts refer to each other by their place in [`FlagDefinitions`](super::FlagDefinitions). `graph` has made sure that following such
//! references ends, and soon.

use super::operator::Test;
use super::verdict::Verdict;
use crate::flags::value::UnresolvedReason;
use std::ops::Range;

#[derive(Debug)]
pub(super) struct Flag {
    pub(super) key: Box<str>,
    pub(super) id: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) has_experiment: Option<bool>,
    pub(super) rule: Rule,
    /// By variant, or "true": the text of a JSON value.
    pub(super) payloads: Box<[(Box<str>, Box<str>)]>,
}

#[derive(Debug)]
pub(super) enum Rule {
    Inactive,
    Undecided(UnresolvedReason),
    Conditions(Box<Rules>),
}

#[derive(Debug)]
pub(super) struct Rules {
    pub(super) by: By,
    /// The person property that decides, where there is one.
    pub(super) enrollment: Option<Box<str>>,
    pub(super) holdout: Option<Holdout>,
    pub(super) conditions: Box<[Condition]>,
    pub(super) variants: Box<[Variant]>,
    pub(super) early_exit: bool,
    /// Something in the conditions cannot be evaluated here.
    pub(super) unsupported: bool,
}

/// Whose id decides who is in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Person,
    Device,
    /// The group of that type.
    Group(GroupType),
}

/// A group type, by its place in [`FlagDefinitions::group_types`](super::FlagDefinitions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupType(pub(super) u32);

#[derive(Debug)]
pub(super) struct Holdout {
    /// The value of those who are held out.
    pub(super) value: Box<str>,
    pub(super) share: Share,
}

#[derive(Debug)]
pub(super) struct Condition {
    pub(super) by: By,
    pub(super) filters: Box<[Filter]>,
    pub(super) share: Share,
    /// The place of the variant that it gives to all.
    pub(super) variant: Option<u32>,
}

/// Who of those that match.
#[derive(Debug, Clone, Copy)]
pub(super) enum Share {
    All,
    Nobody,
    /// Those whose hash is not above it.
    UpTo(f64),
}

impl Share {
    pub(super) fn new(percentage: Option<f64>) -> Self {
        match percentage {
            None => Self::All,
            Some(percentage) if percentage >= 100.0 => Self::All,
            Some(percentage) if percentage <= 0.0 => Self::Nobody,
            Some(percentage) => Self::UpTo(percentage / 100.0),
        }
    }
}

#[derive(Debug)]
pub(super) struct Variant {
    pub(super) key: Box<str>,
    pub(super) hashes: Range<f64>,
}

#[derive(Debug)]
pub(super) enum Filter {
    Property(Box<Property>),
    Cohort {
        cohort: u32,
        /// Members do not match.
        inverse: bool,
    },
    Flag {
        flag: u32,
        expected: Expected,
    },
    /// The same for everybody.
    Always(Verdict),
}

#[derive(Debug)]
pub(super) struct Property {
    pub(super) of: Owner,
    pub(super) key: Box<str>,
    pub(super) test: Test,
}

/// Whose property.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    Person,
    Group(GroupType),
}

/// What another flag has to be.
#[derive(Debug)]
pub(super) enum Expected {
    Bool(bool),
    Variant(Box<str>),
    /// Of a type that no flag's value has.
    Nothing,
}

#[derive(Debug)]
pub(super) enum Cohort {
    Group(Group),
    Always(Verdict),
}

/// Filters of which all or any have to hold.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) all: bool,
    pub(super) entries: Box<[Entry]>,
}

#[derive(Debug)]
pub(super) enum Entry {
    Filter { filter: Filter, negated: bool },
    Group(Group),
}

/// A flag or a cohort that another one refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    Flag(u32),
    Cohort(u32),
}

impl Filter {
    pub(super) fn reference(&self) -> Option<Reference> {
        match self {
            Self::Cohort { cohort, .. } => Some(Reference::Cohort(*cohort)),
            Self::Flag { flag, .. } => Some(Reference::Flag(*flag)),
            Self::Property(_) | Self::Always(_) => None,
        }
    }
}

impl Group {
    /// Calls `each` for every filter, with how deep it lies.
    pub(super) fn each_filter(&self, depth: usize, each: &mut dyn FnMut(&Filter, usize)) {
        for entry in &self.entries {
            match entry {
                Entry::Filter { filter, .. } => each(filter, depth),
                Entry::Group(group) => group.each_filter(depth + 1, each),
            }
        }
    }
}
