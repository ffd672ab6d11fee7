//! How flags and cohorts refer to each other: circles are cut, and what is too deep or too large is undecided.
//!
//! After [`resolve`], following references from any flag ends after [`DEEPEST`] steps into each other and [`LARGEST`]
//! filters in all, so that evaluation needs neither a limit nor a memory of its own.
//!
//! In a circle, a cohort is undecided, and so is a filter by which a flag refers to another one of the circle.

use super::model::{Cohort, Filter, Flag, Reference, Rule};
use super::verdict::{UNSUPPORTED, Verdict};
use crate::flags::value::UnresolvedReason;

/// How many flags, cohorts and groups of filters may lie within each other.
const DEEPEST: usize = 100;

/// How many filters a flag or cohort may reach through references, each counted as often as it is reached.
const LARGEST: usize = 50_000;

/// What is known of a flag or cohort once all that it refers to is known.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    depth: usize,
    filters: usize,
}

pub(super) struct Graph<'m> {
    pub(super) flags: &'m mut [Flag],
    pub(super) cohorts: &'m mut [Cohort],
}

pub(super) fn resolve(flags: &mut [Flag], cohorts: &mut [Cohort]) {
    let mut graph = Graph { flags, cohorts };
    graph.cut_circles();
    graph.limit();
    graph.find_unsupported();
}

