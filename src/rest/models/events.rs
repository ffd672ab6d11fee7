//! Events, what is known about their names and properties, and actions.
//!
//! Written by hand: the schemas call the properties, the person and the elements of an event text.

use super::field::Object;
use super::macros::{model, values, wire};
use super::organizations::UserBasic;
use super::people::Person;
use super::shared::PropertyFilter;
use crate::rest::Time;

model! {
    /// An event as it is stored.
    ///
    /// Answered by `…/events/` (list, get). It comes from PostHog; what is captured and sent there is
    /// [`tracing_posthog::Event`](crate::Event).
    pub struct Event {
        /// UUID.
        id: Option<String>,
        /// Who sent it.
        distinct_id: Option<String>,
        /// Properties.
        properties: Object,
        /// Name.
        event: Option<String>,
        /// When it happened.
        timestamp: Option<Time>,
        /// Whose it is: name, distinct ids, properties.
        person: Option<Person>,
        /// Clicked element of the page and those around it, the innermost first.
        elements: Vec<EventElement>,
        /// The same, as PostHog stores it.
        elements_chain: Option<String>,
    }

    /// An HTML element that an autocaptured event happened on.
    ///
    /// Part of [`Event`].
    pub struct EventElement {
        /// Its text.
        text: Option<String>,
        /// Tag, such as `button`.
        tag_name: Option<String>,
        /// CSS classes.
        attr_class: Vec<String>,
        /// Where it links to.
        href: Option<String>,
        /// HTML id.
        attr_id: Option<String>,
        /// Its place among all children (from 1).
        nth_child: Option<i64>,
        /// Its place among children of that tag (from 1).
        nth_of_type: Option<i64>,
        /// Attributes.
        attributes: Object,
        /// Distance from the innermost element.
        order: Option<i64>,
        event: Option<String>,
    }

    /// What is known about an event name.
    ///
    /// Answered by `…/event_definitions/` (list, create, get, update, `by_name`).
    pub struct EventDefinition {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Name of the event.
        name: Option<String>,
        /// Who looks after it.
        owner: Option<UserBasic>,
        /// What it means.
        description: Option<String>,
        /// Tags.
        tags: Vec<String>,
        /// When PostHog first saw it.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Who changed it last.
        updated_by: Option<UserBasic>,
        /// When it last arrived.
        last_seen_at: Option<Time>,
        /// When it last changed.
        last_updated_at: Option<Time>,
        /// Whether somebody vouched for it.
        verified: Option<bool>,
        /// When somebody vouched for it.
        verified_at: Option<Time>,
        /// Who vouched for it.
        verified_by: Option<UserBasic>,
        /// Whether it is left out of lists to choose from.
        hidden: Option<bool>,
        /// Whether this is an action rather than an event.
        is_action: Option<bool>,
        /// Number of the action.
        action_id: Option<i64>,
        /// Whether the action is being computed.
        is_calculating: Option<bool>,
        /// When the action was last computed.
        last_calculated_at: Option<Time>,
        /// Who created the action.
        created_by: Option<UserBasic>,
        /// Whether the action is told to Slack.
        post_to_slack: Option<bool>,
        /// Columns that lists of these events show.
        default_columns: Vec<String>,
        /// Screenshots of where it is sent.
        media_preview_urls: Vec<String>,
        /// What happens to events that break its schema.
        enforcement_mode: Option<String>,
    }

    /// What is known about a property name.
    ///
    /// Answered by `…/property_definitions/`.
    pub struct PropertyDefinition {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Name of the property.
        name: Option<String>,
        /// What it means.
        description: Option<String>,
        /// Tags.
        tags: Vec<String>,
        /// Whether its values are numbers.
        is_numerical: Option<bool>,
        /// What its values are.
        property_type: Option<PropertyType>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Who changed it last.
        updated_by: Option<UserBasic>,
        /// Whether the events asked about have it.
        is_seen_on_filtered_events: Option<bool>,
        /// Whether somebody vouched for it.
        verified: Option<bool>,
        /// When somebody vouched for it.
        verified_at: Option<Time>,
        /// Who vouched for it.
        verified_by: Option<UserBasic>,
        /// Whether it is left out of lists to choose from.
        hidden: Option<bool>,
        /// Whether PostHog computes it.
        virtual_property: Option<bool>,
    }

    /// Events that count as one: by name, page, element or properties.
    ///
    /// Answered by `…/actions/`.
    pub struct Action {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Tags.
        tags: Vec<String>,
        /// Whether it is told to Slack.
        post_to_slack: Option<bool>,
        /// Text of the Slack message.
        slack_message_format: Option<String>,
        /// Events that count; any of them is enough.
        steps: Vec<ActionStep>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Whether it is being computed.
        is_calculating: Option<bool>,
        /// When it was last computed.
        last_calculated_at: Option<Time>,
        /// Number of the project.
        team_id: Option<i64>,
        /// Always true: tells actions from events in mixed lists.
        is_action: Option<bool>,
        /// Why PostHog cannot match it while events arrive.
        bytecode_error: Option<String>,
        /// When it was pinned to the top of the list.
        pinned_at: Option<Time>,
        /// What made it.
        creation_context: Option<String>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
    }

    /// Events that count as an action: all that is set must fit.
    ///
    /// Part of [`Action`].
    pub struct ActionStep {
        /// Name of the event.
        event: Option<String>,
        /// Properties that it must have.
        properties: Vec<PropertyFilter>,
        /// CSS selector of the element.
        selector: Option<String>,
        /// Regular expression made of the selector by PostHog.
        selector_regex: Option<String>,
        /// Tag of the element.
        tag_name: Option<String>,
        /// Text of the element.
        text: Option<String>,
        /// How the text is compared.
        text_matching: Option<MatchKind>,
        /// Link of the element.
        href: Option<String>,
        /// How the link is compared.
        href_matching: Option<MatchKind>,
        /// URL of the page.
        url: Option<String>,
        /// How the URL is compared.
        url_matching: Option<MatchKind>,
    }
}

values! {
    /// How a text is compared.
    pub enum MatchKind {
        Contains = "contains",
        Regex = "regex",
        Exact = "exact",
    }

    /// What the values of a property are.
    pub enum PropertyType {
        DateTime = "DateTime",
        Text = "String",
        Numeric = "Numeric",
        Boolean = "Boolean",
        /// Seconds.
        Duration = "Duration",
    }
}
