//! What the generator makes of a table, and what it says of a wrong one.

use apigen::data;
use apigen::emit::Emit;
use apigen::facts::Facts;
use apigen::files::{RESOURCES, files, run};
use apigen::{table, tree};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "\
enum Order -created_at created_at

query LimitOffset limit:int offset:int

/api/{scope}/{project_id}/flags
  list         GET     /                -> Page<Flag>  flag:read  ?LimitOffset
  create       POST    /                json:NewFlag  -> Flag  flag:write
  get          GET     /{id}/           -> Flag  flag:read  preview  ?at:time!  ?order:Order ?tags:[str] ?type ?since ?has_notes:bool
  delete       PATCH   /{id}/           ={\"deleted\":true}  -> Flag
  hard_delete  DELETE  /{id}/           -> done  2025-10  refused  deprecated=delete
  update       PATCH   /{id}/           json  -> Flag
  upload       POST    /{id}/{file}/    multipart  projects
  launch       POST    /{id}/launch/    json?

/api/{scope}/{project_id}/flags/{flag_id}/notes
  list  GET  /  -> Page  2025-10
";

const SEEN: &str = r#"[{"method":"GET","path":"/api/{scope}/{project_id}/flags/{id}/","query_params":[
    {"name":"order","default":"created_at"},{"name":"type","enum":["a","b"],"default":""},
    {"name":"tags","description":"Not said."},{"name":"since","description":"Only <new> ones"},{"name":"has_notes"}]},
{"method":"POST","path":"/api/projects/{project_id}/flags/{id}/{file}/","description":"Puts up a file, see [there](https://a.b)"},
{"method":"POST","path":"/api/{scope}/{project_id}/flags/{id}/launch/","description":"Not said."}]"#;

fn facts() -> Facts {
    let seen = data::read(SEEN).unwrap().into_iter();
    let key = |seen: &data::Seen| (seen.method().to_owned(), seen.path().to_owned());
    let texts = |texts: &[(&str, &str)]| {
        let pairs = texts.iter();
        let pairs = pairs.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        pairs.collect()
    };
    Facts {
        descriptions: texts(&[("flags.launch", "Turns a flag on.")]),
        parameters: texts(&[
            ("order", "How they are sorted."),
            ("tags", "Only what has these tags."),
            ("flags.get.tags", "Only flags with these tags."),
        ]),
        seen: seen.map(|seen| (key(&seen), seen)).collect(),
    }
}

fn made(table: &str) -> Result<BTreeMap<PathBuf, String>, String> {
    let table = table::read(table)?;
    let tree = tree::grow(&table)?;
    files(&Emit {
        table: &table,
        tree: &tree,
        facts: &facts(),
    })
}

/// How a text reads without its layout, which is the formatter's, and without hints to the compiler.
fn plain(text: &str) -> String {
    let text: String = text.split_whitespace().collect();
    text.replace(",)", ")")
        .replace(",]", "]")
        .replace("#[inline]", "")
}

/// The text of a generated file, without its layout.
fn file(table: &str, name: &str) -> String {
    let path = Path::new(RESOURCES).join(name);
    let text = made(table).unwrap().remove(&path).unwrap();
    plain(&text)
}

#[test]
fn a_line_becomes_a_method() {
    let flags = file(TABLE, "flags.rs");
    for code in [
        "/// Lists flags. /// /// `GET /api/{scope}/{project_id}/flags/`. Key scope: `flag:read`. \
             pub fn list(&self) -> Request<Page<models::Flag>, LimitOffset> {",
        "pub fn create(&self, body: impl IntoBody<bodies::NewFlag>) -> Request<models::Flag> {",
        // What is required is an argument; the rest are methods of the request.
        "/// `GET /api/{scope}/{project_id}/flags/{id}/`. Key scope: `flag:read`. Preview. \
             pub fn get(&self, id: impl Display, at: impl IntoTime) -> Request<models::Flag, FlagsGet> {",
        ".query_time(\"at\", at.into_time())",
        "order \"order\": one(values::Order),",
        "tags \"tags\": texts,",
        "type_ \"type\": text,",
        ".raw_body(\"application/json\", r#\"{\"deleted\":true}\"#)",
        "/// Asks to delete a flag for good; `delete` is what PostHog supports. /// \
             /// `DELETE /api/{scope}/{project_id}/flags/{id}/`. Seen in 2025 only. Refused (405). \
             #[deprecated = \"PostHog calls this operation deprecated; use `delete`\"] \
             pub fn hard_delete(&self, id: impl Display) -> Request<Done>",
        // Under one prefix, whatever the handle.
        "pub fn upload(&self, id: impl Display, file: impl Display, form: Form) -> Request<Untyped>",
        "&[Step::Under(\"projects\"), Step::Id(\"id\", &id), Step::Id(\"file\", &file)]",
        // PostHog's words, where the tables say nothing.
        "/// Puts up a file, see \\[there\\](<https://a.b>). ///",
        "/// Only \\<new\\> ones. since \"since\"",
        "/// Whether to return what has notes, or what has none. has_notes \"has_notes\"",
        "/// Turns a flag on. /// /// `POST /api/{scope}/{project_id}/flags/{id}/launch/`. \
             May have a [`body`](Request::body).",
        // Parameters: a text of their own, of their name, the data's facts, or the name alone.
        "/// Only flags with these tags. tags \"tags\"",
        "/// How they are sorted. Default: `created_at`. order \"order\"",
        "/// `type`. One of `a`, `b`. type_ \"type\"",
        // All of it was seen in 2025 only, which is said once.
        "/// Flags, notes: `/api/{scope}/{project_id}/flags/{flag_id}/notes/`. Seen in 2025 only.",
        "/// Lists notes. /// /// `GET /api/{scope}/{project_id}/flags/{flag_id}/notes/`. pub fn list",
        // What hangs below.
        "pub fn notes(&self, flag_id: impl Display) -> FlagsNotes",
        "impl FlagsNotes {",
    ] {
        assert!(
            flags.contains(&plain(code)),
            "{code}\n\nis not in\n\n{flags}"
        );
    }
    assert!(!flags.contains("pubfnat("), "{flags}");
    assert!(file(TABLE, "values.rs").contains("CreatedAtDesc=\"-created_at\""));
    let roots = file(TABLE, "roots.rs");
    assert_eq!(roots.matches("pubfnflags(&self)->Flags").count(), 2);
    let operations = file(TABLE, "operations.rs");
    assert_eq!(operations.matches("op(\"").count(), 8, "{operations}");
}

