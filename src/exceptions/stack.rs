//! The return addresses of the calling thread. No name is looked up here.
//!
//! `backtrace::trace` walks the stack by the unwinder and gives an address for each frame. That is all the caller pays for:
//! about 3 µs for 20 frames, without an allocation.
//!
//! Invariants:
//! - A stack is bounded: [`MAX_FRAMES`], and the setting.
//! - A panic while the stack is walked costs the stack, not the exception. In the panic hook it would end the process; so
//!   after the first such panic no stack is taken any more. The crate `backtrace` panics where a callback of the program
//!   panicked under its lock.

use crate::event::record::{Key, Record, Slot, exception};
use crate::panic::catch;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How many frames a stack has at most.
pub(super) const MAX_FRAMES: usize = 256;

/// How many more are written: those of this crate, of `tracing` and of the panic machinery, which the actor leaves out.
const LEFT_OUT: usize = 24;

/// How much of the caller's own stack the addresses take. By default they need no more; others take an allocation.
const INLINE: usize = (64 + LEFT_OUT) * 8;

/// Whether walking a stack ever panicked.
static BROKEN: AtomicBool = AtomicBool::new(false);

type Addresses = SmallVec<[u8; INLINE]>;

/// Writes the addresses of the innermost frames: `max`, and some more that are not counted, because the actor leaves them
/// out.
#[inline(never)]
pub(crate) fn write_stack(record: &mut Record, max: usize) {
    if BROKEN.load(Relaxed) {
        return;
    }
    match catch(|| addresses(max)) {
        Some(addresses) => write(record, &addresses),
        None => BROKEN.store(true, Relaxed),
    }
}

/// The same for the panic hook, where a panic cannot be caught.
#[inline(never)]
pub(crate) fn write_stack_of_panic(record: &mut Record, max: usize) {
    if !BROKEN.load(Relaxed) {
        write(record, &addresses(max));
    }
}

#[inline(never)]
fn addresses(max: usize) -> Addresses {
    let mut stack = Addresses::new();
    let mut left = max.min(MAX_FRAMES) + LEFT_OUT;
    if max > 0 {
        backtrace::trace(|frame| {
            stack.extend_from_slice(&(frame.ip().addr() as u64).to_le_bytes());
            left -= 1;
            left > 0
        });
    }
    stack
}

fn write(record: &mut Record, addresses: &[u8]) {
    if !addresses.is_empty() {
        record.bytes_of(Key::Named(Slot::Exception, exception::STACK), addresses);
    }
}
