//! What the server's threads share.

use std::collections::{HashMap, VecDeque};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::answer::{Answer, Kind};
#[cfg(feature = "flags")]
use super::super::flags::Served;
use super::super::recorded::{RecordedEvent, RecordedRequest, Recording};
use super::super::routes::{Route, Routes};

pub(super) type Answerer = dyn Fn(&RecordedRequest) -> Option<Answer> + Send + Sync;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Something was recorded, or the server stopped.
    pub(super) recorded: Condvar,
    /// The server stopped.
    pub(super) stopped: Condvar,
}

/// How many requests are kept unless told otherwise.
const KEPT_REQUESTS: usize = 10_000;
/// How many events are kept unless told otherwise.
const KEPT_EVENTS: usize = 100_000;
/// How many bytes the bodies of the kept requests have together, at most.
const KEPT_BODY_BYTES: usize = 256 << 20;

/// The newest items, up to a limit, and how many older ones were let go.
pub(super) struct Newest<T> {
    kept: VecDeque<T>,
    limit: usize,
    byte_limit: usize,
    size: fn(&T) -> usize,
    bytes: usize,
    pub(super) let_go: usize,
}

impl<T: Clone> Newest<T> {
    fn new(limit: usize, byte_limit: usize, size: fn(&T) -> usize) -> Self {
        Self {
            kept: VecDeque::new(),
            limit,
            byte_limit,
            size,
            bytes: 0,
            let_go: 0,
        }
    }

    fn push(&mut self, item: T) {
        self.bytes += (self.size)(&item);
        self.kept.push_back(item);
        self.shrink();
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.shrink();
    }

    /// The newest item stays whatever its size.
    fn shrink(&mut self) {
        while (self.kept.len() > self.limit
            || (self.bytes > self.byte_limit && self.kept.len() > 1))
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= (self.size)(&oldest);
            self.let_go += 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.kept.iter()
    }

    pub(super) fn to_vec(&self) -> Vec<T> {
        self.kept.iter().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
        self.let_go = 0;
    }
}

pub(super) struct State {
    pub(super) stopped: bool,
    /// The open connections. Only this map and the connection's own thread
    /// hold a stream, and nobody duplicates it: the socket closes at the
    /// moment its thread ends.
    pub(super) open: HashMap<usize, Arc<TcpStream>>,
    pub(super) connection_count: usize,
    pub(super) recording: Recording,
    pub(super) requests: Newest<RecordedRequest>,
    pub(super) request_count: usize,
    pub(super) events: Newest<RecordedEvent>,
    pub(super) event_count: usize,
    pub(super) duplicate_keys: usize,
    pub(super) last_refusal: Option<String>,
    pub(super) script: VecDeque<Answer>,
    pub(super) answerer: Option<Arc<Answerer>>,
    pub(super) routes: Routes,
    #[cfg(feature = "flags")]
    pub(super) flags: Arc<Served>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            stopped: false,
            open: HashMap::new(),
            connection_count: 0,
            recording: Recording::default(),
            requests: Newest::new(
                KEPT_REQUESTS,
                KEPT_BODY_BYTES,
                |request: &RecordedRequest| request.body.len(),
            ),
            request_count: 0,
            events: Newest::new(KEPT_EVENTS, 0, |_| 0),
            event_count: 0,
            duplicate_keys: 0,
            last_refusal: None,
            script: VecDeque::new(),
            answerer: None,
            routes: Routes::default(),
            #[cfg(feature = "flags")]
            flags: Arc::default(),
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait_until(&self, timeout: Duration, ready: impl Fn(&State) -> bool) -> bool {
        let (state, _) = self
            .recorded
            .wait_timeout_while(self.lock(), timeout, |state| {
                !state.stopped && !ready(state)
            })
            .unwrap_or_else(PoisonError::into_inner);
        ready(&state)
    }

    /// False when the server stopped meanwhile.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let (state, _) = self
            .stopped
            .wait_timeout_while(self.lock(), time, |state| !state.stopped)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    /// Takes the next scripted answer if it applies before the body is read.
    pub(super) fn early_answer(&self) -> Option<Answer> {
        let script = &mut self.lock().script;
        match script.front()?.kind {
            Kind::ResetBeforeBody => script.pop_front(),
            _ => None,
        }
    }

    /// Finds the route of a request, and writes down which one it is.
    pub(super) fn route(&self, request: &mut RecordedRequest) -> Option<Arc<Route>> {
        let matched = self.lock().routes.find(&request.method, &request.path)?;
        request.route = Some(matched.template);
        request.path_params = matched.params;
        Some(matched.route)
    }

    /// The answer to a request that was given its route.
    pub(super) fn choose_answer(&self, request: &RecordedRequest, route: Option<&Route>) -> Answer {
        let answerer = {
            let mut state = self.lock();
            if let Some(answer) = state.script.pop_front() {
                return answer;
            }
            state.answerer.clone()
        };
        answerer
            .and_then(|f| f(request))
            .or_else(|| route.and_then(|route| route.answer(request)))
            .unwrap_or_else(Answer::accept)
    }

    /// Remembers a request and its events; false when the server stopped.
    pub(super) fn remember(
        &self,
        mut request: RecordedRequest,
        events: Vec<RecordedEvent>,
        duplicate_keys: usize,
    ) -> bool {
        let mut state = self.lock();
        if state.stopped {
            return false;
        }
        state.request_count += 1;
        state.event_count += events.len();
        state.duplicate_keys += duplicate_keys;
        if let Some(refusal) = request.refusal() {
            state.last_refusal = Some(refusal);
        }
        if state.recording != Recording::CountsOnly {
            if state.recording == Recording::EventsOnly {
                request.body = Vec::new();
                request.answer = String::new();
            }
            state.requests.push(request);
            for event in events {
                state.events.push(event);
            }
        }
        drop(state);
        self.recorded.notify_all();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_within_number_and_bytes() {
        let mut newest = Newest::new(3, 10, |text: &&str| text.len());
        let kept = |newest: &Newest<&str>| newest.to_vec().join(" ");
        for text in ["a", "bb", "ccc", "dd"] {
            newest.push(text);
        }
        assert_eq!((kept(&newest), newest.let_go), ("bb ccc dd".into(), 1));
        newest.push("eeeee");
        assert_eq!((kept(&newest), newest.let_go), ("ccc dd eeeee".into(), 2));
        newest.push("fffff");
        assert_eq!((kept(&newest), newest.let_go), ("eeeee fffff".into(), 4));
        newest.push("longer than all the bytes");
        assert_eq!(newest.to_vec(), ["longer than all the bytes"]);
        newest.set_limit(0);
        assert_eq!((kept(&newest), newest.let_go), (String::new(), 7));
        newest.clear();
        newest.set_limit(2);
        newest.push("a");
        assert_eq!((kept(&newest), newest.let_go), ("a".into(), 0));
    }
}
