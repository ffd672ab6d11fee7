//! [`RequestContextLayer`]: one `tracing` span per HTTP request that says who is there (feature `tower`).
//!
//! ```
//! use tracing_posthog::tower::RequestContextLayer;
//!
//! async fn order() -> &'static str {
//!     tracing::info!(posthog.event = "order placed", items = 3); // has the browser's $session_id
//!     "thank you"
//! }
//!
//! let app: axum::Router = axum::Router::new()
//!     .route("/orders", axum::routing::post(order))
//!     .layer(RequestContextLayer::new());
//! ```
//!
//! Events in the handler, in functions it calls and in streamed bodies belong to the request. A task that the handler
//! spawns belongs to it if the task carries the span:
//! `tokio::spawn(task.in_current_span())`, with [`tracing::Instrument`].
//!
//! # The span
//!
//! The span is named `request`, has the target `tracing_posthog::tower` and the level `INFO`
//! ([`level`](RequestContextLayer::level)). Its fields:
//!
//! | field | value |
//! |---|---|
//! | `http.request.method` | the method; `_OTHER` for methods that HTTP does not define |
//! | `http.route` | the route's pattern, such as `/users/{id}`; see [Routes](#routes) |
//! | `http.response.status_code` | the status, once there is a response; missing if the client left before |
//! | `error.type` | for a status of 500 or more its digits; where the service or its body fails the name of the error's type, never its text |
//! | `posthog.session_id` | the header `X-PostHog-Session-Id`, or [`session_id`](RequestContextLayer::session_id) |
//! | `posthog.distinct_id` | only if you ask for it; see [Who is there](#who-is-there) |
//!
//! Except for the last two, the names are those of OpenTelemetry's semantic conventions. Path, query, addresses and
//! other headers are not recorded. A filter that hides the span hides the identity too: let `tracing_posthog=info`
//! through a global `EnvFilter`, or filter each layer by itself.
//!
//! # Who is there
//!
//! `posthog-js` sends the two headers to the hosts in its setting `tracing_headers`. If these are another origin than
//! the page, allow the headers in your CORS policy (`Access-Control-Allow-Headers`).
//!
//! **A client can write any distinct id into a header.** The layer reads `X-PostHog-Distinct-Id` only after
//! [`trust_distinct_id_header`](RequestContextLayer::trust_distinct_id_header). Where requests are authenticated, use
//! one of these instead:
//!
//! - [`distinct_id`](RequestContextLayer::distinct_id): a function of the request's head, for ids in a verified token
//!   or in an extension that an outer layer has set.
//! - Set it later, for example after a query to a database: code that runs directly in the span calls
//!   `Span::current().set_distinct_id(user)` of [`PostHogSpanExt`](crate::PostHogSpanExt).
//!
//! Control characters and surrounding white space are removed from ids; what is longer than 200 characters is cut, as
//! PostHog does. Of repeated headers the first one with something left counts. Headers that are not UTF-8 are ignored.
//!
//! # Routes
//!
//! With the feature `axum` (for axum 0.8) the layer reads axum's `MatchedPath`. axum knows it in layers added by
//! `Router::layer`, but not in layers around the whole router. For other frameworks, and other versions of axum, give
//! a function: [`route`](RequestContextLayer::route).
//!
//! # Other frameworks
//!
//! The layer wraps any `tower` service from `http::Request<B>` to `http::Response<R>`: axum, tonic
//! (`Server::builder().layer(…)`), and hyper by `hyper_util::service::TowerToHyperService`.

// How it works inside:
//
//   call ─► settings.open(head) ─► span ──────────────► ResponseFuture { inner, span }
//             identity: headers, functions                  │ ready: records status or error
//                                                           ▼
//                                                      ResponseBody { inner, span }
//                                                           │ ends, or is dropped
//                                                           ▼
//                                                      the span closes
//
// - `identity`: cleans ids, and reads them from headers and functions of the program.
// - `response`: the future and the body, which hold the span.
//
// Invariants: the span is entered only while code of the service is called, polled or dropped, so never across an
// await; where nobody wants the span, neither headers nor functions are looked at; a panic of a function costs what
// it would have said, not the request; no text of requests or errors is recorded but ids and the route.

