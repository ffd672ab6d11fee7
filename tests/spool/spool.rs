//! What cannot be delivered goes to disk, and from there to PostHog: later, or by the next process.

use crate::support::clock::Clock;
use crate::support::spooling::*;
use crate::support::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CircuitBreaker, Disposition, DropReason, RetryPolicy, Spool, SpoolMode, SpoolPolicy,
};

/// Every event came exactly once, and says the same in every request that had it.
#[track_caller]
fn assert_once(server: &PostHogServer, wanted: u64) {
    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in server.requests().iter().flat_map(batch) {
        let name = event["event"].as_str().unwrap().to_owned();
        seen.entry(name).or_default().push(event);
    }
    for (name, versions) in &seen {
        assert!(versions.iter().all(|v| *v == versions[0]), "{name}");
    }
    let arrived = server.events();
    let uuids: HashSet<_> = arrived.iter().map(|e| e.uuid.clone()).collect();
    assert_eq!(
        (arrived.len(), uuids.len()),
        (wanted as usize, wanted as usize)
    );
    assert_eq!(seen.len() as u64, wanted);
}

fn names(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
    events.iter().map(name).collect()
}

#[test]
fn an_outage_costs_nothing_and_changes_nothing() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let fates = Arc::new(Mutex::new(Vec::new()));
    let told = fates.clone();
    let posthog = spooling(&server, spool.spool())
        .flush_interval(DOWN)
        .requests_in_flight(1)
        .on_error(move |error| told.lock().unwrap().push((error.disposition, error.events)))
        .start()
        .unwrap();
    let done = AtomicBool::new(false);
    let on_disk = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                assert_conserved(&posthog.stats());
            }
        });
        events(&posthog, 0, 100);
        wait_until("all on disk", || posthog.stats().spooled == 100);
        let stats = posthog.stats();
        assert_eq!((stats.queued, stats.in_flight), (0, 0));
        assert_eq!(stats.spool.files, 10);
        let on_disk = names(&spool.events());
        // Batches are written in the order in which their attempts end; a batch keeps the order of its events.
        let batches: BTreeSet<_> = on_disk.chunks(10).map(<[_]>::to_vec).collect();
        let captured = (0..100).map(|n| format!("e{n}")).collect::<Vec<_>>();
        assert_eq!(batches, captured.chunks(10).map(<[_]>::to_vec).collect());
        let report = posthog.flush_blocking(LONG);
        assert_eq!(
            (report.spooled, report.dropped, report.pending),
            (100, 0, 0)
        );
        assert_eq!(
            report.to_string(),
            "0 delivered, 0 dropped, 0 pending, 100 left on disk"
        );
        recover(&server);
        let report = posthog.flush_blocking(LONG);
        assert!(report.is_complete(), "{report}");
        assert_eq!(report.delivered, 100);
        done.store(true, Relaxed);
        on_disk
    });
    assert_once(&server, 100);
    // One batch at a time, as the files are ordered, round from behind the one that failed last.
    let order: Vec<_> = server.events().iter().map(|e| e.event.clone()).collect();
    let first = on_disk.iter().position(|name| *name == order[0]).unwrap();
    let mut wanted = on_disk.clone();
    wanted.rotate_left(first);
    assert_eq!(order, wanted);
    assert!(
        fates
            .lock()
            .unwrap()
            .iter()
            .all(|(fate, _)| *fate == Disposition::Spooled)
    );
    assert_eq!(
        fates.lock().unwrap().iter().map(|(_, n)| n).sum::<u64>(),
        100
    );
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(
        (stats.captured, stats.delivered, stats.spooled),
        (100, 100, 0)
    );
    assert_eq!(
        (stats.spool.files, stats.spool.bytes, stats.spool.persisted),
        (0, 0, 100)
    );
    assert_eq!(spool.files(), Vec::<PathBuf>::new());
}

