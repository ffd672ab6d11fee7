//! Why events cannot be sent now, for whoever waits for the actor.

use crate::error::PostHogError;
use std::sync::{Mutex, PoisonError};

/// Why the last attempt failed, unless one succeeded since.
#[derive(Debug, Default)]
pub(crate) struct Status(Mutex<Option<String>>);

impl Status {
    pub(super) fn failed(&self, error: &PostHogError) {
        self.set(Some(error.to_string()));
    }

    pub(super) fn clear(&self) {
        self.set(None);
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, error: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}
