//! [`Evaluation`]: definitions, somebody, and a time, which is all that a flag depends on.
//!
//! A flag's value is found in this order: inactive or undecided by itself; its group, or whose id counts; enrollment;
//! holdout; conditions as listed. Nothing here allocates.

use super::FlagDefinitions;
use super::date::Moment;
use super::given::Given;
use super::hash;
use super::model::{
    By, Cohort, Condition, Entry, Expected, Filter, Flag, Group, GroupType, Owner, Property, Rule,
    Rules, Share,
};
use super::verdict::{MISSING, Undecided, Verdict, graver};
use crate::flags::context::{self, EvaluationContext};
use crate::flags::value::{FlagValue, UnresolvedReason};
use serde_json::Value;

pub(super) struct Evaluation<'a, 'c> {
    pub(super) definitions: &'a FlagDefinitions,
    pub(super) context: &'c EvaluationContext,
    pub(super) now: Moment,
}

/// What a flag is, and why.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer<'a> {
    Decided {
        value: FlagValue<'a>,
        code: &'static str,
        condition: Option<u32>,
    },
    Undecided {
        reason: UnresolvedReason,
        /// Only PostHog knows: see [`Verdict::Server`].
        server: bool,
    },
}

impl<'a> Answer<'a> {
    fn off(code: &'static str) -> Self {
        Self::Decided {
            value: FlagValue::Bool(false),
            code,
            condition: None,
        }
    }

    fn open(reason: UnresolvedReason) -> Self {
        Self::Undecided {
            reason,
            server: false,
        }
    }
}

/// Where somebody is between 0 and 1, for a flag. Counted once, except where conditions differ in whose id counts.
struct Rollout<'k> {
    key: &'k str,
    known: Option<(By, f64)>,
}

impl Rollout<'_> {
    fn of(&mut self, by: By, id: &str) -> f64 {
        match self.known {
            Some((known, hash)) if known == by => hash,
            _ => {
                let hash = hash::rollout(self.key, id);
                self.known = Some((by, hash));
                hash
            }
        }
    }
}

impl<'a, 'c> Evaluation<'a, 'c> {
    pub(super) fn flag(&self, flag: &'a Flag) -> Answer<'a> {
        match &flag.rule {
            Rule::Inactive => Answer::off("flag_disabled"),
            Rule::Undecided(reason) => Answer::open(*reason),
            Rule::Conditions(rules) => self.rules(&flag.key, rules),
        }
    }

    fn rules(&self, key: &'a str, rules: &'a Rules) -> Answer<'a> {
        let Some(id) = self.id(rules.by) else {
            return match rules.by {
                By::Group(_) => Answer::off("no_group_type"),
                By::Person | By::Device => Answer::open(if rules.unsupported {
                    UnresolvedReason::UnsupportedDefinition
                } else {
                    UnresolvedReason::MissingContext
                }),
            };
        };
        if let Some(property) = &rules.enrollment {
            return self.enrollment(property);
        }
        if let Some(holdout) = &rules.holdout
            && is_in(holdout.share, || hash::holdout(id))
        {
            return Answer::Decided {
                value: FlagValue::Variant(&holdout.value),
                code: "holdout_condition_value",
                condition: None,
            };
        }
        let mut rollout = Rollout { key, known: None };
        let mut undecided = Undecided::default();
        let mut missed = None;
        for (at, condition) in (0..).zip(&rules.conditions) {
            let id = if condition.by == rules.by {
                id
            } else {
                match (self.id(condition.by), condition.by) {
                    (Some(id), _) => id,
                    // Of no group of that type, nobody is in it.
                    (None, By::Group(_)) => continue,
                    (None, _) => {
                        undecided.add(UnresolvedReason::MissingContext, false);
                        continue;
                    }
                }
            };
            match self.condition(condition) {
                Verdict::Yes => {}
                Verdict::No => continue,
                Verdict::Open(reason) => {
                    undecided.add(reason, false);
                    continue;
                }
                Verdict::Server(reason) => {
                    let definition = if rules.unsupported {
                        UnresolvedReason::UnsupportedDefinition
                    } else {
                        reason
                    };
                    return Answer::Undecided {
                        reason: graver(reason, definition),
                        server: true,
                    };
                }
            }
            if is_in(condition.share, || rollout.of(condition.by, id)) {
                return Answer::Decided {
                    value: variant(key, rules, condition, id),
                    code: "condition_match",
                    condition: Some(at),
                };
            }
            missed = missed.or(Some(at));
            if rules.early_exit {
                break;
            }
        }
        match (undecided.reason(), missed) {
            (Some(reason), _) => Answer::open(reason),
            (None, Some(at)) => Answer::Decided {
                value: FlagValue::Bool(false),
                code: "out_of_rollout_bound",
                condition: Some(at),
            },
            (None, None) => Answer::off("no_condition_match"),
        }
    }

