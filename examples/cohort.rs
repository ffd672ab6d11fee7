//! Makes a cohort from a list of user ids, such as the rows of a spreadsheet, and adds to it later.
//!
//!     cargo run --example cohort
//!
//! It talks to a local PostHog, started here. Against your own, use `PostHogClient::from_env()`
//! (`POSTHOG_PERSONAL_API_KEY` with the scopes `person:read`, `cohort:read` and `cohort:write`, `POSTHOG_HOST`) and your
//! project's number.

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::error::Error;
use tracing_posthog::rest::Raw;
use tracing_posthog::rest::bodies::NewCohort;
use tracing_posthog::rest::resources::Persons;
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{Method, PostHogClient, PostHogError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    play_posthog(&local);
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let project = client.project(12345);

    // A cohort takes UUIDs of persons, so look them up first.
    let (uuids, unknown) = uuids(&project.persons(), &["ada", "grace", "nobody"]).await?;
    println!("unknown: {unknown:?}");
    assert_eq!(unknown, ["nobody"]);

    let new = NewCohort::new("Beta testers")
        .description("From the spreadsheet of April")
        .persons(&uuids);
    let cohort = project.cohorts().create(&new).await?;
    let id = cohort.id.ok_or("a cohort has an id")?;

    let (more, _) = self::uuids(&project.persons(), &["linus"]).await?;
    let more = Raw(json!({"person_ids": more}));
    project
        .cohorts()
        .add_persons_to_static_cohort(id, more)
        .await?;

    // PostHog counts in the background; the list of members is up to date.
    let members = project.cohorts().persons(id).all_up_to(10_000).await?;
    for member in &members {
        println!("{:?} {:?}", member.uuid, member.distinct_ids);
    }
    assert_eq!(members.len(), 3);

    let requests = local.requests();
    let created = requests.iter().find(|request| request.method == "POST");
    let created = created.and_then(RecordedRequest::json).unwrap_or_default();
    assert_eq!(created["is_static"], true);
    assert_eq!(
        created["_create_static_person_ids"],
        json!([uuid("ada"), uuid("grace")])
    );
    Ok(())
}

/// The UUIDs of those whom PostHog knows, and the ids of those whom it does not.
async fn uuids<'a>(
    persons: &Persons,
    distinct_ids: &[&'a str],
) -> Result<(Vec<String>, Vec<&'a str>), PostHogError> {
    let (mut uuids, mut unknown) = (Vec::new(), Vec::new());
    for id in distinct_ids {
        let found = persons.list().distinct_id(*id).first(1).await?.pop();
        match found.and_then(|person| person.uuid) {
            Some(uuid) => uuids.push(uuid),
            None => unknown.push(*id),
        }
    }
    Ok((uuids, unknown))
}

fn uuid(distinct_id: &str) -> String {
    let digits: String = distinct_id.bytes().map(|b| format!("{b:02x}")).collect();
    format!("0195f0aa-0000-7000-8000-{digits:0>12}")
}

fn play_posthog(local: &PostHogServer) {
    let person = |id: &str| json!({"uuid": uuid(id), "distinct_ids": [id]});
    let persons = "/api/projects/{project}/persons/";
    local.on(Method::GET, persons, move |request: &RecordedRequest| {
        let id = request.param("distinct_id").unwrap_or_default();
        let found = (id != "nobody").then(|| person(id));
        Answer::status(200).json(json!({"results": Vec::from_iter(found)}))
    });
    let cohorts = "/api/projects/{project}/cohorts/";
    local.on(
        Method::POST,
        cohorts,
        Answer::status(201).json(json!({"id": 5, "is_static": true})),
    );
    let cohort = |rest: &str| format!("{cohorts}{{id}}/{rest}/");
    local.on(
        Method::PATCH,
        cohort("add_persons_to_static_cohort"),
        json!({"success": true}),
    );
    let members = json!({"results": [person("ada"), person("grace"), person("linus")]});
    local.on(Method::GET, cohort("persons"), members);
}
