//! Which frames of a stack are left out: what stands between the error and its capture at the inner end, what started the
//! thread at the outer end.
//!
//! At the inner end all frames from the first on that are of this crate, of `tracing`, of the standard library or, for
//! panics, of its panic machinery, up to the last that is not of the standard library alone: what the program called of
//! it stays. The first frame of another crate ends that, whatever stands further out.

use super::super::paths::dependency;
use super::look_up::Layer;
use super::names::last_segment;
use std::borrow::Cow;
use std::ops::Range;

/// How a stack came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Taken where an error was captured.
    Capture,
    /// Taken by the panic hook.
    Panic,
    /// Text that an error brought.
    Text,
}

/// The frames that are kept. `layers`: the innermost first.
pub(super) fn kept<'a>(layers: impl Iterator<Item = &'a Layer>, origin: Origin) -> Range<usize> {
    let names: Vec<Name<'a>> = layers.map(Name::of).collect();
    let from = inner(&names, origin);
    let to = outer(&names[from..]).map_or(names.len(), |kept| from + kept);
    from..to
}

/// A function's name may be its last segment alone, where it is inlined: its file says the crate then.
struct Name<'a> {
    crate_name: Cow<'a, str>,
    /// The dependency that its file is of: a closure that a macro made lies in the file of the macro.
    file_of: Option<String>,
    path: &'a str,
    function: &'a str,
    /// Whether its file is known as one of Rust's.
    in_rust: bool,
}

impl<'a> Name<'a> {
    fn of(layer: &'a Layer) -> Self {
        Self {
            crate_name: layer.crate_name().unwrap_or_default(),
            file_of: layer.path.as_deref().and_then(dependency),
            path: &layer.function,
            function: last_segment(&layer.function),
            in_rust: layer
                .path
                .as_ref()
                .is_some_and(|path| path.ends_with(".rs")),
        }
    }

    fn is_of_std(&self) -> bool {
        matches!(&*self.crate_name, "std" | "core" | "alloc" | "__rustc")
    }
}

