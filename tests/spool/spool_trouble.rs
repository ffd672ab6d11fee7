//! Trouble with single files of a spool costs no others.

use crate::support::spooling::*;
use crate::support::*;
use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use tracing_posthog::testing::{Answer, EventVerdict, PostHogServer};
use tracing_posthog::{
    CaptureHandle, CaptureProtocol, CircuitBreaker, Disposition, DropReason, Event, SpoolMode,
};

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
    let project = spool.project();
    fs::rename(&owner, project.join(owner.file_name().unwrap())).unwrap();
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

/// A batch of ten that takes more than 80 KB.
fn large(posthog: &CaptureHandle) {
    for _ in 0..10 {
        let event = Event::new("large").distinct_id("user_1");
        posthog.capture(event.property("text", "x".repeat(8_000)));
    }
}

#[test]
fn a_batch_larger_than_the_spool_stays_in_memory_and_the_disk_takes_others() {
    for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
        let (diagnostics, _listening) = Diagnostics::listen();
        let (server, spool) = (server(), Directory::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        fail(&server);
        let posthog = spooling(&server, spool.spool().mode(mode).max_bytes(3 * 4096))
            .flush_interval(DOWN)
            .spawn_on(runtime.handle())
            .start()
            .unwrap();
        large(&posthog);
        events(&posthog, 0, 10);
        large(&posthog);
        events(&posthog, 10, 20);
        runtime.block_on(until("the others are on disk", || {
            let stats = posthog.stats();
            stats.spooled == 20 && stats.batches_kept >= 2
        }));
        let stats = posthog.stats();
        assert_conserved(&stats);
        assert_eq!(stats.queued + stats.in_flight, 20, "{stats:?}");
        assert_eq!(stats.spool.write_failures, 0, "{stats:?}");
        let warnings = diagnostics.with(&["raise `max_bytes`"]);
        assert_eq!(warnings.len(), 1, "{:?}", diagnostics.warnings());
        recover(&server);
        assert!(runtime.block_on(posthog.shutdown()).is_complete());
        assert_settled(&posthog.stats());
        assert_eq!((server.event_count(), posthog.stats().delivered), (40, 40));
    }
}

#[test]
fn a_batch_larger_than_the_spool_holds_up_no_other_while_the_circuit_is_open() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let client = client_of(&server)
        .retry(quick().attempts(1))
        .circuit_breaker(CircuitBreaker::after_failures(1).cool_down(DOWN));
    let posthog = capture_with(client)
        .batch_events(10)
        // Full batches alone go to disk: a slow machine parts none of them.
        .flush_interval(DOWN)
        .spool(spool.spool().max_bytes(16 * 4096))
        .start()
        .unwrap();
    events(&posthog, 0, 1);
    posthog.flush_blocking(LONG);
    wait_until("open", || posthog.stats().spooled == 1);
    large(&posthog);
    events(&posthog, 1, 21);
    wait_until("the others are on disk", || posthog.stats().spooled == 21);
    let stats = posthog.stats();
    assert_conserved(&stats);
    assert_eq!((stats.queued, stats.dropped.total()), (10, 0), "{stats:?}");
}

#[test]
fn a_batch_larger_than_the_spool_does_not_keep_others_in_memory_while_requests_are_busy() {
    let (server, spool) = (server(), Directory::new());
    server.answer_with(|_| Some(Answer::stall()));
    let settings = spool.spool().mode(SpoolMode::WriteAhead);
    let posthog = spooling(&server, settings.max_bytes(16 * 4096))
        .requests_in_flight(1)
        .queue_events(100)
        .start()
        .unwrap();
    let in_memory = || posthog.stats().queued + posthog.stats().in_flight;
    events(&posthog, 0, 1);
    wait_until("busy", || posthog.stats().in_flight == 1);
    // In two steps: all of one is more than half of what memory may hold.
    events(&posthog, 1, 31);
    wait_until("written", || posthog.stats().spool.persisted == 31);
    large(&posthog);
    events(&posthog, 31, 41);
    wait_until("the others make room", || {
        posthog.stats().spool.persisted == 41 && in_memory() <= 50
    });
    large(&posthog);
    wait_until("the others make room again", || {
        posthog.stats().captured == 61 && in_memory() <= 50
    });
    assert_eq!(posthog.stats().dropped.total(), 0);
    posthog.shutdown_blocking(ms(100));
}

/// Lets one side wait for the other.
fn gate() -> (mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>) {
    let (opens, waits) = mpsc::channel();
    (opens, Mutex::new(waits))
}

