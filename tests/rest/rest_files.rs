//! Files that PostHog keeps in object storage: followed there, without anything of ours.

use std::time::Duration;
use tracing_posthog::rest::{Request, Untyped};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{
    CircuitBreaker, CircuitState, Destination, Method, PostHogClient, PostHogClientBuilder,
    PostHogError, RequestErrorKind, RetryPolicy,
};

const PATH: &str = "/api/projects/1/exports/7/content/";
/// As storages sign: encoded slashes and plus signs in either case, which a client must not change.
const SIGNED: &str =
    "/bucket/an%20export.csv?X-Amz-Credential=AKIA%2f2031&X-Amz-Signature=5ec%2B+r3t&x=%E2%82%AC~";

fn builder(server: &PostHogServer) -> PostHogClientBuilder {
    PostHogClient::builder()
        .personal_api_key("phx_secret")
        .host(server.url())
        .header("x-proxy-auth", "letmein")
        .retry(RetryPolicy::none())
        .circuit_breaker(CircuitBreaker::after_failures(1))
}

fn get(client: &PostHogClient) -> Request<Untyped> {
    client.request(Method::GET, PATH).file()
}

fn redirect(status: u16, to: &str) -> Answer {
    Answer::status(status).header("location", to)
}

/// A PostHog that redirects to a storage which has `a,b`.
fn start(status: u16) -> (PostHogServer, PostHogServer, PostHogClient) {
    let (posthog, storage) = (
        PostHogServer::start().unwrap(),
        PostHogServer::start().unwrap(),
    );
    let to = format!("{}{SIGNED}", storage.url());
    posthog.answer_with(move |_| Some(redirect(status, &to).header("set-cookie", "session=ours")));
    storage.answer_with(|_| Some(Answer::status(200).body("a,b\n")));
    let client = builder(&posthog).build().unwrap();
    (posthog, storage, client)
}

/// The request line, and nothing that is ours.
fn check(request: &RecordedRequest) {
    assert_eq!(request.method, "GET");
    let query = request.query.as_deref().unwrap();
    assert_eq!(format!("{}?{query}", request.path), SIGNED);
    for (name, value) in &request.headers {
        assert!(
            ["accept", "accept-encoding", "host"].contains(&&*name.to_ascii_lowercase()),
            "{name}: {value}"
        );
    }
    assert!(request.body.is_empty());
}

#[tokio::test]
async fn a_file_in_a_storage_is_read_there_without_anything_of_ours() {
    for status in [301, 302, 303, 307, 308] {
        let (posthog, storage, client) = start(status);
        let bytes = get(&client).send_for_bytes().await.unwrap();
        assert_eq!(bytes, "a,b\n");
        assert_eq!(get(&client).send_for_text().await.unwrap(), "a,b\n");
        let mut chunks = get(&client).send_for_stream().await.unwrap();
        assert_eq!(chunks.next().await.unwrap().unwrap(), "a,b\n");
        assert!(chunks.next().await.is_none());

        let key = Some("Bearer phx_secret");
        let ours = posthog.requests();
        assert_eq!(ours.len(), 3);
        assert!(ours.iter().all(|r| r.header("authorization") == key));
        assert!(ours.iter().all(|r| r.header("x-proxy-auth").is_some()));
        let requests = storage.requests();
        assert_eq!(requests.len(), 3);
        requests.iter().for_each(check);
    }
}

#[tokio::test]
async fn the_content_of_an_export_is_a_file() {
    let (posthog, storage, client) = start(302);
    let content = client.project(1).exports().content(7);
    assert_eq!(content.send_for_text().await.unwrap(), "a,b\n");
    assert_eq!(posthog.requests()[0].path, PATH);
    storage.requests().iter().for_each(check);
}

#[tokio::test]
async fn a_client_of_the_callers_own_adds_nothing_either() {
    let (posthog, storage, _) = start(302);
    let headers = reqwest::header::HeaderMap::from_iter([(
        reqwest::header::HeaderName::from_static("x-own"),
        reqwest::header::HeaderValue::from_static("own"),
    )]);
    let own = reqwest::Client::builder()
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let client = builder(&posthog).reqwest_client(own).build().unwrap();
    assert_eq!(get(&client).send_for_bytes().await.unwrap(), "a,b\n");
    assert_eq!(posthog.requests()[0].header("x-own"), Some("own"));
    storage.requests().iter().for_each(check);
}

