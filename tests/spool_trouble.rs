//! Trouble with single files of a spool costs no others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use support::spooling::*;
use support::*;
use tracing_posthog::DropReason;

#[test]
fn a_damaged_file_in_a_full_spool_is_repaired() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 30);
    let oldest = spool.files()[0].clone();
    let text = fs::read_to_string(&oldest).unwrap();
    // The last line is cut, as a loss of power cuts it.
    fs::write(&oldest, &text[..text.len() - 20]).unwrap();
    let posthog = spooling(&server, spool.spool().max_bytes(3 * 4096))
        .start()
        .unwrap();
    wait_until("nothing waits", || {
        posthog.stats().recovered == 30
            && posthog.flush_blocking(LONG).is_complete()
            && posthog.stats().spooled == 0
    });
    let before = posthog.stats();
    posthog.shutdown_blocking(LONG);
    let on_disk = spool.events().len();
    assert_eq!((server.events().len(), on_disk), (29, 0), "{before}");
}

#[test]
fn a_file_from_the_future_costs_no_other() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 30);
    let newest = spool.files()[0].clone();
    let text = fs::read_to_string(&newest).unwrap();
    fs::write(&newest, &text[..text.len() - 20]).unwrap();
    // It was written by a process whose clock was a year ahead.
    let name = newest.file_name().unwrap().to_str().unwrap().to_owned();
    let (created, rest) = name.split_once('-').unwrap();
    let ahead: u64 = created.parse::<u64>().unwrap() + 365 * 24 * 3600 * 1000;
    fs::rename(
        &newest,
        newest.with_file_name(format!("{ahead:014}-{rest}")),
    )
    .unwrap();
    let posthog = spooling(&server, spool.spool())
        .flush_interval(LONG)
        .start()
        .unwrap();
    wait_until("recovered", || posthog.stats().recovered == 30);
    wait_until("all are delivered", || {
        posthog.flush_blocking(LONG);
        posthog.stats().spooled == 0
    });
    // Another process leaves some.
    let other = Directory::new();
    leave_behind(&server, &other, 10);
    let owner = fs::read_dir(other.project())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| p.is_dir())
        .unwrap();
    let lock = owner.with_extension("lock");
    let project = spool.project();
    fs::rename(&owner, project.join(owner.file_name().unwrap())).unwrap();
    fs::rename(&lock, project.join(lock.file_name().unwrap())).unwrap();
    wait_until("they are taken over and delivered", || {
        posthog.flush_blocking(LONG);
        let stats = posthog.stats();
        stats.recovered == 40 && stats.spooled == 0
    });
    let stats = posthog.stats();
    assert_eq!(stats.dropped.by(DropReason::Expired), 0, "{stats}");
}

#[test]
#[cfg(unix)]
fn a_file_that_cannot_be_read_now_holds_up_no_other_and_waits() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 30);
    fail(&server);
    let posthog = spooling(&server, spool.spool()).start().unwrap();
    wait_until("they are taken over", || posthog.stats().recovered == 30);
    let oldest = spool.files()[0].clone();
    let text = fs::read(&oldest).unwrap();
    // Reading it fails, and it is there: as with a disk that has moods.
    // Each in one step, for the actor may look at any moment.
    let aside = spool.path.join("aside");
    std::os::unix::fs::symlink(&oldest, &aside).unwrap();
    fs::rename(&aside, &oldest).unwrap();
    recover(&server);
    wait_until("the others are delivered", || {
        posthog.flush_blocking(ms(100));
        posthog.stats().delivered == 20
    });
    let stats = posthog.stats();
    assert_eq!((stats.spooled, stats.dropped.total()), (10, 0), "{stats}");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, &oldest).unwrap();
    wait_until("all are delivered", || {
        posthog.flush_blocking(ms(100));
        posthog.stats().spooled == 0
    });
    let stats = posthog.stats();
    assert_eq!((stats.delivered, stats.dropped.total()), (30, 0), "{stats}");
    assert_eq!(server.events().len(), 30);
}
