//! PostHog's own SDK, by the three entry points that evaluate one flag.

use crate::definitions::Case;
use posthog_rs::{
    CohortDefinition, EvaluationContext, FeatureFlag, FlagCache, FlagValue, InconclusiveMatchError,
    LocalEvaluationResponse, LocalEvaluator, match_feature_flag_with_context,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// `evaluate_flag` builds all cohorts anew for each call, `evaluate_flag_simple` knows no cohorts and dependencies, and to
/// `match_feature_flag_with_context` the program itself gives flags and cohorts, which it has built once.
pub const ENTRIES: [&str; 3] = [
    "evaluate_flag",
    "evaluate_flag_simple",
    "match_feature_flag_with_context",
];

pub struct Loaded {
    evaluator: LocalEvaluator,
    version: i64,
}

/// What one call is given.
pub type Given<'a> = &'a User;

pub struct User {
    distinct_id: String,
    person: HashMap<String, Value>,
    groups: HashMap<String, String>,
    group_properties: HashMap<String, HashMap<String, Value>>,
}

/// What a program has to keep for `match_feature_flag_with_context`.
struct Held {
    flags: HashMap<String, FeatureFlag>,
    cohorts: HashMap<String, CohortDefinition>,
    group_types: HashMap<String, String>,
    version: i64,
}

impl Held {
    fn decide(&self, key: &str, user: &User) -> Option<Result<FlagValue, InconclusiveMatchError>> {
        let context = EvaluationContext {
            cohorts: &self.cohorts,
            flags: &self.flags,
            distinct_id: &user.distinct_id,
            groups: &user.groups,
            group_properties: &user.group_properties,
            group_type_mapping: &self.group_types,
            property_matching_version: self.version,
        };
        let flag = self.flags.get(key)?;
        Some(match_feature_flag_with_context(
            flag,
            &user.person,
            &context,
        ))
    }
}

impl Loaded {
    pub fn of(body: &[u8]) -> Result<Self, String> {
        let response: LocalEvaluationResponse =
            serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let version = response.property_matching_version;
        let cache = FlagCache::new();
        cache.update(response);
        Ok(Self {
            evaluator: LocalEvaluator::new(cache),
            version,
        })
    }

    pub fn given<'a>(&self, _: &str, user: &'a User) -> Given<'a> {
        user
    }

    pub fn entry(&self, name: &str, case: Case) -> Box<dyn Fn(&User) + '_> {
        let (keys, evaluator) = (case.keys(), &self.evaluator);
        if name == ENTRIES[1] {
            return Box::new(move |user| {
                for key in &keys {
                    let User {
                        distinct_id,
                        person,
                        groups,
                        group_properties,
                    } = user;
                    let _ = black_box(evaluator.evaluate_flag_simple(
                        key,
                        distinct_id,
                        person,
                        groups,
                        group_properties,
                    ));
                }
            });
        }
        if name == ENTRIES[2] {
            let held = self.held();
            return Box::new(move |user| {
                keys.iter()
                    .for_each(|key| _ = black_box(held.decide(key, user)));
            });
        }
        if case == Case::All {
            return Box::new(move |user| {
                let User {
                    distinct_id,
                    person,
                    groups,
                    group_properties,
                } = user;
                black_box(evaluator.evaluate_all_flags(
                    distinct_id,
                    person,
                    groups,
                    group_properties,
                ));
            });
        }
        Box::new(move |user| {
            keys.iter()
                .for_each(|key| _ = black_box(self.evaluate(key, user)));
        })
    }

    fn evaluate(
        &self,
        key: &str,
        user: &User,
    ) -> Result<Option<FlagValue>, InconclusiveMatchError> {
        let User {
            distinct_id,
            person,
            groups,
            group_properties,
        } = user;
        self.evaluator
            .evaluate_flag(key, distinct_id, person, groups, group_properties)
    }

    fn held(&self) -> Held {
        let cache = self.evaluator.cache();
        Held {
            flags: cache.get_flags_map(),
            cohorts: cache.get_cohort_definitions(),
            group_types: cache.get_group_type_mapping(),
            version: self.version,
        }
    }

    /// `None`: it cannot be decided here.
    pub fn decide(&self, key: &str, user: &User) -> Option<Value> {
        self.evaluate(key, user).ok().map(|value| json!(value))
    }
}

pub fn user(input: &Value) -> User {
    let fields = |object: &Value| object.as_object().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let distinct_id = text(&input["distinct_id"]);
    let mut person: HashMap<_, _> = fields(&input["person_properties"]).into_iter().collect();
    // As its client does.
    person
        .entry("distinct_id".into())
        .or_insert_with(|| json!(distinct_id));
    let groups = fields(&input["groups"]).into_iter();
    let group_properties = fields(&input["group_properties"]).into_iter();
    User {
        distinct_id,
        person,
        groups: groups
            .map(|(group_type, key)| (group_type, text(&key)))
            .collect(),
        group_properties: group_properties
            .map(|(group_type, properties)| (group_type, fields(&properties).into_iter().collect()))
            .collect(),
    }
}

/// Seconds since 1970; 0 for the system's time.
static NOW: AtomicI64 = AtomicI64::new(0);

/// It has no setting for the time, and asks the system: see [`clock_gettime`].
pub fn set_clock(seconds: u64) {
    NOW.store(seconds as i64, Relaxed);
}

/// In place of libc's, by which the standard library asks for the time.
///
/// # Safety
/// As libc's: the pointer is that of a `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> i32 {
    let now = NOW.load(Relaxed);
    if clock != libc::CLOCK_REALTIME || now == 0 {
        // SAFETY: the caller vouches for the pointer.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as i32 };
    }
    let now = libc::timespec {
        tv_sec: now,
        tv_nsec: 0,
    };
    // SAFETY: the caller vouches for the pointer.
    unsafe { time.write(now) };
    0
}
