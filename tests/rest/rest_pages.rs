//! Lists over real sockets: every style of paging, every item once, and no step to another place.

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tracing_posthog::rest::{Page, Raw, Request};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{Method, PostHogClient, PostHogError, RetryPolicy};

const PATH: &str = "/api/projects/1/persons/";

fn client(server: &PostHogServer) -> PostHogClient {
    PostHogClient::builder()
        .personal_api_key("phx_test")
        .host(server.url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap()
}

fn list(client: &PostHogClient) -> Request<Page<u32>> {
    client.request(Method::GET, PATH).answer_as()
}

fn parameter(request: &RecordedRequest, name: &str) -> Option<String> {
    let query = request.query.as_deref()?;
    let url = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
    url.query_pairs()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.into_owned())
}

fn answer(value: Value) -> Answer {
    Answer::status(200).json(value)
}

/// Seven items, three to a page, in PostHog's limit/offset style.
fn by_offset(server: &PostHogServer, public: String) {
    server.answer_with(move |request| {
        let number = |name, default| parameter(request, name).map_or(default, |n| n.parse().unwrap());
        let (limit, offset): (u32, u32) = (number("limit", 3), number("offset", 0));
        let next = offset + limit;
        Some(answer(json!({
            "count": 7,
            "next": (next < 7).then(|| format!("{public}{PATH}?limit={limit}&offset={next}&search=a%20b")),
            "previous": null,
            "results": (offset..next.min(7)).collect::<Vec<_>>(),
        })))
    });
}

#[tokio::test]
async fn limit_and_offset() {
    let server = PostHogServer::start().unwrap();
    by_offset(&server, server.url());
    let client = client(&server);
    let all = list(&client).query("search", "a b").all().await.unwrap();
    assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(request.path, PATH);
        assert_eq!(request.header("authorization"), Some("Bearer phx_test"));
        assert_eq!(parameter(&request, "search").as_deref(), Some("a b"));
    }
}

#[tokio::test]
async fn a_parameter_may_stand_there_several_times_and_on_every_page() {
    let server = PostHogServer::start().unwrap();
    let client = client(&server);
    let next = format!("{PATH}?offset=2&status=a%2Fb&status=c");
    server.answer_next(answer(json!({"results": [1], "next": next})));
    server.answer_next(answer(json!({"results": [2], "next": "?offset=3"})));
    server.answer_next(answer(json!({"results": [3]})));
    let all = list(&client)
        .query_repeated("status", ["a/b", "c"])
        .all()
        .await
        .unwrap();
    assert_eq!(all, [1, 2, 3]);
    for request in server.requests() {
        let query = request.query.unwrap();
        let statuses = query.split('&').filter(|pair| pair.starts_with("status="));
        assert!(statuses.eq(["status=a%2Fb", "status=c"]), "{query}");
    }

    // The last call for a name counts, whichever it is.
    server.answer_with(|_| Some(answer(json!([]))));
    let several = || list(&client).query_repeated("n", [1, 2]);
    for (request, query) in [
        (several().query("n", 3), Some("n=3")),
        (several().query_repeated("n", [4, 5]), Some("n=4&n=5")),
        (several().query_repeated("n", [0; 0]), None),
    ] {
        request.send().await.unwrap();
        assert_eq!(server.requests().pop().unwrap().query.as_deref(), query);
    }
}

#[tokio::test]
async fn cursors() {
    let server = PostHogServer::start().unwrap();
    let url = server.url();
    server.answer_with(move |request| {
        let (items, next) = match parameter(request, "cursor").as_deref() {
            None => (json!([1, 2]), Some("b=/+ &c")),
            Some("b=/+ &c") => (json!([]), Some("last")),
            Some(_) => (json!([3]), None),
        };
        let next = next.map(|cursor| {
            let mut next = reqwest::Url::parse(&format!("{url}{PATH}")).unwrap();
            next.query_pairs_mut().append_pair("cursor", cursor);
            next.to_string()
        });
        Some(answer(json!({"next": next, "results": items})))
    });
    let items: Vec<u32> = list(&client(&server)).stream().try_collect().await.unwrap();
    assert_eq!(items, [1, 2, 3]);
}

