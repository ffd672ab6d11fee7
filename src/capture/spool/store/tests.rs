//! Behaviour that only shows with a clock that the test drives, or on the disk itself.

use super::atomic_write::{SYNCS, write_file, write_file_with};
use super::condition::Condition;
use super::*;
use std::path::Path;

/// Removed at the end.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("tracing-posthog-store-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn store(path: &Path) -> Store {
    Store::new(Spool::directory(path), "project", Arc::default())
}

pub(super) fn batch(events: u128) -> Batch {
    let event = |n| {
        let id = uuid::Uuid::from_u128(n);
        format!(
            r#"{{"uuid":"{id}","event":"e","distinct_id":"user_1","timestamp":"2025-01-02T03:04:05.678Z"}}"#
        )
    };
    let events: Vec<String> = (0..events).map(event).collect();
    Batch::of_events(0, events.iter().map(String::as_bytes))
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_failed_is_left_alone_for_30_seconds() {
    let directory = Directory::new("rests");
    let path = directory.0.join("spool");
    fs::write(&path, "in the way").unwrap();
    let mut store = store(&path);
    let batch = batch(1);
    assert!(store.is_usable());
    assert!(store.write(&batch, Durability::Written).is_err());
    // All is well again, and nobody looks.
    fs::remove_file(&path).unwrap();
    tokio::time::advance(Duration::from_millis(29_999)).await;
    assert!(!store.is_usable());
    assert!(store.write(&batch, Durability::Written).is_err());
    assert!(!path.exists());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(store.is_usable());
    store.write(&batch, Durability::Written).unwrap();
    assert!(store.is_usable());
    let failures = &store.counters.spool.write_failures;
    assert_eq!(failures.load(Relaxed), 1, "those that it left alone too");
}

#[test]
fn the_parts_of_a_file_are_as_old_as_it_was() {
    let directory = Directory::new("age");
    let mut ended = store(&directory.0);
    let id = ended.write(&batch(4), Durability::Written).unwrap();
    let path = ended.path(id).unwrap();
    drop(ended);
    let created = id.created - 3_600_000;
    let (seq, events) = (id.seq, 4);
    let name = |events| Name {
        created,
        seq,
        events,
    };
    fs::rename(&path, path.with_file_name(name(events).to_string())).unwrap();

    let mut store = store(&directory.0);
    assert_eq!(store.open(), 4);
    let whole = store.next().unwrap();
    let of = whole.file.unwrap();
    let [first, second] = whole.split().unwrap();
    for part in [first, second] {
        let id = store.rewrite(&part, of).unwrap();
        let path = store.path(id).unwrap();
        let name = Name::parse(path.file_name().unwrap().to_str().unwrap()).unwrap();
        assert_eq!((id.created, name.created), (created, created));
    }
}

#[test]
fn the_parts_of_a_file_that_is_being_sent_are_on_disk_only() {
    let directory = Directory::new("sending");
    let mut store = store(&directory.0);
    let id = store.write(&batch(4), Durability::Written).unwrap();
    store.release(id);
    let whole = store.next().unwrap();
    let of = whole.file.unwrap();
    let [part, _] = whole.split().unwrap();
    store.rewrite(&part, of).unwrap();
    store.remove(of);
    assert_eq!(store.events_before(u64::MAX), 2);
    assert!(!store.has_waiting(), "it is being sent");
}

#[test]
fn the_parts_of_a_synced_file_are_synced() {
    use SpoolMode::{OnFailure, WriteAhead};
    for (mode, syncs) in [(OnFailure, 1), (WriteAhead, 0)] {
        let directory = Directory::new("parts");
        let spool = Spool::directory(&directory.0).mode(mode);
        let mut store = Store::new(spool, "project", Arc::default());
        let of = store.write(&batch(2), Durability::Written).unwrap();
        let before = SYNCS.get();
        store.rewrite(&batch(1), of).unwrap();
        assert_eq!(SYNCS.get() - before, syncs, "{mode:?}");
    }
}

#[test]
fn a_write_that_fails_leaves_no_temporary_file() {
    let directory = Directory::new("temporary");
    // A file cannot take the place of a directory.
    fs::create_dir(directory.0.join("a.jsonl")).unwrap();
    let written = write_file(&directory.0, "a.jsonl", b"{}\n", Durability::Written);
    assert!(written.is_err());
    let left: Vec<_> = fs::read_dir(&directory.0)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["a.jsonl"]);
}

#[test]
fn a_directory_that_cannot_be_synced_leaves_no_file_unless_none_can() {
    let directory = Directory::new("sync");
    let place = |error: fn() -> io::Error| {
        let fails = |_: &Path| Err(error());
        let placed = write_file_with(&directory.0, "a.jsonl", b"{}\n", Durability::Synced, fails);
        let left = directory.0.join("a.jsonl").exists();
        assert_eq!(
            fs::read_dir(&directory.0).unwrap().count(),
            usize::from(left)
        );
        assert_eq!(left, placed.is_ok());
        left
    };
    // EIO, ENOSPC.
    assert!(!place(|| io::Error::from_raw_os_error(5)));
    assert!(!place(|| io::ErrorKind::StorageFull.into()));
    // EBADF, EINVAL, EOPNOTSUPP.
    assert!(place(|| io::Error::from_raw_os_error(9)));
    assert!(place(|| io::ErrorKind::InvalidInput.into()));
    assert!(place(|| io::ErrorKind::Unsupported.into()));
}