#[tokio::test]
async fn nothing_else_follows() {
    let (_posthog, storage, client) = start(302);
    // What does not ask for a file, and what is no `GET`.
    let plain = client.request(Method::GET, PATH).send_for_bytes().await;
    let post = client.request(Method::POST, PATH).file();
    let put = client.request(Method::PUT, PATH).file().body("x");
    for result in [
        plain,
        post.send_for_bytes().await,
        put.send_for_bytes().await,
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.status(), Some(302), "{error}");
        assert!(error.to_string().contains("is not followed"), "{error}");
        assert!(!format!("{error} {error:?}").contains("5ec"), "{error}");
    }
    assert_eq!(storage.connection_count(), 0);

    // Addresses that are not of the web, or that bring credentials.
    let (posthog, storage) = (
        PostHogServer::start().unwrap(),
        PostHogServer::start().unwrap(),
    );
    let client = builder(&posthog).build().unwrap();
    let host = storage.addr().to_string();
    for to in [
        "file:///etc/passwd?X-Amz-Signature=5ec".to_owned(),
        format!("ftp://{host}{SIGNED}"),
        format!("ws://{host}{SIGNED}"),
        format!("http://user:5ec@{host}{SIGNED}"),
        format!("http://user@{host}{SIGNED}"),
        "data:text/plain,5ec".to_owned(),
        "http://".to_owned(),
    ] {
        posthog.answer_next(redirect(302, &to));
        let error = get(&client).send_for_bytes().await.unwrap_err();
        assert_eq!(error.status(), Some(302), "{to}: {error}");
        assert!(!format!("{error} {error:?}").contains("5ec"), "{error}");
    }
    assert_eq!(storage.connection_count(), 0);
}

#[tokio::test]
async fn circles_end() {
    let (posthog, storage, client) = start(302);
    let back = format!("{}{PATH}?X-Amz-Signature=5ec%2B+r3t", posthog.url());
    storage.answer_with(move |_| Some(redirect(302, &back)));
    let error = get(&client).send_for_bytes().await.unwrap_err();
    assert_eq!(error.status(), Some(302));
    assert!(!format!("{error} {error:?}").contains("5ec"), "{error}");
    assert_eq!((posthog.request_count(), storage.request_count()), (1, 1));

    // A storage that redirects to itself.
    let itself = format!("{}{SIGNED}", storage.url());
    storage.clear();
    storage.answer_with(move |_| Some(redirect(307, &itself)));
    let error = get(&client).send_for_bytes().await.unwrap_err();
    assert_eq!(error.status(), Some(307));
    assert!(storage.request_count() <= 10);

    // PostHog as its own storage.
    let (posthog, _, client) = start(302);
    let itself = format!("{}{PATH}", posthog.url());
    posthog.answer_with(move |_| Some(redirect(302, &itself)));
    let error = get(&client).send_for_bytes().await.unwrap_err();
    assert_eq!(error.status(), Some(302));
    assert_eq!(posthog.request_count(), 1);
}

#[tokio::test]
async fn a_page_of_posthog_itself_is_no_storage() {
    let (posthog, _, client) = start(302);
    let own = posthog.addr();
    // Its login, its `https`, and a file of its own.
    for to in [
        format!("{}/login?next={PATH}", posthog.url()),
        format!("https://{own}{PATH}"),
        format!("https://{}{PATH}", own.ip()),
    ] {
        posthog.clear();
        let location = to.clone();
        posthog.answer_with(move |request| match request.path.as_str() {
            PATH => Some(redirect(302, &location)),
            _ => Some(Answer::status(200).body("<html>log in</html>")),
        });
        let error = get(&client).send_for_bytes().await.unwrap_err();
        assert_eq!(error.status(), Some(302), "{to}: {error}");
        let (host, said) = (own.ip().to_string(), error.to_string());
        assert!(
            said.contains("it redirects to") && said.contains(&host),
            "{said}"
        );
        assert!(said.contains("check host and path"), "{said}");
        assert_eq!(posthog.request_count(), 1);
    }
    let signed = format!("{}{SIGNED}", posthog.url());
    posthog.clear();
    posthog.answer_with(move |request| match request.path.as_str() {
        PATH => Some(redirect(302, &signed)),
        _ => Some(Answer::status(200).body("a,b\n")),
    });
    assert_eq!(get(&client).send_for_bytes().await.unwrap(), "a,b\n");
    check(&posthog.requests()[1]);
}

