//! `panic = "abort"`: no panic unwinds, so the hook is the last that delivers. The program is built here, because the
//! setting is one of a whole build.

use crate::support::server;
use std::path::{Path, PathBuf};
use std::process::Command;

const MANIFEST: &str = r#"
[package]
name = "aborts"
version = "0.0.0"
edition = "2024"

[dependencies]
tracing = "0.1"
tracing-posthog = { path = "{crate}", default-features = false, features = ["errors"] }
tracing-subscriber = { version = "0.3", default-features = false, features = ["registry"] }

[profile.dev]
panic = "abort"
debug = 0

[workspace]
"#;

/// Builds the program below `target`, with the versions that this crate is built with. Fast after the first time.
fn build() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic-abort");
    std::fs::create_dir_all(package.join("src")).unwrap();
    let write = |path: &str, text: &str| {
        let path = package.join(path);
        // What did not change is not built again.
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return;
        }
        std::fs::write(path, text).unwrap();
    };
    let path = here.to_str().unwrap().replace('\\', "/");
    write("Cargo.toml", &MANIFEST.replace("{crate}", &path));
    write("src/main.rs", include_str!("programs/aborts.rs"));
    let lock = std::fs::read(here.join("Cargo.lock")).unwrap();
    std::fs::write(package.join("Cargo.lock"), lock).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{errors}");
    let program = format!("target/debug/aborts{}", std::env::consts::EXE_SUFFIX);
    package.join(program)
}

#[test]
fn a_panic_that_aborts_is_delivered_first() {
    let program = build();
    for thread in ["main", "worker"] {
        let server = server();
        let ended = Command::new(&program)
            .args([&server.url(), thread])
            .output()
            .unwrap();
        assert!(!ended.status.success(), "{thread}: {}", ended.status);
        let said = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(said.trim_end(), "the hook before", "{thread}");
        let events = server.events();
        assert_eq!(events.len(), 1, "{thread}: {events:?}");
        assert_eq!(events[0].event, "$exception");
        assert_eq!(events[0].distinct_id, "ada");
        assert_eq!(events[0].property("thread"), Some(&thread.into()));
        assert_eq!(
            events[0].property("$exception_list").unwrap()[0]["value"],
            "and abort"
        );
    }
}
