//! `Debug` of what holds secrets.

use super::{COMPANY, EMAIL, ID, Leaks, PROPERTY, TENANT, client_of, everything, marked_event};
use std::fmt::Debug;
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{EventCaptureBackend, Method, PostHogLayer};

fn debug(of: &str, value: &dyn Debug) -> (String, String) {
    (of.to_owned(), format!("{value:?} {value:#?}"))
}

#[test]
fn no_debug_of_the_capturing_side_shows_a_secret() {
    let server = PostHogServer::start().unwrap();
    let builder = client_of(&server);
    let mut shown = vec![debug("client builder", &builder)];
    let client = builder.build().unwrap();
    shown.push(debug("client", &client));
    let builder = EventCaptureBackend::builder(client)
        .default_property("email", EMAIL)
        .default_property("plan", PROPERTY);
    shown.push(debug("capture builder", &builder));
    let handle = builder.start().unwrap();
    handle.capture(marked_event());
    shown.push(debug("handle", &handle));
    shown.push(debug("stats", &handle.stats()));
    shown.push(debug(
        "layer builder",
        &PostHogLayer::builder(handle.clone()).distinct_id(ID),
    ));
    let layer = PostHogLayer::builder(handle.clone())
        .distinct_id(ID)
        .build();
    shown.push(debug("layer", &layer));
    let guard = crate::support::kept(handle.clone());
    shown.push(debug("guard", &guard));
    let report = guard.flush_blocking(super::LONG);
    assert_eq!(report.delivered, 1, "{report:?}");
    shown.push(debug("report", &report));
    shown.push(("report as text".to_owned(), report.to_string()));
    let mut leaks = Leaks::default();
    leaks.look("capturing", &everything(), shown);
    leaks.assert_none(10);
}

#[test]
fn no_debug_of_a_request_shows_a_secret() {
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server).build().unwrap();
    let request = client
        .request(Method::POST, "/api/projects/1/persons/")
        .query("search", EMAIL)
        .query_repeated("distinct_id", [ID, PROPERTY]);
    let mut shown = vec![debug("request", &request)];
    shown.push(debug(
        "request with a body",
        &request.body(&[COMPANY, TENANT]),
    ));
    #[cfg(feature = "rest")]
    {
        let project = client.project(1);
        shown.push(debug("project", &project));
        let list = || project.persons().list().search(EMAIL).distinct_id(ID);
        shown.push(debug("list", &list()));
        shown.push(debug("pages", &list().pages()));
        shown.push(debug("stream", &list().stream()));
        let sql = format!("SELECT '{ID}' FROM persons WHERE email = '{EMAIL}'");
        let query = || client.project(1).hogql(&sql).value("plan", PROPERTY);
        shown.push(debug("query", &query()));
        shown.push(debug("query in the background", &query().in_background()));
    }
    let at_least = shown.len();
    let mut leaks = Leaks::default();
    leaks.look("REST", &everything(), shown);
    leaks.assert_none(at_least);
}
