//! Asks PostHog for somebody's flags.
//!
//! ```text
//!  EvaluationContext ──[request]──► POST /flags/?v=2 ──► [answer]: record by record ──► RemoteFlags
//!                                        │
//!                                        └── no answer, or a refusal ──► the error of the snapshot, and one line ([episodes])
//! ```
//!
//! - [`request`]: the body, as PostHog specifies it. [`answer`]: answers of all versions.
//! - [`episodes`]: what is logged of requests: once for as long as it lasts.
//!
//! Invariants:
//! - One evaluation makes one call. How often that is tried is PostHog's rule for flags, not the client's policy.
//! - A record that cannot be read has failed by itself, and costs no other.
//! - An answer is read up to [`MAX_ANSWER`] bytes. No more than [`MAX_REQUESTS`] are on the wire at once; others wait for as
//!   long as an attempt may take.

mod answer;
mod episodes;
mod request;

pub(super) use episodes::Episodes;

use super::context::EvaluationContext;
use super::core::Core;
use super::value::{FlagReason, FlagValue};
use crate::capture::GeoIp;
use crate::error::{PostHogError, RequestErrorKind};
use crate::http::{Http, Request};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::Semaphore;

/// What is being done, in errors and spans.
const OPERATION: &str = "evaluate flags";

/// How many requests are on the wire at once. Each has a socket, and a PostHog that hangs must not use up those of the
/// program.
const MAX_REQUESTS: usize = 100;

/// Lets so many requests go at once.
#[derive(Debug)]
pub(super) struct Slots(Semaphore);

impl Default for Slots {
    fn default() -> Self {
        Self(Semaphore::new(MAX_REQUESTS))
    }
}

/// Larger answers are errors.
const MAX_ANSWER: usize = 16 << 20;

/// What PostHog answered.
#[derive(Debug, Default)]
pub(super) struct RemoteFlags {
    /// By key.
    pub(super) flags: std::collections::BTreeMap<String, RemoteFlag>,
    /// Some flags are missing, or may be wrong.
    pub(super) errors_while_computing: bool,
    /// The project has used up its quota of flag requests; there are no flags.
    pub(super) quota_limited: bool,
    pub(super) request_id: Option<String>,
    /// Milliseconds since 1970.
    pub(super) evaluated_at: Option<i64>,
    /// Whether `$feature_flag_called` of flags without an experiment is to be short.
    pub(super) minimal_flag_called_events: bool,
}

/// One flag in an answer.
#[derive(Debug, Default)]
pub(super) struct RemoteFlag {
    pub(super) value: Value,
    /// PostHog could not evaluate it this time: the value means nothing.
    pub(super) failed: bool,
    pub(super) reason_code: Option<String>,
    pub(super) reason_description: Option<String>,
    pub(super) condition_index: Option<u32>,
    pub(super) id: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) config_version: Option<i64>,
    pub(super) has_experiment: Option<bool>,
    pub(super) rule_type: Option<String>,
    pub(super) rule_id: Option<String>,
    pub(super) variant_key: Option<String>,
    /// Decoded.
    pub(super) payload: Option<Value>,
}

impl RemoteFlags {
    /// Whether flags may be missing.
    pub(super) fn is_partial(&self) -> bool {
        self.errors_while_computing || self.quota_limited
    }
}

impl RemoteFlag {
    pub(super) fn value(&self) -> FlagValue<'_> {
        match &self.value {
            Value::Bool(on) => FlagValue::Bool(*on),
            Value::String(key) => FlagValue::Variant(key),
            other => FlagValue::Json(other),
        }
    }

    pub(super) fn reason(&self) -> Option<FlagReason<'_>> {
        Some(FlagReason {
            code: self.reason_code.as_deref()?,
            condition_index: self.condition_index,
            description: self.reason_description.as_deref(),
        })
    }
}

impl Core {
    /// Asks for these flags, or for all.
    ///
    /// # Errors
    /// [`PostHogError::Config`] without a project API key. Anything else says how PostHog failed to answer.
    pub(super) async fn ask(
        &self,
        context: &EvaluationContext,
        keys: Option<&[String]>,
        geoip: GeoIp,
    ) -> Result<RemoteFlags, PostHogError> {
        let Some(http) = self.http() else {
            return Ok(RemoteFlags::default());
        };
        let token = http.project_key.as_ref().ok_or_else(|| {
            PostHogError::config(
                "project_api_key",
                "evaluating flags needs the project API key (phc_…); give it with `project_api_key` or POSTHOG_API_KEY",
            )
        })?;
        if keys.is_some_and(<[String]>::is_empty) {
            return Ok(RemoteFlags::default());
        }
        let request = request::request(token, context, keys, geoip, &self.settings)?;
        if let Some(why) = self.never_loads() {
            self.remarks.by_posthog(why);
        }
        self.counts.requests.fetch_add(1, Relaxed);
        let answered = self.answer(http, request).await;
        if answered.is_err() {
            self.counts.request_failures.fetch_add(1, Relaxed);
        }
        self.episodes.note(answered.as_ref());
        answered
    }

    /// Waits for a slot as long as an attempt may take, and sends the request.
    async fn answer(
        &self,
        http: &Arc<Http>,
        request: Request,
    ) -> Result<RemoteFlags, PostHogError> {
        let most = self.settings.request_timeout;
        let slot = match self.slots.0.try_acquire() {
            Ok(slot) => Some(slot),
            Err(_) => http
                .io
                .timeout(most, self.slots.0.acquire())
                .await
                .and_then(Result::ok),
        };
        let Some(_slot) = slot else {
            let timeout = RequestErrorKind::Timeout;
            return Err(request.endpoint.failed(http, timeout, None, 0));
        };
        let response = http.api_request_raw(request).await?;
        answer::read(http, &response.body)
    }
}
