//! rayon: its threads are in no span. Each piece of work enters the span of whoever asked for it.

use rayon::prelude::*;
use std::error::Error;
use tracing::{Span, info, instrument};
use tracing_posthog::PostHogLayer;
use tracing_subscriber::prelude::*;

#[instrument(skip_all, fields(posthog.distinct_id = user))]
fn convert(user: &str, pages: &[u64]) -> u64 {
    let span = Span::current();
    let converted = pages.par_iter().map(|page| {
        span.in_scope(|| {
            info!(posthog.event = "page converted", page);
            page * 2
        })
    });
    converted.sum()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (layer, _posthog) = PostHogLayer::from_env()?; // delivers what is left when main returns
    tracing_subscriber::registry().with(layer).init();

    println!(
        "{}",
        convert("ada", &[1, 2, 3]) + convert("grace", &[4, 5, 6])
    );
    Ok(())
}
