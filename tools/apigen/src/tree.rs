//! Where each resource hangs: under a handle of the client, its parent and its ids.

use crate::names;
use crate::table::{Prefix, Resource, Row, Table};
use std::collections::BTreeMap;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Root {
    Project,
    Organization,
    User,
    Client,
}

pub const SCOPE: &str = "{scope}";

pub enum Step {
    /// Fixed segments.
    Down(String),
    /// A parameter's name.
    Id(String),
}

/// A struct: a resource, or the place of resources that have no operations above them.
pub struct Node<'t> {
    pub root: Root,
    /// The fixed segments below the root.
    pub place: Vec<String>,
    pub name: String,
    pub accessor: String,
    pub steps: Vec<Step>,
    pub resource: Option<&'t Resource>,
    pub children: Vec<usize>,
    /// Whether an operation in it or below it was seen under `/api/environments/`.
    pub environments: bool,
}

pub struct Tree<'t> {
    pub nodes: Vec<Node<'t>>,
    /// The operations of a handle itself, and its top nodes.
    pub roots: BTreeMap<Root, (Option<&'t Resource>, Vec<usize>)>,
}

/// The root of a path, and the segments below it; with a mark for what a handle itself can do.
fn split(path: &str) -> Result<(Root, Vec<&str>, bool), String> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    Ok(match segments[..] {
        ["api", "projects", "{id}"] => (Root::Project, Vec::new(), true),
        ["api", "organizations", "{id}"] => (Root::Organization, Vec::new(), true),
        ["api", "users", "{uuid}"] => (Root::User, Vec::new(), true),
        [
            "api",
            "projects" | "environments" | SCOPE,
            "{project_id}",
            ref rest @ ..,
        ] if !rest.is_empty() => (Root::Project, rest.to_vec(), false),
        ["api", "organizations", "{organization_id}", ref rest @ ..] if !rest.is_empty() => {
            (Root::Organization, rest.to_vec(), false)
        }
        ["api", first, ..] if !first.starts_with('{') => {
            (Root::Client, segments[1..].to_vec(), false)
        }
        [first, ..] if !first.is_empty() && first != "api" => (Root::Client, segments, false),
        _ => return Err(format!("{path}: under no known root")),
    })
}

pub fn is_id(segment: &str) -> bool {
    segment.starts_with('{')
}

pub fn id(segment: &str) -> &str {
    segment.trim_matches(['{', '}'])
}

/// The prefix that a row's resource states, if its path can have two.
fn prefix_of(path: &str) -> Option<Prefix> {
    match path.split('/').nth(2) {
        _ if !path.contains("/{project_id}") => None,
        Some("projects") => Some(Prefix::Projects),
        Some("environments") => Some(Prefix::Environments),
        Some(SCOPE) => Some(Prefix::Both),
        _ => None,
    }
}

pub fn row_prefix(resource: &Resource, row: &Row) -> Option<Prefix> {
    prefix_of(&resource.path).map(|stated| row.prefix.unwrap_or(stated))
}

/// The whole path of an operation, as PostHog writes it.
pub fn template(resource: &Resource, row: &Row) -> String {
    let path = match row_prefix(resource, row) {
        None => resource.path.clone(),
        Some(prefix) => {
            let rest: Vec<&str> = resource.path.splitn(4, '/').collect();
            let prefix = match prefix {
                Prefix::Projects => "projects",
                Prefix::Environments => "environments",
                Prefix::Both => SCOPE,
            };
            format!("/api/{prefix}/{}", rest[3])
        }
    };
    path + &row.tail
}

impl Tree<'_> {
    /// The paths of the methods of resources in `rest`, by method and path of the operation.
    pub fn links(&self) -> BTreeMap<(String, String), String> {
        let mut links = BTreeMap::new();
        for node in &self.nodes {
            let Some(resource) = node.resource else {
                continue;
            };
            for row in resource.rows.iter().filter(|row| !row.alias) {
                let link = format!("resources::{}::{}", node.name, row.name);
                links.insert((row.method.clone(), template(resource, row)), link);
            }
        }
        links
    }
}

pub fn grow(table: &Table) -> Result<Tree<'_>, String> {
    let mut tree = Tree {
        nodes: Vec::new(),
        roots: BTreeMap::new(),
    };
    for root in [Root::Project, Root::Organization, Root::User, Root::Client] {
        tree.roots.insert(root, (None, Vec::new()));
    }
    for resource in &table.resources {
        tree.plant(resource)
            .map_err(|e| format!("line {}: {e}", resource.line))?;
    }
    let mut structs = BTreeMap::new();
    for node in &tree.nodes {
        let place = format!("{:?} {}", node.root, node.place.join("/"));
        if let Some(other) = structs.insert(&node.name, place.clone()) {
            return Err(format!(
                "{place} and {other} are both `{}`; rename one with `as`",
                node.name
            ));
        }
        for row in node.resource.iter().flat_map(|r| &r.rows) {
            let mut children = node.children.iter().map(|c| &tree.nodes[*c].accessor);
            if children.any(|c| *c == row.name) {
                return Err(format!(
                    "line {}: `{}` is also a resource below",
                    row.line, row.name
                ));
            }
        }
    }
    Ok(tree)
}

