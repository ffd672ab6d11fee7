//! What the generator says of a table that is not as the data, and of types that do not exist.

use apigen::emit::Emit;
use apigen::facts::Facts;
use apigen::{check, data, table, tree};
use std::path::Path;

const SEEN: &str = r#"[
{"method":"GET","path":"/api/projects/{project_id}/flags/","seen_in":["2025-10","2026-11"],"scopes":["flag:read"],
    "behind_flag":["new-flags"],"query_params":[
    {"name":"limit","required":false},{"name":"at","required":true,"format":"date-time"},
    {"name":"type","required":false,"enum":["a","b"]}]},
{"method":"POST","path":"/api/projects/{project_id}/flags/","seen_in":["2025-10"],"deprecated":true,"media_type":"application/json",
    "query_params":null}]"#;

const TABLE: &str = "\
enum Type a b
/api/projects/{project_id}/flags
  list    GET   /  -> Page<Flag>  flag:read  preview  ?at:time! ?limit:int ?type:Type
  create  POST  /  json:NewFlag  -> Flag  2025-10  deprecated
";

fn facts() -> Facts {
    let seen = data::read(SEEN).unwrap().into_iter();
    let key = |seen: &data::Seen| (seen.method().to_owned(), seen.path().to_owned());
    Facts {
        seen: seen.map(|seen| (key(&seen), seen)).collect(),
        ..Facts::default()
    }
}

fn problems(text: &str, facts: &Facts) -> Vec<String> {
    let table = table::read(text).unwrap();
    let tree = tree::grow(&table).unwrap();
    check::seen(&Emit {
        table: &table,
        tree: &tree,
        facts,
    })
}

#[test]
fn a_table_that_is_not_as_the_data_is_said_line_by_line() {
    assert_eq!(problems(TABLE, &facts()), [""; 0]);
    for (from, to, problem) in [
        (
            "?limit:int ",
            "",
            "line 3: GET /api/projects/{project_id}/flags/: the parameter `?limit` is missing",
        ),
        (
            "?limit:int",
            "?limit:int ?offset:int",
            "the parameter `?offset` was not seen",
        ),
        ("?at:time!", "?at:time", "the parameter `?at!` is missing"),
        ("?at:time!", "?at!", "`?at` is a time"),
        ("enum Type a b", "enum Type a", "`?type`: its enum lacks b"),
        (
            "  2025-10",
            "",
            "line 4: POST /api/projects/{project_id}/flags/: the mark `2025-10` is for",
        ),
        (
            "  deprecated",
            "",
            "the mark `deprecated` is not as in operations.json",
        ),
        (
            "  list    GET   /",
            "  list    GET   /all/",
            "GET /api/projects/{project_id}/flags/ has no line; add one",
        ),
        (
            "  list    GET   /",
            "  list    GET   /all/",
            "/flags/all/ is not in operations.json",
        ),
        ("  preview", "", "the mark `preview` is for what has a flag"),
        ("  flag:read", "", "its key scopes are flag:read"),
        (
            "json:NewFlag",
            "multipart",
            "`multipart` is for what takes a form",
        ),
        ("json:NewFlag", "", "it takes JSON"),
        (
            "2025-10  deprecated",
            "unlisted",
            "is in operations.json; take `unlisted` away",
        ),
    ] {
        assert!(TABLE.contains(from), "{from}");
        let said = problems(&TABLE.replace(from, to), &facts());
        assert!(
            said.iter().any(|s| s.contains(problem)),
            "{problem}\n{said:#?}"
        );
    }
    let unlisted = format!("{TABLE}  extra  GET  /extra/  unlisted\n");
    assert_eq!(problems(&unlisted, &facts()), [""; 0]);
}

#[test]
fn texts_of_what_does_not_exist_are_said() {
    let mut facts = facts();
    let text = || "Text.".to_owned();
    facts.descriptions = [("flags.list".into(), text()), ("flags.lst".into(), text())].into();
    facts.parameters = ["limit", "flags.list.at", "limits", "flags.create.at"]
        .map(|name| (name.to_owned(), text()))
        .into();
    assert_eq!(
        problems(TABLE, &facts),
        [
            "descriptions.txt: there is no operation `flags.lst`",
            "parameters.txt: there is no parameter `flags.create.at`",
            "parameters.txt: there is no parameter `limits`",
        ]
    );
}

#[test]
fn types_that_the_crate_does_not_have_are_said() {
    let home = tempfile::tempdir().unwrap();
    let rest = home.path().join("src/rest");
    std::fs::create_dir_all(rest.join("models")).unwrap();
    std::fs::write(rest.join("models/flags.rs"), "pub struct Flag;").unwrap();
    let table = table::read(TABLE).unwrap();
    assert_eq!(
        check::types(home.path(), &table),
        ["line 4: there is no `NewFlag` in src/rest/bodies"]
    );
    std::fs::create_dir(rest.join("bodies")).unwrap();
    std::fs::write(
        rest.join("bodies/flags.rs"),
        "body! { pub struct NewFlag {} }",
    )
    .unwrap();
    std::fs::write(rest.join("models/flags.rs"), "pub struct Flags;").unwrap();
    assert_eq!(
        check::types(home.path(), &table),
        [
            "line 3: there is no `Flag` in src/rest/models",
            "line 4: there is no `Flag` in src/rest/models",
        ]
    );
}

#[test]
fn the_table_is_as_the_data() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(home.join("api/operations.txt")).unwrap();
    let facts = Facts::load(&home).unwrap();
    assert_eq!(problems(&text, &facts), [""; 0]);
    let table = table::read(&text).unwrap();
    assert_eq!(check::types(&home, &table), [""; 0]);
}
