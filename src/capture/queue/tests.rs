//! The queue by itself: order, bounds and accounting.

use super::*;
use proptest::prelude::*;
use std::time::SystemTime;

fn limits(events: usize, batch_events: usize, batch_bytes: usize) -> Limits {
    Limits {
        events,
        bytes: 1 << 20,
        batch_events,
        batch_bytes,
        flush_at: usize::MAX,
        policy: QueuePolicy::DropOldest,
    }
}

/// Drops all records, as if they were encoded.
fn emptied(mut segment: Segment) -> Segment {
    while segment.len() > 0 {
        segment.drop_first();
    }
    segment
}

fn take_all(queue: &Queue) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some(segment) = queue.take(u64::MAX) {
        let events = segment.len();
        records.extend(segment.records().map(|(record, _)| record.to_vec()));
        let bytes = segment.byte_len();
        queue.encoded(emptied(segment), bytes, 0);
        queue.settle(events, 0, Ok(()));
    }
    records
}

proptest! {
    /// Whatever sizes come in, and however often the actor takes: records come out whole and in order, the oldest are
    /// dropped where there is no room, and the ledger knows.
    #[test]
    fn records_come_out_as_they_came_in(
        sizes in proptest::collection::vec((0usize..6_000, 0u8..12), 1..200),
        room in 1usize..60,
        batch_events in 1usize..40,
        batch_bytes in 1usize..40_000,
    ) {
        let queue = Queue::new(limits(room, batch_events, batch_bytes));
        let (mut pushed, mut taken) = (Vec::new(), Vec::new());
        for (n, (size, action)) in sizes.into_iter().enumerate() {
            let record = vec![n as u8; size];
            queue.push(&record, SystemTime::now()).unwrap();
            pushed.push(record);
            match action {
                0 => taken.extend(take_all(&queue)),
                1 => drop(queue.mark()),
                _ => {}
            }
        }
        taken.extend(take_all(&queue));
        let counts = queue.counts();
        prop_assert_eq!(counts.captured as usize, pushed.len());
        prop_assert_eq!(counts.delivered as usize, taken.len());
        prop_assert_eq!((counts.delivered + counts.dropped.total()) as usize, pushed.len());
        // What was dropped was older than what was taken next.
        let mut rest = pushed.iter();
        for record in &taken {
            prop_assert!(rest.any(|pushed| pushed == record));
        }
    }
}

#[test]
fn a_segment_holds_what_a_batch_may() {
    let queue = Queue::new(limits(1_000, 10, 100));
    for _ in 0..25 {
        queue.push(&[0; 5], SystemTime::now()).unwrap();
    }
    queue.push(&[0; 500], SystemTime::now()).unwrap();
    let lens: Vec<_> = std::iter::from_fn(|| Some(queue.take(u64::MAX)?.len())).collect();
    assert_eq!(lens, [10, 10, 5, 1]);
}

#[test]
fn events_after_a_watermark_travel_apart() {
    let queue = Queue::new(limits(1_000, 10, 1_000));
    queue.push(b"a", SystemTime::now()).unwrap();
    let watermark = queue.mark();
    queue.push(b"b", SystemTime::now()).unwrap();
    assert_eq!((watermark.until, watermark.open), (1, 1));
    assert_eq!(queue.take(watermark.until).map(|s| s.len()), Some(1));
    assert!(queue.take(watermark.until).is_none());
    assert_eq!(queue.queued_before(u64::MAX), 1);
}

/// Whoever flushes after each event makes as many segments as events, which count by what they hold.
#[test]
fn a_segment_of_one_record_holds_little_more_memory_than_it() {
    let queue = Queue::new(limits(1_000, 250, 1 << 20));
    for _ in 0..100 {
        queue.push(&[0; 100], SystemTime::now()).unwrap();
        queue.mark();
    }
    let segments = std::iter::from_fn(|| queue.take(u64::MAX));
    let memory: Vec<usize> = segments.map(|segment| segment.memory()).collect();
    assert_eq!(memory.len(), 100);
    let most = memory.iter().skip(1).max().unwrap();
    assert!(*most < 500, "{memory:?}");
}
