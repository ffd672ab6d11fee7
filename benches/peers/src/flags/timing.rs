//! The time of one call: the median of many batches, so that what else the machine does is not in it.

use crate::allocations;
use std::time::{Duration, Instant};

/// Long against the clock's resolution, short against a time slice.
const BATCH: Duration = Duration::from_micros(200);
const BATCHES: usize = 400;
/// Slow calls are a batch each, of which there are as many as fit.
const LONGEST: Duration = Duration::from_secs(2);

/// Prints nanoseconds and allocations of one call.
pub fn print(call: &mut dyn FnMut()) {
    let mut calls = 1;
    while batch(call, calls) < BATCH {
        calls *= 2;
    }
    let before = allocations::count();
    batch(call, calls.max(256));
    let allocations = (allocations::count() - before) as f64 / calls.max(256) as f64;
    let (started, mut times) = (Instant::now(), Vec::with_capacity(BATCHES));
    while times.len() < BATCHES && (started.elapsed() < LONGEST || times.len() < 5) {
        times.push(batch(call, calls).as_nanos() as f64 / calls as f64);
    }
    times.sort_by(f64::total_cmp);
    println!("{} {allocations}", times[times.len() / 2]);
}

fn batch(call: &mut dyn FnMut(), calls: u32) -> Duration {
    let started = Instant::now();
    (0..calls).for_each(|_| call());
    started.elapsed()
}
