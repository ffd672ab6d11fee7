//! The flags and the users: the same for all peers, as PostHog serves them.

use serde_json::{Value, json};

/// What is evaluated.
#[derive(Clone, Copy, PartialEq)]
pub enum Case {
    /// A flag that is on for half of all users.
    Boolean,
    /// A flag with five filters of the person, which all match.
    Filters,
    /// A flag with three variants.
    Variants,
    /// A flag for a cohort of another cohort: six filters.
    Cohort,
    /// A flag for whose email matches a regex.
    Regex,
    /// All of 100 flags, for one user.
    All,
}

impl Case {
    pub const ALL: [Self; 6] = [
        Self::Boolean,
        Self::Filters,
        Self::Variants,
        Self::Cohort,
        Self::Regex,
        Self::All,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Filters => "filters",
            Self::Variants => "variants",
            Self::Cohort => "cohort",
            Self::Regex => "regex",
            Self::All => "all",
        }
    }

    pub fn named(name: &str) -> Self {
        let case = Self::ALL.into_iter().find(|case| case.name() == name);
        case.unwrap_or_else(|| panic!("no case {name}"))
    }

    pub fn keys(self) -> Vec<String> {
        match self {
            Self::All => (0..100).map(key).collect(),
            one => vec![one.name().to_owned()],
        }
    }

    /// The definitions that have it: five flags and two cohorts, or 100 flags and ten cohorts.
    pub fn body(self) -> Vec<u8> {
        let definitions = match self {
            Self::All => body((0..100).map(mixed).collect(), 10),
            _ => body(
                vec![
                    flag(1, "boolean", json!([condition(json!([]), 50)])),
                    flag(2, "filters", json!([condition(five_filters(), 100)])),
                    with_variants(flag(3, "variants", json!([condition(json!([]), 100)]))),
                    flag(4, "cohort", json!([condition(in_cohort(1), 100)])),
                    flag(5, "regex", json!([condition(on_email(), 100)])),
                ],
                2,
            ),
        };
        serde_json::to_vec(&definitions).expect("JSON")
    }
}

/// 256 users of whom the same is known, in other values.
pub fn users() -> Vec<Value> {
    (0..256)
        .map(|n| {
            json!({
                "distinct_id": format!("01997b5c-{n:04x}-7f2e-9c41-0a5be8d1{:04x}", 7 * n),
                "device_id": null,
                "groups": {"company": format!("company-{}", n % 20)},
                "group_properties": {"company": {"$group_key": format!("company-{}", n % 20), "seats": n}},
                "person_properties": {
                    "email": format!("somebody.{n}@example.com"),
                    "name": format!("Some Body {n}"),
                    "plan": if n % 2 == 0 { "pro" } else { "enterprise" },
                    "country": if n % 3 == 0 { "DE" } else { "NL" },
                    "seats": 10 + n,
                    "version": "2.11.3",
                    "is_staff": false,
                    "language": "en-GB",
                    "os": "Linux",
                    "signed_up_at": "2026-03-01",
                    "timezone": "Europe/Berlin",
                    "$initial_referrer": "https://example.com/blog/how-to",
                },
            })
        })
        .collect()
}

fn key(n: usize) -> String {
    format!("flag-{n}-of-the-mixed-ones")
}

/// Of ten flags three are on for half of all users, one has variants, one is off, and five ask for something. Evaluation of
/// 100 takes 60 hashes.
fn mixed(n: usize) -> Value {
    let conditions = match n % 10 {
        0 | 1 | 8 => json!([condition(json!([]), 50)]),
        3 => json!([condition(five_filters(), 100)]),
        4 => json!([condition(json!([plan(), seats()]), 30)]),
        5 => json!([condition(in_cohort(1 + n / 10), 100)]),
        6 => json!([condition(on_email(), 100)]),
        9 => json!([
            condition(
                json!([filter("country", "exact", json!(["US", "CA"]))]),
                100
            ),
            condition(json!([plan()]), 20)
        ]),
        _ => json!([condition(json!([]), 100)]),
    };
    let flag = flag(n, &key(n), conditions);
    match n % 10 {
        2 => with_variants(flag),
        7 => with(flag, "active", json!(false)),
        _ => flag,
    }
}