impl Graph<'_> {
    fn nodes(&self) -> usize {
        self.flags.len() + self.cohorts.len()
    }

    fn index(&self, reference: Reference) -> usize {
        match reference {
            Reference::Flag(flag) => flag as usize,
            Reference::Cohort(cohort) => self.flags.len() + cohort as usize,
        }
    }

    /// Calls `each` for every filter of a node, with how deep it lies in it.
    fn each_filter(&self, node: usize, each: &mut dyn FnMut(&Filter, usize)) {
        match node.checked_sub(self.flags.len()) {
            None => {
                if let Rule::Conditions(rules) = &self.flags[node].rule {
                    let conditions = rules.conditions.iter();
                    for filter in conditions.flat_map(|condition| &condition.filters) {
                        each(filter, 1);
                    }
                }
            }
            Some(cohort) => {
                if let Cohort::Group(group) = &self.cohorts[cohort] {
                    group.each_filter(1, each);
                }
            }
        }
    }

    fn references(&self, node: usize) -> Vec<usize> {
        let mut all = Vec::new();
        self.each_filter(node, &mut |filter, _| {
            all.extend(filter.reference().map(|reference| self.index(reference)));
        });
        all
    }

    /// All nodes that refer to nothing, then those that refer to these only, and so on. Without those of circles, and those
    /// that reach a circle.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let out: Vec<Vec<usize>> = (0..self.nodes())
            .map(|node| self.references(node))
            .collect();
        sorted(&out)
    }

    fn cut_circles(&mut self) {
        let out: Vec<Vec<usize>> = (0..self.nodes())
            .map(|node| self.references(node))
            .collect();
        let order = sorted(&out);
        if order.len() == out.len() {
            return;
        }
        // What is left reaches a circle. Of that, what no other reaches but from outside is in none.
        let mut left = vec![true; out.len()];
        for node in order {
            left[node] = false;
        }
        let mut into: Vec<Vec<usize>> = vec![Vec::new(); out.len()];
        for (node, references) in out.iter().enumerate() {
            for &to in references {
                if left[node] && left[to] {
                    into[to].push(node);
                }
            }
        }
        for node in sorted(&into) {
            left[node] = false;
        }
        for node in (0..self.nodes()).filter(|node| left[*node]) {
            match node.checked_sub(self.flags.len()) {
                Some(cohort) => self.cohorts[cohort] = Cohort::Always(UNSUPPORTED),
                None => self.cut_flag(node, &left),
            }
        }
    }

    fn cut_flag(&mut self, flag: usize, circle: &[bool]) {
        let flags = self.flags.len();
        let Rule::Conditions(rules) = &mut self.flags[flag].rule else {
            return;
        };
        for condition in &mut rules.conditions {
            for filter in &mut condition.filters {
                let in_circle = match filter.reference() {
                    Some(Reference::Flag(flag)) => circle[flag as usize],
                    Some(Reference::Cohort(cohort)) => circle[flags + cohort as usize],
                    None => false,
                };
                if in_circle {
                    *filter = Filter::Always(UNSUPPORTED);
                }
            }
        }
    }

    /// What is too deep or too large refers to nothing any more. A cohort of which only PostHog knows a part is PostHog's
    /// as a whole.
    fn limit(&mut self) {
        let mut extents = vec![Extent::default(); self.nodes()];
        for node in self.in_order() {
            let mut extent = Extent::default();
            let mut reached = 0_usize;
            let mut server = false;
            self.each_filter(node, &mut |filter, depth| {
                extent.filters += 1;
                extent.depth = extent.depth.max(depth);
                match filter {
                    Filter::Always(Verdict::Server(_)) => server = true,
                    Filter::Cohort { cohort, .. } => {
                        server |= matches!(
                            self.cohorts[*cohort as usize],
                            Cohort::Always(Verdict::Server(_))
                        );
                    }
                    _ => {}
                }
                if let Some(reference) = filter.reference() {
                    let other = extents[self.index(reference)];
                    extent.depth = extent.depth.max(depth + other.depth);
                    reached = reached.saturating_add(other.filters + 1);
                }
            });
            extent.filters = extent.filters.saturating_add(reached);
            let too_much = extent.depth > DEEPEST || reached > LARGEST;
            match node.checked_sub(self.flags.len()) {
                Some(cohort) if server => {
                    self.cohorts[cohort] =
                        Cohort::Always(Verdict::Server(UnresolvedReason::UnsupportedDefinition));
                    extent = Extent::default();
                }
                Some(cohort) if too_much => {
                    self.cohorts[cohort] = Cohort::Always(UNSUPPORTED);
                    extent = Extent::default();
                }
                None if too_much => {
                    self.flags[node].rule =
                        Rule::Undecided(UnresolvedReason::UnsupportedDefinition);
                    extent = Extent::default();
                }
                _ => {}
            }
            extents[node] = extent;
        }
    }

    /// Says of every flag whether something in its conditions, or in their cohorts, cannot be evaluated here.
    fn find_unsupported(&mut self) {
        let mut unsupported = vec![false; self.cohorts.len()];
        for node in self.in_order() {
            let mut any = false;
            self.each_filter(node, &mut |filter, _| {
                any |= match filter {
                    Filter::Always(Verdict::Open(reason) | Verdict::Server(reason)) => {
                        *reason == UnresolvedReason::UnsupportedDefinition
                    }
                    Filter::Property(property) => property.test.is_unusable(),
                    Filter::Cohort { cohort, .. } => unsupported[*cohort as usize],
                    Filter::Flag { .. } | Filter::Always(_) => false,
                };
            });
            match node.checked_sub(self.flags.len()) {
                Some(cohort) => {
                    unsupported[cohort] = any || matches!(self.cohorts[cohort], Cohort::Always(_));
                }
                None => {
                    if let Rule::Conditions(rules) = &mut self.flags[node].rule {
                        rules.unsupported = any;
                    }
                }
            }
        }
    }
}

/// Nodes in an order in which each comes after all that it refers to. Those that reach a circle are missing.
fn sorted(out: &[Vec<usize>]) -> Vec<usize> {
    let mut into: Vec<Vec<usize>> = vec![Vec::new(); out.len()];
    let mut open: Vec<usize> = Vec::with_capacity(out.len());
    for (node, references) in out.iter().enumerate() {
        open.push(references.len());
        for &to in references {
            into[to].push(node);
        }
    }
    let mut order: Vec<usize> = (0..out.len()).filter(|node| open[*node] == 0).collect();
    let mut at = 0;
    while let Some(&done) = order.get(at) {
        at += 1;
        for &node in &into[done] {
            open[node] -= 1;
            if open[node] == 0 {
                order.push(node);
            }
        }
    }
    order
}
