//! What the generated files use.
#![allow(unused_imports)]

pub(super) use super::macros::{choices, param_set, param_type, params};
pub(super) use super::operation::Done;
pub(super) use super::resources::values;
pub(super) use super::{Environment, Organization, Project, User};
pub(super) use crate::client::PostHogClient;
pub(super) use crate::rest::page::Page;
pub(super) use crate::rest::path::{At, Step};
pub(super) use crate::rest::{
    Form, IntoBody, IntoNumber, IntoTime, Raw, Request, Time, Untyped, bodies, models,
};
pub(super) use reqwest::Method;
pub(super) use serde::Serialize;
pub(super) use serde_json::Number;
pub(super) use std::fmt::{self, Display};
