//! The types of bodies: how the table and the schemas become code, and what is said of a table that is wrong.

use apigen::bodies::{Bodies, Seen, Writer, read};
use apigen::table;
use std::collections::BTreeMap;
use std::path::Path;

const OPERATIONS: &str = r#"[
{"method":"POST","path":"/api/projects/{project_id}/flags/","request_body":"Flag","request_body_2026":"NewFlag"},
{"method":"PATCH","path":"/api/projects/{project_id}/flags/{id}/","request_body":"Flag"}]"#;

const SCHEMAS: &str = r#"{
"NewFlag":{"kind":"object","fields":[
  {"name":"key","type":"string","required":true},
  {"name":"type","type":"Kind","required":true},
  {"name":"description","type":"string","required":false,"nullable":true,"default":"none"},
  {"name":"created_at","type":"string","required":true,"read_only":true},
  {"name":"starts","type":"string","required":false,"format":"date-time"},
  {"name":"ids","type":"array<number>","required":false},
  {"name":"share","type":"number","required":false,"description":"How many\nget it."},
  {"name":"owner","type":"Owner","required":false,"nullable":true},
  {"name":"owners","type":"array<Owner>","required":false},
  {"name":"extra","type":"Owner | string","required":false},
  {"name":"state","type":"Kind | BlankEnum","required":false},
  {"name":"mode","type":"string","required":false,"enum":["fast","slow"]},
  {"name":"owner_id","type":"number","required":false},
  {"name":"version","type":"number","required":true,"nullable":true}]},
"Flag":{"kind":"object","fields":[{"name":"key","type":"string","required":true}]},
"Owner":{"kind":"object","fields":[
  {"name":"id","type":"number","required":true},{"name":"kind","type":"string","required":true,"const":"user"}]},
"Kind":{"kind":"enum","value_type":"string","values":["on","a-b"]}}"#;

const TABLE: &str = "\
every
  description -- What it is for.

group flags Flags.

body NewFlag
  /// A flag.
  POST /api/projects/{project_id}/flags/
  type! -- What it is.
  key!
  +added? : boolean

body FlagChange
  /// A change.
  PATCH /api/projects/{project_id}/flags/{id}/
  key~

object FlagOwner = Owner
  /// Who owns it.

enum FlagState = Kind
";

fn operations() -> table::Table {
    let text = "/api/projects/{project_id}/flags\n  create  POST  /  json\n  update  PATCH  /{id}/  json\n  get  GET  /{id}/\n";
    table::read(text).unwrap()
}

fn bodies(text: &str) -> Result<Bodies, String> {
    let bodies = read(text)?;
    bodies.assign(&mut operations())?;
    Ok(bodies)
}

fn made(text: &str) -> Result<BTreeMap<String, String>, String> {
    let seen = Seen::read(SCHEMAS, OPERATIONS)?;
    Writer {
        bodies: &bodies(text)?,
        seen: &seen,
        links: &BTreeMap::new(),
    }
    .files()
}

#[test]
fn a_schema_becomes_a_type() {
    let files = made(TABLE).unwrap_or_else(|e| panic!("{e}"));
    let flags = &files["src/rest/bodies/generated/flags.rs"];
    for code in [
        // In the order of the table; what may be null is sent as null, until it is set.
        "new(kind as \"type\": part(FlagState), key: text; \"version\" = ())",
        "/// - `kind`: What it is.\n        /// - `key`\n",
        "/// What it is for. By default `none`.\n        description / clear_description: text,",
        "starts: time,",
        "ids: integers,",
        "/// How many get it.\n        share: number,",
        "owner / clear_owner: part(FlagOwner),",
        "owners: parts(FlagOwner),",
        "extra: json,",
        "state: part(FlagState),",
        "version: integer,",
        // What the data knows, and what a name says.
        "/// `mode`. One of `fast`, `slow`.\n        mode: text,",
        "/// The id of the owner.\n        owner_id: integer,",
        "added / clear_added: boolean,",
        "pub struct FlagChange {\n        -> /// No change, until fields are set.\n        new()\n        /// `key`.\n        key: text,\n    }",
        // What is always the same is no argument.
        "new(id: integer; \"kind\" = \"user\")",
        "pub enum FlagState {\n        On = \"on\",\n        AB = \"a-b\",\n    }",
        "/// The body of `POST /api/projects/{project_id}/flags/`.",
    ] {
        assert!(flags.contains(code), "{code}\n\nis not in\n\n{flags}");
    }
    assert!(!flags.contains("created_at"), "{flags}");
    let checks = &files["src/rest/bodies/generated/checks.rs"];
    for check in [
        "NewFlag: \"NewFlag\", &[\"added\"], &[], &[], &[];",
        "FlagChange: \"Flag\", &[], &[], &[\"key\"], &[];",
    ] {
        assert!(checks.contains(check), "{check}\n\n{checks}");
    }
}

#[test]
fn operations_learn_their_types() {
    let mut table = operations();
    let bodies = read(TABLE).unwrap();
    bodies.assign(&mut table).unwrap();
    let types: Vec<_> = table.resources[0]
        .rows
        .iter()
        .map(|r| r.body_type.as_deref())
        .collect();
    assert_eq!(types, [Some("NewFlag"), Some("FlagChange"), None]);
    assert_eq!(
        bodies.count(&table),
        "2 bodies of 2 operations in 1 resources"
    );
}

#[test]
fn what_cannot_be_meant_is_said_with_its_line() {
    let body = |line: &str| TABLE.replace("  +added? : boolean\n", &format!("  {line}\n"));
    for (text, problem) in [
        (
            body("colour -- Its colour."),
            "line 6: NewFlag: the schema has no `colour`",
        ),
        (body("+starts : time"), "the schema has `starts`"),
        (body("+colour"), "`colour` has no kind"),
        (body("colour : "), "line 11: nothing stands behind :"),
        (body("colour is red"), "line 11: \"is\" is none of"),
        (
            body("extra -> share"),
            "NewFlag: two methods are called `share`",
        ),
        (
            body("+owner_gone -> clear_owner : text"),
            "NewFlag: two methods are called `clear_owner`",
        ),
        (
            body("GET /api/projects/{project_id}/flags/"),
            "line 11: nothing stands behind /api/projects/{project_id}/flags/",
        ),
        (
            body("PUT /api/projects/{project_id}/flags/"),
            "line 6: there is no operation PUT",
        ),
        (
            body("PATCH /api/projects/{project_id}/flags/{id}/"),
            "has a body already",
        ),
        (body("schema Flags"), "the schema Flags is no object"),
        (
            TABLE.replace("group flags Flags.\n", ""),
            "it stands in no group",
        ),
        (
            TABLE.replace("object", "objekt"),
            "line 18: neither group, body",
        ),
    ] {
        let said = made(&text).err().unwrap_or_default();
        assert!(said.contains(problem), "{text}\n{said}");
    }
}

/// The promise of the documentation.
#[test]
fn the_table_types_what_people_write() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = |name: &str| std::fs::read_to_string(home.join("api").join(name)).unwrap();
    let mut table = table::read(&text("operations.txt")).unwrap();
    let bodies = read(&text("bodies.txt")).unwrap();
    bodies.assign(&mut table).unwrap();
    let count = bodies.count(&table);
    let numbers: Vec<usize> = count
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [_, operations, resources] = numbers[..] else {
        panic!("{count}")
    };
    assert!(operations >= 150 && resources >= 40, "{count}");
}
