//! What an OpenAPI document changes in the data, and what it does not.

use apigen::import;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Four operations, of a document, of posthog-cli, and of both.
const OPERATIONS: &str = r#"[
{"method":"GET","path":"/api/projects/{project_id}/cohorts/","scope":["projects"],"scopes_of_path":["projects"],"seen_in":["2025-10","2026-11"],"resource":"cohorts","kind":"list","operation_id":"cohorts_list","path_params":[{"name":"project_id","type":"string"}],"query_params":[{"name":"basic","type":"boolean","required":false,"seen_in":["2026-11"]},{"name":"limit","type":"number","required":false},{"name":"old","type":"string","required":false,"seen_in":["2025-10"]}],"request_body":null,"media_type":null,"response":"PaginatedCohortList","paginated":"limit_offset","scopes":["cohort:read"]},
{"method":"POST","path":"/api/projects/{project_id}/cohorts/","scope":["projects"],"scopes_of_path":["projects"],"seen_in":["2026-11"],"resource":"cohorts","kind":"create","operation_id":"cohorts_create","path_params":[{"name":"project_id","type":"string"}],"query_params":[],"request_body":"CohortsCreateBody","media_type":"application/json","response":null,"paginated":"none","scopes":[]},
{"method":"DELETE","path":"/api/{scope}/{project_id}/cohorts/{cohort_id}/","scope":["projects","environments"],"scopes_of_path":["projects","environments"],"seen_in":["2025-10"],"resource":"cohorts","kind":"destroy","operation_id":"cohorts_destroy","path_params":[{"name":"project_id","type":"string"},{"name":"cohort_id","type":"string"}],"query_params":[],"request_body":null,"media_type":null,"response":"void","paginated":"none","scopes":[]},
{"method":"GET","path":"/api/projects/{project_id}/gone/","scope":["projects"],"scopes_of_path":["projects"],"seen_in":["2025-10"],"resource":"gone","kind":"list","operation_id":"gone_list","path_params":[{"name":"project_id","type":"string"}],"query_params":[],"request_body":null,"media_type":null,"response":"Gone","paginated":"none","scopes":[]},
{"method":"GET","path":"/api/projects/{project_id}/newer/","scope":["projects"],"scopes_of_path":["projects"],"seen_in":["2026-11"],"resource":"newer","kind":"list","operation_id":"newer_list","path_params":[{"name":"project_id","type":"string"}],"query_params":[],"request_body":null,"media_type":null,"response":null,"paginated":"none","scopes":[]}
]
"#;

const SCHEMAS: &str = r#"{
"Cohort":{"kind":"object","fields":[{"name":"id","type":"number","required":true,"read_only":true,"name_hint":"integer"},{"name":"name","type":"string","required":false},{"name":"groups","type":"any","required":false}]},
"CohortType":{"kind":"enum","value_type":"string","values":["static","behavioral"]},
"CohortsCreateBody":{"kind":"object","fields":[{"name":"name","type":"string","required":true}],"since":"2026-11"},
"CohortsCreateBody@2026-05":{"kind":"object","fields":[],"since":"2026-05"},
"Gone":{"kind":"object","fields":[]}
}
"#;

