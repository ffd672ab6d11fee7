//! What an unknown `posthog.*` name was probably meant to be.

const PREFIX: &str = "posthog.";

/// The fields of the grammar.
const NAMES: [&str; 11] = [
    "event",
    "distinct_id",
    "session_id",
    "timestamp",
    "uuid",
    "process_person_profile",
    "geoip_disable",
    "properties",
    "exception",
    "fingerprint",
    "issue_name",
];

/// Those that go before a name, and what that names.
const KEYED: [(&str, &str); 3] = [
    ("group", "<type>"),
    ("set", "<name>"),
    ("set_once", "<name>"),
];

/// The field of the grammar that is the nearest to `name`, if one is near: at most a third of its letters differ.
pub(super) fn of(name: &str) -> Option<String> {
    // Names can be constants of any length.
    let rest = name.strip_prefix(PREFIX).filter(|rest| rest.len() <= 100)?;
    let (head, key) = rest.split_once('.').unwrap_or((rest, ""));
    let whole = NAMES
        .iter()
        .map(|known| (distance(rest, known), *known, String::new()));
    let keyed = KEYED.iter().map(|(known, placeholder)| {
        let key = if key.is_empty() { placeholder } else { key };
        (distance(head, known), *known, format!(".{key}"))
    });
    let (known, key) = nearest_of(whole.chain(keyed))?;
    Some(format!("{PREFIX}{known}{key}"))
}

/// The candidate of the smallest distance, if that is near, and what came with it.
fn nearest_of<'a, T>(
    candidates: impl Iterator<Item = (usize, &'a str, T)>,
) -> Option<(&'a str, T)> {
    candidates
        .filter(|(distance, known, _)| distance * 3 <= known.len())
        .min_by_key(|(distance, ..)| *distance)
        .map(|(_, known, more)| (known, more))
}

/// The one of these that is the nearest to `name`, if one is near: at most a third of its letters differ.
#[cfg(feature = "flags")]
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names can be of any length.
    let short = |name: &str| name.len() <= 100;
    if !short(name) {
        return None;
    }
    let known = known.filter(|known| short(known));
    nearest_of(known.map(|known| (distance(name, known), known, ()))).map(|(known, ())| known)
}

/// How many letters are to be added, left out or replaced to make one of the other; large ones are as small ones.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(&b));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_letters() {
        for (one, other, want) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("distinctId", "distinct_id", 1),
            ("évent", "event", 1),
        ] {
            assert_eq!(distance(one, other), want, "{one} {other}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        for (name, want) in [
            ("posthog.distinct_idd", Some("posthog.distinct_id")),
            ("posthog.Event", Some("posthog.event")),
            ("posthog.group.", Some("posthog.group.<type>")),
            ("posthog.sett.plan.x", Some("posthog.set.plan.x")),
            ("posthog.", None),
            ("posthog.user", None),
            ("posthog.anything", None),
            ("distinct_idd", None),
        ] {
            assert_eq!(of(name).as_deref(), want, "{name}");
        }
        assert_eq!(of(&format!("posthog.{}", "x".repeat(1 << 20))), None);
    }
}
