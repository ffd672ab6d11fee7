//! Records of the `log` crate pass by, and its level stays what it was. Alone in its process, as the
//! bridge is global.

use crate::layers::Seen;
use crate::own_process::own_process;
use tracing::info;
use tracing::level_filters::LevelFilter;
use tracing_posthog::PostHogLayer;
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::prelude::*;

#[test]
fn log_records_are_not_captured_and_lose_no_events_between_them() {
    own_process!();
    let (captured, warnings) = (CapturedEvents::new(), Seen::default());
    let layer = PostHogLayer::builder(captured.handle())
        .with_message(true)
        .with_target(true)
        .with_file(true);
    tracing_subscriber::registry()
        .with(warnings.layer().with_filter(LevelFilter::WARN))
        .with(layer.build())
        .init();

    assert_eq!(LevelFilter::current(), LevelFilter::INFO);
    assert_eq!(log::max_level(), log::LevelFilter::Info);

    for n in 0..100 {
        log::info!("posthog.event = {n}");
        log::debug!("debug");
        log::warn!(target: "posthog.event", "warning");
        assert!(log::log_enabled!(log::Level::Info));
        info!(posthog.event = "x", n);
    }

    let events = captured.events();
    assert_eq!(events.len(), 100);
    assert_eq!(captured.handle().stats().captured, 100);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event.properties["n"], n);
        assert_eq!(event.properties["target"], module_path!());
        assert!(!event.properties.keys().any(|key| key.starts_with("log.")));
    }
    assert_eq!(warnings.with("warning").len(), 100);
}
