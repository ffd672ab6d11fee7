//! The time of one call, of this thread's CPU: the median of many batches, so that what else the machine does is not in
//! it.

use crate::allocations;
use std::time::{Duration, Instant};

/// Long against the clock's resolution, short against a time slice.
const BATCH: Duration = Duration::from_micros(200);
const BATCHES: usize = 400;
/// Slow calls are a batch each, of which there are as many as fit.
const LONGEST: Duration = Duration::from_secs(2);

/// Prints nanoseconds and allocations of one call. What calls are given is made before they are timed.
pub fn print<T>(mut give: impl FnMut() -> T, call: impl Fn(T)) {
    let mut batch = |calls: u32| {
        let given: Vec<T> = (0..calls).map(|_| give()).collect();
        let (before, started) = (allocations::count(), thread_cpu());
        given.into_iter().for_each(&call);
        let took = thread_cpu() - started;
        (took, allocations::count() - before)
    };
    let mut calls = 1;
    while batch(calls).0 < BATCH {
        calls *= 2;
    }
    let all = calls.max(256);
    let allocations = batch(all).1 as f64 / f64::from(all);
    let (started, mut times) = (Instant::now(), Vec::with_capacity(BATCHES));
    while times.len() < BATCHES && (started.elapsed() < LONGEST || times.len() < 5) {
        times.push(batch(calls).0.as_nanos() as f64 / f64::from(calls));
    }
    times.sort_by(f64::total_cmp);
    println!("{} {allocations}", times[times.len() / 2]);
}

/// How long this thread has run.
fn thread_cpu() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is that of a `timespec`.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
