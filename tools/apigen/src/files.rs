//! Writes the generated files, or compares them with what they should be.

use crate::emit::{Emit, NOTE};
use crate::facts::Facts;
use crate::table::Table;
use crate::{answers, bodies, check, table, tree};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the generated files of the crate are.
pub const RESOURCES: &str = "src/rest/operations/resources";

/// Writes, or only compares, the files of the crate at `home`.
pub fn run(home: &Path, only_check: bool) -> Result<String, String> {
    let mut table = read_operations(home)?;
    let bodies = read_bodies(home, &mut table)?;
    let tree = tree::grow(&table).map_err(|e| format!("api/operations.txt: {e}"))?;
    let facts = Facts::load(home)?;
    let emit = Emit {
        table: &table,
        tree: &tree,
        facts: &facts,
    };
    let mut wanted = files(&emit).map_err(|e| format!("api/operations.txt: {e}"))?;
    for (name, code) in answers::files(home, &table)? {
        let text = format(&code).map_err(|e| format!("{name}: {e}"))?;
        wanted.insert(PathBuf::from(name), text);
    }
    let mut old = existing(home, RESOURCES);
    old.extend(existing(home, answers::GENERATED));
    let mut typed = String::new();
    if let Some((bodies, seen)) = &bodies {
        wanted.extend(body_files(bodies, seen, &tree)?);
        old.extend(existing(home, bodies::FOLDER));
        typed = format!(", {}", bodies.count(&table));
    }
    let mut differing = Vec::new();
    for (name, text) in &wanted {
        if fs::read_to_string(home.join(name)).ok().as_ref() != Some(text) {
            differing.push(name.clone());
            if !only_check {
                write(&home.join(name), text)?;
            }
        }
    }
    for name in old.iter().filter(|n| !wanted.contains_key(*n)) {
        differing.push(name.clone());
        if !only_check {
            fs::remove_file(home.join(name)).map_err(|e| format!("{}: {e}", name.display()))?;
        }
    }
    let mut problems = check::seen(&emit);
    problems.extend(check::types(home, &table));
    let rows = || check::rows(&table);
    let summary = format!(
        "{} operations ({} of {} that were seen) and {} aliases in {} resources, {} files{typed}",
        rows().filter(|(_, r)| !r.alias).count(),
        emit.seen_rows(),
        facts.seen.len(),
        rows().filter(|(_, r)| r.alias).count(),
        table.resources.len(),
        wanted.len(),
    );
    if only_check && !differing.is_empty() {
        let differing = differing.iter().map(|d| d.display().to_string());
        problems.push("these files differ from api/; run it without --check:".into());
        problems.extend(differing);
    }
    match (only_check, problems.is_empty()) {
        (_, false) => Err(problems.join("\n  ")),
        (true, true) => Ok(format!("{summary}: all as the table says")),
        (false, true) => Ok(format!("{summary}, {} written", differing.len())),
    }
}

fn read_operations(home: &Path) -> Result<Table, String> {
    let path = home.join("api/operations.txt");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    table::read(&text).map_err(|e| format!("api/operations.txt: {e}"))
}

/// The table of the crate at `home`, with the types of its bodies.
pub fn read_table(home: &Path) -> Result<Table, String> {
    let mut table = read_operations(home)?;
    read_bodies(home, &mut table)?;
    Ok(table)
}

/// Every generated file, formatted, by its path.
pub fn files(emit: &Emit<'_>) -> Result<BTreeMap<PathBuf, String>, String> {
    let made = emit.files()?;
    let mut texts = BTreeMap::new();
    let mut index = String::new();
    let mut queries = String::new();
    for (name, file) in &made {
        index += &format!("mod {name};\n");
        if !file.structs.is_empty() {
            index += &format!("pub use {name}::{{{}}};\n", file.structs.join(","));
        }
        if !file.queries.is_empty() {
            queries += &format!("pub use super::{name}::{{{}}};\n", file.queries.join(","));
        }
        texts.insert(format!("{RESOURCES}/{name}.rs"), file.code.clone());
    }
    let index = index.replace(
        "mod values;",
        "/// Values that query parameters take.\npub mod values;",
    );
    texts.insert(
        format!("{RESOURCES}/mod.rs"),
        format!(
            "{index}\nmod operations;\npub use operations::OPERATIONS;\n\n\
             /// Query parameters of operations: each type lists the methods of a [`Request<A, P>`](crate::rest::Request) of it.\n\
             pub mod params {{ {queries} }}\n"
        ),
    );
    texts.insert(format!("{RESOURCES}/operations.rs"), emit.operations()?);
    texts
        .into_iter()
        .map(|(name, code)| {
            let text = format(&(NOTE.to_owned() + &code)).map_err(|e| format!("{name}: {e}"))?;
            Ok((PathBuf::from(name), text))
        })
        .collect()
}

/// The table of bodies and what was seen of PostHog, where there is a table. Operations learn which type they take.
fn read_bodies(
    home: &Path,
    table: &mut table::Table,
) -> Result<Option<(bodies::Bodies, bodies::Seen)>, String> {
    if !home.join("api/bodies.txt").exists() {
        return Ok(None);
    }
    let read = |name: &str| fs::read_to_string(home.join(name)).map_err(|e| format!("{name}: {e}"));
    let of = |e| format!("api/bodies.txt: {e}");
    let bodies = bodies::read(&read("api/bodies.txt")?).map_err(of)?;
    bodies.assign(table).map_err(of)?;
    let seen = bodies::Seen::read(&read("api/schemas.json")?, &read("api/operations.json")?)?;
    Ok(Some((bodies, seen)))
}

/// The files of the types of bodies, formatted, by their paths.
fn body_files(
    bodies: &bodies::Bodies,
    seen: &bodies::Seen,
    tree: &tree::Tree<'_>,
) -> Result<BTreeMap<PathBuf, String>, String> {
    let links = tree.links();
    let writer = bodies::Writer {
        bodies,
        seen,
        links: &links,
    };
    let files = writer.files().map_err(|e| format!("api/bodies.txt: {e}"))?;
    files
        .into_iter()
        .map(|(name, code)| {
            let text = format(&code).map_err(|e| format!("{name}: {e}"))?;
            Ok((PathBuf::from(name), text))
        })
        .collect()
}

fn format(code: &str) -> Result<String, String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("rustfmt does not start: {e}"))?;
    let mut stdin = rustfmt.stdin.take().ok_or("rustfmt takes no input")?;
    let code = code.to_owned();
    let feed = std::thread::spawn(move || stdin.write_all(code.as_bytes()));
    let output = rustfmt.wait_with_output().map_err(|e| e.to_string())?;
    let _ = feed.join();
    match output.status.success() {
        true => String::from_utf8(output.stdout).map_err(|e| e.to_string()),
        false => Err("rustfmt cannot read what was made".into()),
    }
}

fn existing(home: &Path, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(home.join(folder)) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|e| Path::new(folder).join(e.file_name()))
        .collect()
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let at = |e| format!("{}: {e}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at)?;
    }
    fs::write(path, text).map_err(at)
}