#[test]
fn it_comes_back_by_itself() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let posthog = spooling(&server, spool.spool()).start().unwrap();
    events(&posthog, 0, 30);
    wait_until("all on disk", || posthog.stats().spooled == 30);
    recover(&server);
    // A fresh success ends the pause.
    events(&posthog, 30, 31);
    wait_until("all delivered", || posthog.stats().delivered == 31);
    assert_once(&server, 31);
}

#[test]
fn from_disk_goes_one_batch_at_a_time_and_fresh_events_take_turns_with_it() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let posthog = spooling(&server, spool.spool())
        .requests_in_flight(1)
        .flush_at(10)
        .start()
        .unwrap();
    events(&posthog, 0, 100);
    wait_until("all on disk", || posthog.stats().spooled == 100);
    server.clear();
    server.answer_with(|_| Some(Answer::accept().delay(ms(5))));
    events(&posthog, 100, 200);
    wait_until("all delivered", || posthog.stats().delivered == 200);
    let old: Vec<bool> = server
        .requests()
        .iter()
        .filter(|r| r.json().is_some())
        .map(|r| batch(r)[0]["properties"]["n"].as_u64().unwrap() < 100)
        .collect();
    let first_old = old.iter().position(|old| *old).unwrap();
    let last = |kind: bool| old.iter().rposition(|old| *old == kind).unwrap();
    let both_wait = &old[first_old..last(true).min(last(false))];
    assert!(both_wait.len() >= 10, "{old:?}");
    let turns = both_wait.windows(2).all(|pair| pair[0] != pair[1]);
    assert!(turns, "one lane waited for the other: {old:?}");
}

#[test]
fn a_recovering_posthog_gets_one_batch_from_disk_at_a_time() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 50);
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let noted = arrivals.clone();
    server.answer_with(move |_| {
        noted.lock().unwrap().push(Instant::now());
        Some(Answer::accept().delay(ms(30)))
    });
    let posthog = spooling(&server, spool.spool()).start().unwrap();
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    let arrivals = arrivals.lock().unwrap();
    assert_eq!(arrivals.len(), 5);
    let apart = arrivals.windows(2).all(|pair| pair[1] - pair[0] >= ms(29));
    assert!(apart, "{arrivals:?}");
}

#[test]
fn events_that_keep_coming_do_not_hold_up_answers_while_the_circuit_is_open() {
    let (server, spool) = (server(), Directory::new());
    // The first one takes its time; the second one fails meanwhile.
    server.answer_next(Answer::accept().delay(ms(500)));
    server.answer_next(Answer::status(503));
    let client = client_of(&server)
        .retry(RetryPolicy::none())
        .circuit_breaker(CircuitBreaker::after_failures(1).cool_down(ms(10)));
    let posthog = capture_with(client)
        .batch_events(10)
        .requests_in_flight(2)
        .spool(spool.spool().max_bytes(1 << 20))
        .start()
        .unwrap();
    events(&posthog, 0, 10);
    assert!(server.wait_for_requests(1, LONG));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    events(&posthog, 10, 20);
                }
            });
        }
        let start = Instant::now();
        while posthog.stats().delivered == 0 && start.elapsed() < SLOW {
            std::thread::sleep(ms(1));
        }
        done.store(true, Relaxed);
    });
    // Of the time when they kept coming.
    let stats = posthog.stats();
    assert!(stats.delivered > 0, "{stats}");
    posthog.shutdown_blocking(ms(100));
}

#[test]
fn a_short_shutdown_has_written_what_it_can_when_it_returns() {
    let returns_in_time = || {
        let (server, spool) = (server(), Directory::new());
        fail(&server);
        let posthog = spooling(&server, spool.spool())
            .requests_in_flight(1)
            .before_send(|event| {
                std::thread::sleep(ms(2));
                Some(event)
            })
            .start()
            .unwrap();
        events(&posthog, 0, 1_000);
        let report = posthog.shutdown_blocking(ms(100));
        let stats = wait_for_end(&posthog);
        assert!(stats.dropped.by(DropReason::Shutdown) > 0, "{stats}");
        assert_eq!(stats.spooled + stats.dropped.total(), 1_000, "{stats}");
        assert_eq!(spool.events().len() as u64, stats.spooled);
        report.pending == 0
    };
    // A machine that stands still for a moment may cost one its answer.
    assert!((0..5).any(|_| returns_in_time()));
}

