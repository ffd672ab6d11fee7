//! The forms in which a server may write a secret.

use std::fmt::Write as _;

/// A shorter header value is no secret, and replacing it everywhere would garble texts.
const SHORTEST_SECRET: usize = 6;
/// The same for a part of a value, which is more often an ordinary word.
const SHORTEST_PART: usize = 10;

/// What of a header's value is a secret: all of it, what follows an authentication scheme, and the values of cookies
/// and other pairs.
pub(super) fn of_header(value: &str) -> Vec<&str> {
    let whole = value.trim();
    let credentials = whole.split_once(' ').map(|(_, rest)| rest.trim());
    let pairs = whole
        .split([';', ',', ' '])
        .filter_map(|pair| Some(pair.split_once('=')?.1.trim_matches('"')));
    [Some(whole), credentials]
        .into_iter()
        .flatten()
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
        .chain(pairs.filter(|part| part.len() >= SHORTEST_PART))
        .collect()
}

/// A secret as it is, and as it stands in JSON, in an address and on a page, in small letters.
pub(super) fn of_secret(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_start_matches('"');
    let json = json.strip_suffix('"').unwrap_or(json).to_owned();
    let mut forms = vec![
        secret.to_owned(),
        ascii_json(&json),
        json.replace('/', "\\/"),
        json,
        in_address(secret),
        on_page(secret, "&#39;"),
        on_page(secret, "&#x27;"),
    ];
    for form in &mut forms {
        form.make_ascii_lowercase();
    }
    forms
}

/// JSON text with escapes for all that is not ASCII.
fn ascii_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c.is_ascii() {
            true => text.push(c),
            false => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text
}

/// Percent-encoded, but for what every encoder leaves as it is.
fn in_address(secret: &str) -> String {
    let mut text = String::with_capacity(secret.len());
    for byte in secret.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => {
                let _ = write!(text, "%{byte:02x}");
            }
        }
    }
    text
}

fn on_page(secret: &str, apostrophe: &str) -> String {
    secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', apostrophe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_headers_are_secrets_where_they_are_long() {
        for (value, want) in [
            ("short", vec![]),
            (" secret ", vec!["secret"]),
            ("Bearer secret", vec!["Bearer secret", "secret"]),
            (
                "a=b; session=0123456789; theme=dark",
                vec![
                    "a=b; session=0123456789; theme=dark",
                    "session=0123456789; theme=dark",
                    "0123456789",
                ],
            ),
            (
                "application/json, text/html",
                vec!["application/json, text/html", "text/html"],
            ),
        ] {
            assert_eq!(of_header(value), want, "{value:?}");
        }
    }

    #[test]
    fn a_secret_has_a_form_for_each_place() {
        let forms = of_secret("É/\"<A>'");
        for form in [
            "É/\"<a>'",
            "É/\\\"<a>'",
            "É\\/\\\"<a>'",
            "\\u00c9/\\\"<a>'",
            "%c3%89%2f%22%3ca%3e%27",
            "É/&quot;&lt;a&gt;&#39;",
            "É/&quot;&lt;a&gt;&#x27;",
        ] {
            assert!(forms.iter().any(|f| f == form), "{form}: {forms:?}");
        }
    }
}
