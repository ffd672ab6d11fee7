//! REST calls, whatever a server echoes: no key shows anywhere, and data only in PostHog's own words.

use super::behaviours::{BEHAVIOURS, Behaviour, STATUSES};
use super::{
    COMPANY, EMAIL, ID, KEYS, Leaks, Log, PROPERTY, client_of, everything, fields_of, shown_by,
};
use crate::own_process::own_process;
use serde_json::{Value, json};
use std::time::Duration;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient, PostHogError};

const PATH: &str = "/api/projects/1/persons/";

/// Makes each call of `call` against each behaviour and status.
async fn echoes<F>(call: impl Fn(PostHogClient) -> F)
where
    F: Future<Output = Result<String, PostHogError>>,
{
    let log = Log::start();
    let mut leaks = Leaks::default();
    let mut errors = 0;
    for status in STATUSES {
        for behaviour in BEHAVIOURS {
            let case = format!("{status}, {}", behaviour.name);
            // A new server each time: no connection is left over that the one before has closed.
            let server = PostHogServer::start().unwrap();
            server.answer_with(move |request| Some((behaviour.answer)(request, status)));
            let result = call(client_of(&server).build().unwrap()).await;
            assert_ne!(server.request_count(), 0, "{case}");
            look(&mut leaks, &case, behaviour, &result, &log);
            errors += usize::from(result.is_err());
        }
    }
    leaks.assert_none(STATUSES.len() * BEHAVIOURS.len());
    // All but those that are a 200.
    assert!(
        errors >= (STATUSES.len() - 1) * BEHAVIOURS.len(),
        "{errors}"
    );
}

fn look(
    leaks: &mut Leaks,
    case: &str,
    behaviour: &Behaviour,
    result: &Result<String, PostHogError>,
    log: &Log,
) {
    let secrets = match behaviour.posthogs {
        true => KEYS.to_vec(),
        false => everything(),
    };
    match result {
        Ok(shown) => leaks.look(case, &everything(), vec![("Ok".into(), shown.clone())]),
        Err(error) => {
            leaks.look(case, &secrets, shown_by(error));
            leaks.look(case, &KEYS, fields_of(error));
        }
    }
    leaks.look(case, &secrets, log.take());
}

/// Of what is answered well, programs see all; only that it was is looked at.
fn done<T>(_: T) -> String {
    "done".to_owned()
}

#[tokio::test]
async fn echoes_to_a_get_show_no_key_and_no_data() {
    own_process!();
    echoes(|client| async move {
        let request = client
            .request(Method::GET, PATH)
            .query("search", EMAIL)
            .query("distinct_id", ID)
            .query("properties", json!([{"key": "plan", "value": PROPERTY}]));
        let shown = format!("{request:?}");
        request.send_as::<Vec<u64>>().await.map(|_| shown)
    })
    .await;
}

#[tokio::test]
async fn echoes_to_a_post_show_no_key_and_no_data() {
    own_process!();
    echoes(|client| async move {
        let body = json!({
            "distinct_id": ID, "email": EMAIL, "properties": {"plan": PROPERTY}, "company": COMPANY,
        });
        let request = client.request(Method::POST, PATH).body(&body);
        let shown = format!("{request:?}");
        request.send_as::<Vec<u64>>().await.map(|_| shown)
    })
    .await;
}

#[tokio::test]
async fn echoes_to_a_query_show_no_key_and_no_data() {
    own_process!();
    echoes(|client| async move {
        let query = client.project(1).hogql(sql()).value("plan", PROPERTY);
        let shown = format!("{query:?}");
        query.rows::<(u8, u8)>().await.map(|_| shown)
    })
    .await;
}

#[tokio::test]
async fn echoes_to_a_query_in_the_background_show_no_key_and_no_data() {
    own_process!();
    echoes(|client| async move {
        let query = client
            .project(1)
            .hogql(sql())
            .value("plan", PROPERTY)
            .in_background()
            .poll(Duration::from_millis(1), Duration::from_millis(2))
            .time_limit(Duration::from_millis(100));
        let shown = format!("{query:?}");
        query.rows::<(u8, u8)>().await.map(|_| shown)
    })
    .await;
}

#[tokio::test]
async fn echoes_to_the_check_of_a_query_show_no_key_and_no_data() {
    own_process!();
    echoes(|client| async move { client.project(1).hogql(sql()).check().await.map(done) }).await;
}

#[tokio::test]
async fn echoes_to_a_list_show_no_key_and_no_data() {
    own_process!();
    echoes(|client| async move {
        let list = client.project(1).persons().list().search(EMAIL);
        let shown = format!("{list:?}");
        let mut items = list.stream();
        while let Some(item) = items.next().await {
            item?;
        }
        Ok(shown)
    })
    .await;
}

#[tokio::test]
async fn echoes_to_a_download_show_no_key_and_no_data() {
    own_process!();
    echoes(|client| async move {
        let request = client.request(Method::GET, PATH).query("search", EMAIL);
        let mut chunks = request.send_for_stream().await?;
        let shown = format!("{chunks:?}");
        while let Some(chunk) = chunks.next().await {
            chunk?;
        }
        Ok(shown)
    })
    .await;
}

fn sql() -> String {
    format!("SELECT '{ID}', '{COMPANY}' FROM persons WHERE properties.email = '{EMAIL}'")
}

/// The id of a query is PostHog's answer, and stands in errors and `Debug`.
#[tokio::test]
async fn the_id_that_a_server_gives_a_query_shows_no_key() {
    own_process!();
    let log = Log::start();
    let server = PostHogServer::start().unwrap();
    server.answer_with(|request| {
        let key = request.header("authorization").unwrap_or_default();
        let tenant = request.header("x-tenant-token").unwrap_or_default();
        let status =
            json!({"id": format!("{key} {tenant}"), "complete": false, "results": Value::Null});
        Some(Answer::status(202).json(json!({"query_status": status})))
    });
    let client = client_of(&server).build().unwrap();
    let mut leaks = Leaks::default();
    let query = || {
        let query = client.project(1).hogql("SELECT 1").in_background();
        query.poll(Duration::from_millis(1), Duration::from_millis(2))
    };
    let running = query().start().await;
    leaks.look(
        "start",
        &KEYS,
        vec![("Debug".into(), format!("{running:?}"))],
    );
    let limit = Duration::from_millis(50);
    let error = query().time_limit(limit).run().await.unwrap_err();
    leaks.look("time limit", &KEYS, shown_by(&error));
    leaks.look("log", &KEYS, log.take());
    leaks.assert_none(5);
}
