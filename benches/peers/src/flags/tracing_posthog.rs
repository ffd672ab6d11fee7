//! This crate.

use crate::definitions::Case;
use serde_json::{Value, json};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing_posthog::{EvaluationContext, FeatureFlags, FlagDefinitions};

/// `FlagDefinitions::evaluate`: definitions that the program holds. `FeatureFlags::evaluate`: a snapshot, and the flag
/// read from it, which is what most programs do.
pub const ENTRIES: [&str; 2] = ["FlagDefinitions::evaluate", "FeatureFlags::evaluate"];

/// What one call is given.
pub enum Given<'a> {
    Known(&'a User),
    /// A snapshot keeps it.
    Own(User),
}

pub struct Loaded {
    flags: FeatureFlags,
    definitions: Arc<FlagDefinitions>,
}

pub type User = EvaluationContext;

impl Loaded {
    pub fn of(body: &[u8]) -> Result<Self, String> {
        let definitions = FlagDefinitions::parse(body).map_err(|e| e.to_string())?;
        let flags = FeatureFlags::from_definitions(definitions);
        let definitions = flags.definitions().ok_or("no definitions")?;
        Ok(Self { flags, definitions })
    }

    pub fn given<'a>(&self, entry: &str, user: &'a User) -> Given<'a> {
        match entry == ENTRIES[1] {
            true => Given::Own(user.clone()),
            false => Given::Known(user),
        }
    }

    pub fn entry(&self, _: &str, case: Case) -> impl Fn(Given<'_>) {
        let (now, key) = (SystemTime::now(), case.name());
        move |given| match (given, case) {
            (Given::Known(user), Case::All) => {
                let mut each = |key, decision| _ = black_box((key, decision));
                self.definitions.evaluate_all(user, now, &mut each);
            }
            (Given::Known(user), _) => _ = black_box(self.definitions.evaluate(key, user, now)),
            (Given::Own(user), Case::All) => {
                _ = black_box(self.flags.evaluate(user).silently().locally().all())
            }
            (Given::Own(user), _) => {
                _ = black_box(self.flags.evaluate(user).silently().locally().flag(key))
            }
        }
    }

    /// `None`: it cannot be decided here.
    pub fn decide(&self, key: &str, user: &User) -> Option<Value> {
        let decision = self.definitions.evaluate(key, user, NOW.get());
        let value = decision.map_or(Ok(Value::Null), |it| it.value().map(|value| json!(value)));
        value.ok()
    }
}

pub fn user(input: &Value) -> User {
    let fields = |object: &Value| object.as_object().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut user = EvaluationContext::new(text(&input["distinct_id"]))
        .device_id(text(&input["device_id"]))
        .person_properties(fields(&input["person_properties"]));
    for (group_type, key) in fields(&input["groups"]) {
        user = user.group(group_type, text(&key));
    }
    for (group_type, properties) in fields(&input["group_properties"]) {
        for (name, value) in fields(&properties) {
            user = user.group_property(&group_type, name, value);
        }
    }
    user
}

thread_local! {
    static NOW: Cell<SystemTime> = const { Cell::new(UNIX_EPOCH) };
}

pub fn set_clock(seconds: u64) {
    NOW.set(UNIX_EPOCH + Duration::from_secs(seconds));
}
