//! Which flags can never be decided here, whoever asks and whatever is known of them.
//!
//! Of each filter, cohort and condition: may it hold, may it not hold. What may do neither is always undecided. Of a
//! flag about groups the group counts as given: without it, the flag is off for everybody.

use super::graph::Graph;
use super::model::{
    By, Cohort, Condition, Entry, Filter, Flag, Group, Reference, Rule, Rules, Share,
};
use super::verdict::Verdict;
use crate::flags::value::UnresolvedReason;

/// What may come of something.
#[derive(Debug, Clone, Copy)]
struct May {
    hold: bool,
    not_hold: bool,
}

const EITHER: May = May {
    hold: true,
    not_hold: true,
};

impl May {
    fn inverted(self, inverse: bool) -> Self {
        if inverse {
            Self {
                hold: self.not_hold,
                not_hold: self.hold,
            }
        } else {
            self
        }
    }

    fn never_decided(self) -> bool {
        !self.hold && !self.not_hold
    }
}

struct Known {
    flags: Vec<Option<UnresolvedReason>>,
    cohorts: Vec<May>,
    /// Cohorts that only PostHog knows.
    server: Vec<bool>,
}

/// The places of flags that can never be decided, and why, in the order of the definitions.
pub(super) fn never_decided(
    flags: &mut [Flag],
    cohorts: &mut [Cohort],
) -> Vec<(u32, UnresolvedReason)> {
    let mut known = Known {
        flags: vec![None; flags.len()],
        cohorts: vec![EITHER; cohorts.len()],
        server: cohorts
            .iter()
            .map(|cohort| matches!(cohort, Cohort::Always(Verdict::Server(_))))
            .collect(),
    };
    let order = Graph { flags, cohorts }.in_order();
    for node in order {
        match node.checked_sub(flags.len()) {
            None => known.flags[node] = known.flag(&flags[node]),
            Some(cohort) => {
                known.cohorts[cohort] = match &cohorts[cohort] {
                    Cohort::Group(group) => known.group(group),
                    Cohort::Always(verdict) => always(*verdict),
                };
            }
        }
    }
    (0..)
        .zip(known.flags)
        .filter_map(|(at, reason)| Some((at, reason?)))
        .collect()
}

fn always(verdict: Verdict) -> May {
    May {
        hold: verdict == Verdict::Yes,
        not_hold: verdict == Verdict::No,
    }
}

impl Known {
    fn flag(&self, flag: &Flag) -> Option<UnresolvedReason> {
        let rules = match &flag.rule {
            Rule::Inactive => return None,
            Rule::Undecided(reason) => return Some(*reason),
            Rule::Conditions(rules) => rules,
        };
        self.rules(rules).then_some(if rules.unsupported {
            UnresolvedReason::UnsupportedDefinition
        } else {
            UnresolvedReason::UnresolvedDependency
        })
    }

    /// Whether they never decide.
    fn rules(&self, rules: &Rules) -> bool {
        let held_out = rules
            .holdout
            .as_ref()
            .is_some_and(|holdout| !matches!(holdout.share, Share::Nobody));
        if held_out || rules.enrollment.is_some() {
            return false;
        }
        let mut open = false;
        for condition in &rules.conditions {
            let may = self.condition(condition, rules.by);
            let anybody = !matches!(condition.share, Share::Nobody);
            if may.hold && (anybody || rules.early_exit && !open) {
                return false;
            }
            if may.never_decided() {
                open = true;
                if self.is_for_the_server(condition) {
                    break;
                }
            }
        }
        open
    }

    fn condition(&self, condition: &Condition, flag_by: By) -> May {
        let mut may = self.all(condition.filters.iter().map(|filter| self.filter(filter)));
        may.not_hold |= condition.by != flag_by && matches!(condition.by, By::Group(_));
        may
    }

    /// Nothing after a condition counts that only PostHog can decide.
    fn is_for_the_server(&self, condition: &Condition) -> bool {
        let first = condition
            .filters
            .iter()
            .find(|filter| !matches!(filter, Filter::Always(Verdict::Yes | Verdict::No)));
        match first {
            Some(Filter::Always(Verdict::Server(_))) => true,
            Some(Filter::Cohort { cohort, .. }) => self.server[*cohort as usize],
            _ => false,
        }
    }

    fn all(&self, each: impl Iterator<Item = May>) -> May {
        each.fold(
            May {
                hold: true,
                not_hold: false,
            },
            |all, one| May {
                hold: all.hold && one.hold,
                not_hold: all.not_hold || one.not_hold,
            },
        )
    }

    fn group(&self, group: &Group) -> May {
        let entries = group.entries.iter().map(|entry| match entry {
            Entry::Group(group) => self.group(group),
            Entry::Filter { filter, negated } => self.filter(filter).inverted(*negated),
        });
        if group.all {
            self.all(entries)
        } else {
            // Some hold, unless all do not.
            self.all(entries.map(|one| one.inverted(true)))
                .inverted(true)
        }
    }

    fn filter(&self, filter: &Filter) -> May {
        match filter {
            Filter::Property(_) => EITHER,
            Filter::Always(verdict) => always(*verdict),
            Filter::Cohort { cohort, inverse } => self.cohorts[*cohort as usize].inverted(*inverse),
            Filter::Flag { .. } => match filter.reference() {
                Some(Reference::Flag(flag)) if self.flags[flag as usize].is_some() => May {
                    hold: false,
                    not_hold: false,
                },
                _ => EITHER,
            },
        }
    }
}