    fn enrollment(&self, property: &str) -> Answer<'a> {
        match self.person(property) {
            None => Answer::open(UnresolvedReason::MissingContext),
            Some(given) => Answer::Decided {
                value: FlagValue::Bool(matches!(
                    given,
                    Given::Text("true") | Given::Json(Value::Bool(true))
                )),
                code: "super_condition_value",
                condition: None,
            },
        }
    }

    /// Filters have no order: one that does not hold decides, whatever is undecided before it.
    fn condition(&self, condition: &'a Condition) -> Verdict {
        let mut undecided = Undecided::default();
        for filter in &condition.filters {
            match self.filter(filter) {
                Verdict::Yes => {}
                Verdict::No => return Verdict::No,
                Verdict::Open(reason) => undecided.add(reason, false),
                Verdict::Server(reason) => undecided.add(reason, true),
            }
        }
        undecided.or(Verdict::Yes)
    }

    fn filter(&self, filter: &'a Filter) -> Verdict {
        match filter {
            Filter::Property(property) => self.property(property),
            Filter::Cohort { cohort, inverse } => self.cohort(*cohort).inverted(*inverse),
            Filter::Flag { flag, expected } => self.dependency(*flag, expected),
            Filter::Always(verdict) => *verdict,
        }
    }

    fn property(&self, property: &Property) -> Verdict {
        let given = match property.of {
            Owner::Person => self.person(&property.key),
            Owner::Group(group_type) => self.group_property(group_type, &property.key),
        };
        match given {
            Some(given) => property.test.of(given, self.now),
            None => property.test.of_nothing(self.now),
        }
    }

    fn cohort(&self, cohort: u32) -> Verdict {
        match self.definitions.cohorts.get(cohort as usize) {
            Some(Cohort::Group(group)) => self.group(group),
            Some(Cohort::Always(verdict)) => *verdict,
            None => MISSING,
        }
    }

    fn group(&self, group: &'a Group) -> Verdict {
        let mut undecided = Undecided::default();
        for entry in &group.entries {
            let verdict = match entry {
                Entry::Group(group) => self.group(group),
                Entry::Filter { filter, negated } => self.filter(filter).inverted(*negated),
            };
            match verdict {
                Verdict::Yes if group.all => {}
                Verdict::No if !group.all => {}
                Verdict::Open(reason) => undecided.add(reason, false),
                decisive => return decisive,
            }
        }
        undecided.or(Verdict::from(group.all))
    }

    fn dependency(&self, flag: u32, expected: &Expected) -> Verdict {
        let Some(flag) = self.definitions.flags.get(flag as usize) else {
            return MISSING;
        };
        match self.flag(flag) {
            Answer::Decided { value, .. } => Verdict::from(match (value, expected) {
                (FlagValue::Bool(on), Expected::Bool(expected)) => on == *expected,
                (FlagValue::Variant(_), Expected::Bool(expected)) => *expected,
                (FlagValue::Variant(key), Expected::Variant(expected)) => *key == **expected,
                _ => false,
            }),
            Answer::Undecided { server: true, .. } => {
                Verdict::Server(UnresolvedReason::UnresolvedDependency)
            }
            Answer::Undecided { server: false, .. } => {
                Verdict::Open(UnresolvedReason::UnresolvedDependency)
            }
        }
    }

    pub(super) fn id(&self, by: By) -> Option<&'c str> {
        match by {
            By::Person => Some(&self.context.distinct_id),
            By::Device => match (&self.context.device_id, self.given("$device_id")) {
                (Some(id), _) => Some(id),
                (None, Some(Given::Text(id))) if !id.is_empty() => Some(id),
                _ => None,
            },
            By::Group(group_type) => self.group_of(group_type).map(|(key, _)| key),
        }
    }

    /// A property that was given.
    fn given(&self, key: &str) -> Option<Given<'c>> {
        find(&self.context.person, key)
    }

    pub(super) fn person(&self, key: &str) -> Option<Given<'c>> {
        self.given(key)
            .or_else(|| (key == "distinct_id").then_some(Given::Text(&self.context.distinct_id)))
    }

    pub(super) fn group_property(&self, group_type: GroupType, key: &str) -> Option<Given<'c>> {
        let (group_key, group) = self.group_of(group_type)?;
        find(&group.properties, key)
            .or_else(|| (key == "$group_key").then_some(Given::Text(group_key)))
    }

    fn group_of(&self, group_type: GroupType) -> Option<(&'c str, &'c context::Group)> {
        let name = self.definitions.group_types.get(group_type.0 as usize)?;
        let group = self
            .context
            .groups
            .iter()
            .find(|group| *group.group_type == **name)?;
        Some((group.key.as_deref()?, group))
    }
}

fn find<'c>(properties: &'c [(String, Value)], key: &str) -> Option<Given<'c>> {
    properties
        .iter()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.into())
}

fn is_in(share: Share, hash: impl FnOnce() -> f64) -> bool {
    match share {
        Share::All => true,
        Share::Nobody => false,
        Share::UpTo(share) => hash() <= share,
    }
}

fn variant<'a>(key: &str, rules: &'a Rules, condition: &Condition, id: &str) -> FlagValue<'a> {
    let chosen = match condition.variant {
        Some(at) => rules.variants.get(at as usize),
        None if rules.variants.is_empty() => None,
        None => {
            let hash = hash::variant(key, id);
            rules.variants.iter().find(|one| one.hashes.contains(&hash))
        }
    };
    match chosen {
        Some(variant) if !variant.key.is_empty() => FlagValue::Variant(&variant.key),
        _ => FlagValue::Bool(true),
    }
}
