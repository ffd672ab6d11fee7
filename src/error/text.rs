//! Texts of others in our errors: short, and without keys.

/// Says what a page of HTML or XML is, by its title; `None` for anything else.
pub(crate) fn markup(text: &str) -> Option<String> {
    let text = text.trim_start();
    if !text.starts_with('<') {
        return None;
    }
    let head = excerpt(text, 8_000);
    let lower = head.to_ascii_lowercase();
    let kind = match lower.contains("<html") || lower.starts_with("<!doctype html") {
        true => "HTML",
        false => "XML",
    };
    let title = lower.find("<title").and_then(|at| {
        let start = at + lower[at..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        let title = head[start..end].split_whitespace().collect::<Vec<_>>();
        (!title.is_empty()).then(|| excerpt(&title.join(" "), 100))
    });
    Some(match title {
        Some(title) => format!("{kind} instead of PostHog's JSON, titled {title:?}"),
        None => format!("{kind} instead of PostHog's JSON"),
    })
}

/// `text` without anything that looks like a key of PostHog, and without `key` whatever it looks like.
pub(crate) fn without_keys(text: &str, key: Option<&str>) -> String {
    let text = match key {
        Some(key) if text.contains(key) => text.replace(key, "[redacted]"),
        _ => text.to_owned(),
    };
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("ph") {
        let (before, from) = rest.split_at(at);
        clean.push_str(before);
        let own = from.as_bytes();
        let starts_word = !before.ends_with(|c: char| c.is_ascii_alphanumeric());
        if starts_word && own.len() > 4 && own[2].is_ascii_lowercase() && own[3] == b'_' {
            let secret = from[4..]
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
                .unwrap_or(from.len() - 4);
            clean.push_str(&from[..4]);
            if secret > 0 {
                clean.push_str("[redacted]");
            }
            rest = &from[4 + secret..];
        } else {
            clean.push_str("ph");
            rest = &from[2..];
        }
    }
    clean.push_str(rest);
    clean
}

/// `text`, cut to at most `max` characters.
pub(crate) fn excerpt(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_of_texts() {
        assert_eq!(
            without_keys(
                "Bearer phx_aB9-_c, \"phc_1\" graph_node phx_ php phä phs_z",
                None
            ),
            "Bearer phx_[redacted], \"phc_[redacted]\" graph_node phx_ php phä phs_[redacted]"
        );
        assert_eq!(
            without_keys("old-key and old-key2", Some("old-key")),
            "[redacted] and [redacted]2"
        );
    }
}
