//! `apigen`: writes the generated files of the crate.
//!
//! ```text
//! apigen                                      writes them
//! apigen --check                              fails where they differ from api/
//! apigen import openapi.json [--as 2026-12]   reads PostHog's OpenAPI document into api/*.json, and lists what is new,
//!                                             changed and gone; the label is this month's without --as
//! ```

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        [] => apigen::files::run(&home, false),
        ["--check"] => apigen::files::run(&home, true),
        ["import", file] => import(&home, file, None),
        ["import", file, "--as", label] => import(&home, file, Some(label)),
        _ => Err("usage: apigen [--check], or apigen import FILE [--as YYYY-MM]".into()),
    };
    match done {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("apigen: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn import(home: &Path, file: &str, label: Option<&str>) -> Result<String, String> {
    let report = apigen::import::run(home, Path::new(file), label)?;
    Ok(report.to_string())
}
