use super::*;
use crate::capture::spool::Durability;
use crate::capture::spool::store::tests::{Directory, batch, store};
use std::time::Duration;

fn own_path(store: &Store) -> PathBuf {
    store.leases[&store.own.unwrap()].path.clone()
}

#[test]
fn a_deleted_lock_file_is_restored() {
    let directory = Directory::new("restored");
    let mut first = store(&directory.0);
    let id = first.write(&batch(3), Durability::Written).unwrap();
    first.release(id);
    let lock = own_path(&first).join(LOCK);
    let deleted = fs::remove_file(&lock);
    assert_eq!(
        deleted.is_err(),
        cfg!(windows),
        "Windows deletes no open file"
    );
    first.adopt_orphans(Duration::ZERO);
    assert!(lock.is_file() && first.has_waiting());
    assert_eq!(store(&directory.0).open(), 0, "its owner lives");
    drop(first);
    assert_eq!(store(&directory.0).open(), 3);
}

#[test]
fn many_orphans_are_adopted_a_few_at_a_time() {
    let directory = Directory::new("many");
    for _ in 0..100 {
        let id = store(&directory.0).write(&batch(1), Durability::Written);
        id.unwrap();
    }
    let mut store = store(&directory.0);
    let mut adopted = store.open();
    for left in (0..100).rev() {
        assert!(store.leases.len() <= MAX_LEASES, "{}", store.leases.len());
        let file = store.next().and_then(|batch| batch.file);
        store.remove(file.unwrap());
        // As often as the actor asks.
        adopted += store.adopt_orphans(Duration::MAX);
        assert!(adopted + left >= 100);
    }
    assert!(!store.has_waiting());
    drop(store);
    let project = fs::read_dir(&directory.0)
        .unwrap()
        .flatten()
        .next()
        .unwrap();
    assert_eq!(fs::read_dir(project.path()).unwrap().count(), 0);
}

/// Without locks on directories, ending a lease has moments in which the lock file is nobody's.
#[cfg(all(unix, not(posthog_portable)))]
#[test]
fn however_processes_come_and_go_each_file_is_delivered_once() {
    use crate::capture::delivery::batch::Batch;
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// A batch of one event with that number.
    fn numbered(n: u64) -> Batch {
        let event = format!(
            r#"{{"uuid":"{}","event":"{n}","distinct_id":"user_1","timestamp":"2025-01-02T03:04:05.678Z"}}"#,
            Uuid::from_u128(n.into())
        );
        Batch::of_events(n, [event.as_bytes()])
    }

    let directory = Directory::new("race");
    let (written, delivered) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    let deliver_all = |store: &mut Store| {
        while let Some(batch) = store.next() {
            for event in batch.events() {
                let event: serde_json::Value = serde_json::from_slice(event).unwrap();
                let name = event["event"].as_str().unwrap().to_owned();
                *delivered.lock().unwrap().entry(name).or_insert(0) += 1;
            }
            store.remove(batch.file.unwrap());
        }
        assert!(store.take_lost().is_empty());
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..50 {
                    let mut store = store(&directory.0);
                    store.open();
                    let n = written.fetch_add(1, Relaxed);
                    let id = store.write(&numbered(n), Durability::Written).unwrap();
                    store.release(id);
                    // Every third one dies with what it has.
                    if round % 3 != 0 {
                        deliver_all(&mut store);
                    }
                }
            });
        }
    });
    let mut last = store(&directory.0);
    last.open();
    deliver_all(&mut last);
    let delivered = delivered.lock().unwrap();
    assert_eq!(delivered.len(), 200);
    assert!(delivered.values().all(|n| *n == 1), "{delivered:?}");
}

#[test]
fn what_was_deleted_before_it_was_locked_is_not_held() {
    let directory = Directory::new("deleted");
    let path = directory.0.join(LOCK);
    let file = platform::open_lock_file(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = Lock::new(file, path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