#[test]
fn what_collides_is_said_with_its_line() {
    let flags = "/api/projects/{project_id}/flags\n";
    for (table, problem) in [
        (
            format!("{flags}  list  GET  /\n  list  GET  /{{id}}/\n"),
            "line 3: `list` is also on line 2",
        ),
        (
            format!("{flags}  list  GET  /\n  all  GET  /\n"),
            "line 3: GET /api/projects/{project_id}/flags/ is also on line 2",
        ),
        (
            format!("{flags}  list  GET  /\n{flags}  get  GET  /{{id}}/\n"),
            "/api/projects/{project_id}/flags is there twice",
        ),
        (
            format!(
                "{flags}  notes  GET  /notes/\n/api/projects/{{project_id}}/flags/{{id}}/notes\n  list  GET  /\n"
            ),
            "line 2: `notes` is also a resource below",
        ),
        (
            format!(
                "{flags}  list  GET  /\n/api/organizations/{{organization_id}}/flags\n  list  GET  /\n"
            ),
            "rename one with `as`",
        ),
        (
            format!("{flags}  delete  PATCH  /{{id}}/  ={{}}\n"),
            "line 2: PATCH /api/projects/{project_id}/flags/{id}/ has no line without `=`",
        ),
        (
            format!(
                "{flags}  delete  PATCH  /{{id}}/  ={{}}\n  update  PATCH  /{{id}}/  json  flag:write\n"
            ),
            "line 2: PATCH /api/projects/{project_id}/flags/{id}/ has other scopes or marks",
        ),
        (
            format!(
                "{flags}  list  GET  /  ?a\n/api/projects/{{project_id}}/flags_list\n  get  GET  /{{id}}/  ?a\n\
                         /api/projects/{{project_id}}/flags/{{id}}/list\n  get  GET  /  ?a\n"
            ),
            "also a resource below",
        ),
    ] {
        let said = made(&table).err().unwrap_or_default();
        assert!(said.contains(problem), "{table}\n{said}");
    }
    let renamed = format!(
        "{flags}  list  GET  /\n/api/organizations/{{organization_id}}/flags as OrganizationFlags\n  list  GET  /\n"
    );
    assert!(made(&renamed).is_ok());
}

/// A crate with nothing but the table.
fn home(table: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("api")).unwrap();
    fs::write(home.path().join("api/operations.txt"), table).unwrap();
    for (name, text) in [
        ("descriptions.txt", ""),
        ("parameters.txt", ""),
        ("operations.json", "[]"),
    ] {
        fs::write(home.path().join("api").join(name), text).unwrap();
    }
    home
}

#[test]
fn a_check_finds_what_differs_and_writes_nothing() {
    let table = "/api/projects/{project_id}/flags\n  list  GET  /  -> Page  preview  unlisted\n  \
                 get  GET  /{id}/  unlisted\n";
    let home = home(table);
    let home = home.path();
    let flags = home.join(RESOURCES).join("flags.rs");
    assert!(run(home, true).unwrap_err().contains("flags.rs"));
    assert!(!flags.exists());
    let summary = run(home, false).unwrap();
    assert!(
        summary.starts_with("2 operations (0 of 0 that were seen) and 0 aliases in 1 resources"),
        "{summary}"
    );
    assert!(run(home, true).unwrap().ends_with("all as the table says"));

    let fresh = fs::read_to_string(&flags).unwrap();
    let old = home.join(RESOURCES).join("gone.rs");
    let spoil: [(&str, &dyn Fn()); 3] = [
        ("resources/flags.rs", &|| {
            fs::write(&flags, fresh.replace("Lists", "Shows")).unwrap()
        }),
        ("resources/flags.rs", &|| fs::remove_file(&flags).unwrap()),
        ("resources/gone.rs", &|| fs::write(&old, "").unwrap()),
    ];
    for (name, spoil) in spoil {
        spoil();
        let said = run(home, true).unwrap_err();
        assert!(said.contains(name) && said.lines().count() == 2, "{said}");
        assert_eq!(
            run(home, true).unwrap_err(),
            said,
            "a check changes nothing"
        );
        run(home, false).unwrap();
    }
    assert!(run(home, true).is_ok() && !old.exists());

    let table = table.replace("preview", "refused");
    fs::write(home.join("api/operations.txt"), table).unwrap();
    assert!(run(home, true).unwrap_err().contains("operations.rs"));
}
