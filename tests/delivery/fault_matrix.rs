//! Every fault, met by both protocols, with every way to keep events and with every end of a program: what
//! was captured is delivered exactly once by uuid, or counted, or on disk for the next process.

use crate::faults::{Fault, World};
use crate::support::spooling::Directory;
use crate::support::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing_posthog::testing::{Answer, EventVerdict, RecordedRequest};
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, CaptureProtocol, CircuitBreaker, CircuitState, Clock,
    Compression, DropReason, Event, PostHogClientBuilder, SpoolMode, Stats,
};

/// What one fault is, and what it may cost.
struct Row {
    name: &'static str,
    fault: Fault,
    end: End,
    copies: Copies,
    /// Whether it is there from the start, or comes when connections are open.
    start: Start,
    batch: usize,
    /// Bytes of text in each event.
    text: usize,
    client: fn(PostHogClientBuilder) -> PostHogClientBuilder,
    protocols: &'static [CaptureProtocol],
}

/// What becomes of the events that met the fault.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Delivered,
    /// But one, which was too large.
    AllButOne,
    Refused,
}

/// How often PostHog may take the same event: more than once only where it took one and could not say so.
#[derive(Clone, Copy, PartialEq)]
enum Copies {
    One,
    Some,
}

#[derive(Clone, Copy, PartialEq)]
enum Start {
    Cold,
    Warm,
}

const ROW: Row = Row {
    name: "",
    fault: Fault::Refuses,
    end: End::Delivered,
    copies: Copies::One,
    start: Start::Warm,
    batch: 20,
    text: 0,
    client: |client| client,
    protocols: &[CaptureProtocol::V0, CaptureProtocol::V1],
};

const ROWS: &[Row] = &[
    Row {
        name: "connection refused",
        start: Start::Cold,
        ..ROW
    },
    Row {
        name: "server restart",
        ..ROW
    },
    Row {
        name: "DNS failure",
        fault: Fault::NoName,
        start: Start::Cold,
        ..ROW
    },
    Row {
        name: "reset before the body",
        fault: Fault::Cuts(0),
        ..ROW
    },
    Row {
        name: "reset during the body",
        fault: Fault::Cuts(8 << 10),
        text: 4_000,
        ..ROW
    },
    Row {
        name: "reset after the body",
        fault: Fault::Answers(|_, _| Some(Answer::reset())),
        ..ROW
    },
    Row {
        name: "reset after the body was taken",
        fault: Fault::Answers(|_, _| Some(Answer::reset().after_accepting())),
        copies: Copies::Some,
        ..ROW
    },
    Row {
        name: "closed without an answer",
        fault: Fault::Answers(|_, _| Some(Answer::close())),
        ..ROW
    },
    Row {
        name: "half an answer",
        fault: Fault::Answers(|_, _| Some(Answer::half())),
        ..ROW
    },
    Row {
        name: "half an answer after the body was taken",
        fault: Fault::Answers(|_, _| Some(Answer::half().after_accepting())),
        copies: Copies::Some,
        ..ROW
    },
    Row {
        name: "no answer",
        fault: Fault::Answers(|_, _| Some(Answer::stall())),
        // On a busy machine a healthy one may be late too.
        copies: Copies::Some,
        client: |client| client.attempt_timeout(ms(100)),
        ..ROW
    },
    Row {
        name: "no answer after the body was taken",
        fault: Fault::Answers(|_, _| Some(Answer::stall().after_accepting())),
        copies: Copies::Some,
        client: |client| client.attempt_timeout(ms(100)),
        ..ROW
    },
    Row {
        name: "an answer shorter than it says",
        fault: Fault::Answers(|_, _| Some(Answer::wrong_length(500).after_accepting())),
        copies: Copies::Some,
        ..ROW
    },
    Row {
        name: "an answer longer than it says",
        fault: Fault::Answers(|_, _| Some(Answer::wrong_length(5).after_accepting())),
        // By v1 it is no answer: what became of the events is not known, and never will be.
        protocols: &[CaptureProtocol::V0],
        ..ROW
    },
    Row {
        name: "5xx storm",
        fault: Fault::Answers(|_, n| Some(Answer::status([500, 502, 503, 504][n % 4]))),
        ..ROW
    },
    Row {
        name: "5xx after the body was taken",
        fault: Fault::Answers(|_, _| Some(Answer::status(503).after_accepting())),
        copies: Copies::Some,
        ..ROW
    },
    Row {
        name: "408",
        fault: Fault::Answers(|_, _| Some(Answer::status(408))),
        ..ROW
    },
    Row {
        name: "429 with Retry-After",
        fault: Fault::Answers(|_, n| {
            let after = ["1", "Wed, 21 Oct 2099 07:28:00 GMT", "soon"][n % 3];
            Some(Answer::status(429).header("retry-after", after))
        }),
        ..ROW
    },
    Row {
        name: "413 for one of 100",
        fault: Fault::Answers(|request, _| has(request, OFFENDER).then(|| Answer::status(413))),
        end: End::AllButOne,
        batch: 100,
        ..ROW
    },
    Row {
        name: "402",
        fault: Fault::Answers(|_, _| Some(Answer::status(402))),
        end: End::Refused,
        ..ROW
    },
    Row {
        name: "404",
        fault: Fault::Answers(|_, _| Some(Answer::status(404))),
        end: End::Refused,
        ..ROW
    },
    Row {
        name: "asked for every other event again",
        fault: Fault::Answers(|request, _| {
            let again = |e: &Value| number(e).is_multiple_of(2);
            let verdict = EventVerdict::Retry("not_persisted".into());
            Some(verdict_on(request, again, &verdict))
        }),
        protocols: &[CaptureProtocol::V1],
        ..ROW
    },
    Row {
        name: "one of 100 is refused",
        fault: Fault::Answers(|request, _| {
            let offends = |e: &Value| number(e) == OFFENDER;
            let verdict = EventVerdict::Drop("event_too_big".into());
            Some(verdict_on(request, offends, &verdict))
        }),
        end: End::AllButOne,
        batch: 100,
        protocols: &[CaptureProtocol::V1],
        ..ROW
    },
    Row {
        name: "slow server",
        fault: Fault::Answers(|_, _| Some(Answer::accept().delay(ms(40)))),
        ..ROW
    },
    Row {
        name: "breaker opens and closes",
        fault: Fault::Answers(|_, _| Some(Answer::status(503))),
        client: |client| {
            let breaker = CircuitBreaker::after_failures(1).cool_down(ms(60));
            client.circuit_breaker(breaker)
        },
        ..ROW
    },
];