#[tokio::test]
async fn a_login_page_is_not_handed_out_as_the_file() {
    let (posthog, storage, client) = start(302);
    let page = || {
        let page = Answer::status(200).body("<html>log in</html>");
        page.header("content-type", "Text/HTML; charset=utf-8")
    };
    storage.answer_with(move |_| Some(page()));
    let bytes = get(&client).send_for_bytes().await.map(drop);
    let text = get(&client).send_for_text().await.map(drop);
    let stream = get(&client).send_for_stream().await.map(drop);
    for result in [bytes, text, stream] {
        let said = result.unwrap_err().to_string();
        assert!(said.contains("a page of HTML"), "{said}");
        assert!(said.contains("redirects to"), "{said}");
    }
    let asked = get(&client).query("export_format", "text/html");
    asked.send_for_bytes().await.unwrap();

    // PostHog's own host, and what is no file.
    posthog.answer_with(move |_| Some(page()));
    let error = get(&client).send_for_bytes().await.unwrap_err();
    assert!(error.to_string().contains("PostHog's host"), "{error}");
    let plain = client.request(Method::GET, PATH);
    plain.send_for_bytes().await.unwrap();
}

#[tokio::test]
async fn a_client_that_follows_redirects_itself_is_named_where_that_loses_the_key() {
    let (posthog, other, _) = start(302);
    let to = format!("http://localhost:{}{PATH}", other.addr().port());
    posthog.answer_with(move |_| Some(redirect(302, &to)));
    other.answer_with(|_| Some(Answer::status(401)));
    let client = builder(&posthog).reqwest_client(reqwest::Client::new());
    let client = client.build().unwrap();
    let plain = client.request(Method::GET, PATH);
    let said = plain.send_for_bytes().await.unwrap_err().to_string();
    assert!(said.contains("http://localhost:"), "{said}");
    assert!(said.contains("got no key"), "{said}");
}

#[tokio::test]
async fn what_the_storage_refuses_is_said_without_its_words() {
    let (posthog, storage, _) = start(302);
    let retry = RetryPolicy::default()
        .attempts(2)
        .first_delay(Duration::from_millis(1));
    let client = builder(&posthog).retry(retry).build().unwrap();
    let words = r#"{"detail": "signature 5ec%2B+r3t", "SignatureProvided": "5ec%2B+r3t"}"#;
    storage.answer_next(Answer::status(403).body(words));
    let error = get(&client).send_for_bytes().await.unwrap_err();
    assert!(error.is_permission_denied() && error.missing_scope().is_none());
    let said = format!("{error} {error:?} {}", error.api_error().unwrap().body);
    assert!(said.contains("storage"), "{said}");
    assert!(!said.contains("5ec"), "{said}");

    // What may pass is tried again, with a fresh address, and PostHog's breaker stays closed.
    posthog.clear();
    storage.answer_next(Answer::status(503));
    assert_eq!(get(&client).send_for_bytes().await.unwrap(), "a,b\n");
    assert_eq!(posthog.request_count(), 2);
    storage.answer_next_times(2, Answer::status(503));
    let error = get(&client).send_for_bytes().await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    storage.answer_next_times(2, Answer::close());
    let error = get(&client).send_for_bytes().await.unwrap_err();
    assert!(
        matches!(&error, PostHogError::RequestError(e) if e.kind == RequestErrorKind::Interrupted),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("5ec"), "{error}");
    assert_eq!(client.circuit_state(Destination::Api), CircuitState::Closed);

    // A file that ends early is no file.
    storage.answer_next_times(2, Answer::wrong_length(1_000).body("a,b\n"));
    get(&client).send_for_bytes().await.unwrap_err();
    storage.answer_next(Answer::wrong_length(1_000).body("a,b\n"));
    let mut chunks = get(&client).send_for_stream().await.unwrap();
    chunks.next().await.unwrap().unwrap();
    let error = chunks.next().await.unwrap().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("5ec"), "{error}");
}
