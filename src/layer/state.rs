//! [`LayerState`]: the part of a layer that is reached from outside its callbacks.
//!
//! ```text
//! PostHogLayer ──► LayerState (spans, fallback, place) ◄── list of all layers of the process
//!                                                                  ▲
//!                          the next layer over the same handle ────┘
//! ```
//!
//! A list of the process holds the states of all enabled layers weakly. The list is needed because `tracing` leads
//! from a dispatcher to at most one layer of a type, and to none within a `reload`.
//!
//! - A layer that is dropped hands its open spans over to the layer that replaces it: a `reload` in the middle of a span
//!   loses neither its identity nor its own event. That is the newest layer over the same handle which no span came to yet.
//!
//! Invariant: only states are looked at under the list's lock, and no code of the program runs there.

use super::span_store::SpanStore;
use crate::capture::CaptureHandle;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use tracing::Dispatch;
use tracing::dispatcher::WeakDispatch;

/// All layers of the process, oldest first.
static LAYERS: Mutex<Vec<Weak<LayerState>>> = Mutex::new(Vec::new());

#[derive(Debug)]
pub(crate) struct LayerState {
    /// Which handle the layer captures with. Unique while the layer lives, because it holds the handle.
    owner: usize,
    pub(crate) spans: SpanStore,
    /// Encoded fields that stand furthest out.
    pub(crate) fallback: Vec<u8>,
    /// The subscriber that the layer is part of. Empty where nobody said so: see [`LayerState::installed`].
    place: RwLock<Option<WeakDispatch>>,
}

impl LayerState {
    pub(crate) fn new(handle: &CaptureHandle, fallback: Vec<u8>) -> Arc<Self> {
        let state = Arc::new(Self {
            owner: handle.address(),
            spans: SpanStore::default(),
            fallback,
            place: RwLock::default(),
        });
        if !handle.is_disabled() {
            let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
            layers.retain(|state| state.strong_count() > 0);
            layers.push(Arc::downgrade(&state));
        }
        state
    }

    /// The layer became part of that subscriber. Wrappers like `Option` and `Vec` do not forward this.
    pub(crate) fn installed(&self, dispatch: &Dispatch) {
        self.set_place(dispatch.downgrade());
    }

    fn set_place(&self, place: WeakDispatch) {
        *self.place.write().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// The subscriber that the layer is part of, where it is known.
    pub(crate) fn place(&self) -> Option<WeakDispatch> {
        self.place
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The layer is gone: what it knows goes to the layer that replaces it, if there is one.
    pub(crate) fn hand_over(&self) {
        let place = self.place();
        // A subscriber that ends takes all its spans with it.
        if place
            .as_ref()
            .is_some_and(|place| place.upgrade().is_none())
        {
            return;
        }
        let heir = {
            let layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
            let mut living = layers.iter().rev().filter_map(Weak::upgrade);
            living.find(|state| state.owner == self.owner && state.is_fresh())
        };
        if let Some(heir) = heir.filter(|heir| !std::ptr::eq(&**heir, self)) {
            if let Some(place) = place {
                heir.set_place(place);
            }
            heir.spans.adopt(&self.spans);
        }
    }

    /// Whether it was never part of a subscriber, as far as it knows.
    fn is_fresh(&self) -> bool {
        !self.spans.is_used() && self.place().is_none()
    }
}
