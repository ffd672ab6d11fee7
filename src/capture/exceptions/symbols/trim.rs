//! Which frames of a stack are left out: what stands between the error and its capture at the inner end, what started the
//! thread at the outer end.
//!
//! At the inner end all frames from the first on that are of this crate, of `tracing`, of the standard library or, for
//! panics, of its panic machinery, up to the last that is not of the standard library alone: what the program called of
//! it stays. The first frame of another crate ends that, whatever stands further out.

use super::look_up::Layer;
use super::names::crate_of;
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
    let names: Vec<&str> = layers.map(|layer| layer.function.as_ref()).collect();
    let from = inner(&names, origin);
    let to = outer(&names[from..]).map_or(names.len(), |kept| from + kept);
    from..to
}

fn inner(names: &[&str], origin: Origin) -> usize {
    let mut from = 0;
    // Whatever hooks of others ran ours: the panic is further out.
    if origin == Origin::Panic {
        from = (names.iter().position(|name| is_hook_call(name))).map_or(0, |at| at + 1);
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

fn part(name: &str, origin: Origin) -> Part {
    let of = match crate_of(name) {
        Some(of) => of,
        None if is_panic_entry(name) && origin == Origin::Panic => return Part::Cut,
        None => return Part::Program,
    };
    match of {
        "tracing_posthog" | "backtrace" | "log" | "tracing" | "tracing_core" | "tracing_log"
        | "tracing_subscriber" => Part::Cut,
        "anyhow" | "error_stack" | "eyre" | "color_eyre" | "stable_eyre" | "snafu"
        | "tracing_error"
            if origin == Origin::Text =>
        {
            Part::Cut
        }
        "std" | "core" | "alloc" | "__rustc" => match origin {
            Origin::Panic if is_panic_machinery(name) => Part::Cut,
            Origin::Text if name.starts_with("std::backtrace") || is_conversion(name) => Part::Cut,
            _ => Part::Glue,
        },
        _ => Part::Program,
    }
}

/// What calls the panic hook.
fn is_hook_call(name: &str) -> bool {
    matches!(
        name,
        "std::panicking::rust_panic_with_hook" | "std::panicking::panic_with_hook"
    )
}

fn is_panic_entry(name: &str) -> bool {
    matches!(name, "rust_begin_unwind" | "rust_panic")
}

fn is_panic_machinery(name: &str) -> bool {
    let function = name.rsplit("::").next().unwrap_or("");
    name.starts_with("std::panicking::")
        || name.starts_with("core::panicking::")
        || name.starts_with("__rustc::")
        || function == "__rust_end_short_backtrace"
        || ((name.starts_with("core::") || name.starts_with("alloc::"))
            && (function.ends_with("_failed")
                || function.ends_with("_fail")
                || function.starts_with("panic_")
                || function == "handle_alloc_error"))
}

/// `?` and `into`, which made the error.
fn is_conversion(name: &str) -> bool {
    name.ends_with("::from_residual") || name.ends_with(" as core::convert::Into>::into")
}

/// How many frames are left without what started the thread. `None`: all.
fn outer(names: &[&str]) -> Option<usize> {
    let begin = names.iter().position(|name| {
        matches!(crate_of(name), Some("std" | "test"))
            && name.ends_with("::__rust_begin_short_backtrace")
    });
    let mut kept = begin.unwrap_or(names.len());
    while kept > 0 && is_start(names[kept - 1]) {
        kept -= 1;
    }
    // Nothing but that: it is all there is.
    (kept > 0 && kept < names.len()).then_some(kept)
}

fn is_start(name: &str) -> bool {
    matches!(
        name,
        "main"
            | "_start"
            | "start"
            | "start_thread"
            | "clone"
            | "clone3"
            | "__clone"
            | "__clone3"
            | "thread_start"
            | "_pthread_start"
            | "start_c"
            | "_start_c"
            | "libc_start_main_stage2"
    ) || name.starts_with("__libc_start_")
        || name.starts_with("std::rt::")
        || name.starts_with("core::ops::function::FnOnce::call_once")
        || name.starts_with("core::ops::function::impls::")
        || (name.starts_with("<alloc::boxed::Box") && name.ends_with("::call_once"))
        || (name.starts_with("std::sys::") && name.ends_with("thread_start"))
        || name.starts_with("std::panicking::catch_unwind")
        || name.starts_with("std::panicking::try")
        || name.starts_with("std::panic::catch_unwind")
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