fn document() -> Value {
    let param = |name: &str, schema: Value| json!({"name": name, "in": "query", "schema": schema});
    let id = |name: &str| json!({"name": name, "in": "path", "schema": {"type": "string"}});
    let answer =
        |schema: Value| json!({"200": {"content": {"application/json": {"schema": schema}}}});
    let cohort = json!({"$ref": "#/components/schemas/Cohort"});
    json!({
        "openapi": "3.0.3",
        "paths": {
            "/api/environments/{environment_id}/cohorts/": {"get": {
                "operationId": "cohorts_list_2",
                "parameters": [id("environment_id"), {"$ref": "#/components/parameters/Limit"}],
                "responses": answer(json!({"$ref": "#/components/schemas/PaginatedCohortList"})),
            }},
            "/api/projects/{project_id}/cohorts/": {
                "get": {
                    "operationId": "cohorts_list",
                    "description": "Lists\n  cohorts.\n\nAnd more.",
                    "security": [{"PersonalAPIKeyAuth": ["cohort:all"]}],
                    "parameters": [
                        id("project_id"),
                        {"$ref": "#/components/parameters/Limit"},
                        param("since", json!({"type": "string", "format": "date-time"})),
                    ],
                    "responses": answer(json!({"$ref": "#/components/schemas/PaginatedCohortList"})),
                },
                "post": {
                    "operationId": "cohorts_create",
                    "security": [{"PersonalAPIKeyAuth": ["cohort:write"]}],
                    "requestBody": {"required": true, "content": {
                        "application/json": {"schema": cohort}, "multipart/form-data": {"schema": cohort}}},
                    "responses": {"201": {"content": {"application/json": {"schema": cohort}}}},
                },
            },
            // Its id has another name here, and it is under one prefix only.
            "/api/projects/{project_id}/cohorts/{id}/": {"delete": {
                "operationId": "cohorts_destroy",
                "deprecated": true,
                "parameters": [id("project_id"), id("id")],
                "responses": {"204": {"description": "No content"}},
            }},
            "/api/projects/{project_id}/cohorts/{id}/split_up/": {"post": {
                "operationId": "cohorts_split_up_create",
                "parameters": [id("project_id"),
                    {"name": "id", "in": "path", "schema": {"type": "string", "format": "uuid"}}],
                "requestBody": {"content": {"application/json": {"schema": {
                    "type": "object", "properties": {"parts": {"type": "integer"}}}}}},
                "responses": answer(json!({"type": "array", "items": cohort})),
            }},
        },
        "components": {
            "parameters": {"Limit": param("limit", json!({"type": "integer", "default": 100}))},
            "schemas": {
                "Cohort": {
                    "type": "object",
                    "required": ["id", "name"],
                    "properties": {
                        "id": {"type": "integer", "readOnly": true},
                        "name": {"type": "string", "nullable": true},
                        "kind": {"allOf": [{"$ref": "#/components/schemas/CohortType"}], "readOnly": true},
                        "tags": {"type": ["array", "null"], "items": {"type": "string"}},
                        "filters": {"type": "object", "properties": {
                            "values": {"type": "object", "additionalProperties": {"type": "number"}},
                            "mode": {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
                        }},
                    },
                },
                "CohortType": {"type": "string", "enum": ["static", "analytical"]},
                "PaginatedCohortList": {"type": "object", "properties": {
                    "results": {"type": "array", "items": cohort}}},
            },
        },
    })
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("")).unwrap();
        for (name, text) in [
            ("operations.json", OPERATIONS),
            ("schemas.json", SCHEMAS),
            ("operations.txt", "# by hand"),
            ("bodies.txt", "# by hand"),
        ] {
            fs::write(home.path(name), text).unwrap();
        }
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("api").join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn import(&self, document: &Value, label: &str) -> import::Report {
        let file = self.0.path().join("openapi.json");
        fs::write(&file, document.to_string()).unwrap();
        import::run(self.0.path(), &file, Some(label)).unwrap()
    }

    fn row(&self, method: &str, path: &str) -> Value {
        let rows: Vec<Value> = serde_json::from_str(&self.text("operations.json")).unwrap();
        let mut rows = rows.into_iter();
        rows.find(|r| r["method"] == method && r["path"] == path)
            .unwrap()
    }
}

const LIST: &str = "GET /api/{scope}/{project_id}/cohorts/";

