//! Tells the ledger and the `on_error` hooks what became of events.

use crate::capture::hooks::{DeliveryFailure, Disposition, Hooks};
use crate::capture::ledger::{DropReason, Residence};
use crate::capture::queue::Queue;
use crate::error::PostHogError;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) queue: Arc<Queue>,
    hooks: Hooks,
}

/// Events that belong together: where the ledger counts them, how many they are, and their bytes in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot {
    pub(super) residence: Residence,
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// Why events are dropped, in PostHog's words or the transport's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cause<'a> {
    pub(super) error: Option<&'a PostHogError>,
    pub(super) detail: Option<&'a str>,
}

impl Account {
    pub(super) fn new(queue: Arc<Queue>, hooks: Hooks) -> Self {
        Self { queue, hooks }
    }

    pub(super) fn delivered(&self, lot: Lot) {
        self.settle(lot, Ok(()));
    }

    pub(super) fn dropped(&self, lot: Lot, reason: DropReason, cause: Cause<'_>) {
        self.settle(lot, Err(reason));
        self.report(lot.events as u64, Disposition::Dropped(reason), cause);
    }

    /// Calls the hooks only: the ledger knows already.
    pub(super) fn report(&self, events: u64, disposition: Disposition, cause: Cause<'_>) {
        self.hooks.on_error(&DeliveryFailure {
            events,
            disposition,
            error: cause.error,
            detail: cause.detail,
        });
    }

    fn settle(&self, lot: Lot, fate: Result<(), DropReason>) {
        match lot.residence {
            Residence::Memory => self.queue.settle(lot.events, lot.bytes, fate),
            Residence::Disk | Residence::Recovered => {
                self.queue
                    .settle_spooled(lot.residence, lot.events as u64, fate);
            }
        }
    }
}
