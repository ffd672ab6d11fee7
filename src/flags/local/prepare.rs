//! [`Names`]: what flags and cohorts refer to by name; and what becomes of filters and cohorts.

use super::model::{Cohort, Entry, Expected, Filter, Group, GroupType, Owner, Property};
use super::operator::Test;
use super::pattern::Patterns;
use super::raw;
use super::shape::{Entries, Field, Numeric};
use super::verdict::{UNSUPPORTED, Verdict};
use crate::flags::value::UnresolvedReason;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;

/// Only PostHog knows who is in the cohort.
const SERVER: Verdict = Verdict::Server(UnresolvedReason::UnsupportedDefinition);

/// The places of everything that a definition may name.
pub(super) struct Names<'a> {
    pub(super) flags: HashMap<&'a str, u32>,
    pub(super) cohorts: HashMap<Cow<'a, str>, u32>,
    group_types: HashMap<Cow<'a, str>, GroupType>,
    by_truth: bool,
    pub(super) patterns: Patterns,
}

impl<'a> Names<'a> {
    pub(super) fn new(
        group_types: Field<Entries<'a, raw::Text<'a>>>,
        property_matching_version: &Numeric,
    ) -> (Self, Vec<Box<str>>) {
        let mut names = Vec::new();
        let mut places = HashMap::new();
        for (index, name) in group_types.get().map(|all| all.0).unwrap_or_default() {
            if let Some(name) = name.get().filter(|name| !name.is_empty()) {
                places.insert(index, GroupType(names.len() as u32));
                names.push(Box::from(name));
            }
        }
        let names_of = Self {
            flags: HashMap::new(),
            cohorts: HashMap::new(),
            group_types: places,
            by_truth: property_matching_version.known_f64().ok().flatten() != Some(2.0),
            patterns: Patterns::default(),
        };
        (names_of, names)
    }

    pub(super) fn group_type(&self, index: i64) -> Option<GroupType> {
        self.group_types.get(index.to_string().as_str()).copied()
    }

    /// A filter of a condition whose group is `group`; of a condition about persons and of a cohort there is none.
    pub(super) fn filter(&self, filter: raw::Filter<'a>, group: Option<GroupType>) -> Filter {
        self.try_filter(filter, group)
            .unwrap_or(Filter::Always(UNSUPPORTED))
    }

    /// `None`: it cannot be evaluated here.
    fn try_filter(&self, filter: raw::Filter<'a>, group: Option<GroupType>) -> Option<Filter> {
        let kind = filter.kind.known().ok()?;
        let operator = filter.operator.known().ok()?;
        let operator = operator.as_deref();
        let by_index = filter.group_type_index.known_i64().ok()?;
        let of = match (kind.as_deref(), group) {
            (Some("cohort"), _) => {
                return Some(self.cohort_filter(operator, filter.value.as_ref()));
            }
            (Some("flag"), _) => {
                return self.flag_filter(
                    filter.key.known().ok()?.as_deref(),
                    operator,
                    filter.value.as_ref(),
                    filter.dependency_chain,
                );
            }
            (Some("person"), _) | (None, None) => Owner::Person,
            (None, Some(group)) => Owner::Group(group),
            (Some("group"), group) => Owner::Group(match by_index {
                Some(index) => self.group_type(index)?,
                None => group?,
            }),
            (Some(_), _) => return None,
        };
        let test = Test::new(
            operator.unwrap_or("exact"),
            filter.value.as_ref(),
            self.by_truth,
            &self.patterns,
        );
        if test.is_unknown() {
            return None;
        }
        Some(Filter::Property(Box::new(Property {
            of,
            key: Box::from(filter.key.known().ok()??),
            test,
        })))
    }