#[test]
fn the_next_process_delivers_what_the_last_one_left() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let first = spooling(&server, spool.spool()).start().unwrap();
    events(&first, 0, 50);
    wait_until("all on disk", || first.stats().spooled == 50);
    let report = first.shutdown_blocking(LONG);
    assert_eq!((report.spooled, report.dropped), (50, 0), "{report}");
    assert_settled(&first.stats());
    assert_eq!(first.stats().spooled, 50);

    recover(&server);
    let second = spooling(&server, spool.spool()).start().unwrap();
    events(&second, 50, 60);
    assert!(second.shutdown_blocking(LONG).is_complete());
    let stats = second.stats();
    assert_settled(&stats);
    assert_eq!(
        (stats.captured, stats.recovered, stats.delivered),
        (10, 50, 60)
    );
    assert_eq!(stats.spooled, 0);
    assert_once(&server, 60);
    assert_eq!(spool.files(), Vec::<PathBuf>::new());
    assert_eq!(
        fs::read_dir(spool.project()).unwrap().count(),
        0,
        "tidied up"
    );
}

#[test]
fn of_two_on_one_directory_the_one_that_lives_takes_over_and_nobody_else() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let lives = spooling(&server, spool.spool()).start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let dies = spooling(&server, spool.spool())
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    events(&lives, 0, 20);
    events(&dies, 20, 50);
    wait_until("all on disk", || {
        lives.stats().spooled == 20 && dies.stats().spooled == 30
    });
    let third = spooling(&server, spool.spool()).start().unwrap();
    third.shutdown_blocking(LONG);
    assert_eq!(third.stats().recovered, 0, "their owners live");
    // Without a shutdown.
    drop(runtime);
    assert_eq!(dies.stats().spooled, 30);
    assert_conserved(&dies.stats());
    recover(&server);
    wait_until("taken over and delivered", || {
        lives.flush_blocking(LONG);
        std::thread::sleep(ms(50));
        lives.stats().delivered == 50
    });
    assert_eq!(lives.stats().recovered, 30);
    assert_conserved(&lives.stats());
    assert_once(&server, 50);
}

#[test]
fn while_the_circuit_is_open_events_go_to_disk() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let client = client_of(&server)
        .retry(quick().attempts(1))
        .circuit_breaker(CircuitBreaker::after_failures(1).cool_down(ms(1_500)));
    let posthog = capture_with(client).spool(spool.spool()).start().unwrap();
    events(&posthog, 0, 1);
    wait_until("open", || posthog.stats().spooled == 1);
    let asked = server.request_count();
    events(&posthog, 1, 501);
    wait_until("all on disk", || posthog.stats().spooled == 501);
    assert!(server.request_count() <= asked + 1, "at most a probe");
    assert_eq!(posthog.stats().queued + posthog.stats().in_flight, 0);
    recover(&server);
    wait_until("all delivered", || posthog.stats().delivered == 501);
    assert_once(&server, 501);
}

#[test]
fn a_shutdown_out_of_time_leaves_everything_on_disk() {
    for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
        let (server, spool) = (server(), Directory::new());
        server.answer_with(|_| Some(Answer::stall()));
        let posthog = spooling(&server, spool.spool().mode(mode))
            .batch_events(50)
            .start()
            .unwrap();
        // In flight, encoded and in the queue.
        events(&posthog, 0, 995);
        let start = Instant::now();
        // Half a second of it is for writing; a busy machine may need that.
        let report = posthog.shutdown_blocking(ms(2_000));
        assert!(start.elapsed() < SLOW);
        assert_eq!(report.spooled + report.pending, 995, "{report}");
        let stats = wait_for_end(&posthog);
        assert_eq!((stats.spooled, stats.spool.persisted), (995, 995));
        assert_eq!(spool.events().len(), 995);

        recover(&server);
        let next = spooling(&server, spool.spool()).start().unwrap();
        assert!(next.shutdown_blocking(LONG).is_complete());
        assert_once(&server, 995);
    }
}

