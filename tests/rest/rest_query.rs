//! Queries over real sockets: what is sent, how answers become rows, background runs and their ends.

use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing_posthog::rest::{HogQlQuery, HogQlRefresh};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{CircuitBreaker, CircuitState, PostHogClient, PostHogError, RetryPolicy};

const PATH: &str = "/api/projects/1/query/";
const SOON: Duration = Duration::from_millis(1);

fn start() -> (PostHogServer, PostHogClient) {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .personal_api_key("phx_test")
        .host(server.url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap();
    (server, client)
}

fn answer(value: Value) -> Answer {
    Answer::status(200).json(value)
}

fn counts() -> Value {
    json!({
        "columns": ["event", "total"],
        "types": [["event", "String"], ["total", "UInt64"]],
        "results": [["signup", 3], ["login", 40]],
        "hasMore": false,
        "limit": 2,
        "offset": 0,
    })
}

fn running(id: &str) -> Value {
    json!({"query_status": {
        "id": id, "team_id": 1, "query_async": true, "complete": false, "error": false, "results": null,
        "query_progress": {"rows_read": 10, "estimated_rows_total": 40, "bytes_read": 5,
                           "time_elapsed": 1, "active_cpu_time": 2},
    }})
}

fn counting(client: &PostHogClient) -> HogQlQuery {
    client
        .project(1)
        .hogql("SELECT event, count() AS total FROM events GROUP BY event")
}

fn sent(request: &RecordedRequest) -> (&str, &str) {
    (&request.method, &request.path)
}

#[tokio::test]
async fn what_is_sent() {
    let (server, client) = start();
    server.answer_with(|_| Some(answer(counts())));
    let evil = "x' OR 1=1 -- {other}";
    let query = client
        .project(1)
        .hogql("SELECT 1 FROM events WHERE event = {event} AND n IN {ns}")
        .value("event", evil)
        .value("ns", [1, 2])
        .value("nothing", None::<u8>)
        .set("filters", json!({"filterTestAccounts": true}))
        .option("variables_override", json!({"a": {}}))
        .name("nightly")
        .refresh(HogQlRefresh::ForceBlocking);
    let id = query.id().to_owned();
    assert_eq!(id.len(), 36);
    query.await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(sent(request), ("POST", PATH));
    assert_eq!(request.header("authorization"), Some("Bearer phx_test"));
    assert_eq!(
        request.json().unwrap(),
        json!({
            "query": {
                "kind": "HogQLQuery",
                "query": "SELECT 1 FROM events WHERE event = {event} AND n IN {ns}",
                "values": {"event": evil, "ns": [1, 2], "nothing": null},
                "filters": {"filterTestAccounts": true},
            },
            "variables_override": {"a": {}},
            "name": "nightly",
            "refresh": "force_blocking",
            "client_query_id": id,
        })
    );

    counting(&client).await.unwrap();
    let body = server.requests()[1].json().unwrap();
    assert_eq!(body.get("refresh"), None, "PostHog's default is PostHog's");
    assert_ne!(body["client_query_id"], json!(id));
}

#[tokio::test]
async fn rows_of_several_types() {
    #[derive(Deserialize, Debug, PartialEq)]
    struct Count {
        total: u64,
        event: String,
    }
    let (server, client) = start();
    server.answer_with(|_| Some(answer(counts())));
    let tuples: Vec<(String, u32)> = counting(&client).rows().await.unwrap();
    assert_eq!(tuples, [("signup".into(), 3), ("login".into(), 40)]);
    let structs: Vec<Count> = counting(&client).rows().await.unwrap();
    assert_eq!((structs[1].total, structs[1].event.as_str()), (40, "login"));

    let whole = counting(&client).run().await.unwrap();
    assert!(!whole.has_more);
    assert_eq!(whole.columns, ["event", "total"]);
    assert_eq!(whole.types, ["String", "UInt64"]);

    let error = counting(&client).rows::<(u8, u8)>().await.unwrap_err();
    assert!(matches!(error, PostHogError::SerializationError { .. }));
    assert!(
        error.to_string().contains("row 1, column \"event\""),
        "{error}"
    );

    server.answer_next(answer(json!({"columns": ["n"], "results": [[17]]})));
    assert_eq!(counting(&client).one::<u64>().await.unwrap(), 17);
    let error = counting(&client).one::<(String, u64)>().await.unwrap_err();
    assert!(error.to_string().contains("2 rows"), "{error}");
}

#[tokio::test]
async fn rows_that_are_not_all_are_an_error_unless_asked_for() {
    let (server, client) = start();
    let mut cut = counts();
    cut["hasMore"] = json!(true);
    server.answer_with(move |_| Some(answer(cut.clone())));
    let events = || counting(&client);
    type Row = (String, u64);
    let all = events().rows::<Row>().await;
    let one = events().one::<Row>().await.map(|row| vec![row]);
    let in_background = events().in_background().rows::<Row>().await;
    let node = json!({"kind": "EventsQuery", "select": ["event"], "limit": 2});
    let node = || client.project(1).query_node(&node);
    for error in [all, one, in_background, node().rows().await] {
        let error = error.unwrap_err();
        assert!(
            matches!(error, PostHogError::MoreRows { rows: 2, .. }),
            "{error}"
        );
        let said = error.to_string();
        assert!(
            said.contains("LIMIT") && said.contains("first_rows"),
            "{said}"
        );
    }
    let first = [("signup".to_owned(), 3), ("login".to_owned(), 40)];
    assert_eq!(events().first_rows::<Row>().await.unwrap(), first);
    assert_eq!(node().first_rows::<Row>().await.unwrap(), first);
    let background = events().in_background().first_rows::<Row>().await;
    assert_eq!(background.unwrap(), first);
    assert!(events().run().await.unwrap().has_more);
}

#[tokio::test]
async fn a_limit_that_posthog_cuts_silently_is_noticed() {
    let (server, client) = start();
    let hogql = |sql: &str| client.project(1).hogql(sql);
    let rows =
        |n: usize| answer(json!({"columns": ["n"], "results": vec![[1]; n], "hasMore": null}));
    let mut done = running("abc");
    done["query_status"]["complete"] = json!(true);
    done["query_status"]["results"] = json!({"columns": ["n"], "results": vec![[1]; 50_000]});

    let above = "SELECT 1 AS n FROM events LIMIT 60000";
    server.answer_next(rows(50_000));
    let error = hogql(above).rows::<u8>().await.unwrap_err();
    assert!(
        matches!(error, PostHogError::MoreRows { rows: 50_000, .. }),
        "{error}"
    );
    server.answer_next(Answer::status(202).json(running("abc")));
    server.answer_next(answer(done));
    let query = hogql(above).in_background().poll(SOON, SOON);
    let error = query.rows::<u8>().await.unwrap_err();
    assert!(matches!(error, PostHogError::MoreRows { .. }), "{error}");
    server.answer_next(rows(50_000));
    assert_eq!(hogql(above).first_rows::<u8>().await.unwrap().len(), 50_000);

    // Queries that may ask for more.
    let many = "SELECT 1 AS n FROM events LIMIT 0, 60000";
    let node = json!({"kind": "DataTableNode", "source": {"kind": "HogQLQuery", "query": above}});
    let queries = [
        hogql("SELECT 1 AS n FROM events LIMIT {n}").value("n", 60_000),
        hogql("SELECT 1 AS n LIMIT 1").set("query", above),
        hogql(many),
    ];
    for query in queries {
        server.answer_next(rows(50_000));
        let error = query.rows::<u8>().await.unwrap_err();
        assert!(matches!(error, PostHogError::MoreRows { .. }), "{error}");
    }
    server.answer_next(rows(50_000));
    let node = client.project(1).query_node(&node).rows::<u8>().await;
    assert!(
        matches!(node, Err(PostHogError::MoreRows { .. })),
        "{node:?}"
    );

    // All that there are, or that were asked for.
    for (sql, n) in [
        (above, 49_999),
        ("SELECT 1 AS n FROM events LIMIT 50000", 50_000),
    ] {
        server.answer_next(rows(n));
        assert_eq!(hogql(sql).rows::<u8>().await.unwrap().len(), n);
    }
}

/// Rows as PostHog's text says them, over a real socket.
async fn rows<T: serde::de::DeserializeOwned>(
    columns: Value,
    results: &str,
) -> Result<Vec<T>, String> {
    let (server, client) = start();
    let text = format!(r#"{{"columns": {columns}, "results": {results}}}"#);
    server.answer_next(Answer::status(200).body(text.clone()));
    let rows = client.project(1).hogql("SELECT 1").rows().await;

    // In the background, the answer is part of a status.
    let text = format!(
        r#"{{"query_status": {{"id": "a", "complete": true, "error": false, "results": {text}}}}}"#
    );
    server.answer_next(Answer::status(202).json(running("a")));
    server.answer_next(Answer::status(200).body(text));
    let query = client.project(1).hogql("SELECT 1").in_background();
    let in_background = query.poll(SOON, SOON).rows::<T>().await;
    assert_eq!(rows.is_ok(), in_background.is_ok());
    rows.map_err(|error| error.to_string())
}

#[tokio::test]
async fn numbers_arrive_as_they_were_sent() {
    let n = || json!(["n"]);
    let max = u128::MAX;
    assert_eq!(rows(n(), &format!("[[{max}]]")).await, Ok(vec![max]));
    assert_eq!(rows(n(), &format!("[[\"{max}\"]]")).await, Ok(vec![max]));
    let min = i128::MIN;
    assert_eq!(rows(n(), &format!("[[{min}]]")).await, Ok(vec![min]));
    let huge = "1".repeat(77); // UInt256
    assert_eq!(
        rows(n(), &format!("[[{huge}]]")).await,
        Ok(vec![huge.clone()])
    );
    assert_eq!(
        rows(n(), "[[18446744073709551615]]").await,
        Ok(vec![u64::MAX])
    );
    assert_eq!(
        rows(n(), "[[-9223372036854775808]]").await,
        Ok(vec![i64::MIN])
    );
    let price = "12345678901234.123456789";
    assert_eq!(
        rows(n(), &format!("[[{price}]]")).await,
        Ok(vec![price.to_owned()])
    );
    let nested = r#"[[[18446744073709551616, 1]], [["2"]], ["[18446744073709551616]"]]"#;
    let big = 18_446_744_073_709_551_616_u128;
    assert_eq!(
        rows(n(), nested).await,
        Ok(vec![(vec![big, 1],), (vec![2],), (vec![big],)])
    );
    assert_eq!(rows(n(), "[[2.5]]").await, Ok(vec![2.5f32]));
    assert_eq!(
        rows(n(), "[[9007199254740992], [\"0.1\"], [1e300]]").await,
        Ok(vec![9_007_199_254_740_992.0, 0.1, 1e300])
    );
    let sum = rows::<f64>(n(), "[[NaN], [Infinity], [-Infinity]]")
        .await
        .unwrap();
    assert!(sum[0].is_nan());
    assert_eq!(sum[1..], [f64::INFINITY, f64::NEG_INFINITY]);

    // What its type does not hold is an error, and so is a null without an `Option`.
    for error in [
        rows::<u64>(n(), "[[18446744073709551616]]").await.map(drop),
        rows::<i64>(n(), "[[18446744073709551615]]").await.map(drop),
        rows::<u64>(n(), "[[-1]]").await.map(drop),
        rows::<u64>(n(), "[[1.5]]").await.map(drop),
        rows::<u64>(n(), "[[\"1.5\"]]").await.map(drop),
        rows::<u64>(n(), "[[1e19]]").await.map(drop),
        rows::<i64>(n(), "[[NaN]]").await.map(drop),
        rows::<f64>(n(), "[[9007199254740993]]").await.map(drop),
        rows::<f64>(n(), "[[\"9007199254740993\"]]").await.map(drop),
        rows::<f64>(n(), &format!("[[{huge}]]")).await.map(drop),
        rows::<f32>(n(), "[[16777217]]").await.map(drop),
        rows::<u64>(n(), "[[null]]").await.map(drop),
        rows::<String>(n(), "[[null]]").await.map(drop),
        rows::<(Vec<u8>,)>(n(), "[[[1, null]]]").await.map(drop),
    ] {
        let error = error.unwrap_err();
        assert!(error.contains("row 1, column \"n\": "), "{error}");
    }
    // A string is no token of JSON.
    assert_eq!(
        rows(n(), r#"[["NaN, -Infinity \" 18446744073709551616"]]"#).await,
        Ok(vec!["NaN, -Infinity \" 18446744073709551616".to_owned()])
    );
}

#[tokio::test]
async fn columns_of_one_name_are_not_merged() {
    use std::collections::HashMap;
    #[derive(Deserialize, Debug, PartialEq)]
    struct Twice {
        a: u8,
    }
    #[derive(Deserialize, Debug, PartialEq)]
    struct Other {
        b: u8,
    }
    let columns = || json!(["a", "b", "a"]);
    let text = "[[1, 2, 3]]";
    for error in [
        rows::<HashMap<String, u8>>(columns(), text).await.map(drop),
        rows::<Value>(columns(), text).await.map(drop),
        rows::<Twice>(columns(), text).await.map(drop),
    ] {
        let error = error.unwrap_err();
        assert!(error.contains('a') && error.contains("row 1"), "{error}");
    }
    let error = rows::<Value>(columns(), text).await.unwrap_err();
    assert!(error.contains("two columns with the name \"a\""), "{error}");
    assert_eq!(rows(columns(), text).await, Ok(vec![(1, 2, 3)]));
    assert_eq!(rows(columns(), text).await, Ok(vec![vec![1, 2, 3]]));
    assert_eq!(rows(columns(), text).await, Ok(vec![Other { b: 2 }]));

    // As many fields as columns, or none would miss the others.
    for error in [
        rows::<(u8, u8)>(columns(), text).await.map(drop),
        rows::<[u8; 2]>(columns(), text).await.map(drop),
        rows::<(u8, u8, u8, u8)>(columns(), text).await.map(drop),
        rows::<u8>(columns(), text).await.map(drop),
        rows::<HashMap<String, u8>>(json!(["a"]), text)
            .await
            .map(drop),
        rows::<Other>(json!(["b", "c"]), text).await.map(drop),
        rows::<FirstOf>(columns(), text).await.map(drop),
    ] {
        let error = error.unwrap_err();
        assert!(error.contains("row 1, it has 3 values"), "{error}");
    }
}

/// Takes the first of a list and leaves the others.
#[derive(Debug)]
struct FirstOf;

impl<'de> Deserialize<'de> for FirstOf {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> serde::de::Visitor<'de> for First {
            type Value = FirstOf;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<FirstOf, A::Error> {
                list.next_element::<u8>().map(|_| FirstOf)
            }
        }
        from.deserialize_seq(First)
    }
}

#[tokio::test]
async fn dates_times_and_nulls() {
    use std::time::SystemTime;
    use tracing_posthog::rest::Time;
    let at = |text: &str| Time::parse(text).unwrap().to_system_time().unwrap();

    #[derive(Deserialize, Debug, PartialEq)]
    struct Row<T, D> {
        day: D,
        at: T,
        exact: T,
        gone: Option<T>,
    }
    let columns = || json!(["day", "at", "exact", "gone"]);
    let text = r#"[
        ["2031-04-05", "2031-04-05T06:07:08Z", "2031-04-05T06:07:08.123456+02:00", null],
        ["1969-12-31", "2031-04-05 06:07:08Z", "2031-04-05T06:07:08.123456789Z", "2031-04-05T00:00:00Z"]]"#;

    let kept: Vec<Row<Time, Time>> = rows(columns(), text).await.unwrap();
    assert_eq!(kept[0].day.as_str(), "2031-04-05");
    assert_eq!(kept[0].exact.as_str(), "2031-04-05T06:07:08.123456+02:00");
    assert_eq!(kept[0].gone, None);
    let gone = kept[1].gone.as_ref().unwrap();
    assert_eq!(gone.to_system_time(), Some(at("2031-04-05T00:00:00Z")));

    let system: Vec<Row<SystemTime, String>> = rows(columns(), text).await.unwrap();
    assert_eq!(system[0].at, at("2031-04-05T06:07:08Z"));
    assert_eq!(system[0].exact, at("2031-04-05T04:07:08.123456Z"));
    assert_eq!((system[0].gone, system[1].gone.is_some()), (None, true));

    let jiff: Vec<Row<jiff::Timestamp, jiff::civil::Date>> = rows(columns(), text).await.unwrap();
    assert_eq!(jiff[0].day, jiff::civil::date(2031, 4, 5));
    assert_eq!(jiff[0].exact.to_string(), "2031-04-05T04:07:08.123456Z");
    assert_eq!(jiff[1].exact.subsec_nanosecond(), 123_456_789);
    assert_eq!(jiff[0].gone, None);

    let chrono: Vec<Row<chrono::DateTime<chrono::Utc>, chrono::NaiveDate>> =
        rows(columns(), text).await.unwrap();
    assert_eq!(chrono[0].day.to_string(), "2031-04-05");
    assert_eq!(SystemTime::from(chrono[0].exact), system[0].exact);
    assert_eq!(chrono[0].gone, None);

    // One column, and times within arrays; a day and a time without an offset are read as UTC.
    let n = || json!(["n"]);
    let midnight = at("2031-04-05T00:00:00Z");
    assert_eq!(
        rows(n(), r#"[["2031-04-05"], ["2031-04-05 00:00:00"]]"#).await,
        Ok(vec![midnight, midnight])
    );
    assert_eq!(
        rows(n(), r#"[[["2031-04-05", null]]]"#).await,
        Ok(vec![(vec![Some(midnight), None],)])
    );
    for (cell, says) in [
        ("null", "null"),
        ("1", "integer"),
        ("\"soon\"", "expected a time"),
        ("\"-7d\"", "expected a time"),
        ("\"1969-12-31\"", "after 1970"),
    ] {
        let error = rows::<SystemTime>(n(), &format!("[[{cell}]]")).await;
        let error = error.unwrap_err();
        assert!(error.contains("column \"n\": invalid"), "{error}");
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("soon"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_query_tells_posthogs_words_and_the_place() {
    let (server, client) = start();
    server.answer_next(Answer::status(400).json(json!({
        "type": "validation_error", "code": "unknown_identifier", "attr": null,
        "detail": "Unable to resolve field: evnt", "extra": {"start": 7, "end": 11},
    })));
    let error = counting(&client).rows::<Value>().await.unwrap_err();
    assert!(
        error.to_string().contains("Unable to resolve field: evnt"),
        "{error}"
    );
    let place = error.hogql_position().unwrap();
    assert_eq!((place.start, place.end), (Some(7), Some(11)));

    // As newer PostHogs tell it.
    let told = json!({"hogql_metadata": {"errors": [{"message": "no", "start": 7, "end": 11}]}});
    server.answer_next(Answer::status(400).json(json!({
        "type": "validation_error", "code": "unknown_identifier", "attr": null,
        "detail": "Unable to resolve field: evnt", "extra": told,
    })));
    let error = counting(&client).rows::<Value>().await.unwrap_err();
    let place = error.hogql_position().unwrap();
    assert_eq!((place.start, place.end), (Some(7), Some(11)));

    // Told in an answer that is otherwise good.
    server.answer_next(answer(
        json!({"results": [], "error": "Syntax error at line 3, column 9"}),
    ));
    let error = counting(&client).run().await.unwrap_err();
    assert!(matches!(error, PostHogError::QueryFailed { .. }));
    assert_eq!(error.hogql_position().unwrap().line, Some(3));
}

#[tokio::test]
async fn in_the_background_until_it_is_done() {
    let (server, client) = start();
    server.answer_next(Answer::status(202).json(running("abc")));
    server.answer_next(Answer::status(202).json(running("abc")));
    server.answer_next(Answer::status(202).json(running("abc")));
    let mut done = running("abc");
    done["query_status"]["complete"] = json!(true);
    done["query_status"]["results"] = counts();
    server.answer_next(answer(done));

    let seen = Arc::new(Mutex::new(Vec::new()));
    let shown = Arc::clone(&seen);
    let rows: Vec<(String, u64)> = counting(&client)
        .in_background()
        .progress(move |status| {
            let fraction = status.progress.as_ref().and_then(|p| p.fraction());
            shown.lock().unwrap().push((status.complete, fraction));
        })
        .poll(SOON, SOON)
        .rows()
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    let quarter = Some(0.25);
    assert_eq!(
        *seen.lock().unwrap(),
        [(false, quarter), (false, quarter), (true, quarter)]
    );

    let requests = server.requests();
    assert_eq!(requests[0].json().unwrap()["refresh"], "async");
    for request in &requests[1..] {
        assert_eq!(sent(request), ("GET", "/api/projects/1/query/abc/"));
        assert_eq!(request.query.as_deref(), Some("show_progress=true"));
    }
    assert_eq!(requests.len(), 4);
}

#[tokio::test]
async fn a_fresh_result_needs_no_waiting() {
    let (server, client) = start();
    let mut complete = running("abc");
    complete["query_status"]["complete"] = json!(true);
    complete["query_status"]["results"] = json!({"columns": ["n"], "results": [[1]]});
    let mut stale = counts();
    stale["query_status"] = complete["query_status"].clone();
    for fresh in [counts(), complete, stale] {
        server.clear();
        server.answer_next(answer(fresh));
        let query = counting(&client).refresh(HogQlRefresh::ForceBlocking);
        let answer = query.in_background().await.unwrap();
        assert!(answer.results[0].is_array());
        assert_eq!(server.request_count(), 1);
        assert_eq!(
            server.requests()[0].json().unwrap()["refresh"],
            "force_async"
        );
    }
    // Asked not to wait, the answer says that it is not there yet.
    server.answer_next(Answer::status(202).json(running("abc")));
    let query = counting(&client).refresh(HogQlRefresh::Async);
    let id = query.id().to_owned();
    let before = Instant::now();
    let error = query.rows::<Value>().await.unwrap_err();
    let PostHogError::QueryRunning {
        query_id, waited, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*query_id, id);
    assert!(*waited > Duration::ZERO && *waited <= before.elapsed());
    assert!(error.is_retryable());
    let said = error.to_string();
    for part in ["still running", &id, "in_background()"] {
        assert!(said.contains(part), "{said}");
    }
    // Read by other means, it is still known which query it is.
    let answer: tracing_posthog::rest::HogQlAnswer =
        serde_json::from_value(running("abc")).unwrap();
    let error = answer.rows::<Value>().unwrap_err();
    assert!(
        matches!(&error, PostHogError::QueryRunning { query_id, .. } if query_id == "abc"),
        "{error}"
    );
}

#[tokio::test]
async fn a_failure_in_the_background_tells_posthogs_words() {
    let (server, client) = start();
    let failed = |message: Value| {
        let mut failed = running("abc");
        failed["query_status"]["complete"] = json!(true);
        failed["query_status"]["error"] = json!(true);
        failed["query_status"]["error_message"] = message;
        failed
    };
    for (status, message, says) in [
        (
            400,
            json!("Query exceeded its memory"),
            "Query exceeded its memory",
        ),
        (
            200,
            json!("Query exceeded its memory"),
            "Query exceeded its memory",
        ),
        (200, json!(null), "does not say why"),
        (500, json!(null), "does not say why"),
    ] {
        server.answer_next(Answer::status(202).json(running("abc")));
        server.answer_next(Answer::status(status).json(failed(message)));
        let query = counting(&client).in_background().poll(SOON, SOON);
        let error = query.cancel_on_drop().run().await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let cancels = server
        .requests()
        .iter()
        .filter(|r| r.method == "DELETE")
        .count();
    assert_eq!(cancels, 0, "what has ended is not cancelled");
}

#[tokio::test]
async fn a_query_that_failed_is_asked_about_once_whatever_the_status() {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .personal_api_key("phx_test")
        .host(server.url())
        .circuit_breaker(CircuitBreaker::after_failures(1))
        .build()
        .unwrap();
    server.answer_next(Answer::status(202).json(running("abc")));
    server.answer_with(|_| {
        let mut failed = running("abc");
        failed["query_status"]["complete"] = json!(true);
        failed["query_status"]["error"] = json!(true);
        Some(Answer::status(500).json(failed))
    });
    let query = counting(&client).in_background().poll(SOON, SOON);
    let error = query.cancel_on_drop().run().await.unwrap_err();
    assert!(
        matches!(&error, PostHogError::QueryFailed { query_id, .. } if query_id == "abc"),
        "{error}"
    );
    let methods: Vec<_> = server.requests().into_iter().map(|r| r.method).collect();
    assert_eq!(methods, ["POST", "GET"]);
    assert_eq!(
        client.circuit_state(tracing_posthog::Destination::Api),
        CircuitState::Closed
    );
}

#[tokio::test]
async fn waits_of_any_length_are_settings_like_others() {
    let (server, client) = start();
    server.answer_next(answer(running("q1")));
    for _ in 0..3 {
        server.answer_next(answer(running("q1")));
    }
    let mut done = running("q1");
    done["query_status"]["complete"] = true.into();
    done["query_status"]["results"] = counts();
    server.answer_next(answer(done));
    let query = counting(&client).time_limit(Duration::MAX).in_background();
    let start = Instant::now();
    query
        .poll(Duration::ZERO, Duration::ZERO)
        .run()
        .await
        .unwrap();
    // Four waits: asked without a pause, it would be over at once.
    assert!(start.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_time_limit_cancels_and_says_so() {
    let (server, client) = start();
    // The first request sets up TLS, which takes a while.
    server.answer_next(answer(counts()));
    counting(&client).run().await.unwrap();
    let limit = Duration::from_millis(700);
    for (status, says) in [(200, "was cancelled"), (404, "could not be cancelled")] {
        server.clear();
        server.answer_with(move |request| {
            Some(match request.method.as_str() {
                "DELETE" => Answer::status(status).json(json!({"message": "ok"})),
                _ => Answer::status(202).json(running("abc")),
            })
        });
        let query = counting(&client).time_limit(limit).in_background();
        let error = query.poll(SOON, SOON).run().await.unwrap_err();
        assert!(
            matches!(error, PostHogError::QueryTimeLimit { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains("abc"), "{error}");
        let last = server.requests().pop().unwrap();
        assert_eq!(sent(&last), ("DELETE", "/api/projects/1/query/abc/"));
    }

    // A query that is waited for in one request, too, by the id that it was given here.
    server.clear();
    server.answer_with(|request| {
        Some(match request.method.as_str() {
            "POST" => Answer::stall(),
            _ => Answer::status(204),
        })
    });
    let query = counting(&client).time_limit(limit);
    let place = format!("{PATH}{}/", query.id());
    let before = Instant::now();
    let error = query.run().await.unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(15));
    assert!(error.to_string().contains("was cancelled"), "{error}");
    assert_eq!(sent(&server.requests()[1]), ("DELETE", place.as_str()));
}

#[tokio::test]
async fn a_handle_cancels_and_waits_again() {
    let (server, client) = start();
    server.answer_with(|request| {
        Some(match request.method.as_str() {
            "DELETE" => answer(json!({"message": "Query cancelled"})),
            _ => Answer::status(202).json(running("abc")),
        })
    });
    let mut query = counting(&client)
        .in_background()
        .poll(SOON, SOON)
        .start()
        .await
        .unwrap();
    assert_eq!(query.id(), "abc");
    assert!(!query.status().await.unwrap().complete);
    tokio::select! {
        done = query.wait() => panic!("{done:?}"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
    query.cancel().await.unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!(sent(&last), ("DELETE", "/api/projects/1/query/abc/"));

    server.answer_next(Answer::status(503));
    assert_eq!(query.wait().await.unwrap_err().status(), Some(503));
    server.answer_next(answer(
        json!({"query_status": {"complete": true, "results": [[1]]}}),
    ));
    assert_eq!(query.wait().await.unwrap().one::<u8>().unwrap(), 1);
}

#[tokio::test]
async fn dropping_cancels_where_it_is_asked_for() {
    let (server, client) = start();
    server.answer_with(|_| Some(Answer::status(202).json(running("abc"))));
    let patient = Duration::from_secs(60);
    let begin = || counting(&client).in_background().poll(patient, patient);

    let cancels = || {
        server
            .requests()
            .iter()
            .filter(|r| r.method == "DELETE")
            .count()
    };
    let some_time = Duration::from_millis(100);

    drop(begin().start().await.unwrap());
    let waiting = tokio::time::timeout(some_time, begin().run());
    assert!(waiting.await.is_err());
    tokio::time::sleep(some_time).await;
    assert_eq!(cancels(), 0, "left running");

    drop(begin().cancel_on_drop().start().await.unwrap());
    let since = Instant::now();
    while cancels() == 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "never cancelled");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let last = server.requests().pop().unwrap();
    assert_eq!(sent(&last), ("DELETE", "/api/projects/1/query/abc/"));
}

#[tokio::test]
async fn a_drop_while_the_time_limit_cancels_still_cancels() {
    let (server, client) = start();
    // The first request sets up TLS, which takes a while.
    server.answer_next(answer(counts()));
    counting(&client).run().await.unwrap();
    let stalled = Arc::new(AtomicBool::new(false));
    server.answer_with(move |request| {
        Some(match request.method.as_str() {
            "DELETE" if !stalled.swap(true, SeqCst) => Answer::stall(),
            "DELETE" => Answer::status(204),
            _ => Answer::status(202).json(running("abc")),
        })
    });
    let cancels = |n: usize| {
        server
            .requests()
            .iter()
            .filter(|r| r.method == "DELETE")
            .count()
            >= n
    };
    // Starting it takes a part of the limit.
    let query = counting(&client).time_limit(Duration::from_secs(2));
    let query = query.in_background().poll(SOON, SOON).cancel_on_drop();
    let mut query = query.start().await.unwrap();
    let asked = async {
        while !cancels(1) {
            tokio::time::sleep(SOON).await;
        }
    };
    tokio::select! {
        done = query.wait() => panic!("{done:?}"),
        () = asked => {}
    }
    drop(query);
    let again = async {
        while !cancels(2) {
            tokio::time::sleep(SOON).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), again);
    in_time.await.expect("a second cancellation");
}

#[tokio::test]
async fn any_query_by_its_kind() {
    let (server, client) = start();
    server.answer_with(|_| {
        Some(answer(
            json!({"results": [{"data": [1, 2], "label": "signup"}]}),
        ))
    });
    let trend = json!({"kind": "TrendsQuery", "series": []});
    let answer = client
        .project("@current")
        .query_node(&trend)
        .run()
        .await
        .unwrap();
    assert_eq!(answer.results[0]["data"], json!([1, 2]));
    let request = &server.requests()[0];
    assert_eq!(sent(request), ("POST", "/api/projects/@current/query/"));
    assert_eq!(request.json().unwrap()["query"], trend);

    for (query, path) in [
        (
            client.project(1).query_node(&trend),
            "/api/projects/1/query/",
        ),
        (
            client.environment(1).query_node(&trend),
            "/api/environments/1/query/",
        ),
        (
            client.environment("@current").query_node(&trend),
            "/api/environments/@current/query/",
        ),
    ] {
        query.run().await.unwrap();
        assert_eq!(sent(&server.requests().pop().unwrap()), ("POST", path));
    }
    let query = client.environment(1).hogql("SELECT 1");
    query.await.unwrap();
    let path = "/api/environments/1/query/";
    assert_eq!(sent(&server.requests().pop().unwrap()), ("POST", path));

    #[derive(Deserialize)]
    struct Series {
        label: String,
    }
    let series: Vec<Series> = client.project(1).query_node(&trend).rows().await.unwrap();
    assert_eq!(series[0].label, "signup");

    server.clear();
    for query in [
        client.project(1).query_node(&json!({"series": []})),
        client.project(1).query_node("SELECT 1"),
    ] {
        let error = query.run().await.unwrap_err();
        assert!(error.to_string().contains("kind"), "{error}");
    }
    let hogql = |project, sql| client.project(project).hogql(sql);
    for (query, says) in [
        (hogql("..", "SELECT 1"), "project_id"),
        (hogql("", "SELECT 1"), "project_id"),
        (
            hogql("1", "SELECT {a}").value("a", Unwritable),
            "written as JSON",
        ),
        (
            hogql("1", "SELECT {a}").set("values", 1).value("a", 1),
            "values",
        ),
    ] {
        let error = query.run().await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(server.request_count(), 0, "nothing of that is sent");
}

struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[tokio::test]
async fn posthog_checks_a_query() {
    let (server, client) = start();
    server.answer_next(answer(json!({
        "isValid": false, "errors": [{"message": "no such field", "start": 7, "end": 11}],
        "warnings": [], "notices": [], "table_names": ["events"],
    })));
    let query = client
        .project(1)
        .hogql("SELECT evnt FROM events WHERE event = {a}");
    let id = query.id().to_owned();
    let check = query.value("a", 1).check().await.unwrap();
    assert!(!check.is_valid);
    assert_eq!(check.errors[0].start, Some(7));
    assert_eq!(
        server.requests()[0].json().unwrap(),
        json!({
            "query": {"kind": "HogQLMetadata", "language": "hogQL",
                      "query": "SELECT evnt FROM events WHERE event = {a}",
                      // Where PostHog looks for the values of `{a}`.
                      "globals": {"a": 1}},
            "client_query_id": id,
        })
    );
}

#[tokio::test]
async fn debug_shows_neither_the_query_nor_the_key() {
    let (server, client) = start();
    server.answer_with(|_| Some(Answer::status(202).json(running("abc"))));
    let query = client
        .project(1)
        .hogql("SELECT 'ada@example.com'")
        .value("who", "ada@example.com");
    let mut shown = format!("{query:?}");
    let query = query.in_background();
    shown += &format!("{query:?}");
    shown += &format!("{:?}", query.start().await.unwrap());
    assert!(
        !shown.contains("ada@") && !shown.contains("phx_test"),
        "{shown}"
    );
}
