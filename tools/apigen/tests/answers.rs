//! What the generator makes of the models of answers, and what it says of wrong ones.

use apigen::{answers, table};
use std::collections::BTreeMap;
use std::fs;

const OPERATIONS: &str = "\
/api/projects/{project_id}/alerts
  list  GET  /       -> Page<Alert>
  get   GET  /{id}/  -> Alert
  log   GET  /log/   -> Vec<Flag>
";

const ANSWERS: &str = "\
# A remark.
file alerts | Alerts.

model Alert Alert Alert@2026 | Watches.
  checks [AlertCheck?] | The latest.
  rate float | Of a kind that the schema gets wrong.
  note str | That no schema has.
  without secret
model AlertCheck AlertCheck | A check.
values AlertState AlertStateEnum | How it is.
  not-firing Quiet | Nothing to see.

hand Flag Flag
  without hash
";

const SCHEMAS: &str = r#"{
"Alert":{"kind":"object","fields":[
  {"name":"id","type":"number","name_hint":"integer"},{"name":"type","type":"string"},
  {"name":"createdAt","type":"string","name_hint":"datetime"},{"name":"flag","type":"Flag | NullEnum"},
  {"name":"checks","type":"any"},{"name":"rate","type":"string"},{"name":"secret","type":"string"},
  {"name":"_internal","type":"string"},{"name":"state","type":"string"},{"name":"counts","type":"map<integer>"},
  {"name":"anything","type":"map<any>"},{"name":"mixed","type":"string | number"},{"name":"tags","type":"array<string>","description":"Words\nof people"}]},
"Alert@2026":{"kind":"object","fields":[{"name":"state","type":"AlertStateEnum"},{"name":"ref","type":"Other"}]},
"AlertCheck":{"kind":"object","fields":[{"name":"value","type":"number"}]},
"AlertStateEnum":{"kind":"enum","values":["Firing","not-firing"]},
"Flag":{"kind":"object","fields":[{"name":"key","type":"string"},{"name":"hash","type":"string"}]},
"Other":{"kind":"object","fields":[]}
}"#;

const HAND: &str = "\
model! {
    pub struct Flag {
        /// As in code.
        key: Option<String>,
    }
}
";

fn made(operations: &str, answers: &str) -> Result<BTreeMap<String, String>, String> {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir_all(home.join("src/rest/models")).unwrap();
    fs::create_dir(home.join("api")).unwrap();
    fs::write(home.join("src/rest/models/flags.rs"), HAND).unwrap();
    fs::write(home.join("api/answers.txt"), answers).unwrap();
    fs::write(home.join("api/schemas.json"), SCHEMAS).unwrap();
    answers::files(home, &table::read(operations)?)
}

#[test]
fn a_schema_becomes_a_model() {
    let files = made(OPERATIONS, ANSWERS).unwrap();
    let names: Vec<&String> = files.keys().collect();
    assert_eq!(
        names,
        [
            "src/rest/models/generated/alerts.rs",
            "src/rest/models/generated/mod.rs"
        ]
    );
    let alerts = files.values().next().unwrap();
    for line in [
        "//! Alerts.",
        "    /// Watches.",
        "    /// Answered by `list` and `get` of `…/alerts/`.",
        "        id: Option<i64>,",
        "        kind as \"type\": Option<String>,",
        "        created_at as \"createdAt\": Option<Time>,",
        "        flag: Option<Flag>,",
        "        /// The latest.",
        "        checks: Vec<Option<AlertCheck>>,",
        "        rate: Option<f64>,",
        // The later schema knows better.
        "        state: Option<AlertState>,",
        "        counts: BTreeMap<String, i64>,",
        "        anything: Object,",
        "        mixed: Option<Value>,",
        "        /// Words of people.",
        "        tags: Vec<String>,",
        "        reference as \"ref\": Option<Object>,",
        "        note: Option<String>,",
        "    /// Part of [`Alert`].",
        "        value: Option<f64>,",
        "        Firing = \"Firing\",",
        "        /// Nothing to see.",
        "        Quiet = \"not-firing\",",
    ] {
        assert!(
            alerts.lines().any(|l| l == line),
            "{line}\n\nis not in\n\n{alerts}"
        );
    }
    assert!(!alerts.contains("secret") && !alerts.contains("_internal"));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let says =
        |operations: &str, answers: &str| made(operations, answers).err().unwrap_or_default();
    assert_eq!(says(OPERATIONS, ANSWERS), "");
    for (from, to, problem) in [
        (
            "model AlertCheck AlertCheck | A check.",
            "model AlertCheck Nothing | A check.",
            "line 9: api/schemas.json has no Nothing",
        ),
        (
            "model AlertCheck AlertCheck | A check.",
            "model AlertCheck AlertCheck",
            "line 9: what `AlertCheck` is, is missing",
        ),
        (
            "rate float",
            "rate double",
            "line 4: double is neither a type nor a model",
        ),
        (
            "note str",
            "note",
            "line 7: no schema has `note`; give its type",
        ),
        (
            "without secret",
            "without secrets",
            "line 4: `without secrets`: no schema has it",
        ),
        (
            "  without hash\n",
            "",
            "line 13: Flag has no field `hash`, which Flag has; add it, or name it behind `without`",
        ),
        (
            "  without hash\n",
            "  without hash key\n",
            "line 13: `without key` says nothing",
        ),
        (
            "hand Flag",
            "hand Flags",
            "line 13: no hand-written model is called Flags",
        ),
        (
            "model AlertCheck",
            "model Flag",
            "line 9: Flag is also written by hand",
        ),
        (
            "not-firing Quiet",
            "not-firing quiet",
            "\"not-firing\" makes no variant",
        ),
        (
            "values AlertState",
            "value AlertState",
            "line 10: neither `file`",
        ),
    ] {
        let said = says(OPERATIONS, &ANSWERS.replace(from, to));
        assert!(said.contains(problem), "{to}\n{said}");
    }
    let said = says(&OPERATIONS.replace("Page<Alert>", "Page<Alarm>"), ANSWERS);
    assert_eq!(said, "api/operations.txt: line 2: no model is called Alarm");
}
