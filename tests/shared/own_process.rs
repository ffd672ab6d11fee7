//! Tests that need a process of their own, because what they change or measure belongs to the whole process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// Holds the name of the one test that runs in this process, where another process started it for that.
const ONLY_TEST: &str = "TRACING_POSTHOG_ONLY_TEST";

/// Stands first in a test: starts this binary again, for this test only, and passes or fails as that does. The
/// rest of the test runs in the new process.
macro_rules! own_process {
    () => {
        fn here() {}
        if $crate::own_process::ran_elsewhere(std::any::type_name_of_val(&here)) {
            return;
        }
    };
}
pub(crate) use own_process;

/// Runs the test that holds this function in a process of its own. False in that process.
pub(crate) fn ran_elsewhere(function: &str) -> bool {
    // `binary::module::test::here`, in an async test `binary::module::test::{{closure}}::here`.
    let (_, test) = function.split_once("::").unwrap();
    let test = test.strip_suffix("::here").unwrap();
    let test = test.strip_suffix("::{{closure}}").unwrap_or(test);
    if std::env::var(ONLY_TEST).is_ok_and(|only| only == test) {
        return false;
    }
    run(test);
    true
}

fn run(test: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(ONLY_TEST, test)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (output, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let errors = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        errors.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let mut passed = false;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.unwrap();
        let line = String::from_utf8_lossy(&line);
        passed |= line.contains("test result: ok. 1 passed");
        show(&line);
    }
    let status = child.wait().unwrap();
    let errors = errors.join().unwrap();
    assert!(
        status.success() && passed,
        "{test}, in a process of its own: {status}\n{}",
        String::from_utf8_lossy(&errors)
    );
}

/// As it comes: some tests take minutes.
#[allow(clippy::print_stdout)]
fn show(line: &str) {
    println!("{line}");
}
