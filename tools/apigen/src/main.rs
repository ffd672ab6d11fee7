//! `apigen`: writes the generated files of the crate.
//!
//! ```text
//! apigen            writes them
//! apigen --check    fails where they differ from api/
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
        _ => Err("usage: apigen [--check]".into()),
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
