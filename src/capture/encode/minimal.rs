//! The short form of `$feature_flag_called`: what PostHog counts of flags without an experiment, and where that came from.
//!
//! The list is PostHog's (<https://github.com/PostHog/sdk-specs>, "feature flag called tracker"). It counts after the hooks:
//! what default properties and hooks add to such an event is left out, unless it is on the list.

use crate::event::Event;

/// The properties that stay.
const KEPT: [&str; 27] = [
    "$feature_flag",
    "$feature_flag_response",
    "$feature_flag_has_experiment",
    "$feature_flag_id",
    "$feature_flag_version",
    "$feature_flag_reason",
    "$feature_flag_request_id",
    "$feature_flag_evaluated_at",
    "$feature_flag_error",
    // Of configurations of version 2, in place of the reason.
    "$feature_flag_config_version",
    "$feature_flag_reason_code",
    "$feature_flag_rule_id",
    "$feature_flag_rule_type",
    "$feature_flag_variant_key",
    "locally_evaluated",
    "$process_person_profile",
    "$geoip_disable",
    "$session_id",
    "$window_id",
    "$device_id",
    "$lib",
    "$lib_version",
    "$is_server",
    "$os",
    "$os_version",
    "$os_distro",
    "$referring_domain",
];

/// Which campaign a session came from.
const CAMPAIGN: [&str; 23] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "gad_source",
    "mc_cid",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "fbclid",
    "msclkid",
    "twclid",
    "li_fat_id",
    "igshid",
    "ttclid",
    "rdt_cid",
    "epik",
    "qclid",
    "sccid",
    "irclid",
];

/// Leaves out what does not belong to the short form. Groups stay.
pub(super) fn shorten(event: &mut Event) {
    let is_kept = |name: &str| KEPT.contains(&name) || CAMPAIGN.contains(&name);
    event.properties.retain(|name, _| is_kept(name));
    event.set.clear();
    event.set_once.clear();
}
