//! Names of Rust made from names of PostHog, and words for the documentation.

/// All words that Rust keeps for itself, or may some day.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

pub fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// Methods that every request has.
pub const TAKEN: [&str; 19] = [
    "query",
    "query_repeated",
    "body",
    "form",
    "raw_body",
    "file",
    "answer_as",
    "untyped",
    "send",
    "send_as",
    "send_for_bytes",
    "send_for_text",
    "send_for_stream",
    "stream",
    "pages",
    "all",
    "all_up_to",
    "first",
    "into_future",
];

/// `dateRange`, `id__in`, `$unset`, `snapshot-history` as Rust names them.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && lower {
            out.push('_');
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        match c.is_ascii_alphanumeric() {
            true => out.push(c.to_ascii_lowercase()),
            false if !out.is_empty() && !out.ends_with('_') => out.push('_'),
            false => {}
        }
    }
    out.trim_end_matches('_').to_owned()
}

pub fn camel(name: &str) -> String {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .map(|part| {
            let mut chars = part.chars();
            chars.next().map_or(String::new(), |first| {
                first.to_ascii_uppercase().to_string() + chars.as_str()
            })
        })
        .collect()
}

/// `-created_at` is `CreatedAtDesc`, `STALE` is `Stale`.
pub fn variant(value: &str) -> String {
    if let Some(rest) = value.strip_prefix('-') {
        return variant(rest) + "Desc";
    }
    let shouted = value.len() > 1 && !value.contains(|c: char| c.is_ascii_lowercase());
    camel(&if shouted {
        value.to_ascii_lowercase()
    } else {
        value.to_owned()
    })
}

/// The name of an argument.
pub fn argument(wire: &str) -> String {
    let name = snake(wire);
    match is_keyword(&name) || name == "body" || name == "form" {
        true => name + "_",
        false => name,
    }
}

/// The name of a method that sets a query parameter.
pub fn setter(wire: &str) -> String {
    let name = snake(wire);
    match is_keyword(&name) || TAKEN.contains(&name.as_str()) {
        true => name + "_",
        false => name,
    }
}

/// Segments whose words the rules below would not find: the segment, one of them, several.
const WORDS: [(&str, &str, &str); 14] = [
    ("app_metrics", "app metric", "app metrics"),
    ("canvases", "canvas", "canvases"),
    (
        "early_access_feature",
        "early access feature",
        "early access features",
    ),
    (
        "experiment_saved_metrics",
        "saved metric of experiments",
        "saved metrics of experiments",
    ),
    ("file_system", "file system entry", "file system entries"),
    (
        "file_system_shortcut",
        "file system shortcut",
        "file system shortcuts",
    ),
    ("groups_types", "group type", "group types"),
    ("metrics", "metric", "metrics"),
    // Of LLM prompts.
    ("name", "prompt", "prompts by name"),
    ("persisted_folder", "persisted folder", "persisted folders"),
    ("query", "query", "queries"),
    // Of conversations.
    ("queue", "queued message", "queued messages"),
    ("rubrics", "rubric", "rubrics"),
    ("saved", "saved heatmap", "saved heatmaps"),
];

/// Words that are spelled in capitals.
const CAPITALS: [&str; 11] = [
    "aeo", "ai", "api", "bi", "ci", "cimd", "llm", "mcp", "pr", "saml", "utm",
];

/// Names that others spell their way.
const NAMES: [(&str, &str); 11] = [
    ("clickup", "ClickUp"),
    ("github", "GitHub"),
    ("google", "Google"),
    ("jira", "Jira"),
    ("linear", "Linear"),
    ("linkedin", "LinkedIn"),
    ("posthog", "PostHog"),
    ("slack", "Slack"),
    ("streamlit", "Streamlit"),
    ("supabase", "Supabase"),
    ("twilio", "Twilio"),
];

fn words(segment: &str) -> String {
    let name = snake(segment);
    let spelled = name.split('_').map(|word| {
        let name = NAMES.iter().find(|(name, _)| *name == word);
        match (name, CAPITALS.contains(&word)) {
            (Some((_, name)), _) => (*name).to_owned(),
            (None, true) => word.to_ascii_uppercase(),
            (None, false) => word.to_owned(),
        }
    });
    spelled.collect::<Vec<_>>().join(" ")
}

