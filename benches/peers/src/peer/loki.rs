//! `tracing-loki`: JSON lines in protobuf, snappy. Its queue of 512 drops when it is full.

use super::Peer;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing_loki::{BackgroundTaskController, url::Url};

pub struct Loki {
    runtime: Runtime,
    controller: BackgroundTaskController,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Peer for Loki {
    fn room(&self) -> u64 {
        100
    }

    /// Its task takes what is queued, on this thread.
    fn wait(&self) {
        self.runtime.block_on(async {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        });
    }

    fn finish(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            self.runtime.block_on(async {
                self.controller.shutdown().await;
                task.await.expect("delivery");
            });
        }
    }
}

pub fn new(url: Option<&str>) -> Loki {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let address = Url::parse(url.unwrap_or("http://127.0.0.1:9")).expect("an address");
    let (layer, controller, task) = tracing_loki::builder()
        .label("host", "bench")
        .expect("a label")
        .build_controller_url(address)
        .expect("a layer");
    super::install(layer);
    // Without its task the event is written, and then given to nobody.
    let task = url.map(|_| runtime.spawn(task));
    Loki {
        runtime,
        controller,
        task: Mutex::new(task),
    }
}
