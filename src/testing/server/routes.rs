//! Answers of the local PostHog by method and path.

use std::panic::Location;

use reqwest::Method;

use super::super::routes::{Answers, Route};
use super::PostHogServer;

impl PostHogServer {
    /// Answers calls of the REST API: requests of that method whose path fits the template get that answer, as often as
    /// they come.
    ///
    /// The template is a whole path, with the slash at its end that PostHog's paths have, and without a query.
    /// `{name}` stands for one segment, whatever it is; [`path_param`](super::RecordedRequest::path_param) gives it.
    /// Of two routes that fit, the one wins that has text where the other has a placeholder, from left to right. A
    /// route given later replaces one of the same method and path, whatever their placeholders are called.
    ///
    /// The [answer](Answers) is an [`Answer`](super::Answer), a JSON value, several answers in turn, or a function of
    /// the request. Write the type in closures: `|request: &RecordedRequest| …`. A function runs on the thread of its
    /// connection, before the request is recorded. [`Answer::accept`](super::Answer::accept) means what PostHog would
    /// say without the route.
    ///
    /// [`answer_next`](Self::answer_next) and [`answer_with`](Self::answer_with) come before routes, so that faults can
    /// be played on them.
    ///
    /// A call that no route fits gets 404, or 405 where the path has a route for another method. The error's text names
    /// the call and the nearest routes. [`route`](super::RecordedRequest::route) of a recorded request says which route
    /// it took. A template that is none (`{` without `}`, a query, no slash at the beginning) makes no route. The error's
    /// text and the server's `Debug` then say what is wrong with it, and where it was given.
    ///
    /// ```
    /// # #[cfg(feature = "rest")] {
    /// use serde_json::json;
    /// use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
    /// use tracing_posthog::{Method, PostHogClient};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = PostHogServer::start()?;
    /// server.on(Method::GET, "/api/projects/{project}/feature_flags/", json!({"count": 0, "results": []}));
    /// server.on(Method::GET, "/api/projects/{project}/feature_flags/{id}/", |request: &RecordedRequest| {
    ///     let key = request.path_param("id").unwrap_or_default();
    ///     Answer::status(200).json(json!({"id": 3, "key": key, "active": true}))
    /// });
    /// let client = PostHogClient::builder().personal_api_key("phx_test").host(server.url()).build()?;
    /// let flags = client.project(7).feature_flags();
    ///
    /// assert!(flags.list().limit(10).await?.results.is_empty());
    /// assert_eq!(flags.get("beta-ui").await?.active, Some(true));
    ///
    /// let list = &server.requests()[0];
    /// assert_eq!(list.param("limit"), Some("10"));
    /// assert_eq!(list.path_param("project"), Some("7"));
    ///
    /// let error = client.project(7).surveys().list().await.unwrap_err();
    /// assert!(error.to_string().contains("no route for GET /api/projects/7/surveys/"));
    /// # Ok(())
    /// # }
    /// # main().unwrap();
    /// # }
    /// ```
    ///
    /// Answers in turn, to test what your code does while something changes:
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use serde_json::json;
    /// use tracing_posthog::Method;
    /// use tracing_posthog::testing::{Answer, PostHogServer};
    ///
    /// let server = PostHogServer::start()?;
    /// let person = "/api/projects/{project}/persons/{id}/";
    /// server.on(
    ///     Method::GET,
    ///     person,
    ///     [Answer::status(200).json(json!({"id": 1})), Answer::status(404)], // then 404 for ever
    /// );
    /// server.on(Method::DELETE, person, Answer::status(204));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn on(&self, method: Method, path: impl AsRef<str>, answer: impl Answers) {
        let route = Route::new(method, path.as_ref(), answer, Location::caller());
        let _replaced = self.shared.lock().routes.add(route);
    }
}
