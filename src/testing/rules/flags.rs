//! PostHog's rules of feature flags: `POST /flags/` and `GET /flags/definitions`.
//!
//! Its errors of the first are sentences, those of the second mostly JSON, as of Django.

use super::super::answer::Reply;
use super::super::flags::{Form, Served};
use super::super::recorded::RecordedRequest;
use super::{DISTINCT_ID_CHARS, check_token, query_value};
use crate::flags::EvaluationContext;
use serde_json::{Map, Value};

const NO_TOKEN: &str = "No API token provided. Please include a valid API token in your request.";
const INVALID_TOKEN: &str =
    "The provided API key is invalid or has expired. Please check your API key and try again.";
const NO_DISTINCT_ID: &str =
    "The distinct_id field is missing from the request. Please include a valid identifier.";
const NO_TOKEN_IN_QUERY: &str = "Failed to deserialize query string: missing field `token`";

enum Route {
    Evaluate,
    Definitions,
}

/// Proxies put a prefix in front.
fn route(path: &str) -> Option<Route> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.ends_with("/flags") {
        Some(Route::Evaluate)
    } else if path.ends_with("/flags/definitions") {
        Some(Route::Definitions)
    } else {
        None
    }
}

pub(in crate::testing) fn is_path(path: &str) -> bool {
    route(path).is_some()
}

/// What PostHog says to a request whose body went through [`unpack`](super::unpack).
pub(in crate::testing) fn judge(
    request: &RecordedRequest,
    unreadable: Option<&Reply>,
    served: &Served,
) -> Reply {
    let outcome = match route(&request.path) {
        Some(Route::Definitions) => definitions(request, served),
        Some(Route::Evaluate) if unreadable.is_some() => Err(Reply::text(
            400,
            "Failed to decode request: invalid gzip data. Please check your request format and try again.",
        )),
        _ => evaluate(request, served),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

/// What PostHog says with that status.
pub(in crate::testing) fn of_status(status: u16, path: &str) -> Option<Reply> {
    let text = match (status, route(path)?) {
        (429, _) => {
            return Some(refusal(
                429,
                "validation_error",
                "rate_limit_exceeded",
                "Rate limit exceeded",
            ));
        }
        (402, Route::Definitions) => {
            return Some(refusal(
                402,
                "quota_limited",
                "payment_required",
                "You have exceeded your feature flag request quota",
            ));
        }
        (401, Route::Definitions) => return Some(wrong_key()),
        (403, Route::Definitions) => {
            return Some(refusal(
                403,
                "authentication_error",
                "permission_denied",
                "API key missing required scope 'feature_flag:read'",
            ));
        }
        (400, Route::Evaluate) => NO_DISTINCT_ID,
        (401, Route::Evaluate) => INVALID_TOKEN,
        (402, Route::Evaluate) => "Billing limit reached. Please upgrade your plan.",
        (500, _) => {
            "An internal server error occurred. Please try again later or contact support if the problem persists."
        }
        (503, _) => "Service is currently unavailable. Please try again later.",
        _ => return None,
    };
    Some(Reply::text(status, text))
}

fn evaluate(request: &RecordedRequest, served: &Served) -> Result<Reply, Reply> {
    if request.method != "POST" {
        return Err(Reply::text(405, "").header("allow", "GET, POST, OPTIONS, HEAD"));
    }
    let body = serde_json::from_slice::<Map<String, Value>>(&request.body);
    let body = body.map_err(|error| unparsable(&error.to_string()))?;
    let token = ["token", "api_key", "$token"].iter();
    let token = token.filter_map(|name| body.get(*name)?.as_str()).next();
    let token = token.filter(|token| !token.is_empty());
    check_token(token.ok_or(Reply::text(401, NO_TOKEN))?)
        .map_err(|_| Reply::text(401, INVALID_TOKEN))?;
    let context = context(&body)?;
    let keys = body
        .get("flag_keys_to_evaluate")
        .or_else(|| body.get("flag_keys"));
    let mut keys: Option<Vec<String>> = match keys {
        None | Some(Value::Null) => None,
        Some(keys) => Some(
            serde_json::from_value(keys.clone()).map_err(|error| unparsable(&error.to_string()))?,
        ),
    };
    if body.get("disable_flags") == Some(&Value::Bool(true)) {
        keys = Some(Vec::new());
    }
    let version = query_value(request.query.as_deref(), "v");
    let form = match version.and_then(|version| version.parse::<u32>().ok()) {
        None | Some(0 | 1) => Form::Legacy,
        Some(2) => Form::Detailed,
        Some(_) => Form::Typed,
    };
    let answer = served.answer(&context, keys.as_deref(), form);
    Ok(Reply::json(200, answer.to_string()))
}

/// Whom the request is about.
fn context(body: &Map<String, Value>) -> Result<EvaluationContext, Reply> {
    let distinct_id = match body.get("distinct_id") {
        Some(Value::String(text)) => text.chars().take(DISTINCT_ID_CHARS).collect(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(Reply::text(400, NO_DISTINCT_ID)),
    };
    let mut context = EvaluationContext::new(distinct_id);
    if let Some(id) = body.get("device_id").and_then(Value::as_str) {
        context = context.device_id(id);
    }
    for (name, value) in object(body, "person_properties")? {
        context = context.person(name, value.clone());
    }
    for (group_type, key) in object(body, "groups")? {
        let key = match key {
            Value::String(key) => key.clone(),
            other => other.to_string(),
        };
        context = context.group(group_type, key);
    }
    for (group_type, properties) in object(body, "group_properties")? {
        for (name, value) in properties.as_object().into_iter().flatten() {
            context = context.group_property(group_type, name, value.clone());
        }
    }
    Ok(context)
}

fn object<'a>(
    body: &'a Map<String, Value>,
    name: &str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, Reply> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None.into_iter().flatten()),
        Some(Value::Object(object)) => Ok(Some(object).into_iter().flatten()),
        Some(_) => Err(unparsable(&format!("{name}: expected a map"))),
    }
}

