//! PostHog's own SDK: `capture_exception`. It always takes a stack, and has no limit of its own.

use crate::{Case, Declined};
use posthog_rs::{Client, ClientOptionsBuilder, ErrorTrackingOptionsBuilder};
use std::pin::pin;
use std::task::{Context, Waker};
use tokio::runtime::{Builder, Runtime};

pub struct Peer {
    client: Client,
    runtime: Runtime,
}

impl Peer {
    pub fn new(case: Case) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let endless = usize::MAX / 2;
        let mut errors = ErrorTrackingOptionsBuilder::default();
        errors.capture_stacktrace(case == Case::Stack);
        let mut options = ClientOptionsBuilder::default();
        options
            .api_key("phc_bench".to_owned())
            .host("http://127.0.0.1:9".to_owned())
            .error_tracking(errors.build().expect("options"))
            .max_queue_size(endless)
            .flush_at(endless)
            .flush_interval_ms(3_600_000);
        let client = runtime.block_on(posthog_rs::client(options.build().expect("options")));
        Self { client, runtime }
    }

    #[inline(never)]
    pub fn capture(&self, error: &Declined) {
        let _entered = self.runtime.enter();
        // It only queues, so it is ready at once.
        let captured = pin!(self.client.capture_exception(error));
        let state = captured.poll(&mut Context::from_waker(Waker::noop()));
        assert!(state.is_ready());
    }
}
