//! Source files: which are the program's own, and how they are shown.
//!
//! ```text
//! path as the compiler wrote it ─[kind]─► Own / Dependency / Generated ─[shown]─► the same text for every build
//! ```
//!
//! Shown are `crates/pay/src/lib.rs` for own code, relative to its workspace where the root is known; `tokio/src/net.rs`
//! for dependencies, without version; `library/std/src/panic.rs` for the standard library; `pay/out/api.rs` for what a
//! build script generated.
//!
//! Invariants:
//! - What is shown holds no directory of the machine that built the program: no home directory, no build directory.
//! - A directory that has a usual name by chance (a module `vendor` or `registry` of one's own) makes no dependency.

use smallvec::SmallVec;
use std::borrow::Cow;

/// Whether a source file belongs to a dependency, the standard library or the toolchain, by its path as the compiler wrote
/// it.
pub(crate) fn is_of_dependency(path: &str) -> bool {
    let path = with_slashes(path);
    matches!(kind(&components(&path)), Kind::Dependency { .. })
}

/// Whether a build script generated the file: the path says nothing of whose code it is.
pub(super) fn is_generated(path: &str) -> bool {
    let path = with_slashes(path);
    matches!(kind(&components(&path)), Kind::Generated { .. })
}

/// The crate that a file of a dependency belongs to, as far as its directory says it.
pub(super) fn dependency(path: &str) -> Option<String> {
    let path = with_slashes(path);
    let parts = components(&path);
    let Kind::Dependency { from, name } = kind(&parts) else {
        return None;
    };
    let of_std = (parts.get(from) == Some(&"library")).then(|| parts.get(from + 1).copied());
    name.or(of_std.flatten()).map(|name| name.replace('-', "_"))
}

/// Whether the file is one of this crate's, wherever that lies.
pub(super) fn is_of_this_crate(path: &str) -> bool {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR"))
        .is_some_and(|rest| rest.starts_with("/src/") || rest.starts_with("\\src\\"))
}

/// The path as it is sent. Own files are relative to the longest of `roots` that holds them.
pub(crate) fn shown<R: AsRef<str>>(path: &str, roots: &[R]) -> String {
    let path = with_slashes(path);
    let parts = components(&path);
    match kind(&parts) {
        Kind::Dependency { from, name } => joined(name, &parts[from..]),
        Kind::Generated { from, name } => joined(Some(name), &parts[from..]),
        Kind::Own => match under_roots(&path, roots) {
            Some(relative) => relative.to_owned(),
            None if is_absolute(&path) => joined(None, tail(&parts)),
            None => joined(None, &parts),
        },
    }
}

/// The directory under which `relative` is `absolute`.
pub(super) fn root<'a>(absolute: &'a str, relative: &str) -> Option<&'a str> {
    let relative = relative.strip_prefix("./").unwrap_or(relative);
    if relative.is_empty() || is_absolute(relative) || !is_absolute(absolute) {
        return None;
    }
    let root = absolute.strip_suffix(relative)?.strip_suffix(['/', '\\'])?;
    (!root.is_empty()).then_some(root)
}

enum Kind<'a> {
    Own,
    /// Shown from the component `from`, below `name`.
    Dependency {
        from: usize,
        name: Option<&'a str>,
    },
    Generated {
        from: usize,
        name: &'a str,
    },
}

type Components<'a> = SmallVec<[&'a str; 24]>;

fn with_slashes(path: &str) -> Cow<'_, str> {
    match path.contains('\\') {
        true => Cow::Owned(path.replace('\\', "/")),
        false => Cow::Borrowed(path),
    }
}

fn components(path: &str) -> Components<'_> {
    let mut parts = Components::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

fn is_absolute(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.as_bytes().get(1) == Some(&b':')
}