/// A value as a parameter holds it: a text without quotes.
pub fn plain(value: &serde_json::Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

/// "feature flags" of `feature_flags`.
pub fn plural(segment: &str) -> String {
    match WORDS.iter().find(|(name, ..)| *name == segment) {
        Some((_, _, many)) => (*many).to_owned(),
        None => words(segment),
    }
}

/// "feature flag" of `feature_flags`.
pub fn singular(segment: &str) -> String {
    if let Some((_, one, _)) = WORDS.iter().find(|(name, ..)| *name == segment) {
        return (*one).to_owned();
    }
    let word = words(segment);
    let ends = |ends: &[&str]| ends.iter().any(|e| word.ends_with(e));
    if let Some(stem) = word.strip_suffix("ies") {
        format!("{stem}y")
    } else if ends(&["sses", "xes", "ches", "shes"]) {
        word[..word.len() - 2].to_owned()
    } else if word.ends_with('s') && !ends(&["ss", "us", "is", "ics"]) {
        word[..word.len() - 1].to_owned()
    } else {
        word
    }
}

/// "an alert", "a user", "an LLM prompt".
pub fn with_article(words: &str) -> String {
    let vowel = words.starts_with(['a', 'e', 'i', 'o', 'u']);
    let spoken_otherwise = words.starts_with("us") || words.starts_with("uni");
    let spelled = ["AEO", "AI", "LLM", "MCP"];
    let letters = spelled.iter().any(|s| words.starts_with(s));
    let article = if vowel && !spoken_otherwise || letters {
        "an"
    } else {
        "a"
    };
    format!("{article} {words}")
}

/// Actions that are verbs: what is done to one or to several.
const VERBS: [(&str, &str); 29] = [
    ("approve", "Approves"),
    ("archive", "Archives"),
    ("assign", "Assigns"),
    ("cancel", "Cancels"),
    ("disable", "Disables"),
    ("dismiss", "Dismisses"),
    ("duplicate", "Duplicates"),
    ("enable", "Enables"),
    ("end", "Ends"),
    ("interrupt", "Interrupts"),
    ("launch", "Launches"),
    ("pause", "Pauses"),
    ("publish", "Publishes"),
    ("refresh", "Refreshes"),
    ("regenerate", "Regenerates"),
    ("reject", "Rejects"),
    ("reorder", "Reorders"),
    ("reset", "Resets"),
    ("restore", "Restores"),
    ("resume", "Resumes"),
    ("retry", "Retries"),
    ("revoke", "Revokes"),
    ("run", "Runs"),
    ("split", "Splits"),
    ("start", "Starts"),
    ("stop", "Stops"),
    ("unarchive", "Unarchives"),
    ("unpause", "Unpauses"),
    ("verify", "Verifies"),
];

/// "Launches" of `launch`.
pub fn verb(action: &str) -> Option<&'static str> {
    let known = VERBS.iter().find(|(name, _)| *name == action);
    known.map(|(_, verb)| *verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_wire_become_names_of_rust() {
        for (wire, rust) in [
            ("dateRange", "date_range"),
            ("id__in", "id_in"),
            ("$unset", "unset"),
            ("snapshot-history", "snapshot_history"),
            ("openapi.json", "openapi_json"),
            ("explainLogWithAI", "explain_log_with_ai"),
            ("user__uuid", "user_uuid"),
            ("validate_2fa", "validate_2fa"),
            ("@me", "me"),
        ] {
            assert_eq!(snake(wire), rust);
        }
        assert_eq!(
            camel("feature/flags/all_activity"),
            "FeatureFlagsAllActivity"
        );
        assert_eq!(camel("sql_v2"), "SqlV2");
    }

    #[test]
    fn values_become_readable_variants() {
        for (value, name) in [
            ("-created_at", "CreatedAtDesc"),
            ("created_at", "CreatedAt"),
            ("STALE", "Stale"),
            ("TRENDS", "Trends"),
            ("true", "True"),
            ("apple-ads", "AppleAds"),
            ("InitialUTMSource", "InitialUTMSource"),
            ("S3", "S3"),
        ] {
            assert_eq!(variant(value), name);
        }
    }

    #[test]
    fn words_of_rust_and_of_requests_get_out_of_the_way() {
        for (wire, name) in [
            ("type", "type_"),
            ("ref", "ref_"),
            ("where", "where_"),
            ("move", "move_"),
            ("static", "static_"),
            ("final", "final_"),
            ("gen", "gen_"),
        ] {
            assert_eq!((setter(wire), argument(wire)), (name.into(), name.into()));
        }
        // Methods that every request has, and arguments that the methods have.
        assert_eq!(
            (setter("query"), argument("query")),
            ("query_".into(), "query".into())
        );
        assert_eq!(
            (setter("body"), argument("body")),
            ("body_".into(), "body_".into())
        );
        assert_eq!(
            (setter("form"), argument("form")),
            ("form_".into(), "form_".into())
        );
        assert_eq!(setter("file"), "file_");
        assert_eq!(setter("items"), "items");
        assert_eq!(
            (setter("search"), argument("id")),
            ("search".into(), "id".into())
        );
    }

    /// Those of the crate's own files.
    #[test]
    fn the_methods_of_requests_are_known() {
        let home = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/rest");
        let files = ["request.rs", "form.rs", "page.rs", "operations/request.rs"];
        let mut found = vec!["into_future".to_owned()];
        for file in files {
            let text = std::fs::read_to_string(home.join(file)).unwrap_or_default();
            let mut is_request = false;
            for line in text.lines() {
                if line.starts_with("impl") {
                    is_request = line.contains(" Request<") && !line.contains(" for ");
                }
                let method = line.trim().strip_prefix("pub ");
                let method = method.map(|m| m.strip_prefix("async ").unwrap_or(m));
                if let (true, Some(name)) = (is_request, method.and_then(|m| m.strip_prefix("fn ")))
                {
                    let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                    found.push(name[..end.unwrap_or(name.len())].to_owned());
                }
            }
        }
        found.sort();
        let mut known = TAKEN.to_vec();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn documentation_is_in_words() {
        for (segment, one, many) in [
            ("feature_flags", "a feature flag", "feature flags"),
            (
                "property_definitions",
                "a property definition",
                "property definitions",
            ),
            ("activities", "an activity", "activities"),
            ("canvases", "a canvas", "canvases"),
            ("users", "a user", "users"),
            ("alerts", "an alert", "alerts"),
            ("llm_prompts", "an LLM prompt", "LLM prompts"),
            (
                "cimd_verification_tokens",
                "a CIMD verification token",
                "CIMD verification tokens",
            ),
            ("web_analytics", "a web analytics", "web analytics"),
            ("metrics", "a metric", "metrics"),
            (
                "early_access_feature",
                "an early access feature",
                "early access features",
            ),
        ] {
            assert_eq!(with_article(&singular(segment)), one);
            assert_eq!(plural(segment), many);
        }
    }
}
