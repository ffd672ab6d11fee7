//! What the recipes share; they themselves are in `src/bin`.

pub mod orders;
pub mod stop;

/// The guide's examples, also those that need a framework.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/frameworks.md")]
#[doc = include_str!("../../docs/guide/lambda.md")]
struct Guide;
