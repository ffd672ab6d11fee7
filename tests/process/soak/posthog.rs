//! A PostHog that fails one request in three, each time in another way, and remembers what it acknowledged.

use super::Dice;
use crate::support::ms;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest, Recording};

/// Numbers from here on are those of events that nobody keeps an account of.
pub const UNCOUNTED: u64 = 1 << 40;

pub struct PostHog {
    server: PostHogServer,
    arrivals: Arc<Arrivals>,
}

/// What was acknowledged, by the number of each event: one bit each, so that the test itself stays small.
#[derive(Default)]
struct Arrivals {
    dice: Dice,
    without_v1: AtomicBool,
    requests: AtomicU64,
    faults: AtomicU64,
    acknowledged: Mutex<Numbers>,
    /// Taken where the client was told otherwise, or nothing.
    in_doubt: Mutex<Numbers>,
    twice: AtomicU64,
    /// The uuids of one event in a thousand.
    uuids: Mutex<HashMap<u64, u128>>,
}

/// A set of numbers.
#[derive(Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    /// Reserved at once: growth is what is looked for.
    fn up_to(n: u64) -> Self {
        Self(vec![0; (n / 64 + 1) as usize])
    }

    /// Whether it was new.
    fn insert(&mut self, n: u64) -> bool {
        let (word, bit) = (&mut self.0[(n / 64) as usize], 1 << (n % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

impl PostHog {
    /// Begins, for events of numbers up to `most`.
    pub fn start(most: u64) -> Self {
        let server = PostHogServer::start().unwrap();
        server.record(Recording::CountsOnly);
        let arrivals = Arc::new(Arrivals {
            acknowledged: Mutex::new(Numbers::up_to(most)),
            in_doubt: Mutex::new(Numbers::up_to(most)),
            uuids: Mutex::new(HashMap::with_capacity(most as usize / 1_000 + 1)),
            ..Arrivals::default()
        });
        let answering = arrivals.clone();
        server.answer_with(move |request| {
            Some(match request.path.starts_with("/api/") {
                true => answering.answer_api(request),
                false => answering.answer(request),
            })
        });
        Self { server, arrivals }
    }

    pub fn server(&self) -> &PostHogServer {
        &self.server
    }

    /// Its address, by a name that only the program's resolver knows.
    pub fn url(&self) -> String {
        format!("http://posthog.invalid:{}", self.server.addr().port())
    }

    /// From now on the host does not have capture v1.
    pub fn lose_v1(&self, lose: bool) {
        self.arrivals.without_v1.store(lose, Relaxed);
    }

    pub fn acknowledged(&self) -> u64 {
        self.arrivals.acknowledged.lock().unwrap().len()
    }

    /// How many acknowledgements were about an event that had one.
    pub fn twice(&self) -> u64 {
        self.arrivals.twice.load(Relaxed)
    }

    pub fn faults(&self) -> u64 {
        self.arrivals.faults.load(Relaxed)
    }

    pub fn summary(&self) -> String {
        format!(
            "{} requests, {} of them faults, {} events taken in doubt, {} acknowledged twice",
            self.arrivals.requests.load(Relaxed),
            self.faults(),
            self.arrivals.in_doubt.lock().unwrap().len(),
            self.twice(),
        )
    }
}

/// The numbers and uuids of the counted events in a body, read by their place.
fn events(body: &[u8]) -> impl Iterator<Item = (u64, &str)> {
    let body = std::str::from_utf8(body).unwrap();
    let events = body.split("\"uuid\":\"").skip(1).map(|event| {
        let n = event.split("\"n\":").nth(1).unwrap();
        let digits = n.bytes().take_while(u8::is_ascii_digit).count();
        (n[..digits].parse().unwrap(), &event[..36])
    });
    events.filter(|(n, _)| *n < UNCOUNTED)
}

impl Arrivals {
    fn answer(&self, request: &RecordedRequest) -> Answer {
        self.requests.fetch_add(1, Relaxed);
        self.look_at_uuids(&request.body);
        let by_v1 = request.path != "/batch/";
        if by_v1 && self.without_v1.load(Relaxed) {
            return Answer::status(404);
        }
        let (taken, answer) = match self.dice.roll() % 36 {
            0 | 1 => (false, Answer::status(503)),
            2 => (false, Answer::status(429).header("retry-after", "1")),
            3 => (false, Answer::reset()),
            4 => (false, Answer::close()),
            5 => (true, Answer::half()),
            6 => (true, Answer::reset()),
            7 => (true, Answer::status(500)),
            8 => (false, Answer::stall()),
            // A 413 for one alone would drop it.
            9 if events(&request.body).count() > 1 => (false, Answer::status(413)),
            // To the same place, where it meets any of these again.
            10 | 11 => (false, Answer::status(307).header("location", &request.path)),
            12 => (true, Answer::raw(*b"HTTP/1.1 200 OK\r\nx: ")),
            kind => {
                let delay = if kind < 15 { ms(20) } else { Duration::ZERO };
                return self.acknowledge(&request.body, by_v1).delay(delay);
            }
        };
        self.faults.fetch_add(1, Relaxed);
        if taken {
            let mut in_doubt = self.in_doubt.lock().unwrap();
            for (number, _) in events(&request.body) {
                in_doubt.insert(number);
            }
        }
        answer
    }

    /// One event in a thousand is looked at for its identity.
    fn look_at_uuids(&self, body: &[u8]) {
        for (number, uuid) in events(body).filter(|(n, _)| n.is_multiple_of(1_000)) {
            let uuid = uuid.parse::<uuid::Uuid>().unwrap().as_u128();
            let first = *self.uuids.lock().unwrap().entry(number).or_insert(uuid);
            assert_eq!(first, uuid, "event {number} became another");
        }
    }

    /// Accepts a request; by v1 not all of its events, each time.
    fn acknowledge(&self, body: &[u8], by_v1: bool) -> Answer {
        let some_again = by_v1 && self.dice.one_in(8);
        let mut again = serde_json::Map::new();
        let mut acknowledged = self.acknowledged.lock().unwrap();
        for (number, uuid) in events(body) {
            if some_again && self.dice.one_in(3) {
                again.insert(uuid.to_owned(), json!({"result": "retry"}));
            } else if !acknowledged.insert(number) {
                self.twice.fetch_add(1, Relaxed);
            }
        }
        match by_v1 {
            false => Answer::status(200),
            true => Answer::status(200).json(json!({ "results": again })),
        }
    }

    /// A REST API that is no better.
    fn answer_api(&self, request: &RecordedRequest) -> Answer {
        let fine = || Answer::status(200).json(json!({"results": [], "id": 7}));
        match self.dice.roll() % 16 {
            0 => Answer::status(503),
            1 => Answer::status(429).header("retry-after", "1"),
            2 => Answer::reset(),
            3 => Answer::half(),
            4 => Answer::stall(),
            5 => Answer::status(404),
            // Of many chunks.
            6..9 => Answer::status(200).body(vec![b' '; 256 << 10]),
            9 => Answer::status(307).header("location", &request.path),
            10 => fine().delay(ms(50)),
            _ => fine(),
        }
    }
}
