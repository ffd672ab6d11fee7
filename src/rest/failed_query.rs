//! Queries that failed in the background: PostHog tells of them with a status that would be retried.

use crate::error::PostHogError;
use crate::http::{Endpoint, Http};
use crate::redact::excerpt;
use reqwest::StatusCode;
use serde::Deserialize;

/// Stands for the reason of a failed query where PostHog gives none.
pub(crate) const NO_REASON: &str = "PostHog does not say why";

#[derive(Deserialize)]
struct Failed {
    query_status: FailedStatus,
}

#[derive(Deserialize)]
struct FailedStatus {
    #[serde(default)]
    id: String,
    error: bool,
    error_message: Option<String>,
}

/// The error of a failed query, where a 5xx response is about one. It is final: asked again, PostHog answers the same.
pub(crate) fn failed_query(
    http: &Http,
    endpoint: &Endpoint,
    status: StatusCode,
    body: &[u8],
) -> Option<PostHogError> {
    if !status.is_server_error() {
        return None;
    }
    let Failed { query_status } = serde_json::from_slice(body).ok()?;
    query_status.error.then(|| PostHogError::QueryFailed {
        operation: endpoint.operation,
        message: match query_status.error_message {
            Some(message) => excerpt(&http.clean(&message), 500),
            None => NO_REASON.to_owned(),
        },
        query_id: excerpt(&http.clean(&query_status.id), 100),
    })
}