/// Puts a copy in the place of a directory, as a restore from a backup does: nobody has locked that one.
#[cfg(all(unix, not(posthog_portable)))]
fn replace(directory: &Path) {
    let aside = directory.with_extension("aside");
    fs::rename(directory, &aside).unwrap();
    fs::create_dir(directory).unwrap();
    for file in fs::read_dir(&aside).unwrap().flatten() {
        fs::copy(file.path(), directory.join(file.file_name())).unwrap();
    }
    fs::remove_dir_all(&aside).unwrap();
}

/// Elsewhere a directory with an open file in it cannot be replaced.
#[cfg(all(unix, not(posthog_portable)))]
#[test]
fn what_somebody_else_took_over_is_on_disk_and_not_sent_from_here() {
    let directory = Directory::new("elsewhere");
    let mut first = store(&directory.0);
    for _ in 0..2 {
        let id = first.write(&batch(3), Durability::Written).unwrap();
        first.release(id);
    }
    let sending = first.next().unwrap().file.unwrap();
    let path = first.path(sending).unwrap();
    replace(path.parent().unwrap());
    let mut second = store(&directory.0);
    assert_eq!(second.open(), 6);

    first.adopt_orphans(Duration::ZERO);
    assert!(!first.has_waiting() && first.take_lost().is_empty());
    assert_eq!((first.events_before(1), first.bytes), (6, 0));
    // The one under way comes back: it is not tried again from here.
    first.release(sending);
    assert!(!first.has_waiting());
    assert_eq!(first.events_before(1), 6);
    // Or it was delivered: the file is not its own to remove.
    first.remove(sending);
    assert_eq!(first.events_before(1), 3);
    assert!(path.exists());
    let id = first.write(&batch(1), Durability::Written).unwrap();
    assert_ne!(first.path(id).unwrap().parent(), path.parent());
    assert!(second.has_waiting());
}

#[cfg(all(unix, not(posthog_portable)))]
#[test]
fn a_full_spool_that_somebody_else_took_over_is_full_no_more() {
    let directory = Directory::new("full");
    let one = Spool::directory(&directory.0)
        .max_bytes(BLOCK)
        .when_full(SpoolPolicy::DropNewest);
    let mut first = Store::new(one, "project", Arc::default());
    let id = first.write(&batch(1), Durability::Written).unwrap();
    first.release(id);
    assert!(first.write(&batch(1), Durability::Written).is_err());
    assert!(first.is_full());
    replace(first.path(id).unwrap().parent().unwrap());
    let mut second = store(&directory.0);
    assert_eq!(second.open(), 1);
    first.adopt_orphans(Duration::ZERO);
    assert!(first.is_usable(), "all of its room is free");
}

#[test]
fn nothing_is_lost_for_a_batch_that_finds_no_room_even_so() {
    let directory = Directory::new("room");
    let three = Spool::directory(&directory.0).max_bytes(3 * BLOCK);
    let mut store = Store::new(three, "project", Arc::default());
    let two_blocks = batch(50);
    for batch in [&two_blocks, &batch(1)] {
        let id = store.write(batch, Durability::Written).unwrap();
        store.release(id);
    }
    // Under way, the first one keeps its room.
    let sending = store.next().unwrap().file.unwrap();
    assert!(store.write(&two_blocks, Durability::Written).is_err());
    assert!(store.has_waiting() && store.take_lost().is_empty());
    // It comes back, and may go for the new one; the younger one stays.
    store.release(sending);
    store.write(&two_blocks, Durability::Written).unwrap();
    let lost: Vec<_> = store.take_lost().iter().map(|lost| lost.events).collect();
    assert_eq!(lost, [50]);
    assert!(store.has_waiting());
}

#[tokio::test(start_paused = true)]
async fn an_unusable_directory_is_tried_again_although_nothing_is_written() {
    let directory = Directory::new("condition");
    let path = directory.0.join("spool");
    fs::write(&path, "in the way").unwrap();
    let mut store = store(&path);
    store.open();
    let failures = |store: &Store| store.counters.spool.write_failures.load(Relaxed);
    for second in 0..95 {
        // As often as the actor asks.
        store.adopt_orphans(Duration::MAX);
        assert!(matches!(store.condition(), Condition::Failing(_)));
        assert_eq!(failures(&store), 1 + second / 30, "after {second} s");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    fs::remove_file(&path).unwrap();
    for _ in 0..30 {
        tokio::time::advance(Duration::from_secs(1)).await;
        store.adopt_orphans(Duration::MAX);
    }
    assert!(matches!(store.condition(), Condition::Usable) && store.is_usable());
    assert_eq!(failures(&store), 4);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_no_file_fails_until_it_takes_one() {
    let directory = Directory::new("no-file");
    let mut store = store(&directory.0);
    store.open();
    let (_, own) = store.own_directory().unwrap();
    // The name of the next file is taken by a directory, which no file can replace.
    store.last_created = store.now() + 3_600_000;
    let name = Name {
        created: store.last_created,
        seq: store.seq,
        events: 1,
    };
    fs::create_dir(own.join(name.to_string())).unwrap();
    assert!(store.write(&batch(1), Durability::Written).is_err());
    tokio::time::advance(Duration::from_secs(31)).await;
    store.adopt_orphans(Duration::MAX);
    // The directory is fine, which says nothing of files.
    assert!(matches!(store.condition(), Condition::Failing(_)));
    fs::remove_dir_all(&own).unwrap();
    store.write(&batch(1), Durability::Written).unwrap();
    assert!(matches!(store.condition(), Condition::Usable));
}
