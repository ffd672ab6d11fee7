//! Dashboards, insights and annotations.
//!
//! Written by hand: the schemas call the tiles of a dashboard maps of anything.

use super::field::Object;
use super::macros::{model, values, wire};
use super::organizations::UserBasic;
use super::query::{DateRange, QueryStatus};
use super::shared::RestrictionLevel;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// A dashboard with its tiles.
    ///
    /// Answered by `…/dashboards/` (create) and `…/dashboards/{id}/` (get, update).
    pub struct Dashboard {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Whether it is pinned to the side bar.
        pinned: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When somebody last opened it.
        last_accessed_at: Option<Time>,
        /// When the asking user last looked at it.
        last_viewed_at: Option<Time>,
        /// Whether people outside can see it.
        is_shared: Option<bool>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// How it was made: `default`, `template` or `duplicate`.
        creation_mode: Option<String>,
        /// Filters over all its tiles.
        filters: Object,
        /// Values of SQL variables, by id of the variable.
        variables: Object,
        /// Colours of breakdown values.
        breakdown_colors: Option<Value>,
        /// Number of the colour theme.
        data_color_theme_id: Option<i64>,
        /// Tags.
        tags: Vec<String>,
        /// Who may edit it.
        restriction_level: Option<RestrictionLevel>,
        /// Who may edit it, given the plan of the organization.
        effective_restriction_level: Option<RestrictionLevel>,
        /// What the asking user may do with it.
        effective_privilege_level: Option<RestrictionLevel>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
        /// Which access rules apply to it: `v1` or `v2`.
        access_control_version: Option<String>,
        /// When its results were computed.
        last_refresh: Option<Time>,
        /// Filters as saved, whatever was asked for.
        persisted_filters: Object,
        /// Variables as saved, whatever was asked for.
        persisted_variables: Object,
        /// Number of the project.
        team_id: Option<i64>,
        /// Tiles.
        tiles: Vec<DashboardTile>,
        quick_filter_ids: Option<Value>,
    }

    /// A dashboard without its tiles.
    ///
    /// Answered by `…/dashboards/` (list).
    pub struct DashboardBasic {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Whether it is pinned to the side bar.
        pinned: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When somebody last opened it.
        last_accessed_at: Option<Time>,
        /// When the asking user last looked at it.
        last_viewed_at: Option<Time>,
        /// Whether people outside can see it.
        is_shared: Option<bool>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// How it was made: `default`, `template` or `duplicate`.
        creation_mode: Option<String>,
        /// Tags.
        tags: Vec<String>,
        /// Who may edit it.
        restriction_level: Option<RestrictionLevel>,
        /// Who may edit it, given the plan of the organization.
        effective_restriction_level: Option<RestrictionLevel>,
        /// What the asking user may do with it.
        effective_privilege_level: Option<RestrictionLevel>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
        /// Which access rules apply to it: `v1` or `v2`.
        access_control_version: Option<String>,
        /// When its results were computed.
        last_refresh: Option<Time>,
        /// Number of the project.
        team_id: Option<i64>,
    }

    /// One tile of a dashboard: an insight or a text.
    ///
    /// Part of [`Dashboard`].
    pub struct DashboardTile {
        /// Number.
        id: Option<i64>,
        /// The insight, with its result.
        insight: Option<Insight>,
        /// The text.
        text: Option<DashboardText>,
        /// Where it stands, by screen width (`sm`, `xs`).
        layouts: Object,
        /// Colour of its edge.
        color: Option<String>,
        /// Its place.
        order: Option<i64>,
        /// Whether the description of the insight is shown.
        show_description: Option<bool>,
        /// Filters of this tile alone.
        filters_overrides: Object,
        /// When its results were computed.
        last_refresh: Option<Time>,
        /// Whether the result was computed earlier.
        is_cached: Option<bool>,
        /// Why the insight failed.
        error: Object,
    }

    /// On which dashboard an insight stands.
    ///
    /// Part of [`Insight`].
    pub struct DashboardTileBasic {
        /// Number of the tile.
        id: Option<i64>,
        /// Number of the dashboard.
        dashboard_id: Option<i64>,
        /// Whether the tile was removed.
        deleted: Option<bool>,
    }

    /// A text on a dashboard.
    ///
    /// Part of [`DashboardTile`].
    pub struct DashboardText {
        /// Number.
        id: Option<i64>,
        /// Markdown.
        body: Option<String>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was last edited.
        last_modified_at: Option<Time>,
        /// Who edited it last.
        last_modified_by: Option<UserBasic>,
        /// Number of the project.
        team: Option<i64>,
    }

    /// A dashboard to make others from.
    ///
    /// Answered by `…/dashboard_templates/`.
    pub struct DashboardTemplate {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Name that people see.
        template_name: Option<String>,
        /// What it shows.
        dashboard_description: Option<String>,
        /// Filters of dashboards made from it.
        dashboard_filters: Option<Value>,
        /// Tags.
        tags: Vec<String>,
        /// Tiles.
        tiles: Option<Value>,
        /// What is asked for when it is used.
        variables: Option<Value>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// Number of who created it.
        created_by: Option<i64>,
        /// Picture.
        image_url: Option<String>,
        /// Number of the project.
        team_id: Option<i64>,
        /// Who can use it: `team`, `global` or `feature_flag`.
        scope: Option<String>,
        /// Where it is offered.
        availability_contexts: Vec<String>,
        is_featured: Option<bool>,
    }

    /// Somebody who may edit a restricted dashboard.
    ///
    /// Answered by `…/dashboards/{id}/collaborators/`.
    pub struct DashboardCollaborator {
        /// UUID.
        id: Option<String>,
        /// Number of the dashboard.
        dashboard_id: Option<i64>,
        /// Who.
        user: Option<UserBasic>,
        /// What they may do.
        level: Option<RestrictionLevel>,
        /// Since when.
        added_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// UUID of who.
        user_uuid: Option<String>,
    }

    /// A saved chart, table or number.
    ///
    /// Answered by `…/insights/`.
    pub struct Insight {
        /// Number.
        id: Option<i64>,
        /// Short id, as in its URL.
        short_id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// Name made of what it shows.
        derived_name: Option<String>,
        /// Query that computes it, by `kind`.
        query: Object,
        /// What it shows, in the old form.
        filters: Object,
        /// Its place.
        order: Option<i64>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Numbers of the dashboards that show it.
        dashboards: Vec<i64>,
        /// The tiles that show it.
        dashboard_tiles: Vec<DashboardTileBasic>,
        /// When its results were computed.
        last_refresh: Option<Time>,
        /// When the results get old.
        cache_target_age: Option<Time>,
        /// When they may be computed anew.
        next_allowed_client_refresh: Option<Time>,
        /// Results, in the form of its query.
        result: Option<Value>,
        /// Whether there are more results.
        has_more as "hasMore": Option<bool>,
        /// Columns of the results.
        columns: Vec<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// What it is for.
        description: Option<String>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Tags.
        tags: Vec<String>,
        /// Whether it is a favourite.
        favorited: Option<bool>,
        /// When it was last edited.
        last_modified_at: Option<Time>,
        /// Who edited it last.
        last_modified_by: Option<UserBasic>,
        /// Whether it is an example.
        is_sample: Option<bool>,
        /// Who may edit it, given the plan of the organization.
        effective_restriction_level: Option<RestrictionLevel>,
        /// What the asking user may do with it.
        effective_privilege_level: Option<RestrictionLevel>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
        /// Time zone of the results.
        timezone: Option<String>,
        /// Whether the results were computed earlier.
        is_cached: Option<bool>,
        /// How the computation is going.
        query_status: Option<QueryStatus>,
        /// The query as HogQL.
        hogql: Option<String>,
        /// Types of the columns.
        types: Vec<Value>,
        /// Alerts on it.
        alerts: Vec<Object>,
        /// When it was last looked at.
        last_viewed_at: Option<Time>,
        /// Time that its results are about.
        resolved_date_range: Option<DateRange>,
    }

    /// A note at a time, such as a deployment, shown on charts.
    ///
    /// Answered by `…/annotations/`.
    pub struct Annotation {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Text.
        content: Option<String>,
        /// The time it marks.
        date_marker: Option<Time>,
        /// Who made it: a user or a program.
        creation_type: Option<AnnotationCreation>,
        /// Number of the insight it is shown on.
        dashboard_item: Option<i64>,
        /// Number of the dashboard it is shown on.
        dashboard_id: Option<i64>,
        /// Name of that dashboard.
        dashboard_name: Option<String>,
        /// Short id of that insight.
        insight_short_id: Option<String>,
        /// Name of that insight.
        insight_name: Option<String>,
        /// Name made of what that insight shows.
        insight_derived_name: Option<String>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Where it is shown.
        scope: Option<AnnotationScope>,
        /// Recording it is shown on.
        recording_id: Option<String>,
        /// Picture instead of a text.
        emoji: Option<String>,
        /// Whether PostHog's pages leave it out.
        hidden_in_user_interface: Option<bool>,
    }
}

values! {
    /// Where an annotation is shown.
    pub enum AnnotationScope {
        /// One insight.
        Insight = "dashboard_item",
        /// One dashboard.
        Dashboard = "dashboard",
        /// All of the project.
        Project = "project",
        /// All projects of the organization.
        Organization = "organization",
        /// One recording.
        Recording = "recording",
    }

    /// Who made an annotation.
    pub enum AnnotationCreation {
        /// A user.
        User = "USR",
        /// A program, such as a deployment.
        Bot = "GIT",
    }
}
