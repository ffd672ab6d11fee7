//! Flags on the events of a whole program: PostHog evaluates for whom the current span names, and the events that it then
//! gets say so. More cases, without sockets, are in `tests/layer/flags_on_events.rs`.

use crate::support::*;
use serde_json::json;
use tracing::{Instrument, dispatcher, info, info_span};
use tracing_posthog::testing::Flags;
use tracing_posthog::{FlagMode, FlagsOnEvents, PostHog};
use tracing_subscriber::prelude::*;

/// A request of `ada` of the company `acme`, in a span of somebody else within.
async fn request(posthog: &PostHog) {
    let handler = async {
        let user = posthog.flags().evaluate_current().await.unwrap();
        info!(posthog.event = "before");
        assert!(user.is_enabled("of-acme"));
        assert_eq!(user.variant("checkout"), Some("b"));
        info!(posthog.event = "after");
    };
    let span = info_span!(
        "request",
        posthog.distinct_id = "ada",
        posthog.group.company = "acme",
        posthog.session_id = "s1",
    );
    let foreign = info_span!(parent: &span, "foreign");
    handler.instrument(foreign).await;
    span.in_scope(|| info!(posthog.event = "outside"));
}

#[tokio::test]
async fn posthog_is_asked_for_whom_the_span_names_and_events_say_what_it_answered() {
    for (setting, before) in [
        (FlagsOnEvents::Accessed, json!(null)),
        (FlagsOnEvents::All, json!(["checkout", "of-acme"])),
        (FlagsOnEvents::None, json!(null)),
    ] {
        let server = server();
        let flags = Flags::new().on_for_group("of-acme", "company", "acme");
        server.flags(flags.variant("checkout", "b").off("old"));
        let (layer, posthog) = PostHog::builder()
            .project_api_key(PROJECT_KEY)
            .host(server.url())
            .flags(|flags| flags.mode(FlagMode::Remote).on_events(setting))
            .start()
            .unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        let _default = dispatcher::set_default(&subscriber.into());
        request(&posthog).await;
        assert!(posthog.shutdown().await.is_complete());

        let asked = server.requests();
        let asked = asked.iter().find(|r| r.path == "/flags/").unwrap();
        let asked = asked.json().unwrap();
        assert_eq!(asked["distinct_id"], "ada");
        assert_eq!(asked["groups"], json!({"company": "acme"}));
        assert_eq!(asked["person_properties"], json!({}));

        let of = |name: &str| server.find(name).unwrap().properties;
        let active = "$active_feature_flags";
        assert_eq!(of("before").get(active).unwrap_or(&json!(null)), &before);
        assert!(!of("outside").contains_key(active));
        let after = of("after");
        match setting {
            FlagsOnEvents::None => assert!(!after.contains_key(active), "{after:?}"),
            _ => {
                assert_eq!(after[active], json!(["checkout", "of-acme"]));
                assert_eq!(after["$feature/checkout"], "b");
                assert_eq!(after["$feature/of-acme"], true);
            }
        }
        let all = setting == FlagsOnEvents::All;
        assert_eq!(after.contains_key("$feature/old"), all, "{setting}");

        let called = server.find("$feature_flag_called").unwrap();
        assert_eq!(called.distinct_id, "ada");
        assert_eq!(called.properties["$session_id"], "s1");
    }
}
