//! Errors captured by one peer: what `errors.py` builds for each, and times.
//!
//! `errors time CASE`: prints the nanoseconds of one capture on the calling thread, and its allocations.
//! `errors first CASE`: the same of the first one of this process.
//!
//! The cases: `stack`, at a depth of about 20 frames; `plain`, without a stack; `held`, which the peer's own limit holds
//! back, if it has one.

#[path = "../flags/allocations.rs"]
mod allocations;
mod peer;
#[path = "../flags/timing.rs"]
mod timing;

use peer::Peer;
use std::env;
use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::io;
use std::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Stack,
    Plain,
    Held,
}

/// An error with a source.
#[derive(Debug)]
pub struct Declined {
    code: u32,
    source: io::Error,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "declined with {}", self.code)
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (first, case) = match args[..] {
        ["time", case] => (false, case),
        ["first", case] => (true, case),
        _ => panic!("usage: errors time|first stack|plain|held"),
    };
    let case = match case {
        "stack" => Case::Stack,
        "plain" => Case::Plain,
        "held" => Case::Held,
        other => panic!("no case {other}"),
    };
    let peer = Peer::new(case);
    let error = Declined {
        code: 51,
        source: io::ErrorKind::TimedOut.into(),
    };
    deep(12, &|| match first {
        true => once(&peer, &error),
        false => timing::print(|| (), |()| peer.capture(&error)),
    });
    // What waits is not delivered anywhere.
    std::process::exit(0);
}

fn once(peer: &Peer, error: &Declined) {
    let (before, started) = (allocations::count(), Instant::now());
    peer.capture(error);
    let took = started.elapsed().as_nanos();
    println!("{took} {}", allocations::count() - before);
}

/// Calls `f` from that many frames further in.
#[inline(never)]
fn deep(frames: usize, f: &dyn Fn()) {
    match frames {
        0 => f(),
        _ => deep(black_box(frames - 1), f),
    }
    black_box(frames);
}
