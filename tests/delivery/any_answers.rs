//! Whatever PostHog answers, in whatever order, each event comes to one end, and the ledger knows which.

use crate::support::spooling::Directory;
use crate::support::*;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use tracing_posthog::testing::{Answer, EventVerdict, PostHogServer, RecordedRequest};
use tracing_posthog::{
    CaptureHandle, CaptureProtocol, CircuitBreaker, DropReason, Event, SpoolMode, Stats,
};

#[derive(Debug, Clone, Copy)]
enum Said {
    Status(u16),
    StatusAndRetryAfter(u16, u32),
    Reset {
        taken: bool,
    },
    Close {
        taken: bool,
    },
    Half {
        taken: bool,
    },
    WrongLength {
        length: usize,
    },
    Garbage,
    Stall,
    /// By v1, something else of each event; by v0 all is well.
    OfEach {
        seed: u64,
    },
}

/// What the client has to make of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Delivered,
    Again,
    Refused,
    TooLarge { alone: bool },
}

/// The length of what PostHog says where all is well.
const OK_LENGTH: usize = r#"{"status":"Ok"}"#.len();

/// What v1 says of an event, and what the client has to make of it.
fn of_event(seed: u64, event: &Value) -> (EventVerdict, Verdict) {
    let n = event["properties"]["n"].as_u64().unwrap();
    let n = (seed ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
    let word = "some_reason".to_owned();
    match n {
        0 => (EventVerdict::Silence, Verdict::Delivered),
        1 => (EventVerdict::Warning(word), Verdict::Delivered),
        2 => (EventVerdict::Other("limited".into()), Verdict::Delivered),
        3 => (EventVerdict::Drop(word), Verdict::Refused),
        4 => (
            EventVerdict::Drop("event_too_big".into()),
            Verdict::TooLarge { alone: true },
        ),
        5..9 => (EventVerdict::Retry(word), Verdict::Again),
        _ => (EventVerdict::Ok, Verdict::Delivered),
    }
}

impl Said {
    fn answer(self, events: &[Value]) -> Answer {
        let taken = |answer: Answer, taken| match taken {
            true => answer.after_accepting(),
            false => answer,
        };
        match self {
            Self::Status(status) => taken(Answer::status(status), status < 300),
            Self::StatusAndRetryAfter(status, seconds) => {
                Answer::status(status).header("retry-after", seconds.to_string())
            }
            Self::Reset { taken: was } => taken(Answer::reset(), was),
            Self::Close { taken: was } => taken(Answer::close(), was),
            Self::Half { taken: was } => taken(Answer::half(), was),
            Self::WrongLength { length } => Answer::wrong_length(length).after_accepting(),
            Self::Garbage => Answer::raw("220 mail.example.com ESMTP\r\n"),
            Self::Stall => Answer::stall(),
            Self::OfEach { seed } => events.iter().fold(Answer::accept(), |answer, event| {
                let (said, _) = of_event(seed, event);
                answer.verdict(event["uuid"].as_str().unwrap(), said)
            }),
        }
    }

    /// Of an event among so many, sent by v0.
    fn verdict(self, events: usize) -> Verdict {
        match self {
            Self::OfEach { .. } => Verdict::Delivered,
            Self::Status(status) | Self::StatusAndRetryAfter(status, _) => match status {
                200..=299 => Verdict::Delivered,
                413 => Verdict::TooLarge { alone: events == 1 },
                408 | 429 | 500..=599 => Verdict::Again,
                _ => Verdict::Refused,
            },
            Self::WrongLength { length } if length <= OK_LENGTH => Verdict::Delivered,
            _ => Verdict::Again,
        }
    }

    /// Whether v1 itself refuses with that status, in its own words.
    fn is_refused_by_v1(self) -> bool {
        matches!(self, Self::Status(400 | 401 | 402 | 415))
    }

    /// Of this event among so many, sent by v1.
    fn verdict_by_v1(self, event: &Value, events: usize, protocol: CaptureProtocol) -> Verdict {
        match self {
            Self::OfEach { seed } => of_event(seed, event).1,
            said => match (protocol, said.verdict(events)) {
                // Nothing of v1 answers there: by v0, then.
                (CaptureProtocol::Auto, Verdict::Delivered) => Verdict::Again,
                (CaptureProtocol::Auto, Verdict::Refused) if !said.is_refused_by_v1() => {
                    Verdict::Again
                }
                // A good status alone says nothing of the events.
                (_, Verdict::Delivered) => Verdict::Refused,
                (_, verdict) => verdict,
            },
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        3 => Just(Said::Status(200)),
        3 => (500u16..600).prop_map(Said::Status),
        3 => Just(Said::Status(413)),
        2 => (200u16..600).prop_map(Said::Status),
        1 => Just(Said::Status(408)),
        2 => (prop_oneof![Just(429u16), Just(503)], 0u32..100).prop_map(|(s, after)| Said::StatusAndRetryAfter(s, after)),
        2 => any::<bool>().prop_map(|taken| Said::Reset { taken }),
        2 => any::<bool>().prop_map(|taken| Said::Close { taken }),
        2 => any::<bool>().prop_map(|taken| Said::Half { taken }),
        1 => (0usize..40).prop_map(|length| Said::WrongLength { length }),
        1 => Just(Said::Garbage),
        1 => Just(Said::Stall),
        6 => any::<u64>().prop_map(|seed| Said::OfEach { seed }),
        1 => Just(Said::Status(404)),
        1 => proptest::sample::select(vec![400u16, 401, 402, 403, 415]).prop_map(Said::Status),
    ]
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    protocol: CaptureProtocol,
    spool: Option<SpoolMode>,
    attempts: u32,
    in_flight: usize,
    batch: usize,
    breaker: u32,
}

fn setting() -> impl Strategy<Value = Setting> {
    let spool = prop_oneof![
        Just(None),
        Just(Some(SpoolMode::OnFailure)),
        Just(Some(SpoolMode::WriteAhead)),
    ];
    let protocol = prop_oneof![
        Just(CaptureProtocol::V0),
        Just(CaptureProtocol::V1),
        Just(CaptureProtocol::Auto),
    ];
    (protocol, spool, 1u32..4, 1usize..5, 1usize..30, 1u32..4).prop_map(
        |(protocol, spool, attempts, in_flight, batch, breaker)| Setting {
            protocol,
            spool,
            attempts,
            in_flight,
            batch,
            breaker,
        },
    )
}

/// What each event was told in turn.
type Told = Arc<Mutex<HashMap<String, Vec<Verdict>>>>;

/// Gives these answers in turn, and is well after that.
fn follow(server: &PostHogServer, answers: Vec<Said>, protocol: CaptureProtocol) -> Told {
    let told = Told::default();
    let noted = told.clone();
    let answers = Mutex::new(VecDeque::from(answers));
    server.answer_with(move |request: &RecordedRequest| {
        let events = batch(request);
        let said = answers.lock().unwrap().pop_front();
        let verdict = |event: &Value| match said {
            None => Verdict::Delivered,
            Some(said) if request.path == "/batch/" => said.verdict(events.len()),
            Some(said) => said.verdict_by_v1(event, events.len(), protocol),
        };
        let mut noted = noted.lock().unwrap();
        for event in &events {
            let uuid = event["uuid"].as_str().unwrap().to_owned();
            noted.entry(uuid).or_default().push(verdict(event));
        }
        said.map(|said| said.answer(&events))
    });
    told
}

fn start(server: &PostHogServer, directory: &Directory, s: Setting, stalls: bool) -> CaptureHandle {
    let client = client_of(server)
        .retry(quick().attempts(s.attempts).max_delay(ms(5)))
        .circuit_breaker(CircuitBreaker::after_failures(s.breaker).cool_down(ms(10)))
        .attempt_timeout(if stalls { ms(100) } else { LONG });
    let builder = capture_with(client)
        .protocol(s.protocol)
        .flush_interval(ms(5))
        .requests_in_flight(s.in_flight)
        .batch_events(s.batch);
    let builder = match s.spool {
        Some(mode) => builder.spool(directory.spool().mode(mode)),
        None => builder,
    };
    builder.start().unwrap()
}

/// Each event was told to try again until it was told its end, and nothing after that.
fn assert_one_end(told: &Told, stats: &Stats) -> Result<(), TestCaseError> {
    let told = told.lock().unwrap();
    let mut ends: HashMap<&str, u64> = HashMap::new();
    for (uuid, verdicts) in told.iter() {
        let (last, before) = verdicts.split_last().unwrap();
        let goes_on =
            |v: &Verdict| matches!(v, Verdict::Again | Verdict::TooLarge { alone: false });
        prop_assert!(before.iter().all(goes_on), "{uuid}: {verdicts:?}");
        let end = match last {
            Verdict::Delivered => "delivered",
            Verdict::Refused => "refused",
            Verdict::TooLarge { alone: true } => "too large",
            _ => return Err(TestCaseError::fail(format!("{uuid}: {verdicts:?}"))),
        };
        *ends.entry(end).or_default() += 1;
    }
    let count = |end| ends.get(end).copied().unwrap_or_default();
    prop_assert_eq!(stats.delivered, count("delivered"));
    prop_assert_eq!(stats.dropped.by(DropReason::TooLarge), count("too large"));
    prop_assert_eq!(
        stats.dropped.total() - stats.dropped.by(DropReason::TooLarge),
        count("refused")
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default() })]

    #[test]
    fn every_event_comes_to_one_end(
        answers in proptest::collection::vec(said(), 0..14), s in setting(), events in 1u64..80,
    ) {
        let (server, directory) = (server(), Directory::new());
        let stalls = answers.iter().any(|said| matches!(said, Said::Stall));
        let told = follow(&server, answers, s.protocol);
        let posthog = start(&server, &directory, s, stalls);
        for n in 0..events {
            posthog.capture(Event::new("e").distinct_id("user_1").property("n", n));
        }
        wait_until("all are settled", || {
            posthog.flush_blocking(LONG);
            let stats = posthog.stats();
            assert_eq!(stats.captured, events, "{stats:?}");
            stats.queued + stats.in_flight + stats.spooled == 0
        });
        posthog.shutdown_blocking(LONG);
        let stats = posthog.stats();
        assert_settled(&stats);
        prop_assert_eq!(stats.delivered + stats.dropped.total(), events);
        prop_assert_eq!(directory.files().len(), 0);
        let taken = server.events();
        let once: HashSet<_> = taken.iter().map(|e| e.uuid.clone()).collect();
        prop_assert!(once.len() as u64 >= stats.delivered);
        // With the short time for an answer that a stall needs, a good one may be missed.
        if !stalls {
            assert_one_end(&told, &stats)?;
        }
    }
}
