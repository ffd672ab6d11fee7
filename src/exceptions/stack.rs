//! The return addresses of the calling thread. No name is looked up here.

use crate::event::record::{Key, Record, Slot, exception};
use smallvec::SmallVec;

/// How many frames a stack has at most.
pub(super) const MAX_FRAMES: usize = 256;

/// Writes the addresses of the innermost `max` frames.
#[inline(never)]
pub(crate) fn write_stack(record: &mut Record, max: usize) {
    let mut stack: SmallVec<[u8; 64 * 8]> = SmallVec::new();
    let mut left = max;
    backtrace::trace(|frame| {
        stack.extend_from_slice(&(frame.ip().addr() as u64).to_le_bytes());
        left = left.saturating_sub(1);
        left > 0
    });
    record.bytes_of(Key::Named(Slot::Exception, exception::STACK), &stack);
}
