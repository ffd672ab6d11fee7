//! What the server's threads share.

use std::collections::{HashMap, VecDeque};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::answer::{Answer, Kind};
use super::super::recorded::{RecordedEvent, RecordedRequest, Recording};

pub(super) type Answerer = dyn Fn(&RecordedRequest) -> Option<Answer> + Send + Sync;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Something was recorded, or the server stopped.
    pub(super) recorded: Condvar,
    /// The server stopped.
    pub(super) stopped: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) stopped: bool,
    /// The open connections. Only this map and the connection's own thread
    /// hold a stream, and nobody duplicates it: the socket closes at the
    /// moment its thread ends.
    pub(super) open: HashMap<usize, Arc<TcpStream>>,
    pub(super) connection_count: usize,
    pub(super) recording: Recording,
    pub(super) requests: Vec<RecordedRequest>,
    pub(super) request_count: usize,
    pub(super) events: Vec<RecordedEvent>,
    pub(super) event_count: usize,
    pub(super) duplicate_keys: usize,
    pub(super) last_refusal: Option<String>,
    pub(super) script: VecDeque<Answer>,
    pub(super) answerer: Option<Arc<Answerer>>,
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

    pub(super) fn choose_answer(&self, request: &RecordedRequest) -> Answer {
        let answerer = {
            let mut state = self.lock();
            if let Some(answer) = state.script.pop_front() {
                return answer;
            }
            state.answerer.clone()
        };
        answerer
            .and_then(|f| f(request))
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
            state.events.extend(events);
        }
        drop(state);
        self.recorded.notify_all();
        true
    }
}
