//! What comes back.

use super::redirect::Redirect;
use super::storage::By;
use super::stream::BodyStream;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// A response, whatever its status.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// As far as it was read; empty for a stream.
    pub(crate) body: Bytes,
    /// The body of a 2xx response in [`ResponseMode::Stream`].
    pub(crate) stream: Option<BodyStream>,
    /// Where a redirect leads that was not followed, or that a foreign client did follow.
    pub(crate) redirect: Option<Redirect>,
    /// Who answered.
    pub(crate) by: By,
    /// How many attempts were made, this one included.
    pub(crate) attempts: u32,
}

impl Response {
    /// For how long PostHog asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        super::retry::retry_after(value, SystemTime::now())
    }
}
