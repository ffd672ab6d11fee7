//! With write-ahead, `kill -9` costs no event that was reported as written, and doubles none.
#![cfg(unix)]

use crate::support::spooling::*;
use crate::support::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use tracing_posthog::testing::{Answer, RecordedRequest};
use tracing_posthog::{CaptureBuilder, CircuitBreaker, Event, Spool, SpoolMode};

const KILLS: u64 = 50;
/// Numbers of one child start at its own multiple of this.
const RANGE: u64 = 1_000_000;

/// Random enough, and the same in each run.
fn random(seed: u64) -> u64 {
    let n = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 27)
}

fn builder(url: &str, directory: &Path) -> CaptureBuilder {
    let client = client_at(url)
        .retry(quick().attempts(2))
        .circuit_breaker(CircuitBreaker::after_failures(5).cool_down(ms(20)));
    capture_with(client)
        .flush_interval(ms(5))
        .spool(Spool::directory(directory).mode(SpoolMode::WriteAhead))
}

/// What the child process runs; the test of the parent starts it, and kills it.
#[test]
fn child() {
    let Ok(url) = std::env::var("CRASH_TEST_URL") else {
        return;
    };
    let directory = std::env::var("CRASH_TEST_DIRECTORY").unwrap();
    let first: u64 = std::env::var("CRASH_TEST_FIRST").unwrap().parse().unwrap();
    let posthog = builder(&url, Path::new(&directory)).start().unwrap();
    let mut out = std::io::stdout().lock();
    let (mut next, mut reported, mut delivers) = (first, 0, false);
    loop {
        for _ in 0..5 {
            let event = Event::new("tick").property("n", next);
            posthog.capture(event.distinct_id(format!("user_{next}")));
            next += 1;
        }
        std::thread::sleep(ms(4));
        let stats = posthog.stats();
        assert_conserved(&stats);
        // A dropped one would shift what the number of written events says.
        assert_eq!(stats.dropped.total(), 0, "{stats:?}");
        if stats.spool.persisted > reported {
            reported = stats.spool.persisted;
            writeln!(out, "\npersisted {}", first + reported).unwrap();
            out.flush().unwrap();
        }
        if stats.delivered > 0 && !std::mem::replace(&mut delivers, true) {
            writeln!(out, "\ndelivers").unwrap();
            out.flush().unwrap();
        }
    }
}

/// Lets a child live until it has written or delivered something, and for so long after that. Returns the
/// number before which it reported all events as written.
fn live_and_be_killed(url: &str, directory: &Path, kill: u64) -> u64 {
    let first = kill * RANGE;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env("CRASH_TEST_URL", url)
        .env("CRASH_TEST_DIRECTORY", directory)
        .env("CRASH_TEST_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    // Its first request takes some time to prepare: most are to be killed amid sending, some before.
    let sign = if kill.is_multiple_of(4) {
        "persisted"
    } else {
        "delivers"
    };
    let (seen, is_seen) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut until = first;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.starts_with(sign) {
                let _ = seen.send(());
            }
            let number = line.strip_prefix("persisted ").map(str::parse);
            until = number.and_then(Result::ok).unwrap_or(until);
        }
        until
    });
    let lives = is_seen.recv_timeout(LONG);
    std::thread::sleep(ms(random(kill) % 60));
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let until = reader.join().unwrap();
    assert!(ended.is_none(), "it ended by itself");
    lives.unwrap();
    until
}

fn answer(request: &RecordedRequest, n: u64) -> Option<Answer> {
    match random(n) % 12 {
        0 | 1 => Some(Answer::status(503)),
        2 => Some(Answer::reset()),
        3 => Some(Answer::close()),
        4 => Some(Answer::half()),
        5 => Some(Answer::status(503).after_accepting()),
        6 => Some(Answer::accept().delay(ms(30))),
        7 if batch(request).len() > 1 => Some(Answer::status(413)),
        _ => None,
    }
}

#[test]
fn nothing_that_was_written_is_lost_to_kill_9_and_nothing_becomes_another() {
    let (server, directory) = (server(), Directory::new());
    // What the last process finds may be more than a server keeps by default.
    server.keep_requests(usize::MAX);
    server.keep_events(usize::MAX);
    let requests = AtomicU64::new(0);
    server.answer_with(move |request| answer(request, requests.fetch_add(1, Relaxed)));
    let mut wanted = BTreeSet::new();
    // Two at a time, on one directory: what one left is taken over while the other lives.
    for pair in 0..KILLS / 2 {
        std::thread::scope(|scope| {
            let lives = [2 * pair, 2 * pair + 1].map(|kill| {
                let (server, directory) = (&server, &directory);
                scope.spawn(move || {
                    kill * RANGE..live_and_be_killed(&server.url(), &directory.path, kill)
                })
            });
            for life in lives {
                wanted.extend(life.join().unwrap());
            }
        });
    }
    let before = server.event_count();
    assert!(before > 0, "they delivered some themselves");

    // The last one lives in peace, and delivers what all others left.
    server.answer_with(|_| None);
    let last = builder(&server.url(), &directory.path).start().unwrap();
    // Some thousand files, one at a time: as long as they become fewer, it may take its time.
    let mut left = u64::MAX;
    while left > 0 {
        wait_until("more is delivered", || {
            last.flush_blocking(ms(100));
            let stats = last.stats();
            stats.recovered > 0 && stats.spooled < left
        });
        left = last.stats().spooled;
    }
    assert!(last.shutdown_blocking(LONG).is_complete());
    let stats = last.stats();
    assert_settled(&stats);
    assert_eq!((stats.dropped.total(), stats.spool.damaged_files), (0, 0));
    assert_eq!(stats.delivered, stats.recovered);
    assert!(stats.recovered > 0, "they left something");
    assert_eq!(directory.files().len(), 0);

    let mut arrived: BTreeSet<u64> = BTreeSet::new();
    let mut by_uuid: HashMap<String, Value> = HashMap::new();
    let mut by_number: BTreeMap<u64, String> = BTreeMap::new();
    for event in server
        .requests()
        .iter()
        .filter(|r| r.json().is_some())
        .flat_map(batch)
    {
        let number = event["properties"]["n"].as_u64().unwrap();
        let uuid = event["uuid"].as_str().unwrap().to_owned();
        // One number, one uuid, and every byte the same each time.
        assert_eq!(by_number.entry(number).or_insert(uuid.clone()), &uuid);
        assert_eq!(by_uuid.entry(uuid).or_insert(event.clone()), &event);
    }
    for event in server.events() {
        arrived.insert(event.property("n").unwrap().as_u64().unwrap());
    }
    let missing: Vec<_> = wanted.difference(&arrived).collect();
    assert_eq!(missing, Vec::<&u64>::new(), "of {}", wanted.len());
    println!(
        "{} written, {} arrived, {before} before the last process, which found {}",
        wanted.len(),
        arrived.len(),
        stats.recovered
    );
}