/// An actor that found ten events on disk, and could not write there a moment ago: from now on it leaves the disk
/// alone for a while. What it could not write is still in memory.
fn after_a_failed_write(
    server: &PostHogServer,
    spool: &Directory,
    protocol: CaptureProtocol,
) -> CaptureHandle {
    let ((comes, has_come), (answer, may_answer)) = (gate(), gate());
    server.answer_with(move |request| {
        if batch(request)[0]["event"] == "fresh" {
            comes.send(()).ok()?;
            let _ = may_answer.lock().unwrap().recv();
        }
        Some(Answer::status(503))
    });
    let ((is_kept, kept), (go_on, may_go_on)) = (gate(), gate());
    let client = client_of(server)
        .retry(quick().attempts(1))
        .circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client)
        .protocol(protocol)
        .requests_in_flight(1)
        .spool(spool.spool())
        .on_error(move |error| {
            // Later failures find nobody who waits for them.
            if error.disposition == Disposition::Kept && is_kept.send(()).is_ok() {
                let _ = may_go_on.lock().unwrap().recv();
            }
        })
        .start()
        .unwrap();
    posthog.capture(Event::new("fresh").distinct_id("user_1"));
    has_come.lock().unwrap().recv_timeout(LONG).unwrap();
    assert_eq!(posthog.stats().recovered, 10);
    let (project, aside) = (spool.project(), spool.path.join("aside"));
    fs::rename(&project, &aside).unwrap();
    fs::write(&project, "in the way").unwrap();
    answer.send(()).unwrap();
    kept.lock().unwrap().recv_timeout(LONG).unwrap();
    assert_eq!(posthog.stats().spool.write_failures, 1);
    fs::remove_file(&project).unwrap();
    fs::rename(&aside, &project).unwrap();
    fail(server);
    drop((kept, go_on));
    posthog
}

#[test]
fn events_stay_on_disk_where_their_parts_find_no_place_there() {
    for protocol in [CaptureProtocol::V0, CaptureProtocol::V1] {
        let (server, spool) = (server(), Directory::new());
        leave_behind(&server, &spool, 10);
        let posthog = after_a_failed_write(&server, &spool, protocol);
        // All of them at once are too many for one, and the other wants one of them again.
        let whole = Arc::new(AtomicUsize::new(0));
        let seen = whole.clone();
        server.answer_with(move |request| {
            if batch(request).len() < 10 {
                return None;
            }
            seen.fetch_add(1, SeqCst);
            Some(match protocol {
                CaptureProtocol::V0 => Answer::status(413),
                _ => Answer::accept().verdict("e1", EventVerdict::Retry("x".into())),
            })
        });
        wait_until("they are sent whole again", || {
            posthog.flush_blocking(ms(100));
            assert_conserved(&posthog.stats());
            let stays = spool.events().len() == 10 && posthog.stats().spooled == 10;
            assert!(stays || whole.load(SeqCst) == 0, "{}", posthog.stats());
            whole.load(SeqCst) > 1
        });
        recover(&server);
        wait_until("all are delivered", || {
            posthog.flush_blocking(ms(100));
            posthog.stats().delivered == 11
        });
        let stats = posthog.stats();
        assert_conserved(&stats);
        assert_eq!((stats.spooled, stats.dropped.total()), (0, 0), "{stats}");
        // Some came more than once, each with the uuid that PostHog knows it by.
        let uuids: HashSet<_> = server.events().into_iter().map(|e| e.uuid).collect();
        assert_eq!(uuids.len(), 11);
        assert!(spool.files().is_empty());
    }
}

#[test]
fn a_flush_drops_nothing_that_came_back_to_memory() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 10);
    let oldest = spool.files()[0].clone();
    let text = fs::read_to_string(&oldest).unwrap();
    // The last line is cut; what is left of the file finds no place on disk.
    fs::write(&oldest, &text[..text.len() - 20]).unwrap();
    let posthog = after_a_failed_write(&server, &spool, CaptureProtocol::V0);
    wait_until("they failed again", || {
        posthog.flush_blocking(ms(100));
        let stats = posthog.stats();
        stats.spooled == 0 && stats.queued == 10
    });
    let report = posthog.flush_blocking(LONG);
    assert_eq!((report.pending, report.dropped), (10, 0), "{report}");
    recover(&server);
    let report = posthog.flush_blocking(LONG);
    assert_eq!((report.delivered, report.dropped), (10, 0), "{report}");
    let stats = posthog.stats();
    assert_eq!((stats.delivered, stats.dropped.total()), (10, 1), "{stats}");
    assert_conserved(&stats);
}
