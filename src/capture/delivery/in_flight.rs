//! Requests that are on the wire.

use super::batch::Batch;
use super::protocol::SentAs;
use crate::capture::ledger::Residence;
use crate::error::PostHogError;
use crate::http::breaker::Permit;
use crate::http::io::{Task, TaskError};
use crate::http::{Endpoint, Response};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long the end of a cancelled request is waited for. A request that ends later has no effect: its task is gone.
const CANCEL_WITHIN: Duration = Duration::from_millis(100);

/// A request that is on the wire.
pub(super) struct Flight {
    pub(super) batch: Batch,
    pub(super) sent: SentAs,
    pub(super) endpoint: Endpoint,
    pub(super) permit: Permit,
    pub(super) task: Task<Result<Response, PostHogError>>,
}

/// How a request ended: with a result, or without one.
pub(super) type Ended = Result<Result<Response, PostHogError>, TaskError>;

#[derive(Default)]
pub(super) struct InFlight(Vec<Flight>);

impl InFlight {
    pub(super) fn push(&mut self, flight: Flight) {
        self.0.push(flight);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.0.iter().map(|flight| &flight.batch)
    }

    /// Whether a batch from disk is being sent.
    pub(super) fn replays(&self) -> bool {
        self.batches().any(|b| b.residence != Residence::Memory)
    }

    /// The next request that has ended. Pending while there is none, also where nothing is on the wire.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<(Flight, Ended)> {
        for i in 0..self.0.len() {
            if let Poll::Ready(ended) = Pin::new(&mut self.0[i].task).poll(cx) {
                return Poll::Ready((self.0.swap_remove(i), ended));
            }
        }
        Poll::Pending
    }

    pub(super) async fn ended(&mut self) -> (Flight, Ended) {
        std::future::poll_fn(|cx| self.poll_ended(cx)).await
    }

    /// Cancels everything, and waits until it has ended, within a bound: what PostHog answered by then counts.
    /// Returns the batches of which nothing is known.
    pub(super) async fn cancel(&mut self) -> (Vec<(Flight, Ended)>, Vec<Batch>) {
        for flight in &self.0 {
            flight.task.cancel();
        }
        let mut ended = Vec::new();
        let mut unknown = Vec::new();
        let deadline = tokio::time::Instant::now() + CANCEL_WITHIN;
        while !self.0.is_empty() {
            match tokio::time::timeout_at(deadline, self.ended()).await {
                Ok((flight, Err(_))) => unknown.push(flight.batch),
                Ok(one) => ended.push(one),
                Err(_) => break,
            }
        }
        unknown.extend(self.take());
        (ended, unknown)
    }

    /// Cancels everything without waiting, and returns the batches.
    pub(super) fn take(&mut self) -> Vec<Batch> {
        self.0.drain(..).map(|flight| flight.batch).collect()
    }
}
