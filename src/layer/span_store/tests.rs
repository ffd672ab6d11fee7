use super::*;
use crate::event::record::{Key, Record, Slot, Val, fields};
use tracing::{Span, info_span};

fn metadata() -> &'static Metadata<'static> {
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        let span: Span = info_span!("s");
        span.metadata().unwrap()
    })
}

fn id(n: u64) -> Id {
    Id::from_u64(n)
}

fn named(value: &str) -> Encoded {
    let mut record = Record::over(Vec::new(), usize::MAX);
    record.str(Key::Named(Slot::DistinctId, ""), value);
    record.into_bytes().into()
}

fn span(outer: Option<Arc<SpanData>>, value: &str) -> SpanData {
    SpanData {
        metadata: metadata(),
        site: None,
        outer,
        context: named(value),
        mapped: Vec::new(),
        timed: None,
        late: false,
        later: Default::default(),
    }
}

fn ids(record: &Record) -> Vec<String> {
    fields(record.bytes())
        .filter_map(|f| match f.value {
            Val::Str(text) => Some(text.to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_deep_chain_is_dropped_without_recursion() {
    let mut outer = None;
    for _ in 0..1_000_000 {
        outer = Some(Arc::new(span_of(outer)));
    }
    drop(outer);

    fn span_of(outer: Option<Arc<SpanData>>) -> SpanData {
        static METADATA: std::sync::OnceLock<&'static Metadata<'static>> =
            std::sync::OnceLock::new();
        SpanData {
            metadata: METADATA.get_or_init(metadata),
            site: None,
            outer,
            context: Encoded::new(),
            mapped: Vec::new(),
            timed: None,
            late: false,
            later: Default::default(),
        }
    }
}

#[test]
fn what_was_put_in_is_found_by_its_id_and_callsite_until_it_is_removed() {
    let store = SpanStore::default();
    assert!(!store.is_used() && !store.may_contain(&id(7)));
    // Several shards that grow, with ids as the registry gives them to threads.
    let all: Vec<_> = (0..4_000)
        .map(|n| id(1 + n % 1_000 + ((n / 1_000) << 38)))
        .collect();
    let here = metadata();
    for id in &all {
        store.insert(id, span(None, &id.into_u64().to_string()).into());
    }
    for id in &all {
        let found = store.get(id, here);
        let found = found.filter(|span| span.context == named(&id.into_u64().to_string()));
        assert!(found.is_some());
    }
    for id in &all {
        assert!(store.may_contain(id));
        assert!(store.remove(id).is_some());
        assert!(store.remove(id).is_none());
    }
    assert!(all.iter().all(|id| !store.may_contain(id)));
}

#[test]
fn a_span_of_another_callsite_with_the_same_id_is_not_found() {
    let store = SpanStore::default();
    store.insert(&id(1), span(None, "stale").into());
    let other = tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        info_span!("other").metadata().unwrap()
    });
    assert!(store.get(&id(1), other).is_none());
    store.insert(&id(1), span(None, "fresh").into());
    let found = store.get(&id(1), metadata()).unwrap();
    assert_eq!(found.context, named("fresh"));
}

#[test]
fn timed_spans_that_were_never_closed_leave_no_mark() {
    let store = SpanStore::default();
    let timed = || {
        let mut span = span(None, "x");
        span.timed = Some(Box::new(TimedSpan::new(Vec::new())));
        span
    };
    store.insert(&id(1), timed().into());
    store.insert(&id(1), timed().into());
    assert!(store.may_be_timed(&id(1)));
    store.insert(&id(1), span(None, "x").into());
    assert!(!store.may_be_timed(&id(1)));
    store.insert(&id(1), timed().into());
    drop(store.remove(&id(1)));
    assert!(!store.may_be_timed(&id(1)));
}

#[test]
fn the_chain_is_written_from_the_inside_out_however_small_the_buffer_is() {
    let outer = Arc::new(span(None, "outer"));
    let inner = span(Some(outer), "inner");
    let mut record = Record::over(Vec::new(), usize::MAX);
    let end = record.end();
    let mut growths = 0;
    while !inner.write_chain(&mut record) {
        record.cut_back_and_grow(end);
        growths += 1;
    }
    assert_eq!(
        (ids(&record), growths),
        (vec!["inner".into(), "outer".into()], 1)
    );

    let mut small = Record::over(Vec::with_capacity(30), 30);
    assert!(
        inner.write_chain(&mut small),
        "room beyond the limit is of no use"
    );
    assert!(small.overflowed());
}

#[test]
fn threads_that_record_at_once_lose_nothing() {
    let shared = span(None, "x");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let shared = &shared;
            scope.spawn(move || {
                for n in 0..100 {
                    let mut newer = Record::over(Vec::new(), usize::MAX);
                    newer.i64(Key::Named(Slot::Property, &format!("{thread}.{n}")), 1);
                    shared.record(&Fields {
                        context: newer.into_bytes().into(),
                        ..Fields::default()
                    });
                }
            });
        }
    });
    assert_eq!(fields(&shared.recorded().unwrap().context).count(), 401);
}

#[test]
fn what_is_recorded_beyond_the_limit_is_left_out_and_noted() {
    let span = span(None, "ada");
    for n in 0..4 {
        let mut newer = Record::over(Vec::new(), usize::MAX);
        let key = format!("k{n}");
        newer.str(Key::Named(Slot::Property, &key), &"x".repeat(60_000));
        span.record(&Fields {
            context: newer.into_bytes().into(),
            ..Fields::default()
        });
    }
    let now = span.recorded().unwrap();
    let slots: Vec<_> = fields(&now.context).map(|f| f.slot).collect();
    assert_eq!(
        slots,
        [Slot::DistinctId, Slot::Property, Slot::Property, Slot::Cut]
    );
}

fn property(name: &str) -> Fields {
    let mut record = Record::over(Vec::new(), usize::MAX);
    record.i64(Key::Named(Slot::Property, name), 1);
    Fields {
        context: record.into_bytes().into(),
        ..Fields::default()
    }
}

#[test]
fn threads_that_set_something_on_a_new_span_at_once_lose_nothing() {
    let (store, here) = (SpanStore::default(), metadata());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for n in 1..200 {
                    let newer = property(&thread.to_string());
                    store.set(&id(n), here, &newer, &|_, _| true);
                }
            });
        }
    });
    for n in 1..200 {
        let span = store.remove(&id(n)).unwrap();
        let mut record = Record::over(Vec::with_capacity(999), 999);
        assert!(span.write(&mut record));
        let properties = fields(record.bytes()).filter(|f| f.slot == Slot::Property);
        assert_eq!(properties.count(), 4);
    }
}

#[test]
fn spans_that_came_late_and_whose_end_was_hidden_do_not_add_up() {
    let (store, here) = (SpanStore::default(), metadata());
    store.insert(&id(1), span(None, "opened").into());
    // Only the last hundred are open.
    for n in 2..100_000 {
        store.set(&id(n), here, &property("n"), &|id, _| {
            id.into_u64() + 100 > n
        });
    }
    let kept: usize = store
        .shards
        .iter()
        .map(|shard| shard.open.load(Relaxed))
        .sum();
    assert!(kept <= 2 * SWEEP_AFTER, "{kept}");
    for n in [1, 99_990, 99_999] {
        assert!(store.get(&id(n), here).is_some(), "{n}");
    }
}
