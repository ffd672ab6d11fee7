//! What serde has against a value, without the value, which serde quotes.

/// What serde has against a value, without the value: `invalid type: string, expected u64`.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    let said = error.to_string();
    // Only its own end: a value may look like it.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = said.strip_suffix(&*place).unwrap_or(&said);
    if OWN_PROBLEMS.iter().any(|own| said.starts_with(own)) || is_of_model(said) {
        return said.to_owned();
    }
    for kind in [
        "invalid type",
        "invalid value",
        "invalid length",
        "unknown variant",
    ] {
        if let Some(of) = said.strip_prefix(kind) {
            let of = of.trim_start_matches(": ");
            let of = of.split([' ', ',']).next().unwrap_or_default();
            let known = SERDE_KINDS.contains(&of).then(|| format!(": {of}"));
            // The value stands before it.
            let expected = said.rsplit_once(", expected ");
            let expected = expected.map(|(_, expected)| format!(", expected {expected}"));
            return format!(
                "{kind}{}{}",
                known.unwrap_or_default(),
                expected.unwrap_or_default()
            );
        }
    }
    match error.classify() {
        serde_json::error::Category::Eof => "it breaks off".to_owned(),
        serde_json::error::Category::Syntax => "it is not JSON".to_owned(),
        // Anything may stand in an error of a type of the program's.
        _ => "a value does not fit".to_owned(),
    }
}

/// Whether it is what a model of this crate says of a value: `FeatureFlag is a JSON object, but here is a string`.
fn is_of_model(said: &str) -> bool {
    const KINDS: [&str; 5] = ["null", "a boolean", "a number", "a string", "a list"];
    said.split_once(" is a JSON object, but here is ")
        .is_some_and(|(model, what)| {
            model.chars().all(|c| c.is_ascii_alphanumeric()) && KINDS.contains(&what)
        })
}

/// What names a field of a type of the program, or is said by this crate.
const OWN_PROBLEMS: [&str; 5] = [
    "missing field `",
    "duplicate field `",
    "column \"",
    "it has ",
    "an object has a name twice",
];

const SERDE_KINDS: [&str; 10] = [
    "string",
    "integer",
    "floating",
    "map",
    "sequence",
    "boolean",
    "null",
    "unit",
    "character",
    "byte",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_says_is_shown_without_the_value() {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only its reading is looked at")]
        struct Row {
            id: u64,
        }
        for (text, want) in [
            (
                r#"{"id": "ada@example.com"}"#,
                "invalid type: string, expected u64",
            ),
            (r#"{"id": -7}"#, "invalid value: integer, expected u64"),
            (r#"{"other": 1}"#, "missing field `id`"),
            (r#"{"id": 1"#, "it breaks off"),
            ("ada", "it is not JSON"),
        ] {
            let error = serde_json::from_str::<Row>(text).unwrap_err();
            assert_eq!(problem(&error), want, "{text}");
        }
    }
}
