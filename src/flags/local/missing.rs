//! Which properties an evaluation lacks: those that a flag's conditions, cohorts and dependencies read and that were not
//! given. They say why a flag is undecided for [`MissingContext`](crate::UnresolvedReason::MissingContext).

use super::FlagDefinitions;
use super::evaluate::Evaluation;
use super::model::{By, Cohort, Filter, Flag, Owner, Property, Rule, Rules};
use std::collections::BTreeSet;

impl Evaluation<'_, '_> {
    /// The names of what the flag lacks: of groups with the group's type before the name.
    pub(super) fn missing(&self, flag: &Flag) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        self.of_flag(flag, &mut missing);
        missing
    }

    fn of_flag(&self, flag: &Flag, missing: &mut BTreeSet<String>) {
        if let Rule::Conditions(rules) = &flag.rule {
            self.of_rules(rules, missing);
        }
    }

    fn of_rules(&self, rules: &Rules, missing: &mut BTreeSet<String>) {
        let conditions = rules.conditions.iter();
        let mut all_by = conditions.map(|it| it.by).chain([rules.by]);
        if all_by.any(|by| by == By::Device) && self.id(By::Device).is_none() {
            missing.insert("$device_id".into());
        }
        if let Some(property) = &rules.enrollment
            && self.person(property).is_none()
        {
            missing.insert(property.to_string());
        }
        for condition in &rules.conditions {
            for filter in &condition.filters {
                self.of_filter(filter, missing);
            }
        }
    }

    fn of_filter(&self, filter: &Filter, missing: &mut BTreeSet<String>) {
        let FlagDefinitions { flags, cohorts, .. } = self.definitions;
        match filter {
            Filter::Property(property) => missing.extend(self.of_property(property)),
            Filter::Cohort { cohort, .. } => {
                if let Some(Cohort::Group(group)) = cohorts.get(*cohort as usize) {
                    group.each_filter(0, &mut |filter, _| self.of_filter(filter, missing));
                }
            }
            Filter::Flag { flag, .. } => {
                if let Some(flag) = flags.get(*flag as usize) {
                    self.of_flag(flag, missing);
                }
            }
            Filter::Always(_) => {}
        }
    }

    fn of_property(&self, property: &Property) -> Option<String> {
        let key = &property.key;
        match property.of {
            Owner::Person => self.person(key).is_none().then(|| key.to_string()),
            Owner::Group(group_type) => {
                let name = self.definitions.group_types.get(group_type.0 as usize)?;
                let is_given = self.group_property(group_type, key).is_some();
                (!is_given).then(|| format!("{name}.{key}"))
            }
        }
    }
}
