//! Identity across the threads of a runtime, under a global subscriber. Alone in its process.

use crate::own_process::own_process;
use tracing::{Instrument, info, info_span};
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_on_all_threads_belong_to_their_own_user() {
    own_process!();
    let no_tasks = || filter_fn(|metadata| metadata.name() != "task");
    let all: [_; 4] = std::array::from_fn(|_| CapturedEvents::new());
    let [plain, filtered, option, vec] = &all;
    tracing_subscriber::registry()
        .with(crate::layers::Seen::default().layer())
        .with(Some(option.layer().with_filter(no_tasks())))
        .with(vec![vec.layer().with_filter(no_tasks())])
        .with(filtered.layer().with_filter(no_tasks()))
        .with(plain.layer())
        .init();

    let tasks = (0..200).map(|n| {
        let user = info_span!("request", posthog.distinct_id = format!("user_{n}"));
        let handles = all.each_ref().map(CapturedEvents::handle);
        let work = async move {
            tokio::task::yield_now().await;
            info!(posthog.event = "worked", n);
            for handle in handles {
                let context = handle.current_context();
                assert_eq!(context.distinct_id(), Some(&*format!("user_{n}")));
            }
        };
        tokio::spawn(work.instrument(info_span!(parent: &user, "task")))
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }

    for (layer, captured) in all.iter().enumerate() {
        let events = captured.events();
        assert_eq!(events.len(), 200);
        for event in events {
            let user = format!("user_{}", event.properties["n"]);
            assert_eq!(event.distinct_id, user, "layer {layer}");
        }
    }
}
