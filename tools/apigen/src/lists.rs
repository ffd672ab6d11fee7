//! Writes the list of all operations, and the calls that the test makes.

use crate::emit::Emit;
use crate::names::setter;
use crate::table::{Body, Kind, Param, Prefix, Resource, Row};
use crate::tree::{Root, SCOPE, Step, dotted, id, is_id, row_prefix, template};
use std::collections::BTreeMap;
use std::fmt::Write as _;

type Found<'t> = (Root, Vec<usize>, &'t Resource);

impl Emit<'_> {
    /// Each resource with its root and the way down to it.
    fn resources(&self) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        for (root, (own, tops)) in &self.tree.roots {
            if let Some(own) = own {
                found.push((*root, Vec::new(), *own));
            }
            let mut ways: Vec<Vec<usize>> = tops.iter().rev().map(|t| vec![*t]).collect();
            while let Some(way) = ways.pop() {
                let node = &self.tree.nodes[way[way.len() - 1]];
                if let Some(resource) = node.resource {
                    found.push((*root, way.clone(), resource));
                }
                for child in node.children.iter().rev() {
                    ways.push(way.iter().copied().chain([*child]).collect());
                }
            }
        }
        found
    }

    /// How many of the operations that were seen have a line.
    pub fn seen_rows(&self) -> usize {
        crate::check::rows(self.table)
            .filter(|(resource, row)| {
                let key = (row.method.clone(), template(resource, row));
                !row.alias && self.facts.seen.contains_key(&key)
            })
            .count()
    }

    /// Each row with the name of its operation: `dashboards.collaborators.list`.
    pub fn named_rows(&self) -> Vec<(String, &Row)> {
        let mut rows = Vec::new();
        for (root, way, resource) in self.resources() {
            let of = dotted(root, self.place(&way));
            rows.extend(
                resource
                    .rows
                    .iter()
                    .map(|row| (format!("{of}.{}", row.name), row)),
            );
        }
        rows
    }

    fn place(&self, way: &[usize]) -> &[String] {
        way.last().map_or(&[], |n| &self.tree.nodes[*n].place)
    }

    pub fn operations(&self) -> Result<String, String> {
        let mut code = String::from(
            "use super::super::operation::{Mark, Operation, op};\n\n\
             /// Every operation of PostHog's REST API, by resource.\n\
             #[rustfmt::skip]\npub const OPERATIONS: &[Operation] = &[\n",
        );
        let mut seen: BTreeMap<(String, String), &Row> = BTreeMap::new();
        let mut aliases = Vec::new();
        for (root, way, resource) in self.resources() {
            for row in &resource.rows {
                let path = template(resource, row);
                if row.alias {
                    aliases.push((path, row));
                    continue;
                }
                if let Some(other) = seen.insert((row.method.clone(), path.clone()), row) {
                    return Err(format!(
                        "line {}: {} {path} is also on line {}",
                        row.line, row.method, other.line
                    ));
                }
                let marks: Vec<&str> = row
                    .marks
                    .iter()
                    .filter_map(|m| match m.as_str() {
                        "preview" => Some("Mark::Preview"),
                        "2025-10" => Some("Mark::SeenIn2025Only"),
                        "deprecated" => Some("Mark::Deprecated"),
                        "refused" => Some("Mark::Refused"),
                        _ => None,
                    })
                    .collect();
                let _ = writeln!(
                    code,
                    "    op({:?}, {:?}, {:?}, {path:?}, &{:?}, &[{}]),",
                    dotted(root, self.place(&way)),
                    row.name,
                    row.method,
                    row.scopes,
                    marks.join(", ")
                );
            }
        }
        for (path, row) in aliases {
            let problem = match seen.get(&(row.method.clone(), path.clone())) {
                None => "has no line without `=`",
                Some(other) if (&other.scopes, &other.marks) != (&row.scopes, &row.marks) => {
                    "has other scopes or marks on the line without `=`"
                }
                Some(_) => continue,
            };
            let Row { line, method, .. } = row;
            return Err(format!("line {line}: {method} {path} {problem}"));
        }
        code.push_str("];\n");
        Ok(code)
    }

    /// tests/generated/calls.rs: every method called once under each prefix, with every parameter.
    pub fn calls(&self) -> String {
        let mut code = String::from(
            "use super::{Call, call, form};\nuse serde_json::json;\nuse tracing_posthog::rest::values;\n\n\
             #[rustfmt::skip]\npub const CALLS: &[Call] = &[\n",
        );
        for (root, way, resource) in self.resources() {
            let two = way
                .first()
                .is_some_and(|n| self.tree.nodes[*n].environments);
            let handles: &[&str] = match root {
                Root::Project if two => &["projects", "environments"],
                Root::Project => &["projects"],
                Root::Organization | Root::User | Root::Client => &[""],
            };
            for (row, handle) in resource
                .rows
                .iter()
                .flat_map(|row| handles.iter().map(move |h| (row, *h)))
            {
                let start = match (root, handle) {
                    (Root::Project, "environments") => "c.environment(\"project_id/b c\")",
                    (Root::Project, _) if way.is_empty() => "c.project(\"id/b c\")",
                    (Root::Project, _) => "c.project(\"project_id/b c\")",
                    (Root::Organization, _) if way.is_empty() => "c.organization(\"id/b c\")",
                    (Root::Organization, _) => "c.organization(\"organization_id/b c\")",
                    (Root::User, _) => "c.user(\"uuid/b c\")",
                    (Root::Client, _) => "c",
                };
                let scope = match row_prefix(resource, row) {
                    Some(Prefix::Both) => handle,
                    _ => "",
                };
                self.one_call(&mut code, &way, resource, row, start, scope, root);
            }
        }
        code.push_str("];\n");
        code
    }

    #[expect(clippy::too_many_arguments)]
    fn one_call(
        &self,
        code: &mut String,
        way: &[usize],
        resource: &Resource,
        row: &Row,
        start: &str,
        scope: &str,
        root: Root,
    ) {
        let mut make = start.to_owned();
        // The parameters' names as the resource's path has them, which its parents may name otherwise.
        let mut ids = resource
            .path
            .split('/')
            .filter(|s| is_id(s) && *s != SCOPE)
            .map(id);
        if start != "c" {
            ids.next();
        }
        for node in way.iter().map(|n| &self.tree.nodes[*n]) {
            let count = node
                .steps
                .iter()
                .filter(|s| matches!(s, Step::Id(_)))
                .count();
            let ids: Vec<String> = ids.by_ref().take(count).map(sample).collect();
            let _ = write!(make, ".{}({})", node.accessor, ids.join(", "));
        }
        let mut arguments: Vec<String> = row
            .tail
            .split('/')
            .filter(|s| is_id(s))
            .map(|s| sample(id(s)))
            .collect();
        let mut query = Vec::new();
        for param in &row.required {
            arguments.push(self.example(param, &mut query));
        }
        match row.body {
            Body::Json => arguments.push("&json!({\"a\": 1})".into()),
            Body::Multipart => arguments.push("form()".into()),
            Body::None | Body::Optional | Body::Fixed(_) => {}
        }
        let _ = write!(make, ".{}({})", row.name, arguments.join(", "));
        for param in self.table.params_of(row) {
            let value = self.example(param, &mut query);
            let _ = write!(make, ".{}({value})", setter(&param.wire));
        }
        let body = match &row.body {
            Body::Json => "{\"a\":1}",
            Body::Multipart => "form",
            Body::Fixed(json) => json,
            Body::None | Body::Optional => "",
        };
        let operation = match row.alias {
            true => String::new(),
            false => format!("{}.{}", dotted(root, self.place(way)), row.name),
        };
        let _ = writeln!(
            code,
            "    call({operation:?}, {:?}, {:?}, {scope:?}, &{query:?}, {body:?}, |c| {make}.untyped()),",
            row.method,
            template(resource, row),
        );
    }

    /// An argument, and what the query must hold for it.
    fn example(&self, param: &Param, query: &mut Vec<(String, String)>) -> String {
        let (code, wire) = self.value(&param.kind);
        match &param.kind {
            Kind::List(item, repeated) => {
                let (code, wire) = self.value(item);
                if *repeated {
                    query.push((param.wire.clone(), wire.clone()));
                    query.push((param.wire.clone(), wire));
                } else if **item == Kind::Int {
                    query.push((param.wire.clone(), format!("[{wire},{wire}]")));
                } else {
                    query.push((param.wire.clone(), format!("[{wire:?},{wire:?}]")));
                }
                format!("[{code}, {code}]")
            }
            _ => {
                query.push((param.wire.clone(), wire));
                code
            }
        }
    }

    fn value(&self, kind: &Kind) -> (String, String) {
        match kind {
            Kind::Str | Kind::Time => ("\"x &=é/+\"".into(), "x &=é/+".into()),
            Kind::Int => ("-7".into(), "-7".into()),
            Kind::Float => ("0.5".into(), "0.5".into()),
            Kind::Bool => ("true".into(), "true".into()),
            Kind::Json => ("json!({\"a\": [1]})".into(), "{\"a\":[1]}".into()),
            Kind::Enum(name) => {
                let list = self.table.enums.iter().find(|e| e.name == *name);
                let first = list.and_then(|e| e.values.first());
                first.map_or_else(
                    || (format!("values::{name}::Other(\"x\".into())"), "x".into()),
                    |(variant, value)| (format!("values::{name}::{variant}"), value.clone()),
                )
            }
            Kind::List(..) => (String::new(), String::new()),
        }
    }
}

fn sample(name: &str) -> String {
    format!("\"{name}/b c\"")
}
