//! What the generated files use.
#![allow(unused_imports)]

pub(super) use super::operation::Done;
pub(super) use super::resources::values;
pub(super) use super::{Environment, Organization, Project, User};
pub(super) use crate::client::models;
pub(super) use crate::client::page::Page;
pub(super) use crate::client::path::At;
pub(super) use crate::client::{Form, PostHogClient, Request};
pub(super) use reqwest::Method;
pub(super) use serde::Serialize;
pub(super) use serde_json::Value;
pub(super) use std::fmt::{self, Display};
