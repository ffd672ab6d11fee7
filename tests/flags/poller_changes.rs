//! Definitions that change under load: nobody waits for it, and nobody sees a half of it.

use crate::poller::{answer_loads, flags_of, good, is_load, keys};
use crate::support::*;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use tracing_posthog::FeatureFlags;
use tracing_posthog::testing::{Answer, PostHogServer};

const FLAGS: usize = 50;

/// A server whose every load brings other definitions: all flags of one load have its number.
fn changing() -> (PostHogServer, FeatureFlags) {
    let server = server();
    let loads = AtomicUsize::new(0);
    server.answer_with(move |request| {
        let n = loads.fetch_add(usize::from(is_load(request)), SeqCst);
        let keys: Vec<_> = (0..FLAGS).map(|flag| format!("{n}/{flag}")).collect();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        is_load(request).then(|| good(&keys))
    });
    let flags = flags_of(&server);
    (server, flags)
}

/// The number of the load that the keys are of: all of the same one, and all that it had.
#[track_caller]
fn load_of<'a>(keys: impl IntoIterator<Item = &'a str>) -> usize {
    let keys: Vec<_> = keys.into_iter().collect();
    assert_eq!(keys.len(), FLAGS, "{keys:?}");
    let loads = keys.iter().map(|key| key.split_once('/').unwrap().0);
    let mut loads: Vec<usize> = loads.map(|load| load.parse().unwrap()).collect();
    loads.dedup();
    assert_eq!(loads.len(), 1, "{keys:?}");
    loads[0]
}

#[tokio::test]
async fn readers_see_whole_definitions_and_newer_ones_only() {
    let (_server, flags) = changing();
    flags.ready().await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (flags, is_over) = (flags.clone(), is_over.clone());
            std::thread::spawn(move || {
                let (mut newest, mut seen) = (0, 0);
                while !is_over.load(SeqCst) {
                    let definitions = flags.definitions().unwrap();
                    let load = load_of(definitions.keys());
                    let user = flags.evaluate("user_42").locally();
                    let evaluated = load_of(user.keys());
                    assert!(newest <= load && load <= evaluated);
                    seen += usize::from(evaluated > newest);
                    newest = evaluated;
                }
                seen
            })
        })
        .collect();
    for _ in 0..30 {
        flags.refresh().await.unwrap();
    }
    is_over.store(true, SeqCst);
    for reader in readers {
        assert!(reader.join().unwrap() > 0, "it saw no change");
    }
    assert_eq!(flags.stats().loads, 31);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_evaluate_while_definitions_change() {
    let (server, flags) = changing();
    flags.ready().await.unwrap();
    let tasks: Vec<_> = (0..1_000)
        .map(|n| {
            let flags = flags.clone();
            tokio::spawn(async move {
                let mut newest = 0;
                for _ in 0..10 {
                    let user = flags.evaluate(format!("user_{n}")).await.unwrap();
                    let load = load_of(user.keys());
                    assert!(load >= newest);
                    newest = load;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for _ in 0..10 {
        flags.refresh().await.unwrap();
    }
    for task in tasks {
        task.await.unwrap();
    }
    // All were decided here.
    assert_eq!(flags.stats().requests, 0);
    assert!(server.requests().iter().all(is_load));
}

#[tokio::test]
async fn a_snapshot_keeps_the_definitions_that_it_began_with() {
    let server = server();
    answer_loads(&server, [good(&["a"]), good(&["b"])]);
    let flags = flags_of(&server);
    let before = flags.evaluate("user_42").await.unwrap();
    flags.refresh().await.unwrap();
    assert_eq!(keys(&flags), ["b"]);
    assert_eq!(before.keys(), ["a"]);
    assert!(before.is_enabled("a") && !before.is_enabled("b"));
}

#[tokio::test]
async fn twenty_megabytes_of_definitions_are_loaded_and_hold_nobody_up() {
    let server = server();
    let padding = "x".repeat(11_000);
    let many: Vec<_> = (0..2_000)
        .map(|n| {
            json!({"id": n, "key": format!("flag-{n}"), "active": true, "name": padding,
                "filters": {"groups": [{"properties": [], "rollout_percentage": 100}]}})
        })
        .collect();
    let body = json!({"flags": many}).to_string();
    assert!(body.len() > 20 << 20, "{}", body.len());
    let large = Answer::status(200).body(body);
    answer_loads(&server, [good(&["a"]), large, good(&["b"])]);
    let flags = flags_of(&server);
    flags.ready().await.unwrap();
    let refresh = tokio::spawn({
        let flags = flags.clone();
        async move { flags.refresh().await }
    });
    // The old ones are in force until the new ones are.
    loop {
        let user = flags.evaluate("user_42").locally();
        let old = user.keys() == ["a"];
        assert!(old || user.is_enabled("flag-1999"));
        if !old {
            break;
        }
        tokio::task::yield_now().await;
    }
    refresh.await.unwrap().unwrap();
    assert_eq!(flags.stats().flags, 2_000);
    flags.refresh().await.unwrap();
    assert_eq!(keys(&flags), ["b"]);
}

#[tokio::test]
async fn more_than_is_read_at_once_is_no_definitions() {
    let server = server();
    let endless = format!(
        r#"{{"flags": [], "padding": "{}"}}"#,
        "x".repeat((64 << 20) + 1)
    );
    answer_loads(&server, [good(&["a"]), Answer::status(200).body(endless)]);
    let flags = flags_of(&server);
    flags.ready().await.unwrap();
    let error = flags.refresh().await.unwrap_err();
    assert!(error.to_string().contains("larger"), "{error}");
    assert_eq!(keys(&flags), ["a"]);
}