/// Before the fault, while it lasts, and after it.
const BEFORE: u64 = 10;
const DURING: u64 = 100;
const AFTER: u64 = 15;
const OFFENDER: u64 = BEFORE + 37;

fn has(request: &RecordedRequest, n: u64) -> bool {
    batch(request).iter().any(|e| number(e) == n)
}

fn number(event: &Value) -> u64 {
    event["properties"]["n"].as_u64().unwrap()
}

/// The same verdict on some of the events, as capture v1 gives it.
fn verdict_on(request: &RecordedRequest, which: fn(&Value) -> bool, say: &EventVerdict) -> Answer {
    let events = batch(request).into_iter().filter(which);
    events.fold(Answer::accept(), |answer, event| {
        answer.verdict(event["uuid"].as_str().unwrap(), say.clone())
    })
}

/// Where events are kept that cannot be delivered.
#[derive(Clone, Copy, Debug)]
enum Keep {
    Memory,
    Disk(SpoolMode),
}

const KEEPS: [Keep; 3] = [
    Keep::Memory,
    Keep::Disk(SpoolMode::OnFailure),
    Keep::Disk(SpoolMode::WriteAhead),
];

/// How events travel, and where they are kept meanwhile.
#[derive(Clone, Copy, Debug)]
struct Way {
    protocol: CaptureProtocol,
    keep: Keep,
}

/// A wall clock that is set forth and back all the time.
#[derive(Clone)]
struct Jumping {
    asked: Arc<AtomicU64>,
    /// Who captures. The actor asks too, when it sends.
    captures: std::thread::ThreadId,
}

impl Default for Jumping {
    fn default() -> Self {
        Self {
            asked: Arc::default(),
            captures: std::thread::current().id(),
        }
    }
}

impl Jumping {
    /// What it said the `n`th time.
    fn at(n: u64) -> SystemTime {
        const DAY: u64 = 24 * 60 * 60;
        let noon = UNIX_EPOCH + Duration::from_secs(1_735_732_800 + n);
        match n % 5 {
            0 => noon,
            1 => noon + Duration::from_secs(3_600),
            2 => noon - Duration::from_secs(400 * DAY),
            3 => noon + Duration::from_secs(20 * 365 * DAY),
            _ => noon - ms(777),
        }
    }
}

impl Clock for Jumping {
    fn now(&self) -> SystemTime {
        let captures = std::thread::current().id() == self.captures;
        Self::at(self.asked.fetch_add(captures.into(), SeqCst))
    }
}

