//! What can be said of a field or parameter that no table describes: PostHog's own words, or what its name says.

use crate::names::{plural, singular, snake, with_article};

/// PostHog's words as documentation: on one line, with a full stop, and with nothing that rustdoc would take for a link
/// or for HTML. None where there are no words.
pub fn quoted(text: &str) -> Option<String> {
    // A lone backtick would open code that nothing ends.
    let is_even = text.matches('`').count().is_multiple_of(2);
    let mut is_code = false;
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let mut made = String::new();
        let at = match word.find("http://").or_else(|| word.find("https://")) {
            Some(at) if !is_code && !word.contains('`') => at,
            _ => word.len(),
        };
        let (plain, url) = word.split_at(at);
        for c in plain.chars() {
            match c {
                '`' if is_even => is_code = !is_code,
                '`' => continue,
                '<' | '>' | '[' | ']' | '*' | '\\' if !is_code => made.push('\\'),
                _ => {}
            }
            made.push(c);
        }
        if !url.is_empty() {
            let end = url
                .find(['<', '>', '(', ')', '[', ']', '"'])
                .unwrap_or(url.len());
            let end = url[..end].trim_end_matches(['.', ',', ';', ':']).len();
            made += &format!("<{}>", &url[..end]);
            made += &url[end..].replace(['<', '>', '[', ']'], "");
        }
        words.push(made);
    }
    let text = words.join(" ");
    match text.chars().last() {
        None => None,
        Some('.' | '!' | '?') => Some(text),
        Some(_) => Some(text + "."),
    }
}

/// What a field is set to, where its name says more than itself.
pub fn field(wire: &str, kind: &str) -> Option<String> {
    let name = snake(wire);
    if kind == "boolean" {
        return flag(&name);
    }
    if let Some(done) = done_at(&name) {
        return Some(format!("When it was {done}."));
    }
    if let Some(of) = name.strip_prefix("number_of_") {
        return Some(format!("How many {}.", plural(of)));
    }
    if let Some(of) = name.strip_suffix("_count") {
        return Some(format!("How many {}.", several(of)));
    }
    if let Some(of) = ids(&name) {
        return Some(format!("The ids of the {of}."));
    }
    if let Some(of) = id(&name) {
        return Some(format!("The id of the {of}."));
    }
    of_unit(&name)
}

/// What a flag switches.
fn flag(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("is_").filter(|rest| rest.ends_with("ed")) {
        return Some(match rest.rsplit_once('_') {
            Some((what, done)) => format!("Whether {} is {done}.", plural(what)),
            None => format!("Whether it is {rest}."),
        });
    }
    if let Some(rest) = name.strip_prefix("has_").filter(|rest| rest.ends_with('s')) {
        return Some(format!("Whether it has {}.", plural(rest)));
    }
    if let Some(rest) = name.strip_prefix("members_can_") {
        return Some(format!("Whether members can {}.", plural(rest)));
    }
    let (verb, rest) = name.split_once('_')?;
    let is_plain = rest.ends_with('s') || rest.ends_with("ion");
    match verb {
        "display" | "hide" | "open" | "send" | "show" | "start" | "use" if !rest.ends_with('s') => {
            return Some(format!("Whether to {verb} the {}.", plural(rest)));
        }
        "capture" => {
            let what = rest.strip_suffix("_opt_in").unwrap_or(rest);
            return Some(format!("Whether to capture {}.", plural(what)));
        }
        "allow" | "display" | "enable" | "enforce" | "hide" | "ignore" | "include" | "inject"
        | "open" | "receive" | "require" | "send" | "show" | "shuffle" | "start" | "use"
            if is_plain =>
        {
            return Some(format!("Whether to {verb} {}.", plural(rest)));
        }
        _ => {}
    }
    let ends = [
        ("_opt_in", "opt in to"),
        ("_opt_out", "opt out of"),
        ("_enabled", "enable"),
    ];
    ends.iter().find_map(|(end, says)| {
        let of = plural(name.strip_suffix(end)?);
        Some(format!("Whether to {says} {of}."))
    })
}

/// What a query parameter of a reading operation selects, where its name says more than itself.
pub fn filter(wire: &str, is_flag: bool) -> Option<String> {
    let name = snake(wire);
    if is_flag {
        for (start, says) in [("include_", "include"), ("exclude_", "leave out")] {
            if let Some(of) = name.strip_prefix(start) {
                let ones = if of.ends_with("ed") { " ones" } else { "" };
                return Some(format!("Whether to {says} {}{ones}.", plural(of)));
            }
        }
        if let Some(of) = name.strip_prefix("has_") {
            let of = match of.ends_with('s') {
                true => plural(of),
                false => with_article(&singular(of)),
            };
            return Some(format!(
                "Whether to return what has {of}, or what has none."
            ));
        }
        let is_done = name.ends_with("ed") && !name.contains('_');
        return is_done.then(|| format!("Whether to return what is {name}, or what is not."));
    }
    if let Some(done) = done_at(&name) {
        return Some(format!("Only what was {done} at this time."));
    }
    if let Some(of) = ids(&name) {
        return Some(format!("Only of the {of} of these ids."));
    }
    if let Some(of) = id(&name) {
        return Some(format!("Only of the {of} of this id."));
    }
    let of = name.strip_suffix("_type")?;
    Some(format!("Only with this type of {}.", plural(of)))
}

