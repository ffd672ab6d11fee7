//! Names of Rust made from names of PostHog, and words for the documentation.

const KEYWORDS: [&str; 12] = [
    "type", "ref", "where", "move", "match", "use", "as", "in", "for", "loop", "self", "async",
];

/// Methods that every request has.
const TAKEN: [&str; 15] = [
    "query",
    "body",
    "raw_body",
    "answer_as",
    "untyped",
    "send",
    "send_as",
    "send_for_bytes",
    "send_for_text",
    "stream",
    "pages",
    "all",
    "all_up_to",
    "first",
    "items",
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
    match KEYWORDS.contains(&name.as_str()) || name == "body" || name == "content_type" {
        true => name + "_",
        false => name,
    }
}

/// The name of a method that sets a query parameter.
pub fn setter(wire: &str) -> String {
    let name = snake(wire);
    match KEYWORDS.contains(&name.as_str()) || TAKEN.contains(&name.as_str()) {
        true => name + "_",
        false => name,
    }
}

pub fn plural(segment: &str) -> String {
    snake(segment).replace('_', " ")
}

/// "feature flag" of `feature_flags`.
pub fn singular(segment: &str) -> String {
    let word = plural(segment);
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

/// "an alert", "a user".
pub fn with_article(words: &str) -> String {
    let vowel = words.starts_with(['a', 'e', 'i', 'o', 'u']);
    let spoken_otherwise = words.starts_with("us") || words.starts_with("uni");
    let article = if vowel && !spoken_otherwise {
        "an"
    } else {
        "a"
    };
    format!("{article} {words}")
}
