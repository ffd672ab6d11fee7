//! PostHog's own SDK. It knows no spans: their fields are put on each event by hand.

use super::Peer;
use crate::work::{Data, MARK};
use posthog_rs::{CaptureCompression, Client, ClientOptionsBuilder, Event};
use std::cell::Cell;
use tokio::runtime::{Builder, Runtime};

pub struct Sdk {
    runtime: Runtime,
    client: Client,
}

thread_local! {
    /// Of the request that this thread is in.
    static ID: Cell<u64> = const { Cell::new(0) };
}

impl Peer for Sdk {
    fn in_spans(&self, i: u64, f: &mut dyn FnMut()) {
        ID.set(i);
        f();
    }

    fn event(&self, data: &Data, note: Option<&str>) {
        let mut event = Event::new("signup".to_owned(), ID.get().to_string());
        let plan = if note.is_some() { MARK } else { "pro" };
        let put = event
            .insert_prop("path", "/signup/confirm")
            .and_then(|()| event.insert_prop("table", "accounts"))
            .and_then(|()| event.insert_prop("rows", 3))
            .and_then(|()| event.insert_prop("plan", plan))
            .and_then(|()| event.insert_prop("user", data.user.to_string()))
            .and_then(|()| event.insert_prop("n", data.n))
            .and_then(|()| event.insert_prop("ratio", data.ratio))
            .and_then(|()| event.insert_prop("trial", data.trial));
        put.expect("JSON");
        if let Some(note) = note {
            event.insert_prop("note", note).expect("JSON");
        }
        self.client.capture(event);
    }

    fn room(&self) -> u64 {
        5_000
    }

    fn wait(&self) {
        self.runtime.block_on(self.client.flush());
    }

    fn finish(&self) {
        self.runtime.block_on(async {
            self.client.flush().await;
            self.client.shutdown().await;
        });
    }
}

pub fn new(url: Option<&str>) -> Sdk {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let mut options = ClientOptionsBuilder::default();
    options
        .api_key("phc_bench".to_owned())
        .host(url.unwrap_or("http://127.0.0.1:9").to_owned());
    if url.is_none() {
        let endless = usize::MAX / 2;
        options
            .max_queue_size(endless)
            .flush_at(endless)
            .flush_interval_ms(3_600_000);
    }
    if std::env::var_os("GZIP").is_some() {
        options.capture_compression(CaptureCompression::Gzip);
    }
    let client = runtime.block_on(posthog_rs::client(options.build().expect("options")));
    Sdk { runtime, client }
}
