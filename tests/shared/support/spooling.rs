//! Spool directories of tests.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{CaptureBuilder, CaptureHandle, CircuitBreaker, Event, Spool};

use super::{LONG, capture_with, client_of, quick, wait_until};

/// No interval of a test ends by itself.
pub const DOWN: Duration = Duration::from_secs(3600);

/// A directory of its own, removed at the end.
pub struct Directory {
    pub path: PathBuf,
}

impl Directory {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tracing-posthog-{}-{n}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self { path }
    }

    pub fn spool(&self) -> Spool {
        Spool::directory(&self.path)
    }

    /// The directory of the only project.
    pub fn project(&self) -> PathBuf {
        let mut projects = fs::read_dir(&self.path).unwrap().flatten();
        projects.next().unwrap().path()
    }

    /// All spool files, oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        files_in(&self.path)
    }

    /// The events in all of them.
    pub fn events(&self) -> Vec<Value> {
        events_in(&self.path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn files_in(path: &Path) -> Vec<PathBuf> {
    let below = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<_> = below(path.to_owned())
        .flat_map(|project| below(project.path()))
        .flat_map(|owner| below(owner.path()))
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    files
}

pub fn events_in(path: &Path) -> Vec<Value> {
    let texts = files_in(path)
        .into_iter()
        .filter_map(|f| fs::read_to_string(f).ok());
    let texts: Vec<String> = texts.collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn events(posthog: &CaptureHandle, from: u64, to: u64) {
    for n in from..to {
        let event = Event::new(format!("e{n}")).property("n", n);
        posthog.capture(event.distinct_id(format!("user_{n}")));
    }
}

/// Few attempts, and no breaker. Where it matters what is in a file, give it a long interval: else a slow
/// machine may part what was captured together.
pub fn spooling(server: &PostHogServer, spool: Spool) -> CaptureBuilder {
    let client = client_of(server)
        .retry(quick().attempts(2))
        .circuit_breaker(CircuitBreaker::off());
    capture_with(client).batch_events(10).spool(spool)
}

pub fn fail(server: &PostHogServer) {
    server.answer_with(|_| Some(Answer::status(503)));
}

pub fn recover(server: &PostHogServer) {
    server.answer_with(|_| None);
}

/// A process that ended with so many events on disk, ten a file.
pub fn leave_behind(server: &PostHogServer, spool: &Directory, n: u64) {
    fail(server);
    let posthog = spooling(server, spool.spool())
        .flush_interval(DOWN)
        .requests_in_flight(1)
        .start()
        .unwrap();
    events(&posthog, 0, n);
    wait_until("all on disk", || posthog.stats().spooled == n);
    posthog.shutdown_blocking(LONG);
    assert_eq!(spool.files().len() as u64, n / 10);
    recover(server);
    server.clear();
}