/// One fault, met in one way.
struct Scene<'a> {
    row: &'a Row,
    way: Way,
    world: World,
    directory: Directory,
    clock: Jumping,
    captured: u64,
}

impl<'a> Scene<'a> {
    fn new(row: &'a Row, way: Way) -> Self {
        Self {
            row,
            way,
            world: World::healthy(row.fault),
            directory: Directory::new(),
            clock: Jumping::default(),
            captured: 0,
        }
    }

    fn builder(&self) -> CaptureBuilder {
        let client = self
            .world
            .client()
            .retry(quick().attempts(3))
            .circuit_breaker(CircuitBreaker::default().cool_down(ms(30)));
        let builder = capture_with((self.row.client)(client))
            .flush_interval(ms(10))
            .batch_events(self.row.batch)
            .compression(match self.row.text {
                0 => Compression::Gzip,
                // It would be too small to be cut.
                _ => Compression::Off,
            })
            .clock(self.clock.clone())
            .protocol(self.way.protocol);
        match self.way.keep {
            Keep::Memory => builder,
            Keep::Disk(mode) => builder.spool(self.directory.spool().mode(mode)),
        }
    }

    fn capture(&mut self, posthog: &CaptureHandle, events: u64) {
        for _ in 0..events {
            let n = self.captured;
            let event = Event::new(format!("e{n}")).distinct_id(format!("user_{n}"));
            let event = event.property("n", n);
            posthog.capture(match self.row.text {
                0 => event,
                length => event.property("text", "x".repeat(length)),
            });
            self.captured += 1;
        }
        self.look(posthog);
    }

    /// The ledger balances, and knows every event.
    #[track_caller]
    fn look(&self, posthog: &CaptureHandle) -> Stats {
        let stats = posthog.stats();
        assert_conserved(&stats);
        assert_eq!(stats.captured, self.captured, "{stats:?}");
        stats
    }

    /// Captures before the fault and into it, until it was met.
    fn begin(&mut self, posthog: &CaptureHandle) {
        if self.row.start == Start::Warm {
            self.capture(posthog, BEFORE);
            // On a busy machine some of its answers may come too late.
            wait_until("the first are delivered", || {
                posthog.flush_blocking(LONG);
                posthog.stats().delivered == BEFORE
            });
        }
        self.world.fall(self.row.fault);
        let before = self.look(posthog).batches;
        let during = DURING + BEFORE - self.captured;
        self.capture(posthog, during);
        wait_until("the fault is met", || {
            self.look(posthog);
            match self.row.fault {
                // It does not see who comes.
                Fault::Refuses => posthog.stats().batches > before,
                _ => self.world.met() > 0,
            }
        });
    }

    /// Delivers everything that is left.
    fn finish(&self, posthog: &CaptureHandle) {
        wait_until("everything is settled", || {
            posthog.flush_blocking(LONG);
            let stats = self.look(posthog);
            stats.queued + stats.in_flight + stats.spooled == 0
        });
        let report = posthog.shutdown_blocking(LONG);
        assert!(report.is_complete(), "{report}");
        assert_eq!(posthog.stats().circuit, Some(CircuitState::Closed));
    }

    /// What has to be true once everything is settled, in one process or two.
    fn judge(&self, ledgers: &[Stats], met: u64) {
        let delivered: u64 = ledgers.iter().map(|l| l.delivered).sum();
        let dropped: u64 = ledgers.iter().map(|l| l.dropped.total()).sum();
        let too_large: u64 = ledgers
            .iter()
            .map(|l| l.dropped.by(DropReason::TooLarge))
            .sum();
        for ledger in ledgers {
            assert_settled(ledger);
        }
        let before = match self.row.start {
            Start::Warm => BEFORE,
            Start::Cold => 0,
        };
        match self.row.end {
            End::Delivered => assert_eq!((delivered, dropped), (self.captured, 0)),
            End::AllButOne => {
                assert_eq!((delivered, dropped), (self.captured - 1, 1));
                assert_eq!(too_large, 1);
            }
            End::Refused => {
                assert_eq!(
                    (delivered, dropped),
                    (self.captured - met + before, met - before)
                );
            }
        }
        let accepted = self.assert_frozen();
        assert_eq!(accepted, delivered, "delivered is what PostHog took");
        if self.row.end == End::AllButOne {
            let offender =
                |e: &tracing_posthog::testing::RecordedEvent| e.event == format!("e{OFFENDER}");
            assert!(!self.world.events().iter().any(offender));
        }
        assert_eq!(self.directory.files().len(), 0);
    }

