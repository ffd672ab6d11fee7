//! Writes the list of all operations.

use crate::emit::Emit;
use crate::table::{Resource, Row};
use crate::tree::{Root, dotted, template};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub type Found<'t> = (Root, Vec<usize>, &'t Resource);

impl Emit<'_> {
    /// Each resource with its root and the way down to it.
    pub fn resources(&self) -> Vec<Found<'_>> {
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

    pub fn place(&self, way: &[usize]) -> &[String] {
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
}