fn inner(names: &[Name<'_>], origin: Origin) -> usize {
    let mut from = 0;
    // Whatever hooks of others ran ours: the panic is further out.
    if origin == Origin::Panic {
        from = (names.iter().position(is_hook_call)).map_or(0, |at| at + 1);
    }
    for (n, name) in names.iter().enumerate().skip(from) {
        match part(name, origin) {
            Part::Cut => from = n + 1,
            Part::Glue => {}
            Part::Program => break,
        }
    }
    from
}

enum Part {
    Cut,
    /// Cut only where something is cut further out.
    Glue,
    Program,
}

fn part(name: &Name<'_>, origin: Origin) -> Part {
    if captures(&name.crate_name) || name.file_of.as_deref().is_some_and(captures) {
        return Part::Cut;
    }
    match &*name.crate_name {
        "anyhow" | "error_stack" | "eyre" | "color_eyre" | "stable_eyre" | "snafu"
        | "tracing_error"
            if origin == Origin::Text =>
        {
            Part::Cut
        }
        _ if origin == Origin::Panic && is_panic_machinery(name) => Part::Cut,
        _ if name.is_of_std() => match origin {
            Origin::Text if name.path.starts_with("std::backtrace") || is_conversion(name) => {
                Part::Cut
            }
            _ => Part::Glue,
        },
        // What `catch_unwind` is compiled to.
        "" if name.path == "__rust_try" => Part::Glue,
        _ => Part::Program,
    }
}

/// What stands between an error and its capture.
fn captures(crate_name: &str) -> bool {
    matches!(
        crate_name,
        "tracing_posthog"
            | "backtrace"
            | "log"
            | "tracing"
            | "tracing_core"
            | "tracing_log"
            | "tracing_subscriber"
    )
}

/// What calls the panic hook.
fn is_hook_call(name: &Name<'_>) -> bool {
    name.is_of_std() && matches!(name.function, "rust_panic_with_hook" | "panic_with_hook")
}

fn is_panic_machinery(name: &Name<'_>) -> bool {
    let function = name.function;
    if name.crate_name.is_empty() {
        return matches!(name.path, "rust_begin_unwind" | "rust_panic");
    }
    name.is_of_std()
        && (name.path.starts_with("std::panicking::")
            || name.path.starts_with("core::panicking::")
            || name.path.starts_with("__rustc::")
            || function == "__rust_end_short_backtrace"
            || function == "handle_alloc_error"
            || function.ends_with("_failed")
            || function.ends_with("_fail")
            || function.starts_with("panic_")
            || function.starts_with("begin_panic"))
}

/// `?` and `into`, which made the error.
fn is_conversion(name: &Name<'_>) -> bool {
    matches!(name.function, "from_residual" | "into")
}

/// How many frames are left without what started the thread. `None`: all.
fn outer(names: &[Name<'_>]) -> Option<usize> {
    let begin = names.iter().position(|name| {
        (name.is_of_std() || name.crate_name == "test")
            && name.function == "__rust_begin_short_backtrace"
    });
    let mut kept = begin.unwrap_or(names.len());
    while kept > 0 && is_start(&names[kept - 1]) {
        kept -= 1;
    }
    // Nothing but that: it is all there is.
    (kept > 0 && kept < names.len()).then_some(kept)
}

fn is_start(name: &Name<'_>) -> bool {
    if name.is_of_std() {
        return name.path.starts_with("std::rt::")
            || matches!(
                name.function,
                "call_once" | "catch_unwind" | "try" | "do_call" | "thread_start"
            );
    }
    !name.in_rust
        && (matches!(
            name.path,
            "main"
                | "_start"
                | "start"
                | "start_thread"
                | "clone"
                | "clone3"
                | "__clone"
                | "__clone3"
                | "__rust_try"
                | "thread_start"
                | "_pthread_start"
                | "start_c"
                | "_start_c"
                | "libc_start_main_stage2"
        ) || name.path.starts_with("__libc_start_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_of<'a>(names: &[&'a str], origin: Origin) -> Vec<&'a str> {
        let layers: Vec<Layer> = names
            .iter()
            .map(|name| Layer {
                function: (*name).into(),
                ..Layer::default()
            })
            .collect();
        names[kept(layers.iter(), origin)].to_vec()
    }

    #[test]
    fn what_captures_is_left_out() {
        let stack = [
            "backtrace::backtrace::trace",
            "tracing_posthog::exceptions::stack::write_stack",
            "<tracing_posthog::layer::PostHogLayer as tracing_subscriber::layer::Layer>::on_event",
            "tracing_core::dispatcher::get_default",
            "std::thread::local::LocalKey::with",
            "tracing_core::event::Event::dispatch",
            "shop::pay::{closure}",
            "shop::pay",
            "tracing::span::Span::in_scope",
            "shop::main",
            "core::ops::function::FnOnce::call_once",
            "std::sys::backtrace::__rust_begin_short_backtrace",
            "std::rt::lang_start::{closure}",
            "main",
            "__libc_start_main_impl",
            "_start",
        ];
        assert_eq!(kept_of(&stack, Origin::Capture), stack[6..10]);
    }

    #[test]
    fn what_the_program_called_stays() {
        for stack in [
            &["core::option::Option::map", "shop::pay"][..],
            &["shop::tracing_posthog::pay", "shop::std::rt::lang_start"],
            &["shop::main", "shop::start"],
            &["my_tracing::pay", "tracing_demo::main"],
            &["main"],
            &["_start", "main"],
            &[],
            &["", "shop::pay", ""],
        ] {
            assert_eq!(kept_of(stack, Origin::Capture), stack);
            assert_eq!(kept_of(stack, Origin::Panic), stack);
            assert_eq!(kept_of(stack, Origin::Text), stack);
        }
    }

    #[test]
    fn the_machinery_of_panics_is_left_out() {
        let stack = [
            "tracing_posthog::exceptions::panics::hook",
            "<alloc::boxed::Box as core::ops::function::Fn>::call",
            "color_eyre::config::hook",
            "std::panicking::rust_panic_with_hook",
            "std::panicking::begin_panic_handler::{closure}",
            "std::sys::backtrace::__rust_end_short_backtrace",
            "__rustc::rust_begin_unwind",
            "core::panicking::panic_fmt",
            "core::option::unwrap_failed",
            "core::option::Option::unwrap",
            "shop::pay",
            "std::panicking::catch_unwind",
            "shop::main",
            "std::panicking::catch_unwind",
            "std::sys::thread::unix::Thread::new::thread_start",
            "start_thread",
            "clone3",
        ];
        assert_eq!(kept_of(&stack, Origin::Panic), stack[9..13]);
    }

    #[test]
    fn inlined_functions_are_told_by_their_file() {
        let std =
            "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/backtrace.rs";
        let of = |name: &str| {
            format!("/c/registry/src/index.crates.io-1949cf8c6b5b557f/{name}-0.1.36/src/lib.rs")
        };
        let layers = [
            (
                "call",
                concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs").to_owned(),
            ),
            ("__rust_try", String::new()),
            ("dispatch", of("tracing-core")),
            ("with", of("tokio")),
            ("main", "/home/ada/shop/src/main.rs".to_owned()),
            ("call_once", std.to_owned()),
            ("__rust_begin_short_backtrace", std.to_owned()),
            ("x", std.to_owned()),
        ]
        .map(|(function, path)| Layer {
            function: function.into(),
            path: Some(path.into()),
            ..Layer::default()
        });
        // A bare `main` would be C's; with a file of Rust's it is the program's.
        assert_eq!(kept(layers.iter(), Origin::Capture), 3..5);
    }

    #[test]
    fn the_closure_of_a_macro_is_left_out() {
        let tracing =
            "/c/registry/src/index.crates.io-1949cf8c6b5b557f/tracing-0.1.41/src/macros.rs";
        let layers = [
            ("shop::pay::{closure}", tracing),
            ("shop::pay", "/home/ada/shop/src/main.rs"),
        ]
        .map(|(function, path)| Layer {
            function: function.into(),
            path: Some(path.into()),
            ..Layer::default()
        });
        assert_eq!(kept(layers.iter(), Origin::Capture), 1..2);
    }

    #[test]
    fn a_panic_while_a_panic_unwinds_keeps_both() {
        let stack = [
            "std::panicking::rust_panic_with_hook",
            "core::panicking::panic_fmt",
            "<shop::Guard as core::ops::drop::Drop>::drop",
            "std::panicking::rust_panic_with_hook",
            "shop::pay",
        ];
        assert_eq!(kept_of(&stack, Origin::Panic), stack[2..]);
    }

    #[test]
    fn what_made_an_error_is_left_out_of_its_text() {
        let stack = [
            "std::backtrace_rs::backtrace::trace",
            "std::backtrace::Backtrace::create",
            "<anyhow::Error as core::convert::From>::from",
            "<core::result::Result as core::ops::try_trait::FromResidual>::from_residual",
            "shop::pay",
        ];
        assert_eq!(kept_of(&stack, Origin::Text), ["shop::pay"]);
    }
}
