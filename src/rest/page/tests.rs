//! Tests of `page`.

use super::*;
use serde_json::json;

fn page(value: Value) -> Page<u32> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_shape_reads_as_a_page() {
    let full = page(
        json!({"count": 3, "next": "https://x/?offset=2", "previous": null,
                           "results": [1, 2], "has_more": true}),
    );
    assert_eq!(full.results, [1, 2]);
    assert_eq!(full.count, Some(3));
    assert_eq!(full.next.as_deref(), Some("https://x/?offset=2"));
    assert_eq!(full.previous, None);
    assert_eq!(Value::Object(full.extra), json!({"has_more": true}));

    assert_eq!(page(json!([1, 2, 3])).results, [1, 2, 3]);
    let odd = page(json!({"results": null, "next": "", "count": "12", "previous": 7}));
    assert_eq!(
        (odd.results.len(), odd.next, odd.count),
        (0, None, Some(12))
    );
    assert_eq!(odd.extra["previous"], 7);
    assert_eq!(page(json!({"results": [], "count": -1})).extra["count"], -1);

    for bad in [
        json!({"detail": "no list"}),
        json!("x"),
        json!({"results": ["x"]}),
    ] {
        assert!(
            serde_json::from_value::<Page<u32>>(bad.clone()).is_err(),
            "{bad}"
        );
    }
}
