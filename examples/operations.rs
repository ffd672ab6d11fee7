//! Every operation of PostHog's REST API that has a method, with the scopes that a key needs:
//!
//!     cargo run --example operations              all of them
//!     cargo run --example operations flag         those with that in their name or path
//!
//! A method named `dashboards.collaborators.list` is `project.dashboards().collaborators(id).list()`.

use std::io::{BufWriter, Write, stdout};
use tracing_posthog::rest::{OPERATIONS, Operation};

fn main() -> std::io::Result<()> {
    let word = std::env::args().nth(1).unwrap_or_default().to_lowercase();
    let found = OPERATIONS.iter().filter(|o| {
        let name = format!("{}.{}", o.resource, o.name);
        name.contains(&word) || o.path.to_lowercase().contains(&word)
    });
    let mut out = BufWriter::new(stdout().lock());
    let mut resource = "";
    let mut count = 0;
    for operation in found {
        count += 1;
        if operation.resource != resource {
            resource = operation.resource;
            writeln!(out, "\n{resource}")?;
        }
        match print(&mut out, operation) {
            // As with `| head`.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            printed => printed?,
        }
    }
    writeln!(out, "\n{count} of {} operations", OPERATIONS.len())?;
    out.flush()
}

fn print(out: &mut impl Write, operation: &Operation) -> std::io::Result<()> {
    let Operation {
        name, method, path, ..
    } = operation;
    write!(out, "  {name:<28} {method:<6} {path}")?;
    for scope in operation.scopes {
        write!(out, "  {scope}")?;
    }
    for mark in operation.marks {
        write!(out, "  [{mark}]")?;
    }
    writeln!(out)
}
