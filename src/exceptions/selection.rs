//! [`Selection`]: which events of `tracing` are exceptions. Decided once per callsite, from its metadata.

use crate::capture::exceptions::paths::is_of_dependency;
use crate::panic::catch;
use std::fmt;
use std::sync::Arc;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;

type Filter = Arc<dyn Fn(&Metadata<'_>) -> bool + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Selection {
    pub(super) level: LevelFilter,
    pub(super) allowed: Vec<Box<str>>,
    pub(super) denied: Vec<Box<str>>,
    pub(super) filter: Option<Filter>,
    /// How many log events before an exception are kept.
    pub(crate) steps: usize,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            level: LevelFilter::ERROR,
            allowed: Vec::new(),
            denied: Vec::new(),
            filter: None,
            steps: 0,
        }
    }
}

impl Selection {
    /// Whether the event of that callsite is an exception, if it says nothing else itself.
    pub(crate) fn selects(&self, metadata: &Metadata<'_>) -> bool {
        let is_within = |module: &str| is_within(metadata.target(), module);
        metadata.is_event()
            && *metadata.level() <= self.level
            && !is_of_this_crate(metadata)
            && !self.denied.iter().any(|denied| is_within(denied))
            && (is_own(metadata) || self.allowed.iter().any(|allowed| is_within(allowed)))
            && self
                .filter
                .as_ref()
                .is_none_or(|wanted| catch(|| wanted(metadata)).unwrap_or(false))
    }

    /// The most verbose level of events that are looked at.
    pub(crate) fn level(&self) -> LevelFilter {
        self.level
    }
}

/// Whether the target is a module or one below it.
fn is_within(target: &str, module: &str) -> bool {
    let below = target.strip_prefix(module);
    below.is_some_and(|below| below.is_empty() || below.starts_with("::"))
}

/// Whether the callsite is one of this crate's, which are never captured.
pub(crate) fn is_of_this_crate(metadata: &Metadata<'_>) -> bool {
    is_within(metadata.target(), env!("CARGO_CRATE_NAME"))
}

/// Whether the callsite is in the program's own code. One without a file is not: such as those of `log` records.
pub(crate) fn is_own(metadata: &Metadata<'_>) -> bool {
    // The standard library emits no events: a relative `library/core/src` is a workspace's own.
    let is_own = |file: &str| file.starts_with("library/") || !is_of_dependency(file);
    metadata.file().is_some_and(is_own)
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("level", &self.level)
            .field("allowed", &self.allowed)
            .field("denied", &self.denied)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exceptions::Errors;
    use std::sync::OnceLock;
    use tracing::callsite::{Callsite, Identifier};
    use tracing::field::FieldSet;
    use tracing::metadata::Kind;
    use tracing::subscriber::Interest;
    use tracing::{Level, Metadata};

    struct Nowhere;

    impl Callsite for Nowhere {
        fn set_interest(&self, _: Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            static METADATA: OnceLock<Metadata<'static>> = OnceLock::new();
            METADATA.get_or_init(|| of("", Some(""), Level::ERROR, Kind::EVENT))
        }
    }

    fn of(
        target: &'static str,
        file: Option<&'static str>,
        level: Level,
        kind: Kind,
    ) -> Metadata<'static> {
        let fields = FieldSet::new(&[], Identifier(&Nowhere));
        Metadata::new("event", target, level, file, Some(1), None, fields, kind)
    }

    const OWN: &str = "src/pay.rs";
    const HYPER: &str =
        "/home/ada/.cargo/registry/src/index-0123456789abcdef/hyper-1.6.0/src/client.rs";

    fn selects(errors: &Errors, target: &'static str, file: &'static str) -> bool {
        let metadata = of(target, Some(file), Level::ERROR, Kind::EVENT);
        errors.selection.selects(&metadata)
    }

    #[test]
    fn the_programs_own_code_is_selected_by_its_file() {
        for (file, want) in [
            (Some(OWN), true),
            (Some("crates/pay/src/lib.rs"), true),
            (Some("../shared/src/lib.rs"), true),
            (Some("library/core/src/lib.rs"), true),
            (Some("/build/shop/src/main.rs"), true),
            (Some("C:\\shop\\src\\main.rs"), true),
            (Some(HYPER), false),
            (
                Some(
                    "C:\\Users\\ada\\.cargo\\registry\\src\\index-0123456789abcdef\\hyper-1.6.0\\src\\client.rs",
                ),
                false,
            ),
            (
                Some("/root/.cargo/git/checkouts/hyper-0123456789abcdef/abcdef0/src/lib.rs"),
                false,
            ),
            (
                Some("/rustc/0123456789abcdef/library/core/src/result.rs"),
                false,
            ),
            (
                Some(
                    "/root/.rustup/toolchains/stable/lib/rustlib/src/rust/library/std/src/thread/mod.rs",
                ),
                false,
            ),
            // A record of `log`.
            (None, false),
        ] {
            let metadata = of("shop", file, Level::ERROR, Kind::EVENT);
            assert_eq!(Errors::new().selection.selects(&metadata), want, "{file:?}");
        }
    }

    #[test]
    fn targets_are_allowed_and_denied_with_what_is_below() {
        let errors = Errors::new()
            .allow_target("hyper")
            .deny_target("shop::legacy")
            .deny_target("hyper::proto");
        for (target, file, want) in [
            ("hyper", HYPER, true),
            ("hyper::client", HYPER, true),
            ("hyper_util", HYPER, false),
            ("hyper::proto::h2", HYPER, false),
            ("shop", OWN, true),
            ("shop::legacy", OWN, false),
            ("shop::legacy::pay", OWN, false),
            ("shop::legacy2", OWN, true),
            ("billing", OWN, true),
        ] {
            assert_eq!(selects(&errors, target, file), want, "{target}");
        }
    }

    #[test]
    fn this_crate_is_never_selected() {
        let errors = Errors::new()
            .allow_target("tracing_posthog")
            .allow_target("tracing_posthog::layer");
        for (target, want) in [
            ("tracing_posthog", false),
            ("tracing_posthog::layer", false),
            ("tracing_posthog_demo", true),
        ] {
            assert_eq!(selects(&errors, target, OWN), want, "{target}");
        }
    }

    #[test]
    fn levels_filters_and_kinds_decide_too() {
        let at = |errors: &Errors, level, kind| {
            errors
                .selection
                .selects(&of("shop", Some(OWN), level, kind))
        };
        let errors = Errors::new();
        assert!(!at(&errors, Level::WARN, Kind::EVENT));
        assert!(!at(&errors, Level::ERROR, Kind::SPAN));
        let errors = errors.level(Level::WARN);
        assert!(at(&errors, Level::WARN, Kind::EVENT) && !at(&errors, Level::INFO, Kind::EVENT));
        assert_eq!(errors.selection.level(), Level::WARN);
        assert!(!at(
            &Errors::new().level(LevelFilter::OFF),
            Level::ERROR,
            Kind::EVENT
        ));
        let filtered = Errors::new().filter(|metadata| metadata.target() != "shop");
        assert!(!at(&filtered, Level::ERROR, Kind::EVENT));
        let panics = Errors::new().filter(|_| std::panic::panic_any(1));
        assert!(!at(&panics, Level::ERROR, Kind::EVENT));
    }
}
