//! Session recordings and playlists.
//!
//! Written by hand: the schemas do not say which numbers of a recording are whole, and call its last days text.

use super::field::Object;
use super::macros::{model, values, wire};
use super::organizations::UserBasic;
use super::people::Person;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// A recording of a session, without its snapshots.
    ///
    /// Answered by `…/session_recordings/`.
    pub struct SessionRecording {
        /// Session id, by which it is asked for.
        id: Option<String>,
        /// Whose it is.
        distinct_id: Option<String>,
        /// Whether the asking user watched it.
        viewed: Option<bool>,
        /// Email addresses of the others who watched it.
        viewers: Vec<String>,
        /// Length in seconds.
        recording_duration: Option<f64>,
        /// Seconds with activity.
        active_seconds: Option<f64>,
        /// Seconds without.
        inactive_seconds: Option<f64>,
        /// When it starts.
        start_time: Option<Time>,
        /// When it ends.
        end_time: Option<Time>,
        /// Clicks.
        click_count: Option<i64>,
        /// Key presses.
        keypress_count: Option<i64>,
        /// Mouse events.
        mouse_activity_count: Option<i64>,
        /// Lines in the console.
        console_log_count: Option<i64>,
        /// Warnings in the console.
        console_warn_count: Option<i64>,
        /// Errors in the console.
        console_error_count: Option<i64>,
        /// Where it starts.
        start_url: Option<String>,
        /// Whose it is.
        person: Option<Person>,
        /// Where its snapshots are kept.
        storage: Option<String>,
        /// Days for which it is kept.
        retention_period_days: Option<i64>,
        /// When it is deleted.
        expiry_time: Option<Time>,
        /// Days until it is deleted.
        recording_ttl: Option<i64>,
        /// What was recorded: `web` or `mobile`.
        snapshot_source: Option<String>,
        /// Whether it may still grow.
        ongoing: Option<bool>,
        /// How much happens (0 to 100).
        activity_score: Option<f64>,
        snapshot_library: Option<String>,
        has_summary: Option<bool>,
        summary_outcome: Option<Value>,
        external_references: Vec<Object>,
    }

    /// A collection of recordings, or saved filters.
    ///
    /// Answered by `…/session_recording_playlists/`.
    pub struct SessionRecordingPlaylist {
        /// Number.
        id: Option<i64>,
        /// Short id, as in its URL.
        short_id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// Name made of what it holds.
        derived_name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Whether it is pinned to the top.
        pinned: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Which recordings it shows.
        filters: Option<Value>,
        /// When it was last edited.
        last_modified_at: Option<Time>,
        /// Who edited it last.
        last_modified_by: Option<UserBasic>,
        /// How many it has, how many are watched.
        recordings_counts: Object,
        /// Collection or filters.
        kind as "type": Option<PlaylistType>,
        /// Whether PostHog makes it.
        is_synthetic: Option<bool>,
    }
}

values! {
    /// What a playlist is.
    pub enum PlaylistType {
        /// Chosen recordings.
        Collection = "collection",
        /// All that fit the filters.
        Filters = "filters",
    }
}