mod identity;
mod response;

pub use response::{ResponseBody, ResponseFuture};

use crate::panic::catch;
use ::http::request::Parts;
use ::http::{Method, Request, Response};
use identity::{DISTINCT_ID, SESSION_ID, clean, from_headers};
use std::borrow::Cow;
use std::cell::LazyCell;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;
use tracing::field::Empty;
use tracing::{Level, Span};

/// Opens a span for each request, with its method, route, status, PostHog session and, if asked, distinct id.
///
/// The [module](self) describes the span and where identity comes from.
///
/// ```
/// use axum::http::request::Parts;
/// use tracing_posthog::tower::RequestContextLayer;
///
/// #[derive(Clone)]
/// struct User { id: String } // set by your authentication
///
/// let layer = RequestContextLayer::new()
///     .distinct_id(|head: &Parts| Some(head.extensions.get::<User>()?.id.clone()));
/// # let _app: axum::Router = axum::Router::new().layer(layer);
/// ```
#[derive(Clone, Debug, Default)]
pub struct RequestContextLayer {
    settings: Arc<Settings>,
}

impl RequestContextLayer {
    /// Method, route, status and the session of the header `X-PostHog-Session-Id`; no distinct id.
    pub fn new() -> Self {
        Self::default()
    }

    /// The level of the spans. Default: `INFO`.
    ///
    /// A span that no layer of the program wants does not exist, and its identity neither.
    #[must_use]
    pub fn level(self, level: Level) -> Self {
        self.with(|settings| settings.level = level)
    }

    /// Takes the distinct id from the header `X-PostHog-Distinct-Id`.
    ///
    /// Every client can put the id of any person there. Ask for it where a wrong person does no harm, as with visitors
    /// of a public site, and never decide by it what a client may do. [`distinct_id`](Self::distinct_id) has priority.
    #[must_use]
    pub fn trust_distinct_id_header(self) -> Self {
        self.with(|settings| settings.header = Header::Trusted)
    }

    /// Takes the distinct id from a function of the request's head.
    ///
    /// Where the function returns `None` or nothing but white space, the request has no distinct id, or that of the
    /// header if you [trust it](Self::trust_distinct_id_header). If the function panics, the request goes on without
    /// one. The function runs before the request's span opens; it should not block.
    #[must_use]
    pub fn distinct_id(
        self,
        of: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.distinct_id = Some(Lookup(Arc::new(of))))
    }

    /// Takes the session id from a function of the request's head, for example from a cookie.
    ///
    /// Where the function returns `None`, the header counts. Otherwise as [`distinct_id`](Self::distinct_id).
    #[must_use]
    pub fn session_id(self, of: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.session_id = Some(Lookup(Arc::new(of))))
    }

    /// Takes `http.route` from a function of the request's head.
    ///
    /// Return patterns such as `/users/{id}`, not paths: these hold ids, and have no end. The paths of gRPC methods
    /// are patterns already. If the function returns `None`, axum's route counts (feature `axum`).
    ///
    /// ```
    /// # use tracing_posthog::tower::RequestContextLayer;
    /// // tonic: `/shop.Orders/Place`
    /// let layer = RequestContextLayer::new().route(|head| Some(head.uri.path().to_owned()));
    /// ```
    #[must_use]
    pub fn route(self, of: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.route = Some(Lookup(Arc::new(of))))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<S> Layer<S> for RequestContextLayer {
    type Service = RequestContextService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestContextService {
            inner,
            settings: self.settings.clone(),
        }
    }
}

/// A service whose requests have a span each; made by [`RequestContextLayer`].
#[derive(Clone, Debug)]
pub struct RequestContextService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S, B, R> Service<Request<B>> for RequestContextService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    /// There is no request yet, so no span.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let span = self.settings.open(&head);
        let future = {
            let _entered = span.enter();
            self.inner.call(Request::from_parts(head, body))
        };
        ResponseFuture::new(future, span)
    }
}

