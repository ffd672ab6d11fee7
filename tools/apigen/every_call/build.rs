//! Writes a call of every method that the table of operations describes.

use apigen::emit::Emit;
use apigen::facts::Facts;
use apigen::{table, tree};
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../../api/operations.txt");
    let table = table::read(&fs::read_to_string("../../../api/operations.txt")?)?;
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