#[tokio::test]
async fn other_addresses_bare_arrays_and_flags() {
    let server = PostHogServer::start().unwrap();
    let client = client(&server);

    // An address without a host, and a parameter that is PostHog's own affair.
    server.answer_next(answer(
        json!({"results": [1], "next": format!("{PATH}?before=2024")}),
    ));
    server.answer_next(answer(json!({"results": [2], "next": null})));
    assert_eq!(list(&client).all().await.unwrap(), [1, 2]);
    assert_eq!(server.requests()[1].query.as_deref(), Some("before=2024"));

    server.answer_next(answer(json!([5, 6])));
    assert_eq!(list(&client).all().await.unwrap(), [5, 6]);

    server.clear();
    server.answer_next(answer(json!({"results": [1, 2], "has_next": true})));
    server.answer_next(answer(json!({"results": [3], "has_next": false})));
    let two = list(&client).query("limit", 2);
    assert_eq!(two.all().await.unwrap(), [1, 2, 3]);
    assert_eq!(
        server.requests()[1].query.as_deref(),
        Some("limit=2&offset=2")
    );
}

#[tokio::test]
async fn one_page_is_one_request_and_first_asks_for_no_more_than_it_needs() {
    let server = PostHogServer::start().unwrap();
    by_offset(&server, server.url());
    let client = client(&server);
    let page = list(&client).send().await.unwrap();
    assert_eq!((page.results.len(), page.count), (3, Some(7)));
    assert!(page.next.is_some());
    assert_eq!(server.request_count(), 1);

    assert_eq!(list(&client).first(4).await.unwrap(), [0, 1, 2, 3]);
    assert_eq!(server.request_count(), 3);
    assert!(list(&client).first(0).await.unwrap().is_empty());
    assert_eq!(server.request_count(), 3);

    let mut items = list(&client).stream();
    assert_eq!(
        server.request_count(),
        3,
        "what is not read is not asked for"
    );
    items.next().await.unwrap().unwrap();
    assert_eq!(server.request_count(), 4);
}

#[tokio::test]
async fn a_bound_that_is_too_small_is_an_error() {
    let server = PostHogServer::start().unwrap();
    by_offset(&server, server.url());
    let client = client(&server);
    assert_eq!(list(&client).all_up_to(7).await.unwrap().len(), 7);
    let error = list(&client).all_up_to(6).await.unwrap_err();
    assert!(matches!(error, PostHogError::Paging { .. }), "{error}");
    assert!(error.to_string().contains("more than 6 items"), "{error}");
}

#[tokio::test]
async fn a_prefix_stays_and_a_proxy_may_not_know_it() {
    let server = PostHogServer::start().unwrap();
    let prefixed = format!("{}/ph", server.url());
    for public in [prefixed.as_str(), &server.url(), "https://127.0.0.1"] {
        server.clear();
        by_offset(&server, public.to_owned());
        let client = PostHogClient::builder()
            .personal_api_key("phx_test")
            .host(format!("{prefixed}/"))
            .build()
            .unwrap();
        assert_eq!(list(&client).all().await.unwrap().len(), 7);
        let place = format!("/ph{PATH}");
        assert!(server.requests().iter().all(|r| r.path == place));
    }
}

