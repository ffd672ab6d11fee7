//! `RequestContextLayer`: the span of a request, and who is in it. On real sockets, all on the test's own thread.

use crate::layers::Seen;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::routing::{get, post};
use axum::{Extension, Router};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use tokio::sync::{Barrier, Notify};
use tower_layer::Layer;
use tower_service::Service;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, info};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::tower::{RequestContextLayer, RequestContextService, ResponseBody};
use tracing_subscriber::prelude::*;

const SESSION: &str = "X-PostHog-Session-Id";
const DISTINCT: &str = "X-PostHog-Distinct-Id";

/// A browser, a service, and what is seen of it.
struct Site {
    captured: CapturedEvents,
    seen: Seen,
    url: String,
    _subscriber: DefaultGuard,
}

impl Site {
    async fn serve(app: Router) -> Self {
        let (captured, seen) = (CapturedEvents::new(), Seen::default());
        let subscriber = tracing_subscriber::registry()
            .with(seen.layer())
            .with(captured.layer());
        let _subscriber = tracing::subscriber::set_default(subscriber);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, app).await });
        Self {
            captured,
            seen,
            url,
            _subscriber,
        }
    }

    async fn ask(&self, path: &str, headers: &[(&str, &[u8])]) -> reqwest::Response {
        let mut request = reqwest::Client::new().get(format!("{}{path}", self.url));
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request = request.header(name, HeaderValue::from_bytes(value).unwrap());
        }
        request.send().await.unwrap()
    }

    /// Asks, and reads the answer to its end.
    async fn visit(&self, path: &str, headers: &[(&str, &[u8])]) -> StatusCode {
        let response = self.ask(path, headers).await;
        let status = response.status();
        response.bytes().await.unwrap();
        status
    }

    /// The only event, and forgets it.
    #[track_caller]
    fn event(&self) -> RecordedEvent {
        let mut events = self.captured.take();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// Lets other tasks run until the spans of so many requests are closed.
    async fn until_closed(&self, requests: usize) {
        while self.seen.with("close request").len() < requests {
            tokio::task::yield_now().await;
        }
    }
}

fn session(event: &RecordedEvent) -> Option<&str> {
    event.property("$session_id")?.as_str()
}

/// Its id, where somebody is named.
fn person(event: &RecordedEvent) -> Option<&str> {
    let personless = event.property("$process_person_profile") == Some(&false.into());
    (!personless).then_some(&*event.distinct_id)
}

async fn say() {
    info!(posthog.event = "said");
}

fn saying(layer: RequestContextLayer) -> Router {
    Router::new().route("/", get(say)).layer(layer)
}

#[tokio::test]
async fn everything_in_a_request_has_its_session() {
    async fn handler() -> Body {
        info!(posthog.event = "in the handler");
        let task = async { info!(posthog.event = "in a task") };
        tokio::spawn(task.in_current_span()).await.unwrap();
        let chunks = futures_util::stream::iter(0..3).map(|n| {
            info!(posthog.event = "in the body", n);
            Ok::<_, Infallible>(Bytes::from_static(b"chunk"))
        });
        Body::from_stream(chunks)
    }
    use futures_util::StreamExt;
    let app = Router::new().route("/", get(handler));
    let site = Site::serve(app.layer(RequestContextLayer::new())).await;
    site.visit("/", &[(SESSION, b" s1 "), (DISTINCT, b"eve")])
        .await;
    info!(posthog.event = "outside");

    let events = site.captured.events();
    let names: Vec<_> = events.iter().map(|e| &*e.event).collect();
    let body = "in the body";
    assert_eq!(
        names,
        ["in the handler", "in a task", body, body, body, "outside"]
    );
    for event in &events[..5] {
        assert_eq!(session(event), Some("s1"), "{}", event.event);
        assert_eq!(person(event), None, "the header is not trusted: {event}");
    }
    assert_eq!(session(&events[5]), None);
}