#[test]
fn a_shutdown_leaves_the_rest_once_posthog_fails() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let posthog = spooling(&server, spool.spool())
        .flush_interval(DOWN)
        .flush_at(usize::MAX)
        .queue_events(5_000)
        .start()
        .unwrap();
    events(&posthog, 0, 1_000);
    let report = posthog.shutdown_blocking(LONG);
    assert_eq!((report.spooled, report.dropped), (1_000, 0), "{report}");
    assert!(server.request_count() < 100, "{}", server.request_count());
}

#[test]
fn write_ahead_writes_before_the_first_attempt_and_removes_after_the_answer() {
    let (server, spool) = (server(), Directory::new());
    let at = spool.path.clone();
    let missing = Arc::new(AtomicBool::new(false));
    let noted = missing.clone();
    server.answer_with(move |request| {
        let on_disk: HashSet<String> = events_in(&at)
            .iter()
            .map(|e| e["uuid"].to_string())
            .collect();
        let all = batch(request)
            .iter()
            .all(|e| on_disk.contains(&e["uuid"].to_string()));
        noted.fetch_or(!all, Relaxed);
        None
    });
    let posthog = spooling(&server, spool.spool().mode(SpoolMode::WriteAhead))
        .start()
        .unwrap();
    events(&posthog, 0, 100);
    assert!(posthog.flush_blocking(LONG).is_complete());
    assert!(!missing.load(Relaxed), "sent before it was written");
    let stats = posthog.stats();
    assert_eq!(
        (stats.spool.persisted, stats.spool.files, stats.delivered),
        (100, 0, 100)
    );
    assert_eq!(spool.files(), Vec::<PathBuf>::new());
}

#[test]
fn write_ahead_writes_in_time_although_all_requests_are_busy() {
    let (server, spool) = (server(), Directory::new());
    server.answer_with(|_| Some(Answer::stall()));
    let posthog = spooling(&server, spool.spool().mode(SpoolMode::WriteAhead))
        .requests_in_flight(1)
        .queue_events(200)
        .start()
        .unwrap();
    events(&posthog, 0, 1);
    wait_until("busy", || posthog.stats().in_flight == 1);
    for n in 0..10 {
        events(&posthog, 1 + n * 50, 51 + n * 50);
        wait_until("written", || posthog.stats().spool.persisted == 51 + n * 50);
        assert_conserved(&posthog.stats());
    }
    // Memory holds half of what it may, the disk the rest.
    let stats = posthog.stats();
    assert!(stats.queued + stats.in_flight <= 151, "{stats:?}");
    assert_eq!(stats.dropped.total(), 0);
    posthog.shutdown_blocking(ms(100));
    assert_eq!(wait_for_end(&posthog).spooled, 501);
}

#[test]
fn write_ahead_does_not_put_off_what_is_due_for_what_it_encodes() {
    let (server, spool, clock) = (server(), Directory::new(), Clock::stopped());
    let interval = Duration::from_secs(3);
    let posthog = spooling(&server, spool.spool().mode(SpoolMode::WriteAhead))
        .flush_interval(interval)
        .before_send(move |event| {
            if event.name == "e0" {
                Clock::advance_now(2 * interval);
            }
            Some(event)
        })
        .spawn_on(clock.handle())
        .start()
        .unwrap();
    // A full batch, whose encoding takes longer than the interval, and the beginning of the next.
    events(&posthog, 0, 11);
    clock.wait_until("all are written, without further ado", || {
        posthog.stats().spool.persisted == 11
    });
}