    fn cohort_filter(&self, operator: Option<&str>, id: Option<&Value>) -> Filter {
        let place = match id {
            Some(Value::String(id)) => self.cohorts.get(id.as_str()),
            Some(Value::Number(id)) => self.cohorts.get(id.to_string().as_str()),
            _ => None,
        };
        let Some(&cohort) = place else {
            return Filter::Always(SERVER);
        };
        match operator {
            None | Some("in") => Filter::Cohort {
                cohort,
                inverse: false,
            },
            Some("not_in") => Filter::Cohort {
                cohort,
                inverse: true,
            },
            // PostHog knows no other operator here, and nobody matches it. Its SDKs take `exact` for `in`.
            Some("exact") => Filter::Always(Verdict::No),
            Some(_) => Filter::Always(UNSUPPORTED),
        }
    }

    fn flag_filter(
        &self,
        key: Option<&str>,
        operator: Option<&str>,
        value: Option<&Value>,
        chain: Field<Vec<raw::Text<'a>>>,
    ) -> Option<Filter> {
        let (Some("flag_evaluates_to"), Some(key), Some(value)) =
            (operator, key.filter(|key| !key.is_empty()), value)
        else {
            // PostHog takes a dependency of another form as one that is never met.
            return Some(Filter::Always(Verdict::No));
        };
        // PostHog lists all flags on the way. The list is empty where flags depend on each other in a circle.
        let chain = chain.get()?;
        let mut found = None;
        for member in chain {
            let member = member.get()?;
            let place = *self.flags.get(&*member)?;
            if *member == *key {
                found = Some(place);
            }
        }
        Some(Filter::Flag {
            flag: found?,
            expected: match value {
                Value::Bool(on) => Expected::Bool(*on),
                Value::String(variant) => Expected::Variant(variant.as_str().into()),
                _ => Expected::Nothing,
            },
        })
    }

    pub(super) fn cohort(&self, cohort: Field<raw::Filter<'a>>) -> Cohort {
        match cohort {
            Field::Is(group) => self.group(group).map_or_else(Cohort::Always, Cohort::Group),
            _ => Cohort::Always(SERVER),
        }
    }

    fn group(&self, group: raw::Filter<'a>) -> Result<Group, Verdict> {
        if is_empty(&group) {
            // Everybody, for PostHog's SDKs; nobody, for PostHog.
            return Err(UNSUPPORTED);
        }
        let all = match group.kind.get().as_deref() {
            Some("AND") => true,
            Some("OR") => false,
            _ => return Err(SERVER),
        };
        let Field::Is(values) = group.values else {
            return Err(SERVER);
        };
        if values.is_empty() && !all {
            return Err(UNSUPPORTED);
        }
        let entries = values.into_iter().map(|value| match value {
            Field::Is(value) => Ok(self.entry(value, all)),
            _ => Err(SERVER),
        });
        Ok(Group {
            all,
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    fn entry(&self, entry: raw::Filter<'a>, all: bool) -> Entry {
        let always = |verdict| Entry::Filter {
            filter: Filter::Always(verdict),
            negated: false,
        };
        let is_group = !matches!(entry.values, Field::Absent)
            || matches!(&entry.kind, Field::Is(kind) if **kind == *"AND" || **kind == *"OR");
        if is_group || is_empty(&entry) {
            return self.group(entry).map_or_else(always, Entry::Group);
        }
        let negated = match entry.negation {
            Field::Absent | Field::Null => false,
            Field::Is(negated) => negated,
            Field::Odd => return always(UNSUPPORTED),
        };
        if negated && !all && matches!(&entry.kind, Field::Is(kind) if **kind == *"cohort") {
            // PostHog ignores the negation of a cohort here; its SDKs do not.
            return always(UNSUPPORTED);
        }
        Entry::Filter {
            filter: self.filter(entry, None),
            negated,
        }
    }
}

/// `{}`.
fn is_empty(filter: &raw::Filter<'_>) -> bool {
    matches!(
        filter,
        raw::Filter {
            key: Field::Absent,
            kind: Field::Absent,
            operator: Field::Absent,
            value: None,
            values: Field::Absent,
            ..
        }
    )
}