/// Code of the program that reads something from a request.
#[derive(Clone)]
struct Lookup(Arc<LookupFn>);

type LookupFn = dyn Fn(&Parts) -> Option<String> + Send + Sync;

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

/// Whether the header of the distinct id is read.
#[derive(Clone, Copy, Debug, Default)]
enum Header {
    #[default]
    Ignored,
    Trusted,
}

#[derive(Clone, Debug)]
struct Settings {
    level: Level,
    header: Header,
    distinct_id: Option<Lookup>,
    session_id: Option<Lookup>,
    route: Option<Lookup>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            level: Level::INFO,
            header: Header::Ignored,
            distinct_id: None,
            session_id: None,
            route: None,
        }
    }
}

/// What a function of the program says.
enum Said {
    Something(String),
    Nothing,
    Panicked,
}

impl Said {
    fn by(lookup: Option<&Lookup>, head: &Parts) -> Self {
        let Some(Lookup(function)) = lookup else {
            return Self::Nothing;
        };
        match catch(|| function(head)) {
            Some(Some(text)) => Self::Something(text),
            Some(None) => Self::Nothing,
            None => Self::Panicked,
        }
    }

    /// A clean id; from the header, if the function has none. Whoever panics may have been about to name somebody
    /// else than the header does.
    fn id_or<'a>(self, header: impl FnOnce() -> Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
        match self {
            Self::Something(text) => match clean(&text) {
                Some(id) => Some(Cow::Owned(id.into_owned())),
                None => header(),
            },
            Self::Nothing => header(),
            Self::Panicked => None,
        }
    }
}

impl Settings {
    /// The span of a request. Values are looked up only if somebody wants the span.
    fn open(&self, head: &Parts) -> Span {
        let route = LazyCell::new(|| self.route_of(head));
        let distinct_id = LazyCell::new(|| self.distinct_id_of(head));
        let session_id = LazyCell::new(|| self.session_id_of(head));
        macro_rules! request_span {
            ($level:expr) => {
                tracing::span!(
                    $level,
                    "request",
                    http.request.method = method(&head.method),
                    http.route = route.as_deref(),
                    http.response.status_code = Empty,
                    error.type = Empty,
                    posthog.distinct_id = distinct_id.as_deref(),
                    posthog.session_id = session_id.as_deref(),
                )
            };
        }
        match self.level {
            Level::TRACE => request_span!(Level::TRACE),
            Level::DEBUG => request_span!(Level::DEBUG),
            Level::INFO => request_span!(Level::INFO),
            Level::WARN => request_span!(Level::WARN),
            Level::ERROR => request_span!(Level::ERROR),
        }
    }

    fn route_of<'a>(&self, head: &'a Parts) -> Option<Cow<'a, str>> {
        match Said::by(self.route.as_ref(), head) {
            Said::Something(route) => Some(Cow::Owned(route)),
            Said::Nothing | Said::Panicked => framework_route(head).map(Cow::Borrowed),
        }
    }

    fn distinct_id_of<'a>(&self, head: &'a Parts) -> Option<Cow<'a, str>> {
        Said::by(self.distinct_id.as_ref(), head).id_or(|| match self.header {
            Header::Trusted => from_headers(&head.headers, &DISTINCT_ID),
            Header::Ignored => None,
        })
    }

    fn session_id_of<'a>(&self, head: &'a Parts) -> Option<Cow<'a, str>> {
        Said::by(self.session_id.as_ref(), head).id_or(|| from_headers(&head.headers, &SESSION_ID))
    }
}

#[cfg(feature = "axum")]
fn framework_route(head: &Parts) -> Option<&str> {
    let path = head.extensions.get::<axum::extract::MatchedPath>()?;
    Some(path.as_str())
}

#[cfg(not(feature = "axum"))]
fn framework_route(_: &Parts) -> Option<&str> {
    None
}

/// A client may invent methods; they would have no end.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "CONNECT" => "CONNECT",
        "DELETE" => "DELETE",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        "QUERY" => "QUERY",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}
