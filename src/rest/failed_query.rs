//! Queries that failed in the background.
//!
//! PostHog reports them with a 5xx status, which would be retried, although it answers the same each time. This module
//! reads such an answer and makes it final.

use crate::error::PostHogError;
use crate::http::{Endpoint, Http};
use crate::redact::excerpt;
use reqwest::StatusCode;
use serde::Deserialize;

/// The reason of a failed query if PostHog gives none.
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

/// The error of a failed query, if a 5xx response is about one. It is final: PostHog would answer the same again.
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
