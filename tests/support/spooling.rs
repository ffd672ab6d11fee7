//! Spool directories of tests.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tracing_posthog::Spool;

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
