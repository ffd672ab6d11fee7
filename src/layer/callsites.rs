//! Lock-free memories, so that what does not concern this layer costs next to nothing.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tracing::Metadata;

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
