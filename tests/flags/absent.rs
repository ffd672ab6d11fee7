//! Keys that no flag has.

use crate::poller::{is_load, loads};
use crate::support::*;
use tracing_posthog::PostHogClient;
use tracing_posthog::testing::{Flags, PostHogServer};

#[tokio::test]
async fn a_key_that_no_flag_has_costs_one_request_until_definitions_are_confirmed() {
    let server = PostHogServer::start().unwrap();
    server.flags(Flags::new().on("here"));
    // No load but those that are asked for.
    let client = PostHogClient::builder()
        .project_api_key(PROJECT_KEY)
        .feature_flags_secret_key("phs_secret_key_of_the_tests")
        .host(server.url())
        .flags(|flags| flags.poll_interval(LONG).request_timeout(LONG));
    let flags = client.build().unwrap().flags();
    flags.ready().await.unwrap();
    let asks = || {
        let mut requests = server.requests();
        requests.retain(|request| !is_load(request));
        requests.len()
    };
    for _ in 0..3 {
        let user = flags.evaluate("ada").keys(["here", "gone"]).await.unwrap();
        assert!(user.is_enabled("here"));
        assert_eq!(user.flag("gone"), None);
        assert!(user.unresolved().is_empty());
        assert_eq!(asks(), 1);
    }
    let user = flags.evaluate("ada").keys(["other"]).await.unwrap();
    assert_eq!((user.flag("other"), asks()), (None, 2));

    // Not modified counts.
    flags.refresh().await.unwrap();
    assert_eq!(loads(&server).len(), 2);
    flags.evaluate("ada").keys(["gone"]).await.unwrap();
    assert_eq!(asks(), 3);

    server.flags(Flags::new().on("here").on("gone"));
    flags.refresh().await.unwrap();
    let user = flags.evaluate("ada").keys(["gone"]).await.unwrap();
    assert!(user.is_enabled("gone"));
    assert_eq!(asks(), 3);
}
