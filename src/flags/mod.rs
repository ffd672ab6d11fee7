//! Feature flags: what is on for whom.
//!
//! - [`value`]: what a flag is, and why. [`context`]: for whom. [`settings`]: how one client evaluates.
//! - [`local`]: evaluation here, as PostHog does it: a pure function of definitions, context and time.

mod context;
mod local;
mod settings;
mod value;

pub use context::EvaluationContext;
pub use local::{FlagDecision, FlagDefinitions};
pub use settings::{FlagMode, FlagSettings, FlagsOnEvents};
pub use value::{FlagReason, FlagValue, UnresolvedReason};
