//! What an attempt means for the events of its batch: the one classification, whoever sends.

use crate::capture::ledger::DropReason;
use crate::error::PostHogError;
use crate::http::retry::RetryPolicy;
use std::time::Duration;

/// What became of the events of one attempt.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many events PostHog accepted.
    pub(crate) accepted: usize,
    /// Events that PostHog refused one by one.
    pub(crate) refused: Vec<Refused>,
    pub(crate) rest: Rest,
    /// What answered, where a 2xx response is not PostHog's.
    pub(crate) foreign: Option<String>,
}

/// Events that PostHog refused one by one, for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) events: usize,
    pub(crate) reason: DropReason,
    /// PostHog's own word.
    pub(crate) detail: String,
}

/// Which events of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// These, by their place in the batch.
    Some(Vec<usize>),
}

/// What is not settled.
#[derive(Debug)]
pub(crate) enum Rest {
    Nothing,
    /// These need a request of their own, at once.
    Separate(Vec<usize>),
    /// Another attempt may succeed.
    Retry {
        events: Which,
        error: PostHogError,
        /// For how long PostHog asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The whole batch is larger than PostHog takes.
    TooLarge(PostHogError),
    /// Another attempt would get the same answer.
    Refused(PostHogError),
    /// The host does not have this protocol, and the other one is to be used. No event is settled.
    OtherProtocol,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt after this time.
    RetryIn(Duration),
    /// The attempts of this round are used up.
    Exhausted,
}

impl Outcome {
    pub(crate) fn accepted(events: usize) -> Self {
        Self {
            accepted: events,
            ..Self::of(Rest::Nothing)
        }
    }

    pub(crate) fn of(rest: Rest) -> Self {
        Self {
            accepted: 0,
            refused: Vec::new(),
            rest,
            foreign: None,
        }
    }

    /// A request without a usable response, or a response whose status says no.
    pub(crate) fn failed(error: PostHogError, retry_after: Option<Duration>) -> Self {
        Self::of(match error.status() {
            Some(413) => Rest::TooLarge(error),
            _ if error.is_retryable() => Rest::Retry {
                events: Which::All,
                error,
                retry_after,
            },
            _ => Rest::Refused(error),
        })
    }
}

/// What follows attempt number `attempts` (from 1), which failed. Whatever the methods that the policy retries:
/// PostHog recognises an event that it has seen by its uuid.
pub(crate) fn after_failure(
    policy: &RetryPolicy,
    attempts: u32,
    retry_after: Option<Duration>,
) -> Next {
    match policy.wait_after(attempts, retry_after) {
        Some(wait) => Next::RetryIn(wait),
        None => Next::Exhausted,
    }
}

/// Why the events of a batch are dropped that PostHog refuses as a whole.
pub(crate) fn reason_of(error: &PostHogError) -> DropReason {
    match error.status() {
        Some(402) => DropReason::Quota,
        Some(413) => DropReason::TooLarge,
        _ if error.is_retryable() => DropReason::Exhausted,
        _ => DropReason::Rejected,
    }
}
