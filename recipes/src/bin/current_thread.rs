//! A runtime on one thread, with tasks that cannot leave it. Delivery has threads of its own, so a busy or blocked
//! runtime does not hold events up.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use tokio::task::{LocalSet, yield_now};
use tracing::{Instrument, info, instrument};
use tracing_posthog::PostHogLayer;
use tracing_subscriber::prelude::*;

#[instrument(skip_all, fields(posthog.distinct_id = player))]
async fn play(player: &str, rounds: Rc<Cell<u32>>) {
    for _ in 0..2 {
        yield_now().await; // the others play
        rounds.set(rounds.get() + 1);
        info!(posthog.event = "round played");
    }
    let score = async { info!(posthog.event = "score saved") };
    let saved = tokio::task::spawn_local(score.in_current_span()); // a task of its own, for the same player
    drop(saved.await);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (layer, posthog) = PostHogLayer::from_env()?;
    tracing_subscriber::registry().with(layer).init();

    let rounds = Rc::new(Cell::new(0));
    let game = async { tokio::join!(play("ada", rounds.clone()), play("grace", rounds.clone())) };
    LocalSet::new().run_until(game).await;
    println!("{} rounds", rounds.get());
    println!("{}", posthog.shutdown().await);
    Ok(())
}
