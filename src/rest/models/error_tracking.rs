//! Error tracking: issues, rules, releases, symbols.
//!
//! Written by hand: three schemas are one rule here, and the issues of the query endpoint have none.

use super::macros::{model, values, wire};
use super::shared::Integration;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// Exceptions that are one problem.
    ///
    /// Answered by `…/error_tracking/issues/` and `…/error_tracking/query/issues/`; the counts come
    /// with the latter.
    pub struct ErrorTrackingIssue {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// What is to be done about it.
        status: Option<IssueStatus>,
        /// How bad it is.
        severity: Option<IssueSeverity>,
        /// Kind of the exception.
        name: Option<String>,
        /// Its message.
        description: Option<String>,
        /// When it first happened.
        first_seen: Option<Time>,
        /// When it last happened.
        last_seen: Option<Time>,
        /// SDK that sent it.
        library: Option<String>,
        /// Where in the code it happened.
        source: Option<String>,
        /// Who looks after it.
        assignee: Option<Assignee>,
        /// How often it happened.
        aggregations: Option<IssueAggregations>,
        /// Tickets about it elsewhere.
        external_issues: Vec<ExternalReference>,
        /// The cohort of persons whom it happened to.
        cohort: Option<IssueCohort>,
        /// Its first event.
        first_event: Option<Value>,
        /// Its last event.
        last_event: Option<Value>,
        /// Revenue of the persons whom it happened to.
        revenue: Option<f64>,
        /// Function in which it happened.
        function: Option<String>,
    }

    /// Who looks after an issue.
    ///
    /// Part of [`ErrorTrackingIssue`] and the rules.
    pub struct Assignee {
        /// Number of a user, or UUID of a role.
        id: Option<String>,
        /// `user` or `role`.
        kind as "type": Option<String>,
    }

    /// How often an issue happened in the time asked about.
    ///
    /// Part of [`ErrorTrackingIssue`].
    pub struct IssueAggregations {
        /// Exceptions.
        occurrences: Option<f64>,
        /// Sessions.
        sessions: Option<f64>,
        /// Persons.
        users: Option<f64>,
        /// Exceptions over time.
        volume_range as "volumeRange": Vec<f64>,
        /// Exceptions over time, with the times.
        volume_buckets: Vec<VolumeBucket>,
    }

    /// How often an issue happened in a piece of time.
    ///
    /// Part of [`IssueAggregations`].
    pub struct VolumeBucket {
        /// When it starts.
        label: Option<Time>,
        /// Exceptions.
        value: Option<f64>,
    }

    /// A ticket about an issue elsewhere.
    ///
    /// Answered by `…/error_tracking/external_references/`; part of [`ErrorTrackingIssue`].
    pub struct ExternalReference {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// URL of the ticket.
        external_url: Option<String>,
        /// Where it is: kind, name and number of the connection.
        integration: Option<Integration>,
        /// UUID of the issue.
        issue: Option<String>,
    }

    /// The cohort of persons whom an issue happened to.
    ///
    /// Part of [`ErrorTrackingIssue`].
    pub struct IssueCohort {
        /// Number.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
    }

    /// What makes exceptions alike.
    ///
    /// Answered by `…/error_tracking/fingerprints/`.
    pub struct ErrorTrackingFingerprint {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// The fingerprint.
        fingerprint: Option<String>,
        /// UUID of the issue.
        issue_id: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
    }

    /// A rule about new exceptions: who looks after them, which are one, which are dropped.
    ///
    /// Answered by `…/error_tracking/assignment_rules/`, `…/grouping_rules/` and
    /// `…/suppression_rules/`.
    pub struct ErrorTrackingRule {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Which exceptions.
        filters: Option<Value>,
        /// Who looks after them.
        assignee: Option<Assignee>,
        /// Issue that they become, of grouping rules.
        issue: Option<Value>,
        /// How bad the issues are, of severity rules.
        severity: Option<IssueSeverity>,
        /// Its place: rules are tried in order.
        order_key: Option<i64>,
        /// Why PostHog turned it off.
        disabled_data: Option<Value>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
    }

    /// A version of the application.
    ///
    /// Answered by `…/error_tracking/releases/`.
    pub struct ErrorTrackingRelease {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Hash that the SDK sends.
        hash_id: Option<String>,
        /// Number of the project.
        team_id: Option<i64>,
        /// When it was created.
        created_at: Option<Time>,
        /// Further data, such as the commit.
        metadata: Option<Value>,
        /// Version.
        version: Option<String>,
        /// Name of the application.
        project: Option<String>,
    }

    /// Uploaded symbols: a source map, debug information.
    ///
    /// Answered by `…/error_tracking/symbol_sets/`.
    pub struct ErrorTrackingSymbolSet {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// What stack frames name it by.
        reference as "ref": Option<String>,
        /// Number of the project.
        team_id: Option<i64>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it was last needed.
        last_used: Option<Time>,
        /// Where PostHog keeps it; missing: it was asked for, but is not there.
        storage_ptr: Option<String>,
        /// Why it cannot be used.
        failure_reason: Option<String>,
        /// Version it belongs to.
        release: Option<ErrorTrackingRelease>,
    }
}

values! {
    /// What is to be done about an issue.
    pub enum IssueStatus {
        Active = "active",
        Resolved = "resolved",
        /// Not captured any more.
        Suppressed = "suppressed",
        Archived = "archived",
        PendingRelease = "pending_release",
    }

    /// How bad an issue is.
    pub enum IssueSeverity {
        Low = "low",
        Medium = "medium",
        High = "high",
        Critical = "critical",
    }
}
