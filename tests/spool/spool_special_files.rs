//! What stands in a spool directory and is no ordinary file, missing files, and files that may not grow.
#![cfg(unix)]

use crate::support::spooling::*;
use crate::support::*;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{CaptureHandle, DropReason, Event};

/// Opening one waits until its other end is opened, which never happens here.
fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// A backend that has taken over what was left behind.
///
/// A child that another test has just forked holds the locks of this process until it runs its program. A backend that
/// starts at that moment finds an owner that lives, and looks again only when it has something to do. So another one is
/// started then.
fn taking_over(server: &PostHogServer, spool: &Directory, events: u64) -> CaptureHandle {
    let start = Instant::now();
    loop {
        let posthog = spooling(server, spool.spool()).start().unwrap();
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(2) {
            if posthog.stats().recovered == events {
                return posthog;
            }
            std::thread::sleep(ms(1));
        }
        assert!(start.elapsed() < LONG, "never taken over");
        posthog.shutdown_blocking(LONG);
    }
}

#[test]
fn what_would_block_when_opened_blocks_nothing() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 20);
    let orphan = spool.files()[0].parent().unwrap().to_owned();
    // In the places of lock files, of directories and of events.
    let _ = fs::remove_file(orphan.join("lock"));
    make_fifo(&orphan.join("lock"));
    let _ = fs::remove_file(orphan.with_extension("lock"));
    make_fifo(&orphan.with_extension("lock"));
    let project = spool.project();
    make_fifo(&project.join("stray.lock"));
    make_fifo(&project.join("01936c0e-0000-7000-8000-000000000001"));
    make_fifo(&orphan.join("01735787045678-000042-100.jsonl"));
    let socket = UnixListener::bind(project.join("socket.lock")).unwrap();
    let posthog = taking_over(&server, &spool, 20);
    wait_until("all is delivered", || posthog.stats().delivered == 20);
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    assert_settled(&posthog.stats());
    assert!(socket.local_addr().is_ok());
    assert!(project.join("stray.lock").exists(), "it is not ours");
}

#[test]
fn a_fifo_in_the_place_of_events_costs_only_those() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 20);
    fail(&server);
    let posthog = taking_over(&server, &spool, 20);
    let oldest = spool.files()[0].clone();
    let fifo = spool.path.join("fifo");
    make_fifo(&fifo);
    fs::rename(&fifo, &oldest).unwrap();
    recover(&server);
    wait_until("the others are delivered", || {
        posthog.flush_blocking(ms(100));
        posthog.stats().delivered == 10 && posthog.stats().spooled == 0
    });
    assert!(posthog.shutdown_blocking(LONG).pending == 0);
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(stats.dropped.by(DropReason::Damaged), 10);
}

#[test]
fn missing_files_are_said_to_be_missing() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let (server, spool) = (server(), Directory::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    fail(&server);
    let posthog = spooling(&server, spool.spool())
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    events(&posthog, 0, 20);
    runtime.block_on(until("all on disk", || posthog.stats().spooled == 20));
    for file in spool.files() {
        fs::remove_file(file).unwrap();
    }
    recover(&server);
    runtime.block_on(posthog.shutdown());
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(stats.dropped.by(DropReason::Damaged), 20);
    assert_eq!(stats.spool.damaged_files, 0, "nothing is damaged");
    let missing = diagnostics.with(&["WARN", "spool file is missing"]);
    assert_eq!(missing.len(), 1, "{:?}", diagnostics.warnings());
    assert!(diagnostics.with(&["set aside"]).is_empty());
}

/// What the child process runs under a limit, with which a larger write would end it.
#[test]
fn child() {
    if std::env::var("SPOOL_TEST_CHILD").is_err() {
        return;
    }
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let posthog = spooling(&server, spool.spool())
        .flush_interval(DOWN)
        .requests_in_flight(1)
        .start()
        .unwrap();
    for _ in 0..10 {
        let event = Event::new("large").distinct_id("user_1");
        posthog.capture(event.property("text", "x".repeat(8_000)));
    }
    events(&posthog, 0, 10);
    wait_until("the small ones are on disk", || {
        let stats = posthog.stats();
        stats.spooled == 10 && stats.batches_kept > 0
    });
    assert_eq!(
        posthog.stats().spool.write_failures,
        0,
        "others can go there"
    );
    recover(&server);
    let report = posthog.flush_blocking(LONG);
    assert_eq!((report.delivered, report.dropped), (20, 0), "{report}");
    assert!(posthog.shutdown_blocking(LONG).is_complete());
}

#[test]
#[cfg(target_os = "linux")]
fn a_limit_of_file_sizes_does_not_end_the_process() {
    // 64 blocks, which have 512 or 1024 bytes.
    let script = r#"ulimit -f 64 && exec "$0" "$@""#;
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads=1"])
        .env("SPOOL_TEST_CHILD", "1")
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(child.success(), "{child}");
}
