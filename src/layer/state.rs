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
//! - [`layers_of`] finds the layers of a subscriber: for [`current_context`](crate::CaptureHandle::current_context) and the
//!   extension of spans. [`layer_of`] finds that of a handle, for exceptions.
//! - A layer that is dropped hands its open spans over to the layer that replaces it: a `reload` in the middle of a span
//!   loses neither its identity nor its own event. That is the newest layer over the same handle which no span came to yet.
//!
//! Invariant: only states are looked at under the list's lock, and no code of the program runs there.

use super::PostHogLayer;
use super::seen_spans::SeenSpans;
use super::span_store::{Fields, SpanStore};
#[cfg(feature = "errors")]
use super::steps::Steps;
use crate::capture::CaptureHandle;
#[cfg(feature = "errors")]
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use tracing::dispatcher::WeakDispatch;
use tracing::span::Id;
use tracing::{Dispatch, Metadata, Subscriber};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// All layers of the process, oldest first.
static LAYERS: Mutex<Vec<Weak<LayerState>>> = Mutex::new(Vec::new());

#[derive(Debug)]
pub(crate) struct LayerState {
    /// Which handle the layer captures with. Unique while the layer lives, because it holds the handle.
    owner: usize,
    pub(crate) spans: SpanStore,
    /// Which callsites of spans were shown to the layer.
    pub(crate) seen: Arc<SeenSpans>,
    /// Encoded fields that stand furthest out.
    pub(crate) fallback: Vec<u8>,
    /// The log events before exceptions, if they are kept.
    #[cfg(feature = "errors")]
    pub(crate) steps: Option<Steps>,
    /// The subscriber that the layer is part of. Empty where nobody said so: see [`LayerState::installed`].
    place: RwLock<Option<Place>>,
    /// Whether there is a place.
    placed: AtomicBool,
}

/// The subscriber that a layer is part of, and how to ask it without knowing its type.
#[derive(Debug, Clone)]
struct Place {
    dispatch: WeakDispatch,
    /// Tells this subscriber from others: where that of `address_in` lies.
    address: usize,
    address_in: fn(&Dispatch) -> Option<usize>,
    outwards: Outwards,
}

/// Calls a function for a span and those around it, from the inside out.
type Outwards = fn(&Dispatch, &Id, &mut dyn FnMut(&Id, &'static Metadata<'static>));

impl Place {
    fn of<S>(dispatch: &Dispatch) -> Option<Self>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        Some(Self {
            dispatch: dispatch.downgrade(),
            address: address_in::<S>(dispatch)?,
            address_in: address_in::<S>,
            outwards: outwards::<S>,
        })
    }
}

fn address_in<S: Subscriber>(dispatch: &Dispatch) -> Option<usize> {
    let subscriber: &S = dispatch.downcast_ref()?;
    Some(std::ptr::from_ref(subscriber).addr())
}

fn outwards<S>(dispatch: &Dispatch, id: &Id, each: &mut dyn FnMut(&Id, &'static Metadata<'static>))
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut next = dispatch.downcast_ref::<S>().and_then(|s| s.span(id));
    while let Some(span) = next {
        each(&span.id(), span.metadata());
        next = span.parent();
    }
}

/// The enabled layers of a subscriber. Those within an `Option` or `Vec` do not know where they are: one of them is found
/// by its type, and remembers.
pub(crate) fn layers_of(dispatch: &Dispatch) -> Vec<Arc<LayerState>> {
    if let Some(layer) = dispatch.downcast_ref::<PostHogLayer>()
        && !layer.state.placed.load(Relaxed)
    {
        layer.state.installed::<Registry>(dispatch);
    }
    let mut layers: Vec<_> = {
        let layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
        layers.iter().filter_map(Weak::upgrade).collect()
    };
    layers.retain(|layer| layer.is_in(dispatch));
    layers
}

/// The layer of a handle in a subscriber, as [`layers_of`] finds it. For the panic hook, which may run wherever an allocator
/// panics: waits for the list only for a while.
#[cfg(feature = "errors")]
pub(crate) fn layer_of(dispatch: &Dispatch, handle: &CaptureHandle) -> Option<Arc<LayerState>> {
    use std::sync::TryLockError;

    const TRIES: usize = 1000;
    if let Some(layer) = dispatch.downcast_ref::<PostHogLayer>()
        && !layer.state.placed.load(Relaxed)
    {
        layer.state.installed::<Registry>(dispatch);
    }
    let list = (0..TRIES).find_map(|_| match LAYERS.try_lock() {
        Ok(list) => Some(list),
        Err(TryLockError::Poisoned(list)) => Some(list.into_inner()),
        Err(TryLockError::WouldBlock) => {
            std::thread::yield_now();
            None
        }
    })?;
    // Usually without an allocation.
    let layers: SmallVec<[_; 8]> = list.iter().filter_map(Weak::upgrade).collect();
    drop(list);
    let mut layers = layers.into_iter();
    layers.find(|layer| layer.is_of(handle) && layer.is_in(dispatch))
}

