//! The task that loads definitions ends with its client. Each test has a process of its own: it counts threads.
#![cfg(target_os = "linux")]

use crate::own_process::own_process;
use crate::poller::{answer_loads, deciding, good};
use crate::support::*;
use tracing_posthog::FlagSettings;
use tracing_posthog::testing::Answer;

/// The threads of this process whose name begins like those of clients.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| {
        // It may end in between.
        let name = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    });
    let of_clients = ["posthog-io", "posthog-resolve"];
    names.filter(|name| of_clients.contains(&&**name)).collect()
}

#[tokio::test]
async fn the_thread_goes_with_the_client_between_loads() {
    own_process!();
    let server = server();
    answer_loads(&server, [good(&["a"])]);
    let often = |flags: FlagSettings| flags.poll_interval(ms(1_000));
    let client = deciding(&server).flags(often).build().unwrap();
    assert_eq!(threads(), [""; 0]);
    let flags = client.flags();
    flags.ready().await.unwrap();
    assert!(!threads().is_empty());
    drop(client);
    // Flags alone keep it, and nothing but flags.
    flags.refresh().await.unwrap();
    let snapshot = flags.evaluate("user_42").locally();
    let definitions = flags.definitions().unwrap();
    drop((flags, snapshot));
    until("the threads are gone", || threads().is_empty()).await;
    assert_eq!(definitions.len(), 1);
    let requests = server.request_count();
    tokio::time::sleep(ms(1_300)).await;
    assert_eq!(server.request_count(), requests);
}

#[tokio::test]
async fn the_thread_goes_with_the_client_in_the_middle_of_a_load() {
    own_process!();
    let server = server();
    answer_loads(&server, [Answer::stall()]);
    let flags = deciding(&server).build().unwrap().flags();
    let user = flags.evaluate("user_42").locally();
    assert!(server.wait_for_requests(1, LONG));
    drop(flags);
    assert!(!threads().is_empty(), "the snapshot keeps it");
    drop(user);
    until("the threads are gone", || threads().is_empty()).await;
}

#[tokio::test]
async fn a_hundred_clients_leave_nothing_behind() {
    own_process!();
    let server = server();
    answer_loads(&server, [good(&["a"])]);
    for n in 0..100 {
        let flags = deciding(&server).build().unwrap().flags();
        if n % 2 == 0 {
            flags.ready().await.unwrap();
        } else {
            let _ = flags.evaluate("user_42").locally();
        }
    }
    until("the threads are gone", || threads().is_empty()).await;
}
