//! Reads the body of `/flags/definitions`: outline, cohorts, flags; then `graph` looks at how they refer to each other.

use super::model::{
    By, Cohort, Condition, Filter, Flag, GroupType, Holdout, Rule, Rules, Share, Variant,
};
use super::prepare::Names;
use super::raw;
use super::shape::{Entries, Field, Odd};
use super::verdict::{UNSUPPORTED, Verdict};
use super::{FlagDefinitions, decidable, graph};
use crate::error::PostHogError;
use crate::flags::value::UnresolvedReason;
use serde::de::Error as _;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// What is said of the body as a whole. Nothing of the body itself.
fn unreadable(what: &str, source: serde_json::Error) -> PostHogError {
    PostHogError::SerializationError {
        operation: "read flag definitions",
        what: what.to_owned(),
        source,
    }
}

pub(super) fn read(body: &[u8]) -> Result<FlagDefinitions, PostHogError> {
    let outline = str::from_utf8(body)
        .map_err(serde_json::Error::custom)
        .and_then(serde_json::from_str::<Field<raw::Body<'_>>>)
        .map_err(|error| unreadable("the answer is not JSON", error))?;
    let Field::Is(outline) = outline else {
        return Err(unreadable(
            "the answer is not an object",
            serde_json::Error::custom("another type"),
        ));
    };
    let Field::Is(flags) = outline.flags else {
        return Err(unreadable(
            "the answer has no list `flags`",
            serde_json::Error::custom("missing, or of another type"),
        ));
    };

    // A key that comes twice: the last one counts, at the place of the first.
    let mut raw_flags: Vec<(String, Option<raw::Flag<'_>>)> = Vec::with_capacity(flags.len());
    let mut by_key: HashMap<Box<str>, u32> = HashMap::with_capacity(flags.len());
    for text in flags {
        let Some((key, flag)) = read_flag(text) else {
            continue;
        };
        match by_key.get(&*key) {
            Some(place) => raw_flags[*place as usize] = (key, flag),
            None => {
                by_key.insert(Box::from(&*key), raw_flags.len() as u32);
                raw_flags.push((key, flag));
            }
        }
    }

    let (mut names, group_types) =
        Names::new(outline.group_types, &outline.property_matching_version);
    names.flags = by_key.iter().map(|(key, place)| (&**key, *place)).collect();
    let mut texts = Vec::new();
    for (id, text) in outline.cohorts.get().map(|all| all.0).unwrap_or_default() {
        match names.cohorts.get(&id) {
            Some(place) => texts[*place as usize] = text,
            None => {
                names.cohorts.insert(id, texts.len() as u32);
                texts.push(text);
            }
        }
    }
    let mut cohorts: Vec<Cohort> = texts
        .into_iter()
        .map(|text| names.cohort(serde_json::from_str(text.get()).unwrap_or(Field::Odd)))
        .collect();
    let mut flags: Vec<Flag> = raw_flags
        .into_iter()
        .map(|(key, flag)| names.flag(key.into_boxed_str(), flag))
        .collect();
    let late_patterns = names.patterns.compile();
    graph::resolve(&mut flags, &mut cohorts);
    let never_decided = decidable::never_decided(&mut flags, &mut cohorts);
    Ok(FlagDefinitions {
        flags,
        cohorts,
        group_types,
        by_key,
        never_decided,
        late_patterns,
        minimal_flag_called_events: outline.minimal_flag_called_events.get().unwrap_or(false),
    })
}

/// The key of a flag, and what else there is of it. A flag without a key cannot be asked for.
fn read_flag(text: &RawValue) -> Option<(String, Option<raw::Flag<'_>>)> {
    let mut flag = match serde_json::from_str::<Field<raw::Flag<'_>>>(text.get()) {
        Ok(flag) => flag.get()?,
        Err(_) => {
            let shell: Field<raw::Shell<'_>> = serde_json::from_str(text.get()).ok()?;
            return Some((shell.get()?.key.get()?.into_owned(), None));
        }
    };
    let key = std::mem::take(&mut flag.key).get()?;
    Some((key.into_owned(), Some(flag)))
}

const UNDECIDED: Rule = Rule::Undecided(UnresolvedReason::UnsupportedDefinition);

impl<'a> Names<'a> {
    fn flag(&self, key: Box<str>, flag: Option<raw::Flag<'a>>) -> Flag {
        let mut made = Flag {
            key,
            id: None,
            version: None,
            has_experiment: None,
            rule: UNDECIDED,
            payloads: Box::default(),
        };
        let Some(mut flag) = flag else {
            return made;
        };
        made.id = flag.id.known_i64().ok().flatten();
        made.version = flag.version.known_i64().ok().flatten();
        made.has_experiment = std::mem::take(&mut flag.has_experiment).get();
        if let Field::Is(filters) = &mut flag.filters {
            made.payloads = payloads(std::mem::take(&mut filters.payloads));
        }
        made.rule = self.rule(&made.key, flag).unwrap_or(UNDECIDED);
        made
    }

    fn rule(&self, key: &str, flag: raw::Flag<'a>) -> Result<Rule, Odd> {
        let filters = flag.filters.known();
        if let Ok(Some(filters)) = &filters
            && !matches!(filters.version.known_f64(), Ok(None | Some(1.0)))
        {
            return Err(Odd);
        }
        if !flag.active.known()?.unwrap_or(false) {
            return Ok(Rule::Inactive);
        }
        if flag.ensure_experience_continuity.known()? == Some(true) {
            return Ok(Rule::Undecided(UnresolvedReason::ExperienceContinuity));
        }
        let filters = filters?.unwrap_or_default();
        if has_properties(filters.super_groups)? {
            return Err(Odd);
        }
        let identifier = match flag.bucketing_identifier.known()? {
            Some(identifier) if !identifier.is_empty() => Some(identifier),
            _ => filters.bucketing_identifier.known()?,
        };
        let person = match identifier.as_deref() {
            Some("device_id") => By::Device,
            _ => By::Person,
        };
        let by = match filters.aggregation.known_i64()? {
            None => person,
            Some(index) => By::Group(self.group_type(index).ok_or(Odd)?),
        };
        let enrollment = filters.feature_enrollment.known()? == Some(true);
        if enrollment && matches!(by, By::Group(_)) {
            return Err(Odd);
        }
        let variants = variants(filters.multivariate)?;
        let conditions: Box<[Condition]> = filters
            .groups
            .known()?
            .unwrap_or_default()
            .into_iter()
            .map(|condition| self.condition(condition, by, person, &variants))
            .collect();
        Ok(Rule::Conditions(Box::new(Rules {
            by,
            enrollment: enrollment.then(|| format!("$feature_enrollment/{key}").into_boxed_str()),
            holdout: holdout(filters.holdout)?,
            conditions,
            variants,
            early_exit: filters.early_exit.known()?.unwrap_or(false),
            // Known when all is read.
            unsupported: false,
        })))
    }

    fn condition(
        &self,
        condition: Field<raw::Condition<'a>>,
        flag_by: By,
        person: By,
        variants: &[Variant],
    ) -> Condition {
        let always = |verdict| Condition {
            by: flag_by,
            filters: Box::new([Filter::Always(verdict)]),
            share: Share::All,
            variant: None,
        };
        let Field::Is(condition) = condition else {
            return always(UNSUPPORTED);
        };
        let by = match (&condition.aggregation.0, condition.aggregation.known_i64()) {
            (Field::Absent, _) => flag_by,
            (_, Ok(None)) => person,
            (_, Ok(Some(index))) => match self.group_type(index) {
                Some(group_type) => By::Group(group_type),
                // Nobody is in a group of a type that there is not.
                None => return always(Verdict::No),
            },
            (_, Err(Odd)) => return always(UNSUPPORTED),
        };
        let group: Option<GroupType> = match by {
            By::Group(group_type) => Some(group_type),
            By::Person | By::Device => None,
        };
        let (Ok(properties), Ok(percentage), Ok(variant)) = (
            condition.properties.known(),
            condition.rollout_percentage.known_f64(),
            condition.variant.known(),
        ) else {
            return always(UNSUPPORTED);
        };
        let filters = properties.unwrap_or_default().into_iter();
        Condition {
            by,
            filters: filters
                .map(|filter| match filter {
                    Field::Is(filter) => self.filter(filter, group),
                    _ => Filter::Always(UNSUPPORTED),
                })
                .collect(),
            share: Share::new(percentage),
            variant: variant
                .and_then(|key| variants.iter().position(|one| *one.key == *key))
                .map(|at| at as u32),
        }
    }
}

fn has_properties(groups: Field<Vec<Field<raw::Condition<'_>>>>) -> Result<bool, Odd> {
    for group in groups.known()?.unwrap_or_default() {
        if let Some(group) = group.known()?
            && group.properties.known()?.is_some_and(|all| !all.is_empty())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn variants(multivariate: Field<raw::Multivariate<'_>>) -> Result<Box<[Variant]>, Odd> {
    let variants = match multivariate.known()? {
        Some(multivariate) => multivariate.variants.known()?.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut from = 0.0;
    let ranges = variants.into_iter().map(|variant| {
        let variant = variant.known()?.ok_or(Odd)?;
        let to = from + variant.rollout_percentage.known_f64()?.ok_or(Odd)? / 100.0;
        let hashes = from..to;
        from = to;
        Ok(Variant {
            key: Box::from(variant.key.known()?.ok_or(Odd)?),
            hashes,
        })
    });
    ranges.collect()
}

/// Without an id or a percentage there is none.
fn holdout(holdout: Field<raw::Holdout<'_>>) -> Result<Option<Holdout>, Odd> {
    let Some(holdout) = holdout.known()? else {
        return Ok(None);
    };
    let (id, percentage) = (
        holdout.id.known_i64()?,
        holdout.exclusion_percentage.known_f64()?,
    );
    Ok(id.zip(percentage).map(|(id, percentage)| Holdout {
        value: format!("holdout-{id}").into_boxed_str(),
        share: Share::new(Some(percentage)),
    }))
}

fn payloads(payloads: Field<Entries<'_, &RawValue>>) -> Box<[(Box<str>, Box<str>)]> {
    let all = payloads.get().map(|all| all.0).unwrap_or_default();
    all.into_iter()
        .map(|(key, text)| (Box::from(key), Box::from(text.get())))
        .collect()
}