#[tokio::test]
async fn the_header_of_the_distinct_id_counts_only_if_trusted() {
    let layer = RequestContextLayer::new().trust_distinct_id_header();
    let site = Site::serve(saying(layer)).await;

    site.visit("/", &[(DISTINCT, b"ada")]).await;
    let event = site.event();
    assert_eq!((person(&event), session(&event)), (Some("ada"), None));

    let repeated: [(&str, &[u8]); 4] = [
        (DISTINCT, b" "),
        (DISTINCT, b"caf\xe9"),
        (DISTINCT, b"\tgrace\xc2\x85 "),
        (DISTINCT, b"eve"),
    ];
    site.visit("/", &repeated).await;
    assert_eq!(person(&site.event()), Some("grace"));

    site.visit("/", &[(DISTINCT, &[b'x'; 1000])]).await;
    assert_eq!(person(&site.event()), Some(&*"x".repeat(200)));

    site.visit("/", &[]).await;
    assert_eq!(person(&site.event()), None);
}

#[tokio::test]
async fn a_function_has_priority_and_its_panic_costs_the_identity_only() {
    let cookie = |name: &'static str| {
        move |head: &axum::http::request::Parts| {
            let value = head.headers.get("cookie")?.to_str().unwrap();
            assert_ne!(value, "panic", "of the test");
            value.strip_prefix(name).map(str::to_owned)
        }
    };
    let layer = RequestContextLayer::new()
        .trust_distinct_id_header()
        .distinct_id(cookie("user="))
        .session_id(cookie("session="));
    let site = Site::serve(saying(layer)).await;
    let headers = |cookie: &'static str| -> [(&str, &[u8]); 3] {
        [
            ("cookie", cookie.as_bytes()),
            (DISTINCT, b"eve"),
            (SESSION, b"s1"),
        ]
    };
    for (cookie, who, in_session) in [
        ("user= ada", Some("ada"), Some("s1")),
        ("user= ", Some("eve"), Some("s1")),
        ("session=s2", Some("eve"), Some("s2")),
        ("panic", None, None),
    ] {
        assert_eq!(site.visit("/", &headers(cookie)).await, StatusCode::OK);
        let event = site.event();
        assert_eq!(person(&event), who, "{cookie}");
        assert_eq!(session(&event), in_session, "{cookie}");
    }
}

#[tokio::test]
async fn an_outer_layer_may_say_who_it_is_and_so_may_code_within() {
    async fn log_in() {
        tracing::Span::current().record("posthog.distinct_id", "grace");
        say().await;
    }
    let ids = RequestContextLayer::new()
        .distinct_id(|head| Some(head.extensions.get::<Arc<str>>()?.to_string()));
    let app = Router::new()
        .route("/", get(say))
        .route("/login", get(log_in))
        .layer(ids)
        .layer(Extension(Arc::<str>::from("ada")));
    let site = Site::serve(app).await;
    site.visit("/", &[]).await;
    assert_eq!(person(&site.event()), Some("ada"));
    site.visit("/login", &[]).await;
    assert_eq!(person(&site.event()), Some("grace"));
}

#[tokio::test]
async fn the_span_says_method_route_and_status() {
    async fn no() -> StatusCode {
        StatusCode::BAD_GATEWAY
    }
    let app = Router::new()
        .route("/users/{id}", get(say))
        .nest("/shop", Router::new().route("/orders/{id}", post(no)))
        .layer(RequestContextLayer::new());
    let site = Site::serve(app).await;
    site.visit("/users/ada?token=secret", &[]).await;
    site.visit("/nowhere/secret", &[]).await;
    let client = reqwest::Client::new();
    let post = client.post(format!("{}/shop/orders/secret", site.url));
    post.send().await.unwrap().bytes().await.unwrap();
    let odd = client.request("SECRET".parse().unwrap(), format!("{}/users/1", site.url));
    odd.send().await.unwrap().bytes().await.unwrap();
    site.until_closed(4).await;

    let seen = |what: &str| site.seen.with(what);
    assert_eq!(
        seen("span INFO request"),
        [
            r#"span INFO request http.request.method="GET" http.route="/users/{id}""#,
            r#"span INFO request http.request.method="GET""#,
            r#"span INFO request http.request.method="POST" http.route="/shop/orders/{id}""#,
            r#"span INFO request http.request.method="_OTHER" http.route="/users/{id}""#,
        ]
    );
    assert_eq!(
        seen("record request"),
        [
            "record request http.response.status_code=200",
            "record request http.response.status_code=404",
            "record request http.response.status_code=502",
            r#"record request error.type="502""#,
            "record request http.response.status_code=405",
        ]
    );
    assert!(seen("secret").is_empty() && seen("SECRET").is_empty());
}

