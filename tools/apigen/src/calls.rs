//! Writes a call of every generated method, with every id and parameter: what the package `every_call` runs.

use crate::emit::Emit;
use crate::names::setter;
use crate::table::{Body, Kind, Param, Prefix, Resource, Row};
use crate::tree::{Root, SCOPE, Step, dotted, id, is_id, row_prefix, template};
use std::fmt::Write as _;

/// What the package gives as text, which URLs encode.
pub const TEXT: &str = "x &=é/+";
/// What the time of the package is sent as.
pub const TIME: &str = "1970-01-01T00:00:01.5Z";

impl Emit<'_> {
    /// Every method called once under each prefix. An expression: a list of `Call`s, which the package defines, with what
    /// the values are made by.
    pub fn calls(&self) -> String {
        let mut code = String::from("[\n");
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
        code.push_str("]\n");
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
        let has_body = match row.body {
            Body::Optional => row.body_type.is_some(),
            Body::Json | Body::Multipart => true,
            Body::None | Body::Fixed(_) => false,
        };
        match row.body {
            Body::Multipart => arguments.push("form()".into()),
            _ if has_body => arguments.push("body()".into()),
            _ => {}
        }
        let _ = write!(make, ".{}({})", row.name, arguments.join(", "));
        for param in self.table.params_of(row) {
            let value = self.example(param, &mut query);
            let _ = write!(make, ".{}({value})", setter(&param.wire));
        }
        let body = match &row.body {
            Body::Multipart => "form",
            Body::Fixed(json) => json,
            _ if has_body => "{\"a\":1}",
            _ => "",
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
            Kind::Str => ("TEXT".into(), TEXT.into()),
            Kind::Time => ("time()".into(), TIME.into()),
            Kind::Int => ("-7".into(), "-7".into()),
            Kind::Float => ("0.5".into(), "0.5".into()),
            Kind::Bool => ("true".into(), "true".into()),
            Kind::Json => ("json()".into(), "{\"a\":[1]}".into()),
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
