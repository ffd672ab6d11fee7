use super::PostHogClient;
use crate::error::PostHogError;
use crate::http::Body;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request to any endpoint of the REST API, made by [`PostHogClient::request`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct ApiRequest<'a> {
    client: &'a PostHogClient,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Content,
}

#[derive(Debug)]
enum Content {
    None,
    Json(Result<Vec<u8>, serde_json::Error>),
    Raw {
        content_type: String,
        body: reqwest::Body,
    },
}

impl PostHogClient {
    /// Asks any endpoint of the REST API, over the same retrying core as everything else. `path` starts
    /// with a slash, stands percent-encoded and has no query; a personal API key is needed. The method
    /// is that of the `reqwest` crate, version 0.13.
    ///
    /// ```no_run
    /// # use tracing_posthog::PostHogClient;
    /// # async fn run(client: PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let me: serde_json::Value = client.request(reqwest::Method::GET, "/api/users/@me/").send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl Into<String>) -> ApiRequest<'_> {
        ApiRequest {
            client: self,
            method,
            path: path.into(),
            query: Vec::new(),
            body: Content::None,
        }
    }
}

impl ApiRequest<'_> {
    /// Adds a query parameter; it is percent-encoded.
    pub fn query(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// The body, as JSON.
    pub fn body(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.body = Content::Json(serde_json::to_vec(body));
        self
    }

    /// A body of any kind. One that is a stream cannot be sent twice: such a request is tried once,
    /// whatever the retry policy says.
    pub fn raw_body(
        mut self,
        content_type: impl Into<String>,
        body: impl Into<reqwest::Body>,
    ) -> Self {
        self.body = Content::Raw {
            content_type: content_type.into(),
            body: body.into(),
        };
        self
    }

    /// Sends it and reads the answer; an empty answer reads as `null` (or `()`).
    ///
    /// # Errors
    /// Any of [`PostHogError`]; [`Config`](PostHogError::Config) where no personal key was given or the
    /// path does not start with a slash.
    pub async fn send<A: DeserializeOwned>(self) -> Result<A, PostHogError> {
        const OPERATION: &str = "api request";
        if self.client.inner.http.personal_key.is_none() {
            return Err(PostHogError::config(
                "personal_api_key",
                "the REST API needs a personal API key (phx_…); give it with `personal_api_key` or POSTHOG_PERSONAL_API_KEY",
            ));
        }
        if !self.path.starts_with('/') || self.path.contains(['?', '#']) {
            return Err(PostHogError::config(
                "path",
                format!(
                    "{:?} must start with a slash and have no query; give query parameters with `query`",
                    self.path
                ),
            ));
        }
        let body = match self.body {
            Content::None => Body::Empty,
            Content::Json(json) => {
                Body::json(json.map_err(|source| PostHogError::SerializationError {
                    operation: OPERATION,
                    what: "the body cannot be written as JSON".into(),
                    source,
                })?)
            }
            Content::Raw { content_type, body } => {
                let content_type = HeaderValue::try_from(&content_type).map_err(|_| {
                    PostHogError::config("content_type", format!("{content_type:?} is malformed"))
                })?;
                Body::raw(content_type, body)
            }
        };
        self.client
            .inner
            .http
            .api_request(OPERATION, self.method, &self.path, &self.query, body)
            .await
    }
}