    /// Whatever PostHog saw of an event was the same each time. Returns how many it took.
    fn assert_frozen(&self) -> u64 {
        let mut seen: BTreeMap<u64, Value> = BTreeMap::new();
        for event in self.world.requests().iter().flat_map(batch) {
            let n = number(&event);
            let first = seen.entry(n).or_insert_with(|| event.clone());
            assert_eq!(*first, event, "event {n} became another");
        }
        let uuids: HashSet<_> = seen.values().map(|e| e["uuid"].as_str().unwrap()).collect();
        assert_eq!(uuids.len(), seen.len(), "two events share a uuid");
        for (n, event) in &seen {
            let at: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
            let wanted = Jumping::at(*n).duration_since(UNIX_EPOCH).unwrap();
            assert_eq!(at.as_millisecond() as u128, wanted.as_millis(), "event {n}");
        }
        let taken = self.world.events();
        let once: HashSet<_> = taken.iter().map(|e| e.uuid.clone().unwrap()).collect();
        once.len() as u64
    }

    fn assert_no_copies(&self) {
        if self.row.copies == Copies::One {
            let taken = self.world.events();
            let once: HashSet<_> = taken.iter().map(|e| e.uuid.clone()).collect();
            assert_eq!(taken.len(), once.len(), "taken twice");
        }
    }

    /// A process has ended while the fault lasted: what it left unsaid, the next one delivers.
    fn after_the_end(mut self, first: &CaptureHandle) {
        wait_until("the end", || {
            let stats = self.look(first);
            stats.queued + stats.in_flight == 0
        });
        let ledger = self.look(first);
        let met = self.captured;
        let lost = ledger.dropped.by(DropReason::Shutdown);
        assert!(
            ledger.delivered <= self.assert_frozen(),
            "delivered, and PostHog has it not"
        );
        match self.way.keep {
            Keep::Memory => {
                assert_eq!((ledger.spooled, self.directory.files().len()), (0, 0));
                if self.row.end == End::Delivered {
                    assert_eq!(ledger.dropped.total(), lost);
                }
            }
            Keep::Disk(_) => {
                assert_eq!(lost, 0, "{ledger:?}");
                assert_eq!(ledger.spooled, self.directory.events().len() as u64);
                if self.row.end != End::AllButOne {
                    self.world.heal();
                }
                let next = self.builder().start().unwrap();
                wait_until("the next process has what was left", || {
                    next.flush_blocking(LONG);
                    let stats = next.stats();
                    assert_conserved(&stats);
                    stats.recovered == ledger.spooled && stats.spooled == 0
                });
                let report = next.shutdown_blocking(LONG);
                assert_eq!(report, Default::default(), "nothing of its own");
                // What was refused before and after the end differs from run to run.
                if self.row.end != End::Refused {
                    // What the first left on disk is the second's.
                    let mut ledger = ledger;
                    ledger.captured -= ledger.spooled;
                    ledger.spooled = 0;
                    self.judge(&[ledger, next.stats()], met);
                }
            }
        }
    }
}

/// The fault lasts for a while, and ends.
fn outlived(row: &Row, way: Way) {
    let mut scene = Scene::new(row, way);
    let posthog = scene.builder().start().unwrap();
    scene.begin(&posthog);
    settle_before_health(&mut scene, &posthog);
    let met = scene.captured;
    scene.world.heal();
    scene.capture(&posthog, AFTER);
    scene.finish(&posthog);
    scene.assert_no_copies();
    scene.judge(&[posthog.stats()], met);
}

/// A healthy PostHog would take what this one refuses; and the breaker is to be seen open.
fn settle_before_health(scene: &mut Scene<'_>, posthog: &CaptureHandle) {
    if scene.row.end != End::Delivered {
        wait_until("all are refused or delivered", || {
            posthog.flush_blocking(LONG);
            scene.look(posthog).queued == 0
        });
    }
    if scene.row.name.starts_with("breaker") {
        wait_until("the breaker opens", || {
            posthog.stats().circuit == Some(CircuitState::Open)
        });
    }
}

/// Somebody asks for a flush within the fault, and gives up waiting.
fn flush_cancelled(row: &Row, way: Way) {
    let mut scene = Scene::new(row, way);
    let posthog = scene.builder().start().unwrap();
    scene.begin(&posthog);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for _ in 0..3 {
        // It may have been fast enough.
        let _ = runtime.block_on(async { tokio::time::timeout(ms(2), posthog.flush()).await });
        scene.capture(&posthog, 1);
    }
    settle_before_health(&mut scene, &posthog);
    let met = scene.captured;
    scene.world.heal();
    scene.capture(&posthog, AFTER);
    scene.finish(&posthog);
    scene.assert_no_copies();
    scene.judge(&[posthog.stats()], met);
}

