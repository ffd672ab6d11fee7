//! Writes a call of every method that the table of operations describes.

use apigen::emit::Emit;
use apigen::facts::Facts;
use apigen::{files, tree};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    for name in [
        "operations.txt",
        "bodies.txt",
        "schemas.json",
        "operations.json",
    ] {
        println!("cargo::rerun-if-changed=../../../api/{name}");
    }
    let table = files::read_table(Path::new("../../.."))?;
    let tree = tree::grow(&table)?;
    let emit = Emit {
        table: &table,
        tree: &tree,
        facts: &Facts::default(),
    };
    let file = PathBuf::from(env::var("OUT_DIR")?).join("calls.rs");
    fs::write(file, emit.calls())?;
    Ok(())
}
