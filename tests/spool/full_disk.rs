//! A real file system that is full, or becomes read-only: events stay in memory, and are delivered.
//!
//! Needs the right to mount one; without it these tests say so, and pass.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

use crate::support::spooling::Directory;
use crate::support::*;
use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::Instant;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{CaptureHandle, CircuitBreaker, Event, SpoolMode};

/// A small file system of its own, gone at the end.
struct Disk {
    directory: Directory,
}

impl Disk {
    fn new(size: &str) -> Option<Self> {
        let directory = Directory::new();
        let options = format!("size={size},mode=700");
        let made = mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], &directory);
        if !made {
            println!("skipped: this user may not mount a file system");
        }
        made.then_some(Self { directory })
    }

    /// A file system with a file open for writing, as the spool's lock is, does not become read-only itself:
    /// it is covered by a view of it that is.
    fn protect(&self) {
        let path = self.directory.path.to_str().unwrap();
        assert!(mount(&["--bind", path], &self.directory));
        assert!(mount(&["-o", "remount,bind,ro"], &self.directory));
    }

    fn unprotect(&self) {
        assert!(unmount(&self.directory));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        while unmount(&self.directory) {}
    }
}

fn mount(arguments: &[&str], at: &Directory) -> bool {
    let mut command = Command::new("mount");
    command.args(arguments).arg(&at.path).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Lazily: an actor may still be about to close its lock.
fn unmount(at: &Directory) -> bool {
    let mut command = Command::new("umount");
    command.arg("-l").arg(&at.path).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn start(server: &PostHogServer, disk: &Disk, mode: SpoolMode) -> CaptureHandle {
    let client = client_of(server)
        .retry(quick().attempts(2))
        .circuit_breaker(CircuitBreaker::off());
    capture_with(client)
        .batch_events(10)
        .spool(disk.directory.spool().mode(mode))
        .start()
        .unwrap()
}

fn capture(posthog: &CaptureHandle, from: u64, to: u64) {
    for n in from..to {
        posthog.capture(Event::new("e").distinct_id("user_1").property("n", n));
    }
}

fn deliver_all(posthog: &CaptureHandle, wanted: u64) {
    wait_until("all are delivered", || {
        posthog.flush_blocking(LONG);
        let stats = posthog.stats();
        assert_conserved(&stats);
        stats.delivered == wanted
    });
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    assert_settled(&posthog.stats());
}

fn uuids(server: &PostHogServer) -> HashSet<String> {
    server
        .events()
        .iter()
        .map(|e| e.uuid.clone().unwrap())
        .collect()
}

#[test]
fn what_finds_no_place_on_a_full_disk_stays_in_memory() {
    for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
        let Some(disk) = Disk::new("64k") else { return };
        let server = server();
        server.answer_with(|_| Some(Answer::status(503)));
        let posthog = start(&server, &disk, mode);
        capture(&posthog, 0, 500);
        wait_until("the disk is full", || {
            posthog.stats().spool.write_failures > 0
        });
        let start = Instant::now();
        wait_until("all were tried", || {
            posthog.flush_blocking(LONG);
            posthog.stats().in_flight == 0
        });
        // What is in memory fails, and what is on disk has to wait with it.
        assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
        let stats = posthog.stats();
        assert_eq!(
            (stats.captured, stats.dropped.total()),
            (500, 0),
            "{stats:?}"
        );
        assert!(stats.spool.persisted > 0, "{stats:?}");
        assert!(stats.queued > 0 && stats.spooled < 500, "{stats:?}");
        assert_eq!(stats.queued + stats.spooled, 500, "{stats:?}");
        // No half-written file is left.
        assert_eq!(disk.directory.events().len() as u64, stats.spool.persisted);

        server.answer_with(|_| None);
        deliver_all(&posthog, 500);
        assert_eq!((server.event_count(), uuids(&server).len()), (500, 500));
        assert_eq!(disk.directory.files().len(), 0);
    }
}

#[test]
fn a_disk_that_becomes_read_only_costs_nothing() {
    for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
        let Some(disk) = Disk::new("1m") else { return };
        let server = server();
        server.answer_with(|_| Some(Answer::status(503)));
        let first = start(&server, &disk, mode);
        capture(&first, 0, 100);
        wait_until("all are on disk", || first.stats().spooled == 100);
        disk.protect();
        capture(&first, 100, 200);
        wait_until("the disk takes nothing", || {
            first.stats().spool.write_failures > 0
        });
        server.answer_with(|_| None);
        deliver_all(&first, 200);
        assert_eq!(uuids(&server).len(), 200);

        // The files could not be removed: what is sent again has the same ids.
        disk.unprotect();
        let next = start(&server, &disk, mode);
        wait_until("the next process tidies up", || {
            next.flush_blocking(LONG);
            disk.directory.files().is_empty()
        });
        assert!(next.shutdown_blocking(LONG).is_complete());
        assert_settled(&next.stats());
        assert_eq!(uuids(&server).len(), 200);
    }
}