#[tokio::test]
async fn a_next_page_elsewhere_is_refused_and_nothing_is_sent_there() {
    let server = PostHogServer::start().unwrap();
    let elsewhere = PostHogServer::start().unwrap();
    let (url, port) = (server.url(), elsewhere.addr().port());
    for (next, says) in [
        (
            format!("http://localhost:{port}{PATH}?offset=3"),
            "\"localhost\"",
        ),
        (
            format!("http://127.0.0.1.evil.example{PATH}"),
            "evil.example",
        ),
        (
            format!("{url}/api/projects/2/persons/?offset=3"),
            "something else",
        ),
        (format!("{url}{PATH}../../../users/"), "something else"),
        (format!("{url}/api/projects/1%2Fpersons/"), "something else"),
    ] {
        server.clear();
        server.answer_next(answer(json!({"results": [1], "next": next})));
        let mut items = list(&client(&server)).stream();
        assert_eq!(items.next().await.unwrap().unwrap(), 1);
        let error = items.next().await.unwrap().unwrap_err();
        assert!(matches!(error, PostHogError::Paging { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error} {error:?} {items:?}").contains("phx_test"));
        assert!(items.next().await.is_none());
        assert_eq!(server.request_count(), 1);
    }
    // Another port of the same host: whatever the address says, the configured one is asked.
    server.clear();
    let next = format!("http://127.0.0.1:{port}{PATH}?offset=1");
    server.answer_next(answer(json!({"results": [1], "next": next})));
    server.answer_next(answer(json!({"results": [2]})));
    assert_eq!(list(&client(&server)).all().await.unwrap(), [1, 2]);
    assert_eq!(
        (server.request_count(), elsewhere.connection_count()),
        (2, 0)
    );
}

#[tokio::test]
async fn another_name_can_be_allowed() {
    let server = PostHogServer::start().unwrap();
    by_offset(&server, "https://us.posthog.com".to_owned());
    let error = list(&client(&server)).all().await.unwrap_err();
    assert!(error.to_string().contains("us.posthog.com"), "{error}");
    let client = PostHogClient::builder()
        .personal_api_key("phx_test")
        .host(server.url())
        .alias("US.posthog.com")
        .build()
        .unwrap();
    assert_eq!(list(&client).all().await.unwrap().len(), 7);

    // What could never match is no name.
    for alias in [
        "https://us.posthog.com",
        "us.posthog.com:8000",
        "us.posthog.com/",
        "me@us.posthog.com",
        "",
    ] {
        let error = PostHogClient::builder()
            .personal_api_key("phx_test")
            .alias(alias)
            .build()
            .unwrap_err();
        assert!(error.to_string().starts_with("alias: "), "{error}");
    }
}

#[tokio::test]
async fn circles_and_empty_pages_without_end_are_errors() {
    let server = PostHogServer::start().unwrap();
    let client = client(&server);
    server.answer_with(|_| Some(answer(json!({"results": [1], "next": "?offset=1"}))));
    let error = list(&client).all().await.unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
    assert_eq!(server.request_count(), 2);

    // A list that does not know the `offset` it is asked for gives its first page again and again.
    server.clear();
    server.answer_with(|_| Some(answer(json!({"results": [1, 2], "has_more": true}))));
    let mut items = list(&client).stream();
    assert_eq!(items.next().await.unwrap().unwrap(), 1);
    assert_eq!(items.next().await.unwrap().unwrap(), 2);
    let error = items.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("came twice"), "{error}");
    assert!(items.next().await.is_none());
    assert_eq!(server.request_count(), 2);

    let n = Arc::new(AtomicUsize::new(0));
    server.answer_with(move |_| {
        let n = n.fetch_add(1, SeqCst);
        Some(answer(
            json!({"results": [], "next": format!("?offset={n}")}),
        ))
    });
    let error = list(&client).all().await.unwrap_err();
    assert!(error.to_string().contains("100 empty pages"), "{error}");
}

#[tokio::test]
async fn pages_go_on_after_a_failed_request_and_a_stream_ends() {
    let server = PostHogServer::start().unwrap();
    by_offset(&server, server.url());
    let client = client(&server);
    let mut pages = list(&client).pages();
    assert_eq!(pages.next().await.unwrap().unwrap().results, [0, 1, 2]);
    server.answer_next(Answer::status(503));
    let error = pages.next().await.unwrap().unwrap_err();
    assert_eq!(error.status(), Some(503));
    assert_eq!(pages.next().await.unwrap().unwrap().results, [3, 4, 5]);
    assert_eq!(pages.next().await.unwrap().unwrap().results, [6]);
    assert!(pages.next().await.is_none());
    assert!(pages.next().await.is_none());

    server.answer_next(Answer::status(403));
    let mut items = list(&client).stream();
    let error = items.next().await.unwrap().unwrap_err();
    assert!(error.is_permission_denied());
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn a_list_that_is_none_says_where_it_does_not_fit() {
    let server = PostHogServer::start().unwrap();
    let client = client(&server);
    for (value, says) in [
        (json!({"results": [1, {"id": 2}]}), "results[1]"),
        (json!({"detail": "no list"}), "not of the type"),
        (Value::Null, "not of the type"),
    ] {
        server.answer_next(answer(value));
        let error = list(&client).all().await.unwrap_err();
        assert!(matches!(error, PostHogError::SerializationError { .. }));
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_list_asked_for_by_a_body_goes_on_in_the_body() {
    let server = PostHogServer::start().unwrap();
    let growing = AtomicUsize::new(0);
    server.answer_with(move |request| {
        let asked = request.json().unwrap();
        let offset = asked["offset"].as_u64().unwrap_or(10);
        Some(answer(json!({
            "results": [{"id": offset}, {"id": offset + 1}],
            "hasMore": offset < 14, "limit": 2, "offset": offset, "nextOffset": offset + 2,
            // It grows meanwhile: no two pages are the same.
            "total": growing.fetch_add(1, SeqCst),
        })))
    });
    let issues = client(&server).project(1).error_tracking();
    let asked = json!({"status": "active", "offset": 10});
    let all = issues
        .query_issues(Raw(&asked))
        .query("format", "json")
        .all()
        .await
        .unwrap();
    let ids: Vec<_> = all
        .iter()
        .map(|issue| issue.id.as_deref().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["10", "11", "12", "13", "14", "15"]);
    let requests = server.requests();
    let offsets: Vec<_> = requests
        .iter()
        .map(|r| r.json().unwrap()["offset"].clone())
        .collect();
    assert_eq!(offsets, [10, 12, 14]);
    for request in requests {
        assert_eq!(request.query.as_deref(), Some("format=json"));
        assert_eq!(request.json().unwrap()["status"], "active");
    }
}

#[tokio::test]
async fn a_list_that_goes_on_nobody_knows_where_is_an_error() {
    let server = PostHogServer::start().unwrap();
    let client = client(&server);
    // It counts more than it gives, and has no word about a next page.
    let cut = || answer(json!({"count": 5, "results": [1, 2]}));
    server.answer_next_times(4, cut());
    let error = list(&client).all().await.unwrap_err();
    assert!(matches!(error, PostHogError::Paging { .. }), "{error}");
    for part in ["counts 5 items", "the first 2", "limit"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // Who wants no more than there are gets them, and a page is a page.
    assert_eq!(list(&client).first(2).await.unwrap(), [1, 2]);
    assert_eq!(list(&client).await.unwrap().results, [1, 2]);
    let mut items = list(&client).stream();
    assert_eq!(items.next().await.unwrap().unwrap(), 1);
    assert_eq!(items.next().await.unwrap().unwrap(), 2);
    assert!(items.next().await.unwrap().is_err());
    assert!(items.next().await.is_none());

    // These are at their end: PostHog says so, or all came, or it is not known how many came before.
    for end in [
        json!({"count": 5, "results": [1, 2], "next": null}),
        json!({"count": 5, "results": [1, 2], "has_more": false}),
        json!({"count": 2, "results": [1, 2]}),
        json!({"count": 1, "results": [1, 2]}),
    ] {
        server.answer_next(answer(end));
        assert_eq!(list(&client).all().await.unwrap(), [1, 2]);
    }
    for (name, value) in [
        ("offset", "3"),
        ("page", "2"),
        ("cursor", "a"),
        ("after", "b"),
    ] {
        server.answer_next(cut());
        let rest = list(&client).query(name, value).all().await;
        assert_eq!(rest.unwrap(), [1, 2]);
    }
    server.answer_next(cut());
    list(&client).query("offset", 2).all().await.unwrap_err();

    // Later pages count those before.
    server.answer_next(answer(
        json!({"count": 4, "results": [1, 2], "next": "?offset=2"}),
    ));
    server.answer_next(answer(json!({"count": 4, "results": [3, 4]})));
    assert_eq!(list(&client).all().await.unwrap(), [1, 2, 3, 4]);

    // An address that is none.
    for odd in [json!(7), json!({"url": "?offset=2"}), json!(true)] {
        server.answer_next(answer(json!({"results": [1], "next": odd})));
        let error = list(&client).all().await.unwrap_err();
        assert!(matches!(error, PostHogError::Paging { .. }), "{error}");
    }
}

#[tokio::test]
async fn nothing_of_a_page_is_dropped() {
    let server = PostHogServer::start().unwrap();
    let client = client(&server);
    // Two lists of results, or two of anything else: neither is the one.
    for twice in [
        r#"{"results": [1], "results": [2]}"#,
        r#"{"results": [1], "next": null, "next": "/?offset=1"}"#,
        r#"{"count": 1, "results": [1], "count": 2}"#,
        r#"{"results": [1], "other": 1, "other": 2}"#,
        r#"{"results": [1], "other": {"a": 1, "a": 2}}"#,
    ] {
        server.answer_next(Answer::status(200).body(twice));
        let error = list(&client).await.unwrap_err();
        assert!(
            matches!(error, PostHogError::SerializationError { .. }),
            "{twice}: {error}"
        );
    }
    // Items under another name.
    for other in [json!({"data": [1]}), json!({"items": [1], "next": null})] {
        server.answer_next(answer(other));
        let error = list(&client).all().await.unwrap_err();
        assert!(error.to_string().contains("`results`"), "{error}");
    }
    // A page of pages.
    let nested = json!({"results": [{"results": [1], "count": 1}, [2, 3]], "next": null});
    server.answer_next(answer(nested));
    let pages: Vec<Page<u8>> = client
        .request(Method::GET, PATH)
        .answer_as::<Page<Page<u8>>>()
        .all()
        .await
        .unwrap();
    assert_eq!(
        (&*pages[0].results, &*pages[1].results),
        (&[1][..], &[2, 3][..])
    );
    // An empty answer has no items, which is not the same as no answer.
    server.answer_next(Answer::status(200).body(""));
    list(&client).all().await.unwrap_err();
    server.answer_next(answer(json!(null)));
    list(&client).all().await.unwrap_err();
    server.answer_next(answer(json!([])));
    assert_eq!(list(&client).all().await.unwrap(), [0; 0]);
}