/// Definitions as a project has them: most flags with one or two conditions of up to three filters, some with variants
/// and payloads, and a cohort for ten flags.
pub fn realistic(flags: usize) -> Value {
    let one = |n: usize| {
        let filters = [
            plan(),
            seats(),
            filter("email", "icontains", json!("@example.com")),
        ];
        let some = |k: usize| Value::from(filters[..(n + k) % 4].to_vec());
        let first = match n % 10 {
            5 => in_cohort(1 + n % (flags / 10)),
            6 => on_email(),
            _ => some(0),
        };
        let conditions = match n % 3 {
            0 => json!([condition(first, 100)]),
            1 => json!([condition(first, 50), condition(some(1), 100)]),
            _ => json!([
                condition(first, 10),
                condition(some(2), 25),
                condition(json!([]), 1)
            ]),
        };
        let flag = flag(n, &format!("team-{}-flag-{n}", n % 17), conditions);
        match n % 4 {
            0 => with_variants(flag),
            _ => with(flag, "active", json!(!n.is_multiple_of(7))),
        }
    };
    body((0..flags).map(one).collect(), flags / 10)
}

fn body(flags: Vec<Value>, cohorts: usize) -> Value {
    let cohort = |n: usize| {
        let group = |kind: &str, values: Value| json!({"type": kind, "values": values});
        let staff = filter("is_staff", "exact", json!(["false"]));
        let nested = match n % 2 {
            // The cohort after this one, of two filters.
            1 => {
                json!({"key": "id", "type": "cohort", "value": n + 1, "operator": "in", "negation": false})
            }
            _ => {
                return group(
                    "AND",
                    json!([
                        group("OR", json!([plan(), staff.clone()])),
                        group("AND", json!([staff]))
                    ]),
                );
            }
        };
        let either = group(
            "OR",
            json!([
                filter("country", "exact", json!(["US"])),
                filter("seats", "gte", json!(5))
            ]),
        );
        let both = group(
            "AND",
            json!([plan(), filter("email", "icontains", json!("@example."))]),
        );
        group("AND", json!([either, both, group("AND", json!([nested]))]))
    };
    json!({
        "flags": flags,
        "group_type_mapping": {"0": "company"},
        "cohorts": (1..=cohorts).map(|n| (n.to_string(), cohort(n))).collect::<Value>(),
        "minimal_flag_called_events": false,
        "property_matching_version": 1,
    })
}

fn flag(id: usize, key: &str, conditions: Value) -> Value {
    json!({
        "id": 1000 + id, "team_id": 1, "name": "What it is for, in a sentence or so", "key": key,
        "filters": {
            "groups": conditions, "payloads": {}, "multivariate": null, "aggregation_group_type_index": null,
        },
        "deleted": false, "active": true, "ensure_experience_continuity": false, "has_encrypted_payloads": false,
        "version": 3, "evaluation_runtime": "all", "bucketing_identifier": "distinct_id", "evaluation_tags": [],
        "has_experiment": false,
    })
}

fn with(mut flag: Value, field: &str, value: Value) -> Value {
    flag[field] = value;
    flag
}

fn with_variants(mut flag: Value) -> Value {
    let variant =
        |key: &str, percent: f64| json!({"key": key, "name": "", "rollout_percentage": percent});
    flag["filters"]["multivariate"] = json!({
        "variants": [variant("control", 33.4), variant("blue", 33.3), variant("green", 33.3)],
    });
    flag["filters"]["payloads"] =
        json!({"blue": "{\"color\": \"#00f\"}", "green": "{\"color\": \"#0f0\"}"});
    flag
}

fn condition(properties: Value, percent: u32) -> Value {
    json!({"properties": properties, "rollout_percentage": percent, "variant": null})
}

fn filter(key: &str, operator: &str, value: Value) -> Value {
    json!({"key": key, "type": "person", "operator": operator, "value": value, "negation": false})
}

fn plan() -> Value {
    filter("plan", "exact", json!(["pro", "enterprise"]))
}

fn seats() -> Value {
    filter("seats", "gt", json!(5))
}

fn five_filters() -> Value {
    json!([
        plan(),
        seats(),
        filter("email", "icontains", json!("@example.com")),
        filter("country", "is_not", json!(["US"])),
        filter("os", "is_set", json!("is_set")),
    ])
}

fn in_cohort(n: usize) -> Value {
    json!([{"key": "id", "type": "cohort", "operator": "in", "value": n, "negation": false}])
}

fn on_email() -> Value {
    json!([filter(
        "email",
        "regex",
        json!("^[a-z0-9._]+@(example|test)\\.(com|org)$")
    )])
}
