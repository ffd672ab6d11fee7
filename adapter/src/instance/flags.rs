//! Feature flags of an instance.

use super::{Instance, Sdk, geoip, misconfigured};
use crate::contract::{FlagAnswer, GetFlag};
use crate::refusal::Refusal;
use axum::http::StatusCode;
use std::time::Duration;
use tracing_posthog::{FlagValue, PostHogError};

impl Instance {
    /// Asks PostHog for that flag of that person, or evaluates it here. The access is captured as an event.
    pub(crate) async fn flag(&self, request: GetFlag) -> Result<FlagAnswer, Refusal> {
        let is_local = request.only_evaluate_locally == Some(true);
        if is_local && request.force_remote == Some(true) {
            return Err(Refusal::bad_request(
                "force_remote and only_evaluate_locally exclude each other; leave one out",
            ));
        }
        let flags = self.sdk.client.flags().capture_to(self.actor());
        let key = request.key;
        let mut evaluate = flags
            .evaluate(request.distinct_id)
            .keys([&key])
            .person_properties(request.person_properties.unwrap_or_default())
            .geoip(request.disable_geoip.map_or(self.sdk.flags_geoip, geoip));
        for (group_type, group_key) in request.groups.unwrap_or_default() {
            evaluate = evaluate.group(group_type, group_key);
        }
        for (group_type, properties) in request.group_properties.unwrap_or_default() {
            for (name, value) in properties {
                evaluate = evaluate.group_property(&group_type, name, value);
            }
        }
        let user = if is_local {
            evaluate.locally()
        } else {
            self.sdk.watched(evaluate.remotely()).await?
        };
        if let Some(error) = user.error() {
            self.sdk.log.failed(error.to_string());
        }
        let value = user.flag(&key).map(FlagValue::to_json);
        Ok(FlagAnswer {
            success: true,
            locally_evaluated: is_local && value.is_some(),
            value,
        })
    }

    /// Loads the definitions of flags. Returns whether there are some.
    pub(crate) async fn reload_definitions(&self, within: Duration) -> Result<bool, Refusal> {
        let flags = self.sdk.client.flags();
        let refreshing = flags.clone();
        let refresh = async move { Ok(refreshing.refresh().await) };
        let refresh = self.sdk.watched(refresh);
        let Ok(refreshed) = tokio::time::timeout(within, refresh).await else {
            return Err(Refusal::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("no definitions of flags came within {within:?}"),
            ));
        };
        let refreshed = refreshed?;
        if let Err(error) = &refreshed {
            self.sdk.log.failed(error.to_string());
        }
        // Without a key for definitions there is nothing to load, which is no error.
        Ok(refreshed.is_ok() && flags.definitions().is_some())
    }
}

impl Sdk {
    /// Runs it where the log sees the requests that it makes.
    async fn watched<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, PostHogError>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let ended = self.runtime.handle().spawn(call).await;
        ended
            .map_err(|e| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?
            .map_err(misconfigured)
    }
}