#[test]
fn a_413_is_split_on_disk_too() {
    for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
        let (server, spool) = (server(), Directory::new());
        fail(&server);
        let posthog = spooling(&server, spool.spool().mode(mode)).start().unwrap();
        events(&posthog, 0, 30);
        wait_until("all on disk", || posthog.stats().spooled == 30);
        server.answer_with(|request| {
            let offends = batch(request).iter().any(|e| e["event"] == "e17");
            offends.then(|| Answer::status(413))
        });
        events(&posthog, 30, 40);
        wait_until("all settled", || {
            posthog.flush_blocking(LONG);
            posthog.stats().spooled == 0
        });
        let stats = posthog.stats();
        assert_settled(&stats);
        assert_eq!(
            (stats.delivered, stats.dropped.by(DropReason::TooLarge)),
            (39, 1)
        );
        assert_eq!(server.event_count(), 39);
        assert_eq!(spool.files(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_413_is_split_in_memory_and_ahead_on_disk() {
    let (server, spool) = (server(), Directory::new());
    let missing = Arc::new(AtomicBool::new(false));
    let (noted, at) = (missing.clone(), spool.path.clone());
    server.answer_with(move |request| {
        let on_disk = events_in(&at);
        let all = batch(request).iter().all(|e| on_disk.contains(e));
        noted.fetch_or(!all, Relaxed);
        let offends = batch(request).iter().any(|e| e["event"] == "e17");
        offends.then(|| Answer::status(413))
    });
    let settings = spool.spool().mode(SpoolMode::WriteAhead);
    let posthog = spooling(&server, settings).start().unwrap();
    events(&posthog, 0, 30);
    let report = posthog.flush_blocking(LONG);
    assert_eq!((report.delivered, report.dropped), (29, 1), "{report}");
    assert!(!missing.load(Relaxed), "a half was sent, and not on disk");
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!((stats.spool.persisted, stats.spool.files), (30, 0));
}

#[test]
fn what_posthog_refuses_leaves_the_disk() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let posthog = spooling(&server, spool.spool()).start().unwrap();
    events(&posthog, 0, 20);
    wait_until("all on disk", || posthog.stats().spooled == 20);
    server.answer_with(|_| Some(Answer::status(401)));
    posthog.flush_blocking(LONG);
    wait_until("all dropped", || {
        posthog.stats().dropped.by(DropReason::Rejected) == 20
    });
    assert_conserved(&posthog.stats());
    assert_eq!(spool.files(), Vec::<PathBuf>::new());
}

#[test]
fn a_full_spool_drops_the_oldest() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let settings = spool.spool().max_bytes(5 * 4096);
    let posthog = spooling(&server, settings)
        .flush_interval(DOWN)
        .requests_in_flight(1)
        .start()
        .unwrap();
    for n in 0..10 {
        events(&posthog, n * 10, n * 10 + 10);
        wait_until("written", || posthog.stats().spool.persisted == n * 10 + 10);
    }
    let stats = posthog.stats();
    assert_conserved(&stats);
    assert_eq!(
        (stats.spooled, stats.dropped.by(DropReason::SpoolFull)),
        (50, 50)
    );
    assert_eq!((stats.spool.files, stats.spool.bytes), (5, 5 * 4096));
    let left: Vec<_> = spool
        .events()
        .iter()
        .map(|e| e["properties"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(left, (50..100).collect::<Vec<_>>());
}

#[test]
fn a_full_spool_can_keep_the_oldest_and_the_rest_stays_in_memory() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let settings = spool
        .spool()
        .max_bytes(5 * 4096)
        .when_full(SpoolPolicy::DropNewest);
    let posthog = spooling(&server, settings)
        .flush_interval(DOWN)
        .requests_in_flight(1)
        .queue_events(60)
        .start()
        .unwrap();
    for n in 0..10 {
        events(&posthog, n * 10, n * 10 + 10);
        wait_until("on disk or kept", || {
            let stats = posthog.stats();
            assert_conserved(&stats);
            stats.spooled == (n * 10 + 10).min(50) && stats.spooled + stats.queued == n * 10 + 10
        });
    }
    wait_until("the newest were kept in memory", || {
        let stats = posthog.stats();
        stats.batches_kept >= 5 && stats.in_flight == 0
    });
    assert_eq!(posthog.stats().dropped.total(), 0);
    events(&posthog, 100, 200);
    wait_until("no room anywhere", || posthog.stats().dropped.total() > 0);
    assert_eq!(posthog.stats().spooled, 50);
    let kept: Vec<_> = spool
        .events()
        .iter()
        .map(|e| e["properties"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(kept, (0..50).collect::<Vec<_>>(), "the oldest");
    recover(&server);
    let left = 200 - posthog.stats().dropped.total();
    wait_until("the rest delivered", || {
        posthog.flush_blocking(LONG);
        posthog.stats().spooled == 0
    });
    let stats = posthog.stats();
    assert_conserved(&stats);
    assert!(stats.delivered <= left);
    assert_eq!(stats.delivered + stats.dropped.total(), 200);
}

#[test]
fn what_is_too_old_is_dropped() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 30);
    let files = spool.files();
    let name = files[0].file_name().unwrap().to_str().unwrap();
    fs::rename(
        &files[0],
        files[0].with_file_name(format!("01000000000000{}", &name[14..])),
    )
    .unwrap();
    let posthog = spooling(&server, spool.spool()).start().unwrap();
    posthog.shutdown_blocking(LONG);
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!((stats.recovered, stats.delivered), (30, 20));
    assert_eq!(stats.dropped.by(DropReason::Expired), 10);
}

#[test]
fn damaged_and_foreign_files_cost_no_other_event() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 70);
    let files = spool.files();
    let owner = files[0].parent().unwrap().to_owned();
    let text = fs::read_to_string(&files[0]).unwrap();
    // One line is nonsense; cut in the middle of a line; empty; all zeros; no file at all.
    let mut lines: Vec<_> = text.lines().collect();
    lines[3] = "{\"uuid\": nonsense";
    fs::write(&files[0], lines.join("\n")).unwrap();
    let text = fs::read(&files[1]).unwrap();
    fs::write(&files[1], &text[..text.len() - 40]).unwrap();
    fs::write(&files[2], "").unwrap();
    fs::write(&files[3], vec![0; 5_000]).unwrap();
    fs::remove_file(&files[4]).unwrap();
    fs::create_dir(&files[4]).unwrap();
    // A line more than there were events.
    let text = fs::read_to_string(&files[5]).unwrap();
    let more = text.lines().next().unwrap().replace("e50", "forged");
    fs::write(&files[5], format!("{text}{more}\n")).unwrap();
    // What is not ours.
    fs::write(owner.join("notes.txt"), "mine").unwrap();
    fs::write(
        owner.join(".01735787045678-000042-100.jsonl.tmp"),
        "{\"half",
    )
    .unwrap();
    fs::write(spool.project().join("README"), "mine").unwrap();
    fs::create_dir(spool.project().join("other")).unwrap();

    let (diagnostics, _listening) = Diagnostics::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let posthog = spooling(&server, spool.spool())
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    runtime.block_on(posthog.shutdown());
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!((stats.recovered, stats.delivered), (60, 38), "{stats:?}");
    assert_eq!(stats.dropped.by(DropReason::Damaged), 22);
    assert_eq!((stats.spool.damaged_files, stats.spooled), (5, 0));
    let warnings = diagnostics.with(&["could not be read in full"]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");

    let aside: Vec<_> = fs::read_dir(spool.project().join("damaged"))
        .unwrap()
        .flatten()
        .collect();
    assert!(
        aside
            .iter()
            .any(|f| fs::read_to_string(f.path()).unwrap() == "{\"uuid\": nonsense")
    );
    assert_eq!(fs::read_to_string(owner.join("notes.txt")).unwrap(), "mine");
    assert!(spool.project().join("README").exists() && spool.project().join("other").exists());
    assert!(!owner.join(".01735787045678-000042-100.jsonl.tmp").exists());
}

#[test]
fn without_a_usable_disk_events_stay_in_memory_and_one_warning_says_so() {
    let (server, spool) = (server(), Directory::new());
    fs::write(spool.path.join("file"), "not a directory").unwrap();
    for path in ["file", "file/below"] {
        for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
            let (diagnostics, _listening) = Diagnostics::listen();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            server.clear();
            fail(&server);
            let settings = Spool::directory(spool.path.join(path)).mode(mode);
            let posthog = spooling(&server, settings)
                .spawn_on(runtime.handle())
                .start()
                .unwrap();
            events(&posthog, 0, 30);
            let report = runtime.block_on(posthog.flush());
            assert_eq!((report.pending, report.spooled), (30, 0), "{report}");
            let stats = posthog.stats();
            assert_eq!((stats.queued, stats.spooled), (30, 0));
            assert!(stats.spool.write_failures >= 1);
            assert_eq!(
                diagnostics.with(&["spool directory cannot be used"]).len(),
                1
            );
            recover(&server);
            assert!(runtime.block_on(posthog.shutdown()).is_complete());
            assert_settled(&posthog.stats());
        }
    }
}

