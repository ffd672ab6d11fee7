//! [`Own`]: which frames are the program's own (`in_app`), and the directories that its sources lie in.
//!
//! Decided by the source file where it is known, else by the crate, else by the image. Crates and directories are found
//! out from the exceptions: a callsite says its crate and its file as the compiler got it, a frame with a file says the
//! crate that the file is of.

use super::super::paths::{is_generated, is_of_dependency, root, shown};
use super::super::{Config, Parts};
use super::look_up::Layer;
use std::collections::HashSet;

/// How many crates are remembered.
const MAX_CRATES: usize = 256;
/// How many directories are remembered.
const MAX_ROOTS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Own {
    crates: HashSet<Box<str>>,
    roots: Vec<Box<str>>,
}

/// What a frame is of, where neither its file nor its crate is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// The image that holds the program's own code.
    Home,
    Elsewhere,
}

impl Own {
    /// Learns from a callsite, and from the frames of its stack.
    pub(super) fn learn<'a>(&mut self, parts: &Parts<'_>, layers: impl Iterator<Item = &'a Layer>) {
        let callsite_is_own = !parts.file.is_empty() && !is_of_dependency(parts.file);
        if callsite_is_own {
            let name = parts.module.split("::").next().unwrap_or("");
            self.learn_crate(name);
        }
        for layer in layers {
            let Some(path) = layer.path.as_deref() else {
                continue;
            };
            if callsite_is_own && let Some(root) = root(path, parts.file) {
                self.learn_root(root);
            }
            if by_path(path) == Some(true)
                && let Some(name) = layer.crate_name()
            {
                self.learn_crate(&name);
            }
        }
    }

    fn learn_crate(&mut self, name: &str) {
        let is_foreign = matches!(name, "" | "std" | "core" | "alloc" | "tracing_posthog");
        if !is_foreign && self.crates.len() < MAX_CRATES && !self.crates.contains(name) {
            self.crates.insert(name.into());
        }
    }

    /// A directory that the program's sources are relative to.
    pub(super) fn learn_root(&mut self, root: &str) {
        // The root of the file system would show all directories.
        if !root.trim_end_matches(['/', '\\']).contains(['/', '\\']) {
            return;
        }
        let known = self.roots.iter().any(|known| known.as_ref() == root);
        if !known
            && self.roots.len() < MAX_ROOTS
            && !is_of_dependency(&format!("{root}/src/lib.rs"))
        {
            self.roots.push(root.into());
        }
    }

    /// Whether the frame is the program's own.
    pub(super) fn has(&self, layer: &Layer, code: Code, config: &Config) -> bool {
        let of = layer.crate_name();
        let of = of.as_deref();
        if of.is_some_and(|of| config.own_crates.iter().any(|own| own.as_ref() == of)) {
            return true;
        }
        if of == Some("tracing_posthog") {
            return false;
        }
        match layer.path.as_deref().and_then(by_path) {
            Some(own) => own,
            None => match of {
                Some(of) => self.crates.contains(of),
                None => layer.function.is_empty() && layer.path.is_none() && code == Code::Home,
            },
        }
    }

    /// The file as it is sent.
    pub(super) fn shown(&self, path: &str) -> Box<str> {
        shown(path, &self.roots).into()
    }
}

/// `None`: the file does not say it.
fn by_path(path: &str) -> Option<bool> {
    let is_rust = path.ends_with(".rs");
    (!is_generated(path)).then(|| is_rust && !is_of_dependency(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(function: &str, path: Option<&str>) -> Layer {
        Layer {
            function: function.into(),
            path: path.map(Into::into),
            ..Layer::default()
        }
    }

    fn callsite(module: &'static str, file: &'static str) -> Parts<'static> {
        let mut parts = Parts::default();
        (parts.module, parts.file) = (module, file);
        parts
    }

    #[test]
    fn frames_with_a_file_are_told_by_it() {
        let own = Own::default();
        for (path, expected) in [
            ("/home/ada/shop/src/pay.rs", true),
            (
                "/home/ada/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.43.0/src/lib.rs",
                false,
            ),
            (
                "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/option.rs",
                false,
            ),
            ("./nptl/pthread_create.c", false),
            ("../sysdeps/x86/libc-start.h", false),
        ] {
            let layer = layer("x::y", Some(path));
            assert_eq!(
                own.has(&layer, Code::Home, &Config::default()),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn frames_without_a_file_are_told_by_their_crate() {
        let mut own = Own::default();
        let stack = [layer(
            "shop_db::query",
            Some("/home/ada/shop/db/src/lib.rs"),
        )];
        own.learn(&callsite("shop::pay", "src/pay.rs"), stack.iter());
        let config = Config {
            own_crates: vec!["forked".into()],
            ..Config::default()
        };
        for (function, expected) in [
            ("shop::main", true),
            ("<shop::Pay as core::fmt::Debug>::fmt", true),
            ("shop_db::connect", true),
            ("forked::api", true),
            ("shopping::api", false),
            ("tokio::runtime::run", false),
            ("core::fmt::write", false),
            ("main", false),
            ("memcpy", false),
        ] {
            let layer = layer(function, None);
            assert_eq!(own.has(&layer, Code::Home, &config), expected, "{function}");
        }
    }

    #[test]
    fn a_crate_that_is_said_to_be_own_is_own_wherever_it_lies() {
        let config = Config {
            own_crates: vec!["forked".into()],
            ..Config::default()
        };
        let layer = layer("forked::api", Some("/build/vendor/forked/src/lib.rs"));
        assert!(Own::default().has(&layer, Code::Elsewhere, &config));
        assert!(!Own::default().has(&layer, Code::Elsewhere, &Config::default()));
    }

    #[test]
    fn frames_of_which_nothing_is_known_are_told_by_their_image() {
        let (own, config) = (Own::default(), Config::default());
        assert!(own.has(&layer("", None), Code::Home, &config));
        assert!(!own.has(&layer("", None), Code::Elsewhere, &config));
    }

    #[test]
    fn generated_code_is_told_by_its_crate() {
        let mut own = Own::default();
        own.learn(&callsite("shop::pay", "src/pay.rs"), [].iter());
        let path = "/home/ada/shop/target/debug/build/x-0f2a61c35b1d98e7/out/api.rs";
        let config = Config::default();
        assert!(own.has(&layer("shop::api::call", Some(path)), Code::Home, &config));
        assert!(!own.has(&layer("x::api::call", Some(path)), Code::Home, &config));
    }

    #[test]
    fn the_callsite_of_a_dependency_makes_nothing_own() {
        let mut own = Own::default();
        let path =
            "/home/ada/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/sqlx-0.8.0/src/lib.rs";
        let parts = callsite("sqlx::pool", path);
        own.learn(&parts, [].iter());
        assert!(!own.has(
            &layer("sqlx::pool::get", None),
            Code::Home,
            &Config::default()
        ));
    }

    #[test]
    fn a_callsite_reveals_where_the_sources_are() {
        let mut own = Own::default();
        let parts = callsite("pay", "crates/pay/src/lib.rs");
        let stack = [layer("pay::charge", Some("/build/crates/pay/src/lib.rs"))];
        own.learn(&parts, stack.iter());
        assert_eq!(
            own.shown("/build/crates/web/src/lib.rs").as_ref(),
            "crates/web/src/lib.rs"
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut own = Own::default();
        for n in 0..2 * MAX_CRATES {
            own.learn_crate(&format!("c{n}"));
            own.learn_root(&format!("/r{n}"));
        }
        assert_eq!((own.crates.len(), own.roots.len()), (MAX_CRATES, MAX_ROOTS));
    }
}
