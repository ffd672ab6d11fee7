//! Whose a spool directory is, where somebody tidied its lock away.

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

/// As if nothing had happened in it for an hour.
fn age(directory: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    let directory = File::open(directory).unwrap();
    directory.set_modified(long_ago).unwrap();
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

/// How many events a process takes over that starts now.
fn taken_over(server: &PostHogServer, spool: &Directory) -> u64 {
    let other = spooling(server, spool.spool()).start().unwrap();
    other.shutdown_blocking(LONG);
    other.stats().recovered
}

#[test]
fn what_a_process_left_is_taken_over_without_its_lock() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 30);
    let directory = owned(&spool);
    fs::remove_file(directory.with_extension("lock")).unwrap();
    // Its owner may live, and is given the time to see it.
    assert_eq!(taken_over(&server, &spool), 0);
    // Others' directories are left alone, however old.
    for other in ["other", "01936c0e-0000-7000-8000-00000000000"] {
        fs::create_dir(spool.project().join(other)).unwrap();
        age(&spool.project().join(other));
    }
    age(&directory);
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
fn a_living_owner_puts_its_lock_back() {
    let (server, spool) = (server(), Directory::new());
    let posthog = with_events_on_disk(&server, &spool);
    let directory = owned(&spool);
    let lock = directory.with_extension("lock");
    fs::remove_file(&lock).unwrap();
    age(&directory);
    wait_until("the lock is back", || {
        posthog.flush_blocking(LONG);
        lock.exists()
    });
    assert_eq!(taken_over(&server, &spool), 0, "its owner lives");
    recover(&server);
    assert!(posthog.flush_blocking(LONG).is_complete());
    assert_eq!((posthog.stats().delivered, server.event_count()), (20, 20));
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    assert_eq!(
        fs::read_dir(spool.project()).unwrap().count(),
        0,
        "tidied up"
    );
}

#[test]
fn a_living_owner_shows_that_it_lives() {
    let (server, spool) = (server(), Directory::new());
    let posthog = with_events_on_disk(&server, &spool);
    let directory = owned(&spool);
    age(&directory);
    wait_until("it looked after its directory", || {
        posthog.flush_blocking(LONG);
        let modified = fs::metadata(&directory).unwrap().modified().unwrap();
        modified.elapsed().is_ok_and(|age| age < LONG)
    });
    fs::remove_file(directory.with_extension("lock")).unwrap();
    assert_eq!(taken_over(&server, &spool), 0);
}

#[test]
fn an_owner_leaves_alone_what_another_took_over() {
    let (server, spool) = (server(), Directory::new());
    let first = with_events_on_disk(&server, &spool);
    let directory = owned(&spool);
    // It did not look for a long time.
    fs::remove_file(directory.with_extension("lock")).unwrap();
    age(&directory);
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
