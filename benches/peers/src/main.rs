//! One peer at work: what `run.py` builds once for each, and counts.
//!
//! `peer caller event|request N`: captures, and delivers nothing.
//! `peer deliver N THREADS URL`: delivers N events of so many threads to the sink at that address, and drops
//! none.

mod peer;
mod work;

use std::env;
use std::fs;
use std::thread;
use std::time::Instant;
use work::{Data, notes};

/// So many events stand in one pair of spans.
const PER_SPAN: u64 = 100;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["caller", case, times] => caller(case, number(times)),
        ["deliver", events, threads, url] => deliver(number(events), number(threads), url),
        _ => panic!("usage: peer caller event|request N, or peer deliver N THREADS URL"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn caller(case: &str, times: u64) {
    let peer = peer::this(None);
    let capture = |times: u64| {
        for first in (0..times).step_by(PER_SPAN as usize) {
            let these = first..times.min(first + PER_SPAN);
            match case {
                "request" => {
                    these.for_each(|i| peer.in_spans(i, &mut || peer.event(&Data::at(i), None)))
                }
                _ => peer.in_spans(first, &mut || {
                    these.clone().for_each(|i| peer.event(&Data::at(i), None));
                }),
            }
        }
    };
    capture(500); // callsites are registered, buffers have grown
    let before = thread_cpu();
    capture(times);
    println!("{}", (thread_cpu() - before) as f64 / times as f64);
    // What is queued stays so: its delivery is another matter.
    std::process::exit(0);
}

fn deliver(events: u64, threads: u64, url: &str) {
    let notes = notes();
    let peer = peer::this(Some(url));
    let (started, cpu) = (Instant::now(), process_cpu());
    let (producer, notes) = (&*peer, &notes);
    let capture = move |from: u64, to: u64| {
        for first in (from..to).step_by(PER_SPAN as usize) {
            producer.in_spans(first, &mut || {
                for i in first..to.min(first + PER_SPAN) {
                    producer.event(&Data::at(i), Some(&notes[i as usize % notes.len()]));
                    if (i + 1) % (producer.room() / threads).max(1) == 0 {
                        producer.wait();
                    }
                }
            });
        }
    };
    let each = events.div_ceil(threads);
    thread::scope(|scope| {
        for from in (0..events).step_by(each as usize) {
            scope.spawn(move || capture(from, events.min(from + each)));
        }
    });
    peer.finish();
    let (took, cpu) = (started.elapsed(), process_cpu() - cpu);
    println!("{} {cpu} {}", took.as_secs_f64(), peak_mib());
    std::process::exit(0);
}

/// Nanoseconds that this thread ran.
fn thread_cpu() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    number(stat.split(' ').next().unwrap_or(""))
}

/// Seconds that this process ran, to a hundredth.
fn process_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(2).map(number);
    ticks.sum::<u64>() as f64 / 100.0
}

fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    number(
        line.and_then(|l| l.split_whitespace().nth(1))
            .expect("a peak"),
    ) / 1024
}
