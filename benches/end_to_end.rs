//! A million events from `info!` to a PostHog on this machine: events per second, CPU per event, memory.
//!
//! The PostHog is another process, so that its CPU, which is most of the machine's, is not counted.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "work/mod.rs"]
mod work;

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tracing_posthog::testing::{PostHogServer, Recording};
use tracing_posthog::{EventCaptureBackend, PostHogClient, PostHogLayer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use work::{Data, big_event, in_spans, mix, notes};

const SERVER: &str = "serve";

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`, and `cargo test --benches` runs this without.
    let args: Vec<String> = env::args().skip(1).collect();
    if args.iter().any(|a| a == SERVER) {
        return serve();
    }
    let mut numbers = args.iter().filter_map(|a| a.parse().ok());
    let events = match numbers.next() {
        Some(events) => events,
        None if args.iter().any(|a| a == "--bench") => 1_000_000,
        None => 1_000,
    };
    measure(events, numbers.next().unwrap_or(1))
}

/// The other process: says where it listens, and at the end of its input how much came.
fn serve() -> Result<(), Box<dyn Error>> {
    let server = PostHogServer::start()?;
    server.record(Recording::CountsOnly);
    println!("{}", server.url());
    io::stdout().flush()?;
    io::stdin().lines().for_each(drop);
    println!("{}", server.event_count());
    Ok(())
}

fn measure(events: u64, threads: u64) -> Result<(), Box<dyn Error>> {
    let mut server = Command::new(env::current_exe()?)
        .arg(SERVER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(server.stdout.take().unwrap()).lines();
    let url = said.next().unwrap()?;

    let client = PostHogClient::builder()
        .project_api_key("phc_bench")
        .host(url)
        .build()?;
    let handle = EventCaptureBackend::builder(client).start()?;
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(PostHogLayer::new(handle.clone()))
        .init();
    let notes = notes();

    let (started, cpu) = (Instant::now(), cpu());
    // Producers are faster than any delivery: they look now and then, and wait while the queue is half full.
    let has_room = || {
        let stats = handle.stats();
        stats.queued + stats.in_flight < 5_000
    };
    let capture = |thread: u64| {
        for request in (thread..events.div_ceil(100)).step_by(threads as usize) {
            in_spans(request, || {
                for i in (request * 100..events).take(100) {
                    big_event(&Data::at(i), &notes[(mix(i) % 4096) as usize]);
                }
            });
            while !has_room() {
                thread::sleep(Duration::from_micros(200));
            }
        }
    };
    let capture = &capture;
    thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || capture(thread));
        }
    });
    handle.flush_blocking(Duration::from_secs(60));
    handle.shutdown_blocking(Duration::from_secs(10));
    let (took, cpu) = (started.elapsed(), self::cpu().zip(cpu).map(|(b, a)| b - a));

    let stats = handle.stats();
    let arrived = last_line(&mut server, said)?;
    println!(
        "{events} events of {threads} threads: {} delivered, {arrived} arrived, {} dropped, in {took:.2?}",
        stats.delivered,
        stats.dropped.total()
    );
    println!("{:.0} events/s", events as f64 / took.as_secs_f64());
    if let Some(cpu) = cpu {
        println!(
            "{:.2} us CPU per event, producer and actor",
            cpu.as_secs_f64() * 1e6 / events as f64
        );
    }
    if let Some(peak) = peak_kib() {
        println!("{:.1} MiB memory at the peak", peak as f64 / 1024.0);
    }
    Ok(())
}

fn last_line(
    server: &mut Child,
    mut said: impl Iterator<Item = io::Result<String>>,
) -> io::Result<String> {
    drop(server.stdin.take());
    let last = said.next().unwrap_or(Ok(String::new()))?;
    server.wait()?;
    Ok(last)
}

/// CPU time of this process so far; Linux says, others do not.
fn cpu() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold anything: utime and stime are the 12th and 13th, in ticks of 10 ms.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|t| t.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}

/// The most memory this process ever had resident.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