impl<'t> Tree<'t> {
    fn plant(&mut self, resource: &'t Resource) -> Result<(), String> {
        let (root, segments, own) = split(&resource.path)?;
        if own {
            if let Some((slot, _)) = self.roots.get_mut(&root) {
                *slot = Some(resource);
            }
            return Ok(());
        }
        if is_id(segments[segments.len() - 1]) {
            return Err("a resource's path ends in a name; its ids stand in its operations".into());
        }
        let environments = resource
            .rows
            .iter()
            .any(|row| matches!(row_prefix(resource, row), Some(p) if p != Prefix::Projects));
        let mut place: Vec<String> = Vec::new();
        let mut steps: Vec<Step> = Vec::new();
        let mut parent: Option<usize> = None;
        // Below the client the first segment says where the API is.
        let under_api = root == Root::Client && resource.path.starts_with("/api/");
        for segment in &segments {
            if is_id(segment) {
                steps.push(Step::Id(id(segment).to_owned()));
                continue;
            }
            let top = place.is_empty();
            steps.push(Step::Down(match top && under_api {
                true => format!("api/{segment}"),
                false => (*segment).to_owned(),
            }));
            place.push((*segment).to_owned());
            let here = self
                .nodes
                .iter()
                .position(|n| n.root == root && n.place == place);
            let here = here.unwrap_or_else(|| {
                self.nodes.push(Node {
                    root,
                    name: names::camel(&place.join("/").replace('_', "/")),
                    accessor: names::snake(segment),
                    place: place.clone(),
                    steps: std::mem::take(&mut steps),
                    resource: None,
                    children: Vec::new(),
                    environments: false,
                });
                let new = self.nodes.len() - 1;
                match parent {
                    Some(parent) => self.nodes[parent].children.push(new),
                    None => {
                        if let Some((_, tops)) = self.roots.get_mut(&root) {
                            tops.push(new);
                        }
                    }
                }
                new
            });
            steps.clear();
            self.nodes[here].environments |= environments;
            parent = Some(here);
        }
        let node = match parent {
            Some(node) => &mut self.nodes[node],
            None => return Err("a path without a name".into()),
        };
        if node.resource.is_some() {
            return Err(format!("{} is there twice", resource.path));
        }
        node.resource = Some(resource);
        if let Some((name, accessor)) = &resource.rename {
            node.name = name.clone();
            if let Some(accessor) = accessor {
                node.accessor = accessor.clone();
            }
        }
        Ok(())
    }
}

/// `feature_flags` or `organization.feature_flags`: what the operations' names start with.
pub fn dotted(root: Root, place: &[String]) -> String {
    let first = match root {
        Root::Project if place.is_empty() => Some("project"),
        Root::Organization => Some("organization"),
        Root::User => Some("user"),
        Root::Project | Root::Client => None,
    };
    first
        .map(str::to_owned)
        .into_iter()
        .chain(place.iter().map(|s| names::snake(s)))
        .collect::<Vec<_>>()
        .join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    #[test]
    fn paths_say_where_a_resource_hangs() {
        let table = "\
/api/projects/{project_id}/error_tracking/issues
  list  GET  /  both
/api/organizations/{id}
  get  GET  /
/api/users
  list  GET  /
/oauth
  introspect  POST  /introspect
/api/users/{uuid}
  get  GET  /
/api/projects/{project_id}/roles/{role_id}/role_memberships as Members
  list  GET  /
";
        let table = table::read(table).unwrap_or_else(|e| panic!("{e}"));
        let tree = grow(&table).unwrap_or_else(|e| panic!("{e}"));
        let name = |n: &usize| tree.nodes[*n].name.as_str();
        let tops = |root| tree.roots[&root].1.iter().map(name).collect::<Vec<_>>();
        // `error_tracking` and `roles` have no operations, and are places all the same.
        assert_eq!(tops(Root::Project), ["ErrorTracking", "Roles"]);
        assert_eq!(tops(Root::Client), ["Users", "Oauth"]);
        assert!(tree.roots[&Root::Organization].0.is_some());
        assert!(tree.roots[&Root::User].0.is_some());
        let issues = &tree.nodes[1];
        assert_eq!(
            (issues.name.as_str(), issues.accessor.as_str()),
            ("ErrorTrackingIssues", "issues")
        );
        assert!(issues.environments, "its row was seen under both");
        assert_eq!(dotted(issues.root, &issues.place), "error_tracking.issues");
        let resource = &table.resources[0];
        assert_eq!(
            template(resource, &resource.rows[0]),
            "/api/{scope}/{project_id}/error_tracking/issues/"
        );
        let members = tree.nodes.iter().find(|n| n.name == "Members");
        assert!(members.is_some_and(|m| m.accessor == "role_memberships" && m.steps.len() == 2));
    }

    #[test]
    fn paths_that_hang_nowhere_are_said() {
        for (path, says) in [
            ("/api/{id}/x", "under no known root"),
            ("/api", "under no known root"),
            ("/api/projects/{project_id}/x/{id}", "ends in a name"),
        ] {
            let table =
                table::read(&format!("{path}\n  list  GET  /\n")).unwrap_or_else(|e| panic!("{e}"));
            let said = grow(&table).err().unwrap_or_default();
            assert!(
                said.starts_with("line 1: ") && said.contains(says),
                "{path}: {said}"
            );
        }
    }
}
