//! Error tracking (feature `errors`): its settings, and errors into the parts of a record.
//!
//! ```text
//! error!(…), #[instrument(err)] ─► layer ──┐
//! capture_error(&e) ───────────────────────┼─[limiter]─► record: types, texts, addresses, span names ─► queue
//! panic ─► hook ───────────────────────────┘                                                              │
//!                                                                     capture::exceptions (the actor) ◄───┘
//! ```
//!
//! - [`settings`]: [`Errors`], the settings.
//! - [`selection`]: which events of `tracing` are exceptions. Decided once per callsite.
//! - [`exception`]: [`Exception`], an error with what is known of it. [`into`]: what can become one.
//! - [`chain`]: types and texts of an error and its sources. [`type_name`]: their types. [`text`]: texts that stop.
//! - [`stack`]: return addresses of the calling thread.
//! - [`write`](mod@write): the parts of an exception into a record.
//!
//! What captures is in `layer::exceptions`: the layer knows what the spans around say. This module knows no layer.
//!
//! Invariants:
//! - The caller's thread writes addresses and texts. It resolves no name and reads no file.
//! - Code of the program (`Debug`, `Display`, `source`) runs bounded, outside of locks, and a panic in it costs its text.

mod chain;
mod exception;
mod into;
mod selection;
mod settings;
mod stack;
mod text;
mod type_name;
mod write;

pub use crate::capture::exceptions::{PanicFlush, Stacks, Symbols};
pub use exception::Exception;
pub use into::IntoException;
pub use settings::Errors;

pub(crate) use chain::{write_chain, write_text, write_text_link};
pub(crate) use selection::{Selection, is_of_this_crate};
pub(crate) use stack::{write_stack, write_stack_of_panic};
pub(crate) use type_name::type_key;
pub(crate) use write::{Place, level_name, write_kind, write_place};
