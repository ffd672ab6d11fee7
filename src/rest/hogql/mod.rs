//! HogQL, and the other queries of PostHog's query endpoint.
//!
//! ```text
//!  project.hogql("SELECT …") ──► HogQlQuery ─┐           ┌─ run, rows, one ──────────────► HogQlAnswer ──► rows of T
//!                                            ├─► [draft] ┤                                      ▲          [rows], [cell]
//!  project.query_node(&node) ──► NodeQuery ──┘           └─ in_background ──► HogQlBackground ──┘
//!                                                                               [background]
//! ```
//!
//! - [`query`]: the two kinds of queries as callers build them. [`draft`]: what they share.
//! - [`handle`]: a query at PostHog, to send, cancel or give up. [`background`]: queries that PostHog runs in the
//!   background. [`check`]: what PostHog thinks of a query that it does not run.
//! - [`answer`]: the answer. [`status`]: how a query is doing. [`rows`] and [`cell`]: rows as types of the caller's.
//!
//! Invariants:
//! - Values never get into the text of a query.
//! - The query and its values show in no `Debug` and no error.
//! - A row is read whole, or reading it is an error that names the row and the column but no value.

mod answer;
mod background;
mod cell;
mod check;
mod draft;
mod handle;
mod query;
mod refresh;
mod rows;
mod status;

pub use answer::HogQlAnswer;
pub use background::{HogQlBackground, HogQlRunning};
pub use check::{HogQlCheck, HogQlNotice};
pub use query::{HogQlQuery, NodeQuery};
pub use refresh::HogQlRefresh;
pub use status::{HogQlProgress, HogQlStatus};

/// What queries are called in errors.
const OPERATION: &str = "query";