/// "created" of `created_at`.
fn done_at(name: &str) -> Option<&str> {
    let done = name.strip_suffix("_at")?;
    (done.ends_with("ed") && !done.contains('_')).then_some(done)
}

/// What an id is of. Some ids are no name of a thing.
fn id(name: &str) -> Option<String> {
    let of = name.strip_suffix("_id")?;
    (!["distinct", "hash"].contains(&of) && !of.ends_with("_by")).then(|| singular(of))
}

fn ids(name: &str) -> Option<String> {
    let of = name.strip_suffix("_ids")?;
    (of != "distinct" && !of.ends_with("_by")).then(|| several(of))
}

/// "metrics" of `metric` and of `metrics`.
fn several(name: &str) -> String {
    match plural(name) {
        words if words.ends_with('s') => words,
        words => words + "s",
    }
}

/// An amount with its unit.
fn of_unit(name: &str) -> Option<String> {
    let (of, unit) = name.rsplit_once('_')?;
    let units = ["milliseconds", "seconds", "minutes", "hours", "days"];
    units
        .contains(&unit)
        .then(|| format!("The {}, in {unit}.", plural(of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_set() {
        for (wire, kind, says) in [
            ("is_archived", "boolean", "Whether it is archived."),
            ("is_link_enabled", "boolean", "Whether link is enabled."),
            ("has_owners", "boolean", "Whether it has owners."),
            (
                "allow_impersonation",
                "boolean",
                "Whether to allow impersonation.",
            ),
            (
                "showDescription",
                "boolean",
                "Whether to show the description.",
            ),
            ("hide_hints", "boolean", "Whether to hide hints."),
            (
                "capture_performance_opt_in",
                "boolean",
                "Whether to capture performance.",
            ),
            ("surveys_opt_in", "boolean", "Whether to opt in to surveys."),
            ("heatmaps_enabled", "boolean", "Whether to enable heatmaps."),
            ("scheduled_at", "time", "When it was scheduled."),
            ("sample_count", "integer", "How many samples."),
            ("number_of_variants", "integer", "How many variants."),
            ("holdout_id", "integer", "The id of the holdout."),
            (
                "quick_filter_ids",
                "integers",
                "The ids of the quick filters.",
            ),
            ("saved_metrics_ids", "json", "The ids of the saved metrics."),
            ("delay_seconds", "integer", "The delay, in seconds."),
        ] {
            assert_eq!(field(wire, kind).as_deref(), Some(says), "{wire}");
        }
        for (wire, kind) in [
            ("title", "text"),
            ("is_odd", "text"),
            ("is_demo", "boolean"),
            ("allowGoBack", "boolean"),
            ("look_at", "text"),
            ("expected_draft_updated_at", "time"),
            ("distinct_id", "text"),
            ("id", "integer"),
        ] {
            assert_eq!(field(wire, kind), None, "{wire}");
        }
    }

    #[test]
    fn names_say_what_is_selected() {
        for (wire, is_flag, says) in [
            ("include_buckets", true, "Whether to include buckets."),
            ("exclude_bots", true, "Whether to leave out bots."),
            (
                "has_detector",
                true,
                "Whether to return what has a detector, or what has none.",
            ),
            (
                "snoozed",
                true,
                "Whether to return what is snoozed, or what is not.",
            ),
            (
                "requested_at",
                false,
                "Only what was requested at this time.",
            ),
            (
                "scorer_version_ids",
                false,
                "Only of the scorer versions of these ids.",
            ),
            ("account_id", false, "Only of the account of this id."),
            ("subject_type", false, "Only with this type of subject."),
        ] {
            assert_eq!(filter(wire, is_flag).as_deref(), Some(says), "{wire}");
        }
        assert_eq!(filter("view", false), None);
        assert_eq!(filter("created_by_ids", false), None);
    }

    #[test]
    fn words_of_others_are_plain_text() {
        for (text, want) in [
            ("", None),
            ("How many", Some("How many.")),
            ("How\n  many?", Some("How many?")),
            (
                "A <b> of [x], 2 * 3",
                Some("A \\<b\\> of \\[x\\], 2 \\* 3."),
            ),
            ("`Vec<u8>` or so.", Some("`Vec<u8>` or so.")),
            ("an odd ` tick", Some("an odd  tick.")),
            ("see https://a.b/c?d=1.", Some("see <https://a.b/c?d=1>.")),
            ("as [it](https://a.b).", Some("as \\[it\\](<https://a.b>).")),
        ] {
            assert_eq!(quoted(text).as_deref(), want, "{text}");
        }
    }
}
