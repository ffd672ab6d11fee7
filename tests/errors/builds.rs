//! Builds of one program, `programs/shop.rs`: what PostHog gets of its errors, and that it is the same of each.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// How the program is built. All are of one profile, so that what it depends on is built once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// As `cargo build` does.
    Debug,
    /// Optimized, with line tables only.
    Release,
    /// The same, at a fixed address.
    NotRelocatable,
    /// The same, with names as later compilers have them.
    V0Names,
}

impl Build {
    fn package(self) -> &'static str {
        match self {
            Self::Debug => "shop-debug",
            _ => "shop-release",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::NotRelocatable => &["-Crelocation-model=static"],
            Self::V0Names => &["-Csymbol-mangling-version=v0"],
            // Not every linker is asked for one.
            _ => &["-Clink-arg=-Wl,--build-id"],
        }
    }

    /// The program, built once for each kind.
    pub(crate) fn program(self) -> PathBuf {
        // One at a time: cargo would wait for the other anyway, and say so.
        static BUILT: Mutex<()> = Mutex::new(());
        static PROGRAMS: [OnceLock<PathBuf>; 4] = [const { OnceLock::new() }; 4];
        let _one = BUILT.lock().unwrap_or_else(|e| e.into_inner());
        PROGRAMS[self as usize].get_or_init(|| self.build()).clone()
    }

    fn build(self) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Each in a directory of its own.
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("programs")
            .join(format!("{self:?}"));
        std::fs::create_dir_all(directory.join("src")).unwrap();
        write_if_changed(&directory.join("src/main.rs"), SOURCE);
        let lock = std::fs::read_to_string(here.join("Cargo.lock")).unwrap();
        if !directory.join("Cargo.lock").exists() {
            write_if_changed(&directory.join("Cargo.lock"), &lock);
        }
        let manifest = format!(
            "[package]\nname = \"{}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             [[bin]]\nname = \"shop\"\npath = \"src/main.rs\"\n\
             [dependencies]\nserde_json = \"1\"\ntracing = \"0.1\"\n\
             tracing-posthog = {{ path = {:?}, default-features = false, features = [\"errors\", \"testing\"] }}\n\
             [workspace]\n\
             [profile.dev]\ndebug = \"line-tables-only\"\n\
             [profile.dev.package.shop-debug]\ndebug = true\n\
             [profile.dev.package.shop-release]\nopt-level = 2\n",
            self.package(),
            here.display().to_string(),
        );
        write_if_changed(&directory.join("Cargo.toml"), &manifest);
        let built = Command::new(env!("CARGO"))
            .args(["rustc", "--quiet", "--offline", "--bin", "shop"])
            .arg("--manifest-path")
            .arg(directory.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs/target"))
            .arg("--")
            .args(self.flags())
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("RUSTFLAGS")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{said}");
        let program = directory.join("shop");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs/target/debug/shop");
        std::fs::copy(target, &program).unwrap();
        program
    }
}

pub(crate) const SOURCE: &str = include_str!("programs/shop.rs");

/// So that cargo does not build again what is there.
fn write_if_changed(path: &Path, text: &str) {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    std::fs::write(path, text).unwrap();
}

/// A copy of the program without debug information, or without symbols too.
pub(crate) fn stripped(program: &Path, what: &str) -> PathBuf {
    let copy = program.with_file_name(format!("shop{what}"));
    let status = Command::new("strip")
        .arg(what)
        .arg("-o")
        .args([&copy, &program.to_path_buf()])
        .status()
        .unwrap();
    assert!(status.success());
    copy
}

/// What PostHog gets of the error that the program captures: the properties of its event.
pub(crate) fn exception(program: &Path, what: &str) -> Value {
    let run = Command::new(program).arg(what).output().unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let text = String::from_utf8(run.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "one event: {text}");
    // What is sent tells nothing of the machine.
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The outermost first.
pub(crate) fn frames(exception: &Value) -> Vec<Value> {
    let frames = &exception["$exception_list"][0]["stacktrace"]["frames"];
    frames.as_array().unwrap().clone()
}

/// File, module and function of the frames that PostHog groups by.
fn grouped(exception: &Value) -> Vec<String> {
    frames(exception)
        .iter()
        .filter(|frame| frame["in_app"] == true)
        .map(|frame| {
            format!(
                "{} {} {}",
                frame["filename"], frame["module"], frame["function"]
            )
        })
        .collect()
}

#[test]
fn all_builds_are_grouped_alike() {
    let debug = Build::Debug.program();
    let expected = [
        "main",
        "{closure}",
        "{closure}",
        "{closure}",
        "process",
        "charge",
        "check",
        "report",
    ]
    .map(|function| format!("\"src/main.rs\" null {function:?}"));
    let of_debug = exception(&debug, "");
    assert_eq!(grouped(&of_debug), expected, "{of_debug:#}");
    for build in [Build::Release, Build::NotRelocatable, Build::V0Names] {
        let of_build = exception(&build.program(), "");
        assert_eq!(grouped(&of_build), expected, "{build:?}: {of_build:#}");
    }
}

#[test]
fn two_errors_are_two_groups() {
    let program = Build::Release.program();
    let refund = grouped(&exception(&program, "refund"));
    assert_ne!(grouped(&exception(&program, "")), refund);
    assert_eq!(refund.last().unwrap(), "\"src/main.rs\" null \"refund\"");
}