#[tokio::test]
async fn a_function_may_say_the_route_and_another_level_is_possible() {
    let layer = RequestContextLayer::new()
        .level(tracing::Level::DEBUG)
        .route(|head| head.uri.path().strip_suffix("/1").map(str::to_owned));
    let app = Router::new().route("/users/{id}", get(say)).layer(layer);
    let site = Site::serve(app).await;
    site.visit("/users/1", &[]).await;
    site.visit("/users/2", &[]).await;
    assert_eq!(
        site.seen.with("span DEBUG request"),
        [
            r#"span DEBUG request http.request.method="GET" http.route="/users""#,
            r#"span DEBUG request http.request.method="GET" http.route="/users/{id}""#,
        ]
    );
}

#[tokio::test]
async fn requests_that_wait_for_each_other_keep_their_own_identity() {
    let together = Arc::new(Barrier::new(2));
    let handler = {
        let together = together.clone();
        move || async move {
            together.wait().await;
            say().await;
            tokio::task::yield_now().await;
            say().await;
        }
    };
    let layer = RequestContextLayer::new().trust_distinct_id_header();
    let app = Router::new().route("/", get(handler)).layer(layer);
    let site = Site::serve(app).await;
    tokio::join!(
        site.visit("/", &[(DISTINCT, b"ada")]),
        site.visit("/", &[(DISTINCT, b"grace")])
    );
    let mut who: Vec<_> = site
        .captured
        .take()
        .iter()
        .map(|e| e.distinct_id.clone())
        .collect();
    who.sort();
    assert_eq!(who, ["ada", "ada", "grace", "grace"]);
    info!(posthog.event = "nobody is left in a span");
    assert_eq!(person(&site.event()), None);
}

/// Says so when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        info!(posthog.event = "dropped");
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_body_and_the_span() {
    let gone = Arc::new(Notify::new());
    let handler = {
        let gone = gone.clone();
        move || async move {
            let kept = Dropped(gone);
            let endless = futures_util::stream::unfold(kept, |kept| async move {
                tokio::task::yield_now().await;
                Some((Ok::<_, Infallible>(Bytes::from_static(b"chunk")), kept))
            });
            Body::from_stream(endless)
        }
    };
    let app = Router::new().route("/", get(handler));
    let site = Site::serve(app.layer(RequestContextLayer::new())).await;
    let mut response = site.ask("/", &[(SESSION, b"s1")]).await;
    response.chunk().await.unwrap();
    assert!(site.seen.with("close request").is_empty());
    drop(response);
    gone.notified().await;
    site.until_closed(1).await;
    assert_eq!(session(&site.event()), Some("s1"));
}

#[tokio::test]
async fn a_handler_whose_client_leaves_is_dropped_in_its_span() {
    let (started, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (started, gone) = (started.clone(), gone.clone());
        move || async move {
            let _kept = Dropped(gone);
            started.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let app = Router::new().route("/", get(handler));
    let site = Site::serve(app.layer(RequestContextLayer::new())).await;
    tokio::select! {
        _ = site.ask("/", &[(SESSION, b"s1")]) => panic!("it answers"),
        () = started.notified() => {}
    }
    gone.notified().await;
    site.until_closed(1).await;
    assert_eq!(session(&site.event()), Some("s1"));
    assert!(site.seen.with("record request").is_empty(), "no status");
}

#[tokio::test]
async fn hyper_alone_serves_it() {
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    let site = Site::serve(Router::new()).await;
    let service = RequestContextLayer::new().layer(tower::service_fn(
        async |_: hyper::Request<hyper::body::Incoming>| {
            say().await;
            Ok::<_, Infallible>(axum::http::Response::new(Body::from("hello")))
        },
    ));
    let (client, server) = tokio::io::duplex(1 << 16);
    let service = TowerToHyperService::new(service);
    let connection = hyper::server::conn::http1::Builder::new();
    tokio::spawn(connection.serve_connection(TokioIo::new(server), service));
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "x").header(SESSION, "s1");
    let request = request.body(Body::empty()).unwrap();
    let response = client.send_request(request).await.unwrap();
    let hello = axum::body::to_bytes(Body::new(response.into_body()), 10).await;
    assert_eq!(hello.unwrap(), "hello");
    assert_eq!(session(&site.event()), Some("s1"));
}

/// A service by itself: ready, then called once.
async fn call<S, R>(service: S) -> Result<axum::http::Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<()>, Response = axum::http::Response<R>>,
{
    let mut service = RequestContextLayer::new().layer(service);
    std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
    let request = Request::get("/").header(SESSION, "s1").body(()).unwrap();
    service.call(request).await
}

/// Its text is nobody's business.
#[derive(Debug)]
struct Refusal;

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the password is wrong: hunter2")
    }
}