#[test]
fn a_document_changes_what_it_says_and_nothing_else() {
    let home = Home::new();
    let report = home.import(&document(), "2026-12");

    assert_eq!(
        report.new,
        [
            &format!("{LIST} ?since"),
            "POST /api/projects/{project_id}/cohorts/{id}/split_up/",
            "Cohort.kind",
            "Cohort.tags",
            "Cohort.filters",
            "schema Cohort.filters",
            "CohortType: \"analytical\"",
            "schema PaginatedCohortList",
            "schema cohorts_split_up_create.body",
        ]
    );
    assert_eq!(
        report.changed,
        [
            "DELETE /api/{scope}/{project_id}/cohorts/{cohort_id}/: deprecated none -> true",
            "GET /api/projects/{project_id}/cohorts/: now also under environments",
            &format!("{LIST} ?limit: type number -> integer"),
            &format!("{LIST} ?limit: default none -> 100"),
            &format!("{LIST}: description none -> Lists cohorts."),
            "POST /api/projects/{project_id}/cohorts/: request_body CohortsCreateBody -> Cohort",
            "POST /api/projects/{project_id}/cohorts/: request_body_required none -> true",
            "POST /api/projects/{project_id}/cohorts/: response none -> Cohort",
            "POST /api/projects/{project_id}/cohorts/: scopes none -> [\"cohort:write\"]",
            "Cohort.id: type number -> integer",
            "Cohort.name: required none -> true",
            "Cohort.name: nullable none -> true",
        ]
    );
    // Of posthog-cli nothing is gone: it does not list everything.
    assert_eq!(
        report.gone,
        [
            "DELETE /api/{scope}/{project_id}/cohorts/{cohort_id}/: under environments",
            &format!("{LIST} ?old"),
            "GET /api/projects/{project_id}/gone/",
            "Cohort.groups",
            "CohortType: \"behavioral\"",
            "schema Gone",
        ]
    );
    assert_eq!(
        report.kept,
        [format!(
            "{LIST}: scopes [\"cohort:read\"], in the document [\"cohort:all\"]"
        )]
    );

    let list = home.row("GET", "/api/{scope}/{project_id}/cohorts/");
    assert_eq!(list["seen_in"], json!(["2025-10", "2026-11", "2026-12"]));
    assert_eq!(
        list["seen_in_by_scope"],
        json!({"projects": ["2025-10", "2026-11", "2026-12"], "environments": ["2026-12"]})
    );
    assert_eq!(
        list["query_params"],
        json!([
            {"name": "basic", "type": "boolean", "required": false, "seen_in": ["2026-11"]},
            {"name": "limit", "type": "integer", "required": false, "default": 100},
            {"name": "old", "type": "string", "required": false, "seen_in": ["2025-10"]},
            {"name": "since", "type": "string", "required": false, "format": "date-time", "seen_in": ["2026-12"]},
        ])
    );
    // Both bodies stay known: the one that types are made of is that of the other source, as before.
    let create = home.row("POST", "/api/projects/{project_id}/cohorts/");
    assert_eq!(create["request_body"], "Cohort");
    assert_eq!(create["request_body_2026"], "CohortsCreateBody");
    // The name of an id is that of the data.
    let delete = home.row("DELETE", "/api/{scope}/{project_id}/cohorts/{cohort_id}/");
    assert_eq!(
        delete["seen_in_by_scope"],
        json!({"projects": ["2025-10", "2026-12"], "environments": ["2025-10"]})
    );
    let split = home.row("POST", "/api/projects/{project_id}/cohorts/{id}/split_up/");
    assert_eq!(
        split,
        json!({
            "method": "POST", "path": "/api/projects/{project_id}/cohorts/{id}/split_up/",
            "scope": ["projects"], "scopes_of_path": ["projects"], "seen_in": ["2026-12"],
            "resource": "cohorts", "kind": "action", "action": {"name": "split_up", "detail": true},
            "operation_id": "cohorts_split_up_create",
            "path_params": [{"name": "project_id", "type": "string"}, {"name": "id", "type": "string", "id_kind": "uuid"}],
            "query_params": [], "request_body": "cohorts_split_up_create.body", "request_body_required": false,
            "media_type": "application/json", "response": "array<Cohort>", "paginated": "none", "scopes": [],
        })
    );
    let gone = home.row("GET", "/api/projects/{project_id}/gone/");
    assert_eq!(gone["seen_in"], json!(["2025-10"]));

    let schemas: Value = serde_json::from_str(&home.text("schemas.json")).unwrap();
    assert_eq!(
        schemas["Cohort"],
        json!({"kind": "object", "fields": [
            {"name": "id", "type": "integer", "required": true, "read_only": true, "name_hint": "integer"},
            {"name": "name", "type": "string", "required": true, "nullable": true},
            {"name": "groups", "type": "any", "required": false},
            {"name": "kind", "type": "CohortType", "required": false, "read_only": true, "since": "2026-12"},
            {"name": "tags", "type": "array<string>", "required": false, "nullable": true, "since": "2026-12"},
            {"name": "filters", "type": "Cohort.filters", "required": false, "since": "2026-12"},
        ]})
    );
    assert_eq!(
        schemas["Cohort.filters"],
        json!({"kind": "object", "since": "2026-12", "fields": [
            {"name": "values", "type": "map<number>", "required": false},
            {"name": "mode", "type": "string | integer", "required": false, "nullable": true},
        ]})
    );
    assert_eq!(
        schemas["CohortType"]["values"],
        json!(["static", "behavioral", "analytical"])
    );
    for name in ["operations.txt", "bodies.txt"] {
        assert_eq!(
            home.text(name),
            "# by hand",
            "what people write is left alone"
        );
    }
}

