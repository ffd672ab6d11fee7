//! What the recipes share; they themselves are in `src/bin`.

pub mod orders;
