//! The request for somebody's flags.

use super::{MAX_ANSWER, OPERATION};
use crate::capture::GeoIp;
use crate::config::Secret;
use crate::error::PostHogError;
use crate::flags::context::{EvaluationContext, Group};
use crate::flags::settings::FlagSettings;
use crate::http::request::content_type;
use crate::http::retry::RetryPolicy;
use crate::http::{Auth, Body, Destination, Endpoint, Redirects, Request, ResponseMode, Tries};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// The body. The project API key in it says whose flags are meant: there is no `Authorization` header.
#[derive(serde::Serialize)]
struct Asked<'a> {
    token: &'a str,
    distinct_id: &'a str,
    groups: Groups<'a>,
    person_properties: Properties<'a>,
    group_properties: GroupProperties<'a>,
    geoip_disable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    flag_keys_to_evaluate: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
}

/// Keys by type.
struct Groups<'a>(&'a EvaluationContext);

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.given_groups())
    }
}

/// Of somebody, or of a group.
struct Properties<'a> {
    properties: &'a [(String, Value)],
    /// PostHog has it beside the properties.
    distinct_id: Option<&'a str>,
}

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.properties {
            let is_known = name == "distinct_id" && value.as_str() == self.distinct_id;
            if !is_known {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// By type.
struct GroupProperties<'a>(&'a [Group]);

impl Serialize for GroupProperties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let described = self.0.iter().filter(|group| !group.properties.is_empty());
        serializer.collect_map(described.map(|group| {
            let properties = Properties {
                properties: &group.properties,
                distinct_id: None,
            };
            (&group.group_type, properties)
        }))
    }
}

pub(super) fn request(
    token: &Secret,
    context: &EvaluationContext,
    keys: Option<&[String]>,
    geoip: GeoIp,
    settings: &FlagSettings,
) -> Result<Request, PostHogError> {
    let asked = Asked {
        token: token.reveal(),
        distinct_id: &context.distinct_id,
        groups: Groups(context),
        person_properties: Properties {
            properties: &context.person,
            distinct_id: Some(&context.distinct_id),
        },
        group_properties: GroupProperties(&context.groups),
        geoip_disable: geoip == GeoIp::Off,
        flag_keys_to_evaluate: keys,
        device_id: context.device(),
    };
    let body = serde_json::to_vec(&asked).map_err(|source| PostHogError::SerializationError {
        operation: OPERATION,
        what: "the properties could not be turned into JSON".into(),
        source,
    })?;
    let headers: HeaderMap = content_type(HeaderValue::from_static("application/json"));
    Ok(Request {
        endpoint: Endpoint {
            operation: OPERATION,
            method: Method::POST,
            destination: Destination::Flags,
            path: Cow::Borrowed("/flags/"),
        },
        auth: Auth::Own,
        query: vec![("v".into(), "2".into())],
        headers,
        body: Body::Bytes(body.into()),
        idempotent: true,
        tries: Some(Tries {
            retry: RetryPolicy::of_flags(settings.request_retries),
            attempt_timeout: settings.request_timeout,
        }),
        mode: ResponseMode::Whole { limit: MAX_ANSWER },
        redirects: Redirects::SamePlace,
        final_error: None,
        events: None,
    })
}