/// The program ends within the fault.
fn shut_down(row: &Row, way: Way) {
    let mut scene = Scene::new(row, way);
    let posthog = scene.builder().start().unwrap();
    scene.begin(&posthog);
    let open = {
        let stats = scene.look(&posthog);
        stats.captured - stats.delivered - stats.dropped.total()
    };
    let report = posthog.shutdown_blocking(ms(120));
    // Pending where the machine was too busy for an answer in time: the ledger tells the end.
    let said = report.delivered + report.dropped + report.spooled + report.pending;
    assert!(said <= open, "{report} of {open}");
    scene.after_the_end(&posthog);
}

/// The runtime that the actor lives on goes away within the fault.
fn runtime_dropped(row: &Row, way: Way) {
    let mut scene = Scene::new(row, way);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let posthog = scene.builder().spawn_on(runtime.handle()).start().unwrap();
    scene.begin(&posthog);
    drop(runtime);
    assert_eq!(scene.look(&posthog).queued, 0);
    scene.after_the_end(&posthog);
}

/// Plays all rows by both protocols and in all ways to keep events, some at a time, and tells which failed.
fn play(act: fn(&Row, Way)) {
    // Four acts at once would only wait for each other.
    static STAGE: Mutex<()> = Mutex::new(());
    let _stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let ways = |row: &'static Row| {
        let protocols = row.protocols.iter();
        protocols.flat_map(move |&protocol| KEEPS.map(|keep| (row, Way { protocol, keep })))
    };
    let scenes = ROWS.iter().flat_map(ways);
    let scenes = Mutex::new(scenes);
    let failed = Mutex::new(Vec::new());
    let next = || scenes.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((row, way)) = next() {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| act(row, way))) {
                        let said = panic.downcast_ref::<String>().map(String::as_str);
                        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
                        let said = said.unwrap_or("?").to_owned();
                        failed.lock().unwrap().push((row.name, way, said));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
}

#[test]
fn a_fault_that_ends_costs_nothing_but_what_posthog_refuses() {
    play(outlived);
}

#[test]
fn a_flush_that_is_cancelled_within_a_fault_costs_nothing() {
    play(flush_cancelled);
}

#[test]
fn a_shutdown_within_a_fault_counts_or_leaves_everything() {
    play(shut_down);
}

#[test]
fn a_runtime_dropped_within_a_fault_counts_or_leaves_everything() {
    play(runtime_dropped);
}

#[test]
fn a_name_that_nobody_knows_holds_up_nobody() {
    for keep in KEEPS {
        let directory = Directory::new();
        let client = client_at("http://posthog.invalid")
            .reqwest_client(crate::faults::without_names())
            .retry(quick().attempts(2));
        let builder = capture_with(client);
        let posthog = match keep {
            Keep::Memory => builder,
            Keep::Disk(mode) => builder.spool(directory.spool().mode(mode)),
        };
        let posthog = posthog.start().unwrap();
        for n in 0..50 {
            posthog.capture(Event::new("e").property("n", n));
        }
        posthog.shutdown_blocking(ms(200));
        wait_until("the end", || {
            let stats = posthog.stats();
            stats.queued + stats.in_flight == 0
        });
        let stats = posthog.stats();
        assert_settled(&stats);
        let left = match keep {
            Keep::Memory => stats.dropped.by(DropReason::Shutdown),
            Keep::Disk(_) => stats.spooled,
        };
        assert_eq!((stats.captured, left), (50, 50), "{stats:?}");
    }
}

#[test]
fn a_clock_set_back_between_two_processes_costs_nothing_on_disk() {
    let row = &Row {
        name: "clock set back",
        ..ROW
    };
    let way = Way {
        protocol: CaptureProtocol::V0,
        keep: Keep::Disk(SpoolMode::OnFailure),
    };
    let mut scene = Scene::new(row, way);
    let first = scene.builder().start().unwrap();
    scene.begin(&first);
    first.shutdown_blocking(ms(50));
    wait_until("the end", || first.stats().spooled == DURING);
    // As if they had been written years from now.
    for file in scene.directory.files() {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::rename(&file, file.with_file_name(format!("09{}", &name[2..]))).unwrap();
    }
    scene.world.heal();
    let next = scene.builder().start().unwrap();
    wait_until("delivered", || {
        next.flush_blocking(LONG);
        next.stats().delivered == DURING
    });
    assert!(next.shutdown_blocking(LONG).is_complete());
    assert_eq!(scene.assert_frozen(), BEFORE + DURING);
    assert_eq!(scene.directory.files().len(), 0);
}