fn unparsable(why: &str) -> Reply {
    Reply::text(
        400,
        format!(
            "Failed to parse request: {why}. Please ensure your request is properly formatted and all required fields are present."
        ),
    )
}

fn definitions(request: &RecordedRequest, served: &Served) -> Result<Reply, Reply> {
    let allowed = "GET, OPTIONS, HEAD";
    let token = query_value(request.query.as_deref(), "token");
    let token = token.ok_or(Reply::text(400, NO_TOKEN_IN_QUERY))?;
    match request.method.as_str() {
        "GET" | "HEAD" => {}
        "OPTIONS" => return Ok(Reply::text(204, "").header("allow", allowed)),
        _ => return Err(Reply::text(405, "").header("allow", allowed)),
    }
    check_token(token).map_err(|_| Reply::text(401, INVALID_TOKEN))?;
    check_key(request.header("authorization"))?;
    let known = request.header("if-none-match").unwrap_or_default();
    let is_known = known.split(',').any(|etag| etag.trim() == served.etag);
    let reply = match is_known {
        true => Reply::text(304, ""),
        false => Reply::json(200, served.definitions.clone()),
    };
    Ok(reply
        .header("etag", &served.etag)
        .header("cache-control", "private, must-revalidate"))
}

/// A personal API key, or the project's secret one. It knows none, so every one is good.
fn check_key(authorization: Option<&str>) -> Result<(), Reply> {
    let key = authorization.and_then(|header| header.strip_prefix("Bearer "));
    let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) else {
        return Err(refusal(
            401,
            "authentication_error",
            "not_authenticated",
            "Authentication credentials were not provided.",
        ));
    };
    let is_possible = |prefix: &str| key.strip_prefix(prefix).is_some_and(|key| !key.is_empty());
    match is_possible("phx_") || is_possible("phs_") {
        true => Ok(()),
        false => Err(wrong_key()),
    }
}

fn wrong_key() -> Reply {
    refusal(
        401,
        "authentication_error",
        "authentication_failed",
        "Personal API key found in request Authorization header is invalid.",
    )
}

fn refusal(status: u16, kind: &str, code: &str, detail: &str) -> Reply {
    let body = serde_json::json!({"type": kind, "code": code, "detail": detail, "attr": null});
    Reply::json(status, body.to_string())
}
