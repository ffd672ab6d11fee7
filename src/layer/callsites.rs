//! Lock-free memories, so that what does not concern this layer costs next to nothing.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use tracing::Metadata;
use tracing::span::Id;

const PLACES: usize = 256;

/// Callsites of which the same is known. A miss says nothing: then the names are looked at.
#[derive(Debug)]
pub(crate) struct Known(Box<[AtomicUsize; PLACES]>);

impl Known {
    pub(crate) fn new() -> Self {
        Self(Box::new([const { AtomicUsize::new(0) }; PLACES]))
    }

    /// Metadata lives as long as the process, so its address is its name.
    #[inline]
    fn place(&self, metadata: &'static Metadata<'static>) -> (&AtomicUsize, usize) {
        let address = std::ptr::from_ref(metadata).addr();
        // Callsites are statics, often next to each other and some hundred bytes long.
        (
            &self.0[((address >> 4) ^ (address >> 12)) % PLACES],
            address,
        )
    }

    #[inline]
    pub(crate) fn contains(&self, metadata: &'static Metadata<'static>) -> bool {
        let (place, address) = self.place(metadata);
        place.load(Relaxed) == address
    }

    pub(crate) fn add(&self, metadata: &'static Metadata<'static>) {
        let (place, address) = self.place(metadata);
        place.store(address, Relaxed);
    }
}

/// Which open spans may be timed. Entering and leaving a span happens everywhere and often; a look here
/// tells, for nearly every span, that it is none of ours.
#[derive(Debug)]
pub(crate) struct Timed {
    /// How many there are. Most programs have none, mostly: then nothing else is looked at.
    open: AtomicU32,
    places: Box<[AtomicU32; PLACES]>,
}

impl Timed {
    pub(crate) fn new() -> Self {
        Self {
            open: AtomicU32::new(0),
            places: Box::new([const { AtomicU32::new(0) }; PLACES]),
        }
    }

    #[inline]
    fn place(&self, id: &Id) -> &AtomicU32 {
        &self.places[id.into_u64() as usize % PLACES]
    }

    #[inline]
    pub(crate) fn may_contain(&self, id: &Id) -> bool {
        self.open.load(Relaxed) != 0 && self.place(id).load(Relaxed) != 0
    }

    pub(crate) fn add(&self, id: &Id) {
        self.place(id).fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub(crate) fn remove(&self, id: &Id) {
        self.place(id).fetch_sub(1, Relaxed);
        self.open.fetch_sub(1, Relaxed);
    }
}