impl std::error::Error for Refusal {}

#[tokio::test]
async fn errors_are_recorded_by_their_type_without_their_text() {
    let site = Site::serve(Router::new()).await;
    let refused = call(tower::service_fn(async |_: Request<()>| {
        say().await;
        Err::<axum::http::Response<Body>, _>(Refusal)
    }));
    assert!(refused.await.is_err());
    let cut = call(tower::service_fn(async |_: Request<()>| {
        let chunks = futures_util::stream::iter([Ok(Bytes::from_static(b"x")), Err(Refusal)]);
        Ok::<_, Infallible>(axum::http::Response::new(Body::from_stream(chunks)))
    }));
    let body = cut.await.unwrap().into_body();
    assert!(axum::body::to_bytes(Body::new(body), 10).await.is_err());
    assert_eq!(
        site.seen.with("record request"),
        [
            r#"record request error.type="layer::request_context::Refusal""#,
            "record request http.response.status_code=200",
            r#"record request error.type="axum_core::error::Error""#,
        ]
    );
    assert!(site.seen.with("hunter2").is_empty());
    assert_eq!(site.seen.with("close request").len(), 2);
    assert_eq!(session(&site.event()), Some("s1"));
}

#[tokio::test]
async fn the_span_closes_when_the_body_ends_even_if_it_is_kept() {
    use http_body::Body as _;
    let site = Site::serve(Router::new()).await;
    let gone = Arc::new(Notify::new());
    let answer = gone.clone();
    let response = call(tower::service_fn(async |_: Request<()>| {
        let kept = Dropped(answer.clone());
        let chunk = async move {
            drop(kept);
            Ok::<_, Infallible>(Bytes::from_static(b"all"))
        };
        let chunks = futures_util::stream::once(chunk);
        Ok::<_, Infallible>(axum::http::Response::new(Body::from_stream(chunks)))
    }));
    let mut body = Box::pin(response.await.unwrap().into_body());
    let chunk = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx));
    assert!(chunk.await.is_some());
    assert!(site.seen.with("close request").is_empty());
    let end = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx));
    assert!(end.await.is_none());
    assert_eq!(site.seen.with("close request").len(), 1);
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
    let after = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx));
    assert!(after.await.is_none());
    assert_eq!(session(&site.event()), Some("s1"));
}

/// Not ready at first, and then never again.
#[derive(Default)]
struct Tired(usize);

impl Service<Request<()>> for Tired {
    type Response = axum::http::Response<String>;
    type Error = Refusal;
    type Future = std::future::Ready<Result<Self::Response, Refusal>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.0 += 1;
        match self.0 {
            1 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            2 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(Refusal)),
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::ready(Ok(axum::http::Response::new(format!("after {}", self.0))))
    }
}

#[tokio::test]
async fn it_is_ready_when_the_service_is() {
    let mut service = RequestContextLayer::new().layer(Tired::default());
    std::future::poll_fn(|cx| service.poll_ready(cx))
        .await
        .unwrap();
    let body = service.call(Request::new(())).await.unwrap().into_body();
    let body = axum::body::to_bytes(Body::new(body), 10).await.unwrap();
    assert_eq!(body, "after 2");
    assert!(
        std::future::poll_fn(|cx| service.poll_ready(cx))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn where_nobody_wants_the_span_nothing_is_looked_up() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let layer = RequestContextLayer::new().distinct_id(move |_| {
        count.fetch_add(1, SeqCst);
        None
    });
    let service = tower::service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(axum::http::Response::new(()))
    });
    let mut service = layer.layer(service);
    for (level, times) in [(LevelFilter::WARN, 0), (LevelFilter::INFO, 1)] {
        let subscriber = tracing_subscriber::registry().with(level);
        let _subscriber = tracing::subscriber::set_default(subscriber);
        service.call(Request::new(())).await.unwrap();
        assert_eq!(asked.load(SeqCst), times, "{level}");
    }
}

#[test]
fn its_types_are_as_free_as_what_they_hold() {
    fn free<T: Clone + Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    fn default<T: Default + http_body::Body>() {}
    free::<RequestContextLayer>();
    free::<RequestContextService<()>>();
    default::<ResponseBody<String>>();
}