fn kind<'a>(parts: &[&'a str]) -> Kind<'a> {
    let at = |n: usize| parts.get(n).copied().unwrap_or("");
    // The innermost wins: a registry below a vendor directory, say.
    for n in (0..parts.len().saturating_sub(1)).rev() {
        let follow = parts.len() - n - 1;
        let next = at(n + 1);
        let found = match at(n) {
            "library" if is_of_std(next) && at(n + 2) == "src" => Some((n, None)),
            "rustc" if follow >= 2 && is_release(next) => Some((n + 2, None)),
            "rustlib" if next == "src" => Some((n + 3, None)),
            "src" if n > 0 && at(n - 1) == "registry" && follow >= 3 && has_version(at(n + 2)) => {
                Some((n + 3, Some(at(n + 2))))
            }
            "checkouts" if n > 0 && at(n - 1) == "git" && follow >= 3 => Some((n + 3, Some(next))),
            // The standard library's own dependencies.
            "deps" if follow >= 2 && has_version(next) => Some((n + 2, Some(next))),
            // Bazel's: `rules_rust++crate+crates__tokio-1.43.0`.
            "external" if follow >= 2 && has_version(next) => {
                let name = next.rsplit_once("__").map_or(next, |(_, name)| name);
                Some((n + 2, Some(name)))
            }
            // Nix's: `shop-1.0.0-vendor/source-registry-0/tokio-1.43.0`, and without the registry.
            name if name.ends_with("-vendor") && follow >= 3 && has_version(next) => {
                Some((n + 2, Some(next)))
            }
            name if name.ends_with("-vendor")
                && next.starts_with("source-")
                && follow >= 4
                && has_version(at(n + 2)) =>
            {
                Some((n + 3, Some(at(n + 2))))
            }
            // A module of that name has no sources of a crate below it.
            name if is_vendor(name)
                && follow >= 2
                && next != "src"
                && (has_sources(&parts[n..]) || !has_sources(&parts[..n])) =>
            {
                match has_version(next) || follow < 3 || is_sources(at(n + 2)) {
                    true => Some((n + 2, Some(next))),
                    // `vendor/<registry>/<crate>/…`.
                    false => Some((n + 3, Some(at(n + 2)))),
                }
            }
            "nix" if next == "store" && n == 0 => Some(match has_version(at(3)) {
                true => (4, Some(at(3))),
                false => (3, None),
            }),
            "out" if n >= 2 && at(n - 2) == "build" && has_hash(at(n - 1)) => {
                let (name, _) = at(n - 1).rsplit_once('-').unwrap_or_default();
                return Kind::Generated { from: n, name };
            }
            _ => None,
        };
        if let Some((from, name)) = found {
            let from = from.min(parts.len() - 1);
            let name = name.map(plain_name).filter(|name| !name.is_empty());
            return Kind::Dependency { from, name };
        }
    }
    Kind::Own
}

fn is_of_std(name: &str) -> bool {
    matches!(
        name,
        "std"
            | "core"
            | "alloc"
            | "test"
            | "proc_macro"
            | "panic_unwind"
            | "panic_abort"
            | "backtrace"
            | "stdarch"
            | "portable-simd"
            | "unwind"
    )
}

/// What stands below `/rustc`: a commit, or a version.
fn is_release(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
        || (name.len() >= 32 && name.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_vendor(name: &str) -> bool {
    matches!(name, "vendor" | "vendored" | "cargo-vendor-dir" | ".vendor")
        || name.ends_with("-cargo-vendor-dir")
        || name.ends_with("-vendor-cargo-deps")
}

fn is_sources(name: &str) -> bool {
    matches!(name, "src" | "tests" | "examples" | "benches")
}

fn has_sources(parts: &[&str]) -> bool {
    parts.iter().any(|name| is_sources(name))
}

/// `tokio-1.43.0`, `foo-0.1.0-alpha.2`.
fn has_version(name: &str) -> bool {
    plain_name(name).len() < name.len()
}

/// `pay-0f2a61c35b1d98e7`.
fn has_hash(name: &str) -> bool {
    name.rsplit_once('-')
        .is_some_and(|(_, hash)| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The name of a crate's directory without its version or hash.
fn plain_name(name: &str) -> &str {
    if has_hash(name) {
        return &name[..name.len() - 17];
    }
    let version = name.match_indices('-').find(|(at, _)| {
        let rest = &name[at + 1..];
        let numbers = rest.split(['-', '+']).next().unwrap_or("");
        rest.starts_with(|c: char| c.is_ascii_digit()) && numbers.contains('.')
    });
    version.map_or(name, |(at, _)| &name[..at])
}

fn under_roots<'a, R: AsRef<str>>(path: &'a str, roots: &[R]) -> Option<&'a str> {
    let below = |root: &R| {
        let root = with_slashes(root.as_ref());
        let rest = path.strip_prefix(root.trim_end_matches('/'))?;
        rest.strip_prefix('/').filter(|rest| !rest.is_empty())
    };
    roots.iter().filter_map(below).min_by_key(|rest| rest.len())
}

/// The part that is probably the same wherever the program was built.
fn tail<'a, 'b>(parts: &'b [&'a str]) -> &'b [&'a str] {
    let last = |name: &str| parts.iter().rposition(|part| *part == name);
    let from = last("src").or_else(|| {
        ["tests", "examples", "benches"]
            .iter()
            .filter_map(|n| last(n))
            .max()
    });
    match from {
        Some(from) if from + 1 < parts.len() => &parts[from..],
        _ => &parts[parts.len().saturating_sub(1)..],
    }
}