#[test]
fn a_directory_that_goes_away_costs_what_was_in_it_and_no_more() {
    let (server, spool) = (server(), Directory::new());
    fail(&server);
    let posthog = spooling(&server, spool.spool()).start().unwrap();
    events(&posthog, 0, 20);
    wait_until("all on disk", || posthog.stats().spooled == 20);
    fs::remove_dir_all(spool.project()).unwrap();
    events(&posthog, 20, 40);
    wait_until("on disk again", || posthog.stats().spool.persisted == 40);
    recover(&server);
    assert!(!posthog.shutdown_blocking(LONG).is_complete());
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(
        (stats.delivered, stats.dropped.by(DropReason::Damaged)),
        (20, 20)
    );
}

#[test]
fn events_go_to_the_project_host_and_kind_of_traffic_they_were_captured_for() {
    let (server, other, spool) = (server(), server(), Directory::new());
    leave_behind(&server, &spool, 10);
    let retry = || client_of(&server).retry(quick().attempts(2));
    for builder in [
        capture_with(retry().project_api_key("phc_another_project")),
        capture_to(&other),
        capture_to(&server).historical_migration(true),
    ] {
        let posthog = builder.spool(spool.spool()).start().unwrap();
        posthog.shutdown_blocking(LONG);
        assert_eq!(posthog.stats().recovered, 0);
    }
    assert_eq!((server.event_count(), other.event_count()), (0, 0));
    let posthog = spooling(&server, spool.spool()).start().unwrap();
    posthog.shutdown_blocking(LONG);
    assert_eq!(posthog.stats().delivered, 10);
}

#[test]
fn no_key_is_on_disk_and_nobody_else_may_read() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 10);
    fn walk(path: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(path).unwrap().flatten() {
            all.push(entry.path());
            if entry.path().is_dir() {
                walk(&entry.path(), all);
            }
        }
    }
    let mut all = Vec::new();
    walk(&spool.path, &mut all);
    assert!(all.len() >= 3);
    for path in all {
        assert!(!path.to_string_lossy().contains(PROJECT_KEY));
        if path.is_file() {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains(PROJECT_KEY) && !text.contains(PERSONAL_KEY));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{path:?}");
        }
    }
}

#[test]
fn settings_that_cannot_work_are_errors() {
    let server = server();
    for (spool, says) in [
        (Spool::directory(""), "directory"),
        (Spool::directory("x").max_bytes(0), "max_bytes"),
        (Spool::directory("x").max_age(Duration::ZERO), "max_age"),
    ] {
        let error = capture_to(&server)
            .spool(spool)
            .start()
            .unwrap_err()
            .to_string();
        assert!(error.contains("spool") && error.contains(says), "{error}");
    }
}