impl LayerState {
    pub(crate) fn new(
        handle: &CaptureHandle,
        fallback: Vec<u8>,
        #[cfg(feature = "errors")] steps: Option<Steps>,
    ) -> Arc<Self> {
        let state = Arc::new(Self {
            owner: handle.address(),
            spans: SpanStore::default(),
            seen: Arc::default(),
            fallback,
            #[cfg(feature = "errors")]
            steps,
            place: RwLock::default(),
            placed: AtomicBool::new(false),
        });
        if !handle.is_disabled() {
            let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
            layers.retain(|state| state.strong_count() > 0);
            layers.push(Arc::downgrade(&state));
        }
        state
    }

    /// The layer became part of that subscriber. Wrappers like `Option` and `Vec` do not forward this.
    pub(crate) fn installed<S>(&self, dispatch: &Dispatch)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if let Some(place) = Place::of::<S>(dispatch) {
            self.set_place(place);
        }
    }

    /// Finds out which subscriber the layer is part of, where nobody said so: within a callback that is the current one,
    /// if `tracing` gives it. For scoped subscribers it does not.
    #[inline]
    pub(crate) fn find_place<S>(&self)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if !self.placed.load(Relaxed) {
            tracing::dispatcher::get_default(|dispatch| self.installed::<S>(dispatch));
        }
    }

    fn set_place(&self, place: Place) {
        self.placed.store(true, Relaxed);
        *self.place.write().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    fn read_place<T>(&self, read: impl FnOnce(&Place) -> T) -> Option<T> {
        let place = self.place.read().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().map(read)
    }

    /// The subscriber that the layer is part of, where it is known.
    pub(crate) fn dispatch(&self) -> Option<WeakDispatch> {
        self.read_place(|place| place.dispatch.clone())
    }

    fn is_in(&self, dispatch: &Dispatch) -> bool {
        let place = self.read_place(|place| (place.address_in, place.address));
        place.is_some_and(|(address_in, address)| address_in(dispatch) == Some(address))
    }

    pub(crate) fn is_of(&self, handle: &CaptureHandle) -> bool {
        self.owner == handle.address()
    }

    /// Calls `each` for the span and those around it, from the inside out.
    pub(crate) fn outwards(
        &self,
        dispatch: &Dispatch,
        id: &Id,
        each: &mut dyn FnMut(&Id, &'static Metadata<'static>),
    ) {
        if let Some(outwards) = self.read_place(|place| place.outwards) {
            outwards(dispatch, id, each);
        }
    }

    /// Adds fields to a span of the subscriber `dispatch`, if that was shown to the layer.
    pub(crate) fn set(
        &self,
        dispatch: &Dispatch,
        id: &Id,
        metadata: &'static Metadata<'static>,
        newer: &Fields,
    ) {
        if self.seen.contains(metadata) {
            self.spans.set(id, metadata, newer, &|id, metadata| {
                let mut there = None;
                self.outwards(dispatch, id, &mut |_, m| {
                    there.get_or_insert(m);
                });
                there.is_some_and(|there| std::ptr::eq(there, metadata))
            });
        }
    }

    /// The layer is gone: what it knows goes to the layer that replaces it, if there is one.
    pub(crate) fn hand_over(&self) {
        let place = self.read_place(Place::clone);
        // A subscriber that ends takes all its spans with it.
        if place
            .as_ref()
            .is_some_and(|place| place.dispatch.upgrade().is_none())
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
            heir.seen.adopt(&self.seen);
            heir.spans.adopt(&self.spans);
        }
    }

    /// Whether there is another layer over the same handle, which this one may replace. A layer that replaces another is
    /// made while that one lives.
    pub(crate) fn may_replace_another(&self) -> bool {
        let layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut living = layers.iter().filter_map(Weak::upgrade);
        living.any(|state| state.owner == self.owner && !std::ptr::eq(&*state, self))
    }

    /// Whether it was never part of a subscriber, as far as it knows.
    fn is_fresh(&self) -> bool {
        !self.spans.is_used() && !self.placed.load(Relaxed)
    }
}