#[test]
fn the_same_document_again_changes_nothing() {
    let home = Home::new();
    let first = home.import(&document(), "2026-12");
    let (rows, schemas) = (home.text("operations.json"), home.text("schemas.json"));
    let again = home.import(&document(), "2026-12");
    assert_eq!(again.new, [""; 0]);
    assert_eq!(again.changed, [""; 0]);
    assert_eq!((again.gone, again.kept), (first.gone, first.kept));
    assert_eq!(home.text("operations.json"), rows);
    assert_eq!(home.text("schemas.json"), schemas);

    // What a document had and the next one has not is gone, also what only the first one added.
    let mut next = document();
    next["paths"]
        .as_object_mut()
        .unwrap()
        .retain(|path, _| !path.contains("split_up"));
    let report = home.import(&next, "2027-01");
    assert!(
        report.gone.iter().any(|g| g.ends_with("/split_up/")),
        "{report}"
    );
    assert!(home.text("operations.json").contains("/split_up/"));
    assert!(
        home.text("operations.json")
            .contains(r#""seen_in":["2025-10","2026-11","2026-12","2027-01"]"#)
    );
}

#[test]
fn descriptions_are_kept_as_data() {
    let home = Home::new();
    let mut described = document();
    let list = &mut described["paths"]["/api/projects/{project_id}/cohorts/"]["get"];
    list["description"] = Value::Null;
    // What one prefix does not say, the other one may.
    described["paths"]["/api/environments/{environment_id}/cohorts/"]["get"]["summary"] =
        "All cohorts.".into();
    let list = &mut described["paths"]["/api/projects/{project_id}/cohorts/"]["get"];
    list["parameters"][2]["description"] = "Created since\nthen.\n\nAnd more.".into();
    let name = &mut described["components"]["schemas"]["Cohort"]["properties"]["name"];
    name["description"] = "What people\ncall it.".into();
    home.import(&described, "2026-12");
    let check = || {
        let list = home.row("GET", "/api/{scope}/{project_id}/cohorts/");
        assert_eq!(list["description"], "All cohorts.");
        let params = list["query_params"].as_array().unwrap();
        let since = params.iter().find(|p| p["name"] == "since").unwrap();
        assert_eq!(since["description"], "Created since then.");
        let schemas: Value = serde_json::from_str(&home.text("schemas.json")).unwrap();
        let name = &schemas["Cohort"]["fields"][1];
        assert_eq!(name["description"], "What people call it.");
    };
    check();
    // A document without descriptions takes none away.
    let mut bare = document();
    bare["paths"]["/api/projects/{project_id}/cohorts/"]["get"]["description"] = Value::Null;
    let report = home.import(&bare, "2027-01");
    assert!(report.changed.is_empty(), "{report}");
    check();
}

#[test]
fn an_object_of_parts_has_its_own_fields_too() {
    let home = Home::new();
    let mut made = document();
    let schemas = made["components"]["schemas"].as_object_mut().unwrap();
    let part = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let text = json!({"type": "string"});
    schemas.insert(
        "Whole".into(),
        json!({"allOf": [part("Half")], "required": ["own", "half"],
            "properties": {"own": text, "inner": {"allOf": [part("Half")], "properties": {"more": text}}}}),
    );
    schemas.insert(
        "Half".into(),
        json!({"type": "object", "properties": {"half": text, "own": {"type": "integer"}}}),
    );
    // Made of itself, at once and by another one.
    schemas.insert(
        "Self".into(),
        json!({"allOf": [part("Self"), {"properties": {"a": text}}]}),
    );
    schemas.insert(
        "Egg".into(),
        json!({"allOf": [part("Hen"), {"properties": {"egg": text}}]}),
    );
    schemas.insert(
        "Hen".into(),
        json!({"allOf": [part("Egg")], "properties":
        {"hen": {"allOf": [part("Hen")], "properties": {"b": text}}}}),
    );
    home.import(&made, "2026-12");
    let schemas: Value = serde_json::from_str(&home.text("schemas.json")).unwrap();
    let fields = |name: &str| -> Vec<(String, String, bool)> {
        let fields = schemas[name]["fields"].as_array().unwrap();
        let text = |f: &Value, fact: &str| f[fact].as_str().unwrap().to_owned();
        let fields = fields.iter();
        fields
            .map(|f| (text(f, "name"), text(f, "type"), f["required"] == true))
            .collect()
    };
    let of = |name: &str, kind: &str, required| (name.to_owned(), kind.to_owned(), required);
    assert_eq!(
        fields("Whole"),
        [
            of("half", "string", true),
            of("own", "string", true),
            of("inner", "Whole.inner", false)
        ]
    );
    assert_eq!(
        fields("Whole.inner"),
        [
            of("half", "string", false),
            of("own", "integer", false),
            of("more", "string", false)
        ]
    );
    assert_eq!(fields("Self"), [of("a", "string", false)]);
    let names = |name: &str| fields(name).into_iter().map(|f| f.0).collect::<Vec<_>>();
    assert_eq!(names("Egg"), ["hen", "egg"]);
    assert_eq!(names("Hen"), ["egg", "hen"]);
}

#[test]
fn what_is_no_document_is_refused() {
    let home = Home::new();
    let file = home.0.path().join("openapi.json");
    for (text, label, problem) in [
        ("{", "2026-12", "EOF"),
        (
            "{\"swagger\":\"2.0\"}",
            "2026-12",
            "this is no OpenAPI 3 document",
        ),
        ("{\"openapi\":\"3.1.0\"}", "2026-12", "has no `paths`"),
        ("{}", "2026-11", "2026-11 is the label of another source"),
    ] {
        fs::write(&file, text).unwrap();
        let said = import::run(home.0.path(), &file, Some(label))
            .err()
            .unwrap_or_default();
        assert!(said.contains(problem), "{text}: {said}");
    }
    let missing = import::run(home.0.path(), Path::new("/no/such.json"), Some("2026-12"));
    let missing = missing.err();
    assert!(missing.unwrap_or_default().contains("/no/such.json"));
    assert_eq!(home.text("operations.json"), OPERATIONS);
}

/// The files keep their form: one item on a line, sorted, numbers as they were.
#[test]
fn the_real_data_is_written_as_it_is_read() {
    let home = Home::new();
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api");
    let files = ["operations.json", "schemas.json"];
    for name in files {
        fs::copy(real.join(name), home.path(name)).unwrap();
    }
    let report = home.import(&json!({"openapi": "3.1.0", "paths": {}}), "2099-01");
    assert!(report.new.is_empty() && report.changed.is_empty() && report.kept.is_empty());
    assert!(
        report.gone.len() > 1_000,
        "all that a document had: {}",
        report.gone.len()
    );
    for name in files {
        let (old, new) = (
            fs::read_to_string(real.join(name)).unwrap(),
            home.text(name),
        );
        assert!(old == new, "{name} differs");
    }
}
