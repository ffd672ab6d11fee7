//! Every form of the macros that is documented compiles, and means the same.
//! Those that do not compile are in the documentation of `PostHogLayer`, as tests that must fail.

use crate::layers::{captured, one};
use tracing::{Level, error, event, info, info_span, instrument, span};

const EVENT: &str = "posthog.event";
const PLAN: &str = "posthog.set.plan";

#[test]
fn of_events() {
    let (event_name, plan) = ("signup", "pro");
    let events = captured(|| {
        info!(posthog.event = "signup", plan);
        info!(posthog.event = "signup", plan, "with a message");
        info!(posthog.event = "signup", plan, "with a message of {}", plan);
        info!(posthog.event = event_name, plan = plan);
        info!(posthog.event = %format!("sign{}", "up"), plan = %plan);
        info!(plan, posthog.event = "signup");
        info!("posthog.event" = "signup", "plan" = plan);
        info!({ posthog.event = "signup", plan }, "in braces");
        info!({ EVENT } = "signup", plan);
        info!(target: "t", plan, posthog.event = "signup");
        info!(name: "n", plan, posthog.event = "signup");
        info!(target: "t", { posthog.event = "signup", plan }, "in braces");
        info!(name: "n", target: "t", { posthog.event = "signup", plan }, "in braces");
        info!(parent: None, plan, posthog.event = "signup");
        info!(parent: None, { posthog.event = "signup", plan }, "in braces");
        event!(Level::INFO, posthog.event = "signup", plan);
        event!(target: "t", Level::INFO, posthog.event = "signup", plan);
        event!(name: "n", Level::INFO, posthog.event = "signup", plan);
        event!(name: "n", target: "t", Level::INFO, posthog.event = "signup", plan, "m");
        error!(posthog.event = "signup", plan);
    });
    assert_eq!(events.len(), 20);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event.event, "signup", "form {n}");
        assert_eq!(event.properties["plan"], "pro", "form {n}");
    }
}

#[test]
fn of_keys() {
    let event = one(|| {
        info!(
            posthog.event = "signup",
            { PLAN } = "pro",
            "$set_once" = "as it is",
            "with space" = 1,
            a.b.c = 2,
            r#type = 3
        );
    });
    assert_eq!(event.properties["$set"]["plan"], "pro");
    assert_eq!(event.properties["$set_once"], "as it is");
    assert_eq!(event.properties["with space"], 1);
    assert_eq!(event.properties["a.b.c"], 2);
    assert_eq!(event.properties["type"], 3);
}

#[derive(Debug)]
struct Ada;

impl std::fmt::Display for Ada {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ada")
    }
}

#[test]
fn of_sigils() {
    let event = one(|| {
        let user = Ada;
        info!(posthog.event = "seen", posthog.distinct_id = %user, debug = ?user, ?user);
    });
    assert_eq!(event.distinct_id, "ada");
    assert_eq!(event.properties["debug"], "Ada");
    assert_eq!(event.properties["user"], "Ada");
}

#[instrument(skip_all, fields(posthog.event = "by attribute", posthog.distinct_id = %user, seats))]
fn instrumented(user: &Ada) {
    tracing::Span::current().record("seats", 3);
}

#[instrument(skip(user), fields(posthog.distinct_id = user))]
async fn instrumented_async(user: &str) {
    tokio::task::yield_now().await;
    info!(posthog.event = "within");
}

#[test]
fn of_spans() {
    let events = captured(|| {
        info_span!("s", posthog.event = "by macro", plan = "pro").in_scope(|| {});
        span!(Level::INFO, "s", posthog.event = "by level").in_scope(|| {});
        info_span!(target: "t", "s", posthog.event = "with target").in_scope(|| {});
        info_span!(parent: None, "s", { EVENT } = "by constant").in_scope(|| {});
        instrumented(&Ada);
    });
    let names: Vec<_> = events.iter().map(|e| e.event.as_str()).collect();
    assert_eq!(
        names,
        [
            "by macro",
            "by level",
            "with target",
            "by constant",
            "by attribute"
        ]
    );
    assert_eq!(events[4].distinct_id, "ada");
    assert_eq!(events[4].properties["seats"], 3);
}

#[test]
fn of_async_functions() {
    let event = one(|| {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(instrumented_async("ada"));
    });
    assert_eq!(
        (event.event.as_str(), event.distinct_id.as_str()),
        ("within", "ada")
    );
}