fn joined(name: Option<&str>, parts: &[&str]) -> String {
    let mut text = name.map(|name| format!("{name}/")).unwrap_or_default();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            text.push('/');
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_ROOTS: &[&str] = &[];

    #[test]
    fn dependencies_are_shown_without_their_directory_and_version() {
        for (path, expected) in [
            (
                "/home/ada/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.43.0/src/runtime/mod.rs",
                "tokio/src/runtime/mod.rs",
            ),
            (
                r"C:\Users\Ada\.cargo\registry\src\index.crates.io-1949cf8c6b5b557f\time-core-0.1.4-rc.1\src\lib.rs",
                "time-core/src/lib.rs",
            ),
            (
                "/usr/local/cargo/git/checkouts/pay-sdk-9e1ab71a3f0c11d2/4f2c1aa/crates/api/src/lib.rs",
                "pay-sdk/crates/api/src/lib.rs",
            ),
            (
                "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/option.rs",
                "library/core/src/option.rs",
            ),
            (
                "/rustc/1.95.0/library/std/src/rt.rs",
                "library/std/src/rt.rs",
            ),
            (
                "/root/.rustup/toolchains/stable-x86_64/lib/rustlib/src/rust/library/std/src/rt.rs",
                "library/std/src/rt.rs",
            ),
            ("library/std/src/rt.rs", "library/std/src/rt.rs"),
            (
                "/rust/deps/hashbrown-0.15.2/src/raw.rs",
                "hashbrown/src/raw.rs",
            ),
            ("vendor/sqlx/src/lib.rs", "sqlx/src/lib.rs"),
            (
                "/build/shop/vendor/sqlx-0.8.1/src/pool/mod.rs",
                "sqlx/src/pool/mod.rs",
            ),
            (
                "/home/ada/src/shop/vendor/sqlx/src/lib.rs",
                "sqlx/src/lib.rs",
            ),
            (
                "/build/shop/vendor/crates.io/sqlx/src/lib.rs",
                "sqlx/src/lib.rs",
            ),
            (
                "/build/cargo-vendor-dir/hyper-1.6.0/src/lib.rs",
                "hyper/src/lib.rs",
            ),
            (
                "/nix/store/0c4mfxi2v1zq0y6sqd0bnhzq5fnz5q5c-cargo-vendor-dir/hyper-1.6.0/src/lib.rs",
                "hyper/src/lib.rs",
            ),
            (
                "/build/shop-1.0.0-vendor/hyper-1.6.0/src/lib.rs",
                "hyper/src/lib.rs",
            ),
            (
                "/build/shop-1.0.0-vendor/source-registry-0/hyper-1.6.0/src/lib.rs",
                "hyper/src/lib.rs",
            ),
            (
                "external/rules_rust++crate+crates__tracing-core-0.1.36/src/event.rs",
                "tracing-core/src/event.rs",
            ),
            (
                "/nix/store/0c4mfxi2v1zq0y6sqd0bnhzq5fnz5q5c-rust-1.90/share/a.rs",
                "share/a.rs",
            ),
        ] {
            assert!(is_of_dependency(path), "{path}");
            assert_eq!(shown(path, NO_ROOTS), expected, "{path}");
        }
    }

    #[test]
    fn own_files_are_shown_relative_to_their_workspace() {
        for (path, expected) in [
            (
                "/home/ada/shop/crates/pay/src/lib.rs",
                "crates/pay/src/lib.rs",
            ),
            ("/home/ada/shop/src/main.rs", "src/main.rs"),
            ("/home/ada/other/pay/src/api/mod.rs", "src/api/mod.rs"),
            ("/home/ada/other/tests/pay.rs", "tests/pay.rs"),
            ("/home/ada/src/tool/examples/a.rs", "tool/examples/a.rs"),
            ("/home/ada/odd.rs", "odd.rs"),
            ("src/main.rs", "src/main.rs"),
            ("./crates/pay/src/lib.rs", "crates/pay/src/lib.rs"),
            (r"D:\a\shop\crates\pay\src\lib.rs", "crates/pay/src/lib.rs"),
        ] {
            let roots = ["/home/ada/shop", "/home/ada/src", r"D:\a\shop"];
            assert!(!is_of_dependency(path), "{path}");
            assert_eq!(shown(path, &roots), expected, "{path}");
        }
    }

    #[test]
    fn the_directory_of_a_dependency_says_its_crate() {
        for (path, expected) in [
            (
                "/c/registry/src/index.crates.io-1949cf8c6b5b557f/tracing-core-0.1.36/src/event.rs",
                Some("tracing_core"),
            ),
            (
                "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs",
                Some("core"),
            ),
            ("/build/shop/vendor/time-core/src/lib.rs", Some("time_core")),
            ("/home/ada/shop/src/main.rs", None),
        ] {
            assert_eq!(dependency(path).as_deref(), expected, "{path}");
        }
        assert!(is_of_this_crate(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/lib.rs"
        )));
        assert!(!is_of_this_crate(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/errors/main.rs"
        )));
    }

    #[test]
    fn usual_names_by_chance_make_no_dependency() {
        for path in [
            "/home/ada/shop/crates/registry/src/lib.rs",
            "/home/ada/shop/crates/registry/src/store/index/mod.rs",
            "src/vendor/api/mod.rs",
            "/home/ada/shop/src/vendor/api/client.rs",
            "crates/vendor/src/lib.rs",
            "crates/pay-vendor/src/lib.rs",
            "crates/pay-vendor/tests/api/main.rs",
            "/home/ada/rustc/tools/src/main.rs",
            "/home/ada/toolchains/src/main.rs",
            "/home/ada/shop/library/src/std.rs",
            "src/external/api/mod.rs",
            "src/deps/graph/mod.rs",
            "checkouts/git/src/lib.rs",
        ] {
            assert!(!is_of_dependency(path), "{path}");
        }
    }

    #[test]
    fn generated_files_are_shown_without_the_hash_of_the_build() {
        let path = "/home/ada/shop/target/release/build/pay-api-0f2a61c35b1d98e7/out/v1/api.rs";
        assert!(is_generated(path) && !is_of_dependency(path));
        assert_eq!(shown(path, &["/home/ada/shop"]), "pay-api/out/v1/api.rs");
    }

    #[test]
    fn a_callsite_reveals_the_root() {
        assert_eq!(root("/a/shop/src/pay.rs", "src/pay.rs"), Some("/a/shop"));
        assert_eq!(root(r"C:\shop\src\pay.rs", r"src\pay.rs"), Some(r"C:\shop"));
        assert_eq!(root("/a/shop/src/pay.rs", "rc/pay.rs"), None);
        assert_eq!(root("/a/shop/src/pay.rs", "/a/shop/src/pay.rs"), None);
        assert_eq!(root("src/pay.rs", "pay.rs"), None);
        assert_eq!(root("/src/pay.rs", "src/pay.rs"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_path_is_shown_without_its_directories(path in "[/\\\\.a-z:-]{0,40}") {
            let text = shown(&path, &["/a", "/"]);
            proptest::prop_assert!(text.len() <= path.len());
        }
    }
}
