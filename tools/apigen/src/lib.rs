//! Writes the methods of the REST API from `api/operations.txt`; see the remarks at its top.
//!
//! ```text
//!  api/operations.txt ──[table]──► rows ──[tree]──► where each resource hangs ──[emit], [lists]──► code ──[files]──► src/
//!                                                    [names]: names of Rust, words for the docs
//!  api/bodies.txt, api/schemas.json ──[bodies]──► bodies ──[files]──► src/rest/bodies/generated/
//!  api/answers.txt, api/schemas.json ──[answers]──► models ──[files]──► src/rest/models/generated/
//! ```

pub mod answers;
pub mod bodies;
pub mod calls;
pub mod check;
pub mod data;
pub mod docs;
pub mod emit;
pub mod facts;
pub mod files;
pub mod import;
pub mod lists;
pub mod names;
pub mod table;
pub mod tree;
pub mod words;
