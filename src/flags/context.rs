//! [`EvaluationContext`]: for whom flags are evaluated.

use serde_json::Value;
use std::fmt;

/// For whom flags are evaluated: a person, and what is known of the person and of the person's groups.
///
/// Flags are evaluated here with these properties only. PostHog adds those that it has stored, where it is asked.
///
/// Its `Debug` output shows names, but no ids and values, which may be personal.
///
/// ```
/// use tracing_posthog::EvaluationContext;
///
/// let context = EvaluationContext::new("user_42")
///     .person("plan", "pro")
///     .group("company", "acme")
///     .group_property("company", "seats", 40);
/// ```
#[derive(Clone, PartialEq)]
pub struct EvaluationContext {
    pub(crate) distinct_id: String,
    /// Never empty.
    pub(crate) device_id: Option<String>,
    /// Person properties. A name comes once.
    pub(crate) person: Vec<(String, Value)>,
    /// A type comes once.
    pub(crate) groups: Vec<Group>,
}

/// A group that somebody belongs to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) group_type: String,
    /// `None`: only properties of that type were given.
    pub(crate) key: Option<String>,
    /// A name comes once.
    pub(crate) properties: Vec<(String, Value)>,
}

impl EvaluationContext {
    /// A person of that distinct id, of whom nothing else is known.
    pub fn new(distinct_id: impl Into<String>) -> Self {
        Self {
            distinct_id: distinct_id.into(),
            device_id: None,
            person: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// A property of the person. One of the same name is replaced. `$device_id` counts as the
    /// [`device_id`](Self::device_id) too, where none is given.
    pub fn person(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        put(&mut self.person, name.into(), value.into());
        self
    }

    /// Properties of the person.
    pub fn person_properties<N: Into<String>, V: Into<Value>>(
        mut self,
        properties: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        for (name, value) in properties {
            put(&mut self.person, name.into(), value.into());
        }
        self
    }

    /// The group of that type that the person belongs to.
    pub fn group(mut self, group_type: impl Into<String>, key: impl Into<String>) -> Self {
        self.group_mut(group_type.into()).key = Some(key.into());
        self
    }

    /// A property of the group of that type.
    pub fn group_property(
        mut self,
        group_type: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        put(
            &mut self.group_mut(group_type.into()).properties,
            name.into(),
            value.into(),
        );
        self
    }

    /// The device, for flags that are the same for everybody who uses a device. An empty one counts as none.
    pub fn device_id(mut self, id: impl Into<String>) -> Self {
        self.device_id = Some(id.into()).filter(|id| !id.is_empty());
        self
    }

    /// Who it is.
    pub fn distinct_id(&self) -> &str {
        &self.distinct_id
    }

    /// The groups whose key was given: type and key.
    pub(crate) fn given_groups(&self) -> impl Iterator<Item = (&str, &str)> {
        let groups = self.groups.iter();
        groups.filter_map(|group| Some((group.group_type.as_str(), group.key.as_deref()?)))
    }

    /// The device: as given, or by the person property `$device_id`.
    pub(crate) fn device(&self) -> Option<&str> {
        let property = || {
            let mut of_person = self.person.iter();
            let (_, value) = of_person.find(|(name, _)| name == "$device_id")?;
            value.as_str().filter(|id| !id.is_empty())
        };
        self.device_id.as_deref().or_else(property)
    }

    fn group_mut(&mut self, group_type: String) -> &mut Group {
        let known = self.groups.iter().position(|g| g.group_type == group_type);
        let at = known.unwrap_or_else(|| {
            self.groups.push(Group {
                group_type,
                key: None,
                properties: Vec::new(),
            });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }
}

fn put(properties: &mut Vec<(String, Value)>, name: String, value: Value) {
    match properties.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => properties.push((name, value)),
    }
}

impl From<&str> for EvaluationContext {
    fn from(distinct_id: &str) -> Self {
        Self::new(distinct_id)
    }
}

impl From<String> for EvaluationContext {
    fn from(distinct_id: String) -> Self {
        Self::new(distinct_id)
    }
}

impl From<&String> for EvaluationContext {
    fn from(distinct_id: &String) -> Self {
        Self::new(distinct_id)
    }
}

impl fmt::Debug for EvaluationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn names(properties: &[(String, Value)]) -> Vec<&str> {
            properties.iter().map(|(name, _)| name.as_str()).collect()
        }
        f.debug_struct("EvaluationContext")
            .field("person", &names(&self.person))
            .field(
                "groups",
                &self
                    .groups
                    .iter()
                    .map(|group| (&group.group_type, names(&group.properties)))
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
