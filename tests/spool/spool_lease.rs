//! Who owns a spool directory: its process while it lives, then whoever adopts it. No deleted file changes that.
#![cfg(unix)]

use crate::support::spooling::*;
use crate::support::*;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tracing_posthog::CaptureHandle;
use tracing_posthog::testing::PostHogServer;

/// The directory that holds files.
fn owned(spool: &Directory) -> PathBuf {
    spool.files()[0].parent().unwrap().to_owned()
}

/// Deletes everything but the events.
fn tidy_up(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            tidy_up(&path);
        } else if path.extension().is_none_or(|e| e != "jsonl") {
            fs::remove_file(&path).unwrap();
        }
    }
}

/// Makes a directory look unused for an hour.
fn age(directory: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    File::open(directory)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
}

fn with_events_on_disk(server: &PostHogServer, spool: &Directory) -> CaptureHandle {
    fail(server);
    let posthog = spooling(server, spool.spool())
        .flush_interval(DOWN)
        .start()
        .unwrap();
    events(&posthog, 0, 20);
    wait_until("all on disk", || posthog.stats().spooled == 20);
    posthog
}

/// How many events a process adopts that starts now.
fn adopted_by_another(server: &PostHogServer, spool: &Directory) -> u64 {
    let other = spooling(server, spool.spool()).start().unwrap();
    other.shutdown_blocking(LONG);
    other.stats().recovered
}

#[test]
fn a_living_owner_keeps_its_directory_whatever_is_deleted() {
    let (server, spool) = (server(), Directory::new());
    let posthog = with_events_on_disk(&server, &spool);
    for _ in 0..3 {
        tidy_up(&spool.path);
        age(&owned(&spool));
        assert_eq!(adopted_by_another(&server, &spool), 0, "its owner lives");
    }
    // It goes on writing to the same place.
    events(&posthog, 20, 30);
    wait_until("on disk", || {
        posthog.flush_blocking(LONG);
        posthog.stats().spooled == 30
    });
    let directories = spool
        .files()
        .into_iter()
        .map(|f| f.parent().map(PathBuf::from));
    assert!(directories.collect::<std::collections::HashSet<_>>().len() == 1);
    recover(&server);
    assert!(posthog.flush_blocking(LONG).is_complete());
    assert_eq!((posthog.stats().delivered, server.event_count()), (30, 30));
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    let left = fs::read_dir(spool.project()).unwrap().count();
    assert_eq!(left, 0, "tidied up");
}

#[test]
fn what_a_dead_process_left_is_adopted_at_once_whatever_is_deleted() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 30);
    tidy_up(&spool.path);
    // Directories of others are left alone, however old.
    for other in ["other", "01936c0e-0000-7000-8000-00000000000"] {
        fs::create_dir(spool.project().join(other)).unwrap();
    }
    let next = spooling(&server, spool.spool()).start().unwrap();
    assert!(next.shutdown_blocking(LONG).is_complete());
    let stats = next.stats();
    assert_settled(&stats);
    assert_eq!((stats.recovered, stats.delivered), (30, 30), "{stats:?}");
    assert_eq!(server.event_count(), 30);
    let left = fs::read_dir(spool.project()).unwrap().count();
    assert_eq!(left, 2, "tidied up, but for what is not ours");
}

#[test]
fn directories_that_were_never_finished_are_removed() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 10);
    // Their processes died after each step of making one.
    let steps: [&[&str]; 3] = [
        &[],
        &["lock"],
        &["lock", ".01735787045678-000000-10.jsonl.tmp"],
    ];
    for (n, files) in steps.into_iter().enumerate() {
        let path = spool
            .project()
            .join(format!("01936c0e-0000-7000-8000-00000000000{n}"));
        fs::create_dir(&path).unwrap();
        for file in files {
            fs::write(path.join(file), "").unwrap();
        }
    }
    let next = spooling(&server, spool.spool()).start().unwrap();
    assert!(next.shutdown_blocking(LONG).is_complete());
    assert_eq!((next.stats().recovered, next.stats().delivered), (10, 10));
    let left = fs::read_dir(spool.project()).unwrap().count();
    assert_eq!(left, 0, "tidied up");
}

/// A copy in its place, as after a restore from a backup: the lock stays with what was moved away.
#[test]
fn an_owner_leaves_alone_what_another_took_over() {
    let (server, spool) = (server(), Directory::new());
    let first = with_events_on_disk(&server, &spool);
    let directory = owned(&spool);
    let aside = spool.path.join("aside");
    fs::rename(&directory, &aside).unwrap();
    fs::create_dir(&directory).unwrap();
    for file in fs::read_dir(&aside).unwrap().flatten() {
        fs::copy(file.path(), directory.join(file.file_name())).unwrap();
    }
    fs::remove_dir_all(&aside).unwrap();
    let second = spooling(&server, spool.spool())
        .flush_interval(DOWN)
        .start()
        .unwrap();
    wait_until("taken over", || second.stats().recovered == 20);
    wait_until("the first one sees it", || {
        let report = first.flush_blocking(LONG);
        assert_eq!((report.spooled, report.dropped), (20, 0), "{report}");
        first.stats().spool.files == 0
    });
    // What comes from now on has a place of its own.
    events(&first, 20, 30);
    wait_until("on disk", || {
        first.flush_blocking(LONG);
        first.stats().spooled == 30
    });
    recover(&server);
    wait_until("the second one delivers what it took over", || {
        second.flush_blocking(LONG);
        second.stats().delivered == 20
    });
    wait_until("the first one delivers what is its own", || {
        first.flush_blocking(LONG);
        first.stats().delivered == 10
    });
    assert_eq!(server.event_count(), 30, "each once");
    let report = first.shutdown_blocking(LONG);
    assert_eq!((report.spooled, report.dropped), (20, 0), "{report}");
    for stats in [first.stats(), second.stats()] {
        assert_settled(&stats);
        assert_eq!(stats.dropped.total(), 0, "{stats:?}");
    }
    assert_eq!(first.stats().spooled, 20, "in the hands of the other");
    second.shutdown_blocking(LONG);
    assert_eq!(fs::read_dir(spool.project()).unwrap().count(), 0);
}
