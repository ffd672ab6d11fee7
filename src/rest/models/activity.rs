//! What people did, and what they wrote: activity log, comments, notebooks, files.
//!
//! Written by hand: the schemas call the details of an activity any JSON.

use super::field::Hidden;
use super::macros::{model, wire};
use super::organizations::UserBasic;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// Something that somebody changed.
    ///
    /// Answered by `…/activity_log/`, `…/advanced_activity_logs/` and the `activity` actions of
    /// resources.
    pub struct ActivityLogEntry {
        /// UUID.
        id: Option<String>,
        /// Who.
        user: Option<UserBasic>,
        /// Whether the asking user has not seen it.
        unread: Option<bool>,
        /// UUID of the organization.
        organization_id: Option<String>,
        /// Whether PostHog's support did it.
        was_impersonated: Option<bool>,
        /// Whether PostHog did it by itself.
        is_system: Option<bool>,
        /// What was done: `created`, `updated`, `deleted`, ….
        activity: Option<String>,
        /// Id of what was changed.
        item_id: Option<String>,
        /// Kind of what was changed, such as `FeatureFlag`.
        scope: Option<String>,
        /// What exactly.
        detail: Option<ActivityDetail>,
        /// When.
        created_at: Option<Time>,
        /// Client through which it was done.
        client: Option<String>,
    }

    /// What exactly was changed.
    ///
    /// Part of [`ActivityLogEntry`].
    pub struct ActivityDetail {
        /// Id of what was changed.
        id: Option<String>,
        /// Name of what was changed.
        name: Option<String>,
        /// Short id, as in its URL.
        short_id: Option<String>,
        /// Kind of what was changed.
        kind as "type": Option<String>,
        /// The changes.
        changes: Vec<ActivityChange>,
        /// What set it off.
        trigger: Option<Value>,
        /// Further context.
        context: Option<Value>,
    }

    /// A change of one field.
    ///
    /// Part of [`ActivityDetail`].
    pub struct ActivityChange {
        /// Kind of what was changed.
        kind as "type": Option<String>,
        /// `created`, `changed`, `deleted`, ….
        action: Option<String>,
        /// Name of the field.
        field: Option<String>,
        /// Its value before.
        before: Option<Value>,
        /// Its value after.
        after: Option<Value>,
    }

    /// A comment on something.
    ///
    /// Answered by `…/comments/`.
    pub struct Comment {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// Version; every change adds one.
        version: Option<i64>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Text.
        content: Option<String>,
        /// Text with its formatting.
        rich_content: Option<Value>,
        /// Id of what it is on.
        item_id: Option<String>,
        /// Where on it.
        item_context: Option<Value>,
        /// Kind of what it is on, such as `Notebook`.
        scope: Option<String>,
        /// UUID of the comment that it answers.
        source_comment: Option<String>,
        /// Whether it is something to do.
        is_task: Option<bool>,
        /// Numbers of the users whom it names.
        mentions: Vec<i64>,
        slug: Option<String>,
    }

    /// A notebook with its content.
    ///
    /// Answered by `…/notebooks/` (create) and `…/notebooks/{short_id}/` (get, update).
    pub struct Notebook {
        /// UUID.
        id: Option<String>,
        /// Short id, by which it is asked for.
        short_id: Option<String>,
        /// Title.
        title: Option<String>,
        /// Content.
        content: Option<Value>,
        /// Text of the content.
        text_content: Option<String>,
        /// Version; an update must name the one that it changes.
        version: Option<i64>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was last edited.
        last_modified_at: Option<Time>,
        /// Who edited it last.
        last_modified_by: Option<UserBasic>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
    }

    /// A notebook without its content.
    ///
    /// Answered by `…/notebooks/` (list).
    pub struct NotebookMinimal {
        /// UUID.
        id: Option<String>,
        /// Short id, by which it is asked for.
        short_id: Option<String>,
        /// Title.
        title: Option<String>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was last edited.
        last_modified_at: Option<Time>,
        /// Who edited it last.
        last_modified_by: Option<UserBasic>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
    }

    /// An entry in the tree of all that a project has.
    ///
    /// Answered by `…/file_system/` and, with fewer fields, `…/file_system_shortcut/`.
    pub struct FileSystemEntry {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Its place, with slashes between.
        path: Option<String>,
        /// How deep that is.
        depth: Option<i64>,
        /// What it is: `folder`, `insight`, `dashboard`, ….
        kind as "type": Option<String>,
        /// Id of what it is.
        reference as "ref": Option<String>,
        /// Its URL.
        href: Option<String>,
        /// Further data.
        meta: Option<Value>,
        /// Whether it points to another entry.
        shortcut: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// When the asking user last looked at it.
        last_viewed_at: Option<Time>,
    }

    /// A folder that a user keeps at hand.
    ///
    /// Answered by `…/persisted_folder/`.
    pub struct PersistedFolder {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// `home` or `pinned`.
        kind as "type": Option<String>,
        /// Tree it is in.
        protocol: Option<String>,
        /// Its place in there.
        path: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
    }

    /// A task for an agent.
    ///
    /// Answered by `…/tasks/`.
    pub struct Task {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Number within the project.
        task_number: Option<i64>,
        /// Name in URLs.
        slug: Option<String>,
        /// Title.
        title: Option<String>,
        /// What is to be done.
        description: Option<String>,
        /// What made it.
        origin_product: Option<String>,
        /// Its place.
        position: Option<i64>,
        /// Number of the GitHub integration.
        github_integration: Option<i64>,
        /// Repositories.
        repository_config: Option<Value>,
        /// Repositories, in the older form.
        repository_list: Vec<Value>,
        /// The one it is about.
        primary_repository: Option<Value>,
        /// Its latest run.
        latest_run: Option<TaskRun>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        title_manually_set: Option<bool>,
        /// Repository, as `owner/name`.
        repository: Option<String>,
        /// UUID of the report that it came from.
        signal_report: Option<String>,
        signal_report_task_relationship: Option<String>,
        /// Schema of what its runs put out.
        json_schema: Option<Value>,
        internal: Option<bool>,
        ci_prompt: Option<String>,
    }

    /// One run of a task.
    ///
    /// Answered by `…/tasks/{task_id}/runs/`.
    pub struct TaskRun {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// UUID of the task.
        task: Option<String>,
        /// Stage it is in.
        stage: Option<String>,
        /// Branch it works on.
        branch: Option<String>,
        /// How it goes.
        status: Option<String>,
        /// What it wrote.
        log: Option<Value>,
        /// What went wrong.
        error_message: Option<String>,
        /// What it made.
        output: Option<Value>,
        /// What it remembers.
        state: Option<Value>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// When it ended.
        completed_at: Option<Time>,
        /// Where it runs: `local` or `cloud`.
        environment: Option<String>,
        runtime_adapter: Option<String>,
        provider: Option<String>,
        model: Option<String>,
        reasoning_effort: Option<String>,
        /// Where the log can be read, for a while.
        log_url: Option<Hidden>,
        artifacts: Option<Value>,
    }

    /// An interview of a user.
    ///
    /// Answered by `…/user_interviews/`.
    pub struct UserInterview {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// Addresses of who was asked.
        interviewee_emails: Vec<String>,
        /// What was said.
        transcript: Option<String>,
        /// That, in short.
        summary: Option<String>,
    }
}
