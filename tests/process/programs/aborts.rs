//! A program that is built with `panic = "abort"`: `panic_abort.rs` builds and runs it. Panics on the thread that its
//! argument names, with the identity of a span.

use tracing::info_span;
use tracing_posthog::{Errors, PanicFlush, PostHog};
use tracing_subscriber::prelude::*;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (url, thread) = (arguments.next().unwrap(), arguments.next().unwrap());
    std::panic::set_hook(Box::new(|_| println!("the hook before")));
    let flush = PanicFlush::WhenFatal(std::time::Duration::from_secs(60));
    let (layer, _posthog) = PostHog::builder()
        .project_api_key("phc_project_key_of_the_tests")
        .host(url)
        // Nothing is sent but by the hook's flush.
        .flush_interval(std::time::Duration::from_secs(3600))
        .errors(Errors::new().panics(true).panic_flush(flush))
        .start()
        .unwrap();
    tracing_subscriber::registry().with(layer).init();
    let panics = || {
        let _span = info_span!("request", posthog.distinct_id = "ada").entered();
        panic!("and abort");
    };
    match &*thread {
        "main" => panics(),
        name => {
            let thread = std::thread::Builder::new().name(name.into());
            let _ = thread.spawn(panics).unwrap().join();
        }
    }
}
