//! Stands in for `crate::client::models`.
#![allow(missing_docs)]

use serde_json::Value;

pub type Action = Value;
pub type ActivityLog = Value;
pub type Annotation = Value;
pub type BatchExport = Value;
pub type BatchExportBackfill = Value;
pub type BatchExportRun = Value;
pub type ClickhouseEvent = Value;
pub type Cohort = Value;
pub type Dashboard = Value;
pub type DashboardBasic = Value;
pub type DataWarehouseSavedQuery = Value;
pub type EarlyAccessFeature = Value;
pub type ErrorTrackingIssue = Value;
pub type EventDefinition = Value;
pub type Experiment = Value;
pub type ExperimentHoldout = Value;
pub type ExperimentSavedMetric = Value;
pub type FeatureFlag = Value;
pub type Group = Value;
pub type GroupType = Value;
pub type HogFunction = Value;
pub type HogFunctionMinimal = Value;
pub type Insight = Value;
pub type Organization = Value;
pub type OrganizationInvite = Value;
pub type OrganizationMember = Value;
pub type Person = Value;
pub type ProjectBackwardCompat = Value;
pub type ProjectBackwardCompatBasic = Value;
pub type PropertyDefinition = Value;
pub type QueryStatusResponse = Value;
pub type SessionRecording = Value;
pub type Survey = Value;
pub type Team = Value;
pub type TeamBasic = Value;
pub type User = Value;
