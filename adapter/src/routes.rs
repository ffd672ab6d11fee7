//! The endpoints of the contract.

use crate::contract::{Body, Capture, FlagAnswer, GetFlag, Init, ReloadDefinitions, State, TestId};
use crate::instance::Instance;
use crate::lock;
use crate::options::Options;
use crate::refusal::Refusal;
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Flags by requests have no capability: every adapter is asked for them.
const LOCAL_FLAGS: &str = "feature_flags_local_evaluation_v1";

/// The adapter, without a port.
pub fn router(options: Options) -> Router {
    let adapter = Adapter {
        options,
        instances: Mutex::default(),
    };
    Router::new()
        .route("/health", get(health))
        .route("/init", post(init))
        .route("/capture", post(capture))
        .route("/flush", post(flush))
        .route("/state", get(state))
        .route("/reset", post(reset))
        .route("/capture_ai", post(no_ai_events))
        .route("/get_feature_flag", post(get_feature_flag))
        .route("/reload_feature_flag_definitions", post(reload_definitions))
        .fallback(unknown)
        .with_state(Arc::new(adapter))
}

struct Adapter {
    options: Options,
    instances: Mutex<HashMap<TestId, Arc<Instance>>>,
}

impl Adapter {
    fn instances(&self) -> MutexGuard<'_, HashMap<TestId, Arc<Instance>>> {
        lock(&self.instances)
    }

    fn instance(&self, id: &TestId) -> Result<Arc<Instance>, Refusal> {
        self.instances().get(id).cloned().ok_or_else(|| {
            let whose = match &id.test_id {
                Some(id) => format!("for test_id {id:?}"),
                None => "without a test_id".to_owned(),
            };
            Refusal::new(
                StatusCode::CONFLICT,
                format!("there is no SDK instance {whose}; call POST /init first"),
            )
        })
    }
}

async fn health(Shared(adapter): Shared<Arc<Adapter>>) -> Json<Value> {
    let Options {
        protocol, codec, ..
    } = adapter.options;
    Json(json!({
        "sdk_name": "tracing-posthog",
        "sdk_version": sdk_version(),
        "adapter_version": env!("CARGO_PKG_VERSION"),
        "supports_parallel": true,
        "capabilities": [protocol.capability(), codec.capability(), LOCAL_FLAGS],
    }))
}

/// That of the crate beside this program, which is the one that it is built with.
fn sdk_version() -> &'static str {
    include_str!("../../Cargo.toml")
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .unwrap_or("unknown")
}

async fn init(
    Shared(adapter): Shared<Arc<Adapter>>,
    Query(id): Query<TestId>,
    Body(init): Body<Init>,
) -> Result<Json<Value>, Refusal> {
    let instance = Arc::new(Instance::start(adapter.options, &id, init)?);
    let replaced = adapter.instances().insert(id, instance);
    if let Some(replaced) = replaced {
        replaced.end().await;
    }
    Ok(Json(json!({"success": true})))
}

async fn capture(
    Shared(adapter): Shared<Arc<Adapter>>,
    Query(id): Query<TestId>,
    Body(capture): Body<Capture>,
) -> Result<Json<Value>, Refusal> {
    let (event, uuid) = capture.into_event()?;
    adapter.instance(&id)?.capture(&event)?;
    Ok(Json(json!({"success": true, "uuid": uuid.to_string()})))
}

async fn flush(
    Shared(adapter): Shared<Arc<Adapter>>,
    Query(id): Query<TestId>,
) -> Result<Json<Value>, Refusal> {
    let sent = adapter.instance(&id)?.flush().await?;
    Ok(Json(json!({"success": true, "events_flushed": sent})))
}

async fn get_feature_flag(
    Shared(adapter): Shared<Arc<Adapter>>,
    Query(id): Query<TestId>,
    Body(request): Body<GetFlag>,
) -> Result<Json<FlagAnswer>, Refusal> {
    Ok(Json(adapter.instance(&id)?.flag(request).await?))
}

async fn reload_definitions(
    Shared(adapter): Shared<Arc<Adapter>>,
    Query(id): Query<TestId>,
    Body(reload): Body<ReloadDefinitions>,
) -> Result<Json<Value>, Refusal> {
    let within = Duration::from_millis(reload.timeout_ms.unwrap_or(5000));
    let is_ready = adapter.instance(&id)?.reload_definitions(within).await?;
    Ok(Json(json!({"success": true, "ready": is_ready})))
}

async fn state(
    Shared(adapter): Shared<Arc<Adapter>>,
    Query(id): Query<TestId>,
) -> Result<Json<State>, Refusal> {
    Ok(Json(adapter.instance(&id)?.state()))
}

async fn reset(Shared(adapter): Shared<Arc<Adapter>>, Query(id): Query<TestId>) -> Json<Value> {
    let dropped = adapter.instances().remove(&id);
    if let Some(dropped) = dropped {
        dropped.end().await;
    }
    Json(json!({"success": true}))
}

async fn no_ai_events() -> Refusal {
    Refusal::new(
        StatusCode::NOT_IMPLEMENTED,
        "tracing-posthog does not do AI events; run only what /health declares",
    )
}

async fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "no such endpoint; there are GET /health and /state, POST /init, /capture, /flush, /get_feature_flag, \
         /reload_feature_flag_definitions and /reset",
    )
}
