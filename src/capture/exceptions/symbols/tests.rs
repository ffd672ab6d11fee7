use super::*;
use crate::event::record::{Val, exception};

fn parts<'a>(stack: &'a [u8], backtrace: &'a str, type_name: &'a str) -> Parts<'a> {
    let mut parts = Parts::default();
    parts.add(exception::KIND, Val::Str("log"));
    parts.add(exception::TYPE, Val::Str(type_name));
    parts.add(exception::FILE, Val::Str("crates/pay/src/lib.rs"));
    parts.add(exception::LINE, Val::U64(12));
    parts.add(exception::MODULE, Val::Str("pay::card"));
    parts.add(exception::STACK, Val::Bytes(stack));
    parts.add(exception::BACKTRACE, Val::Str(backtrace));
    parts
}

fn stack_here() -> Vec<u8> {
    let mut stack = Vec::new();
    backtrace::trace(|frame| {
        stack.extend_from_slice(&(frame.ip().addr() as u64).to_le_bytes());
        true
    });
    stack
}

const TEXT: &str = "   0: pay::card::charge\n             at /build/shop/crates/pay/src/lib.rs:12:5\n   \
                    1: tokio::task::run\n             \
                    at /c/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.43.0/src/task.rs:3:1\n   \
                    2: web::main\n             at /build/shop/crates/web/src/main.rs:7:9\n";

fn functions(stack: &Stack) -> Vec<&str> {
    stack.frames.iter().map(|f| f.function.as_ref()).collect()
}

#[test]
fn the_backtrace_of_an_error_is_its_stack() {
    let stack =
        Resolver::default().resolve(&parts(&stack_here(), TEXT, "Declined"), &Config::default());
    let frames: Vec<_> = stack
        .frames
        .iter()
        .map(|f| {
            (
                &*f.function,
                f.filename.as_deref().unwrap(),
                f.line.unwrap(),
                f.in_app,
            )
        })
        .collect();
    assert_eq!(
        frames,
        [
            ("main", "crates/web/src/main.rs", 7, true),
            ("tokio::task::run", "tokio/src/task.rs", 3, false),
            ("charge", "crates/pay/src/lib.rs", 12, true),
        ]
    );
    assert_eq!(stack.images, []);
}

#[test]
fn a_backtrace_that_cannot_be_read_costs_nothing_else() {
    let here = stack_here();
    let stack = Resolver::default().resolve(
        &parts(&here, "disabled backtrace", "Declined"),
        &Config::default(),
    );
    let expected = Resolver::default().resolve(&parts(&here, "", "Declined"), &Config::default());
    assert_eq!(stack.frames, expected.frames);
}

#[test]
fn the_callsite_stands_where_the_stack_does_not_say_what_failed() {
    let place = "crates/pay/src/lib.rs:12";
    let stranger = "   0: tokio::task::run\n";
    for (backtrace, type_name, expected) in [
        (TEXT, "Declined", "charge"),
        (TEXT, "", place),
        ("", "Declined", place),
        (stranger, "Declined", place),
    ] {
        let stack =
            Resolver::default().resolve(&parts(&[], backtrace, type_name), &Config::default());
        assert_eq!(
            functions(&stack).pop(),
            Some(expected),
            "{backtrace}, {type_name}"
        );
        let last = stack.frames.last().unwrap();
        assert!(last.in_app);
        assert_eq!(last.synthetic, expected == place);
        assert_eq!(last.filename.as_deref(), Some("crates/pay/src/lib.rs"));
        assert_eq!(last.line, Some(12));
        if last.synthetic {
            assert_eq!(last.module.as_deref(), Some("pay::card"));
        }
    }
    let nothing = Parts::default();
    assert_eq!(
        Resolver::default()
            .resolve(&nothing, &Config::default())
            .frames,
        []
    );
}

#[test]
fn the_innermost_frames_are_kept() {
    let config = Config {
        max_frames: 2,
        ..Config::default()
    };
    let stack = Resolver::default().resolve(&parts(&[], TEXT, "Declined"), &config);
    assert_eq!(functions(&stack), ["tokio::task::run", "charge"]);
}

#[test]
fn an_address_in_no_image_is_no_frame() {
    let stack = Resolver::default().resolve(
        &parts(&7_u64.to_le_bytes(), "", "Declined"),
        &Config::default(),
    );
    assert_eq!(functions(&stack), ["crates/pay/src/lib.rs:12"]);
}

#[test]
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn what_posthog_is_to_resolve_is_sent_as_addresses() {
    let config = Config {
        symbols: Symbols::PostHog,
        ..Config::default()
    };
    let here = stack_here();
    let mut resolver = Resolver::default();
    let stack = resolver.resolve(&parts(&here, "", "Declined"), &config);
    let (callsite, frames) = stack.frames.split_last().unwrap();
    assert!(callsite.synthetic);
    let mut addresses: Vec<u64> = parts(&here, "", "").addresses().collect();
    addresses.reverse();
    let sent: Vec<u64> = frames
        .iter()
        .map(|f| f.address.unwrap().instruction)
        .collect();
    // Those of images with an id.
    assert!(sent.iter().all(|at| addresses.contains(at)));
    let home = resolver.images.home().unwrap().image.clone().unwrap();
    assert!(stack.images.contains(&home));
    for frame in frames {
        assert_eq!(
            (&*frame.function, &frame.filename, frame.line),
            ("", &None, None)
        );
        let address = frame.address.unwrap();
        assert_eq!(frame.in_app, address.image == home.address);
        let image = stack
            .images
            .iter()
            .find(|i| i.address == address.image)
            .unwrap();
        assert!((image.address..image.address + image.size).contains(&address.instruction));
    }
    // No file was read.
    assert!(format!("{:?}", resolver.look_up).contains("files: []"));
}
