//! Takes what looks like credentials out of texts.
//!
//! The texts of errors often show what failed: the address of a database, a header, a body. What is taken out:
//!
//! - what stands before the `@` of a URL;
//! - the value of a name that means a secret: `password=…`, `"api_key": "…"`, `?token=…`. After a colon and a space, which also
//!   follow such names in sentences ("invalid token: expected a comma"), only a value with a digit, or in quotes;
//! - headers `Authorization` and `Cookie`, and `Bearer …`;
//! - keys that are known by their form: of PostHog, AWS, GitHub, Slack, Stripe; JSON web tokens; private keys.
//!
//! A text is not proven clean. Programs whose errors hold other secrets remove these in `before_send`.

use crate::redact::{REDACTED, without_keys};
use regex_lite::{Captures, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// What follows a name in a sentence is no secret if it is shorter.
const MIN_WORD: usize = 4;

/// A pattern, and something that each of its texts has.
struct Rule {
    /// What is redacted is a group: `a`, `b`, `c`, `d`, or `word`.
    pattern: Option<Regex>,
    hints: &'static [char],
}

fn rule(pattern: &str, hints: &'static [char]) -> Rule {
    Rule {
        // The patterns are constants, and a test compiles them.
        pattern: Regex::new(pattern).ok(),
        hints,
    }
}

/// Names of values that are secret.
const NAMES: &str = r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|credentials?|signature)";

/// A value in quotes, which may be escaped, or be cut off at its end: `"…`, `\"…`, `'…`, and `Some("…`.
const QUOTED: &str =
    r#"(?:[A-Za-z]+\()?(?:"(?P<a>(?:[^"\\]|\\.)+)|'(?P<b>(?:[^'\\]|\\.)+)|\\+["'](?P<c>[^"'\\]+))"#;

/// What may stand between a name and the colon behind it.
const END: &str = r#"(?:\\*["'])?"#;

static RULES: LazyLock<[Rule; 11]> = LazyLock::new(|| {
    [
        rule(
            r#"[A-Za-z][A-Za-z0-9+.-]*://(?P<a>[^\s/?\#"'<>]+)@"#,
            &['@'],
        ),
        // A password with a slash. A port is none.
        rule(
            r#"[A-Za-z][A-Za-z0-9+.-]*://(?P<a>[^\s/?\#"'<>@:]*:(?:[^\s"'<>@0-9]|[0-9]+[^\s"'<>@0-9/?\#])[^\s"'<>@]*)@"#,
            &['@'],
        ),
        rule(
            r"(?P<a>-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$))",
            &['-'],
        ),
        rule(
            &format!(
                r#"(?i)\b(?:set-)?cookie{END}\s*[:=]\s*(?:{QUOTED}|(?P<d>[^\s"'\\][^\r\n]*))"#
            ),
            &[':', '='],
        ),
        rule(r#"(?i)\bdigest\s+(?P<a>[\w-]+=[^\r\n]+)"#, &['=']),
        rule(
            &format!(
                r#"(?i)\b(?:proxy-)?authorization{END}\s*[:=]\s*(?:[A-Za-z]+\()?(?:\\*["'])?(?:(?:bearer|basic|token|api-?key|key|negotiate|hmac|digest)\s+)?(?P<a>[^\s"',;\\]+)"#
            ),
            &[':', '='],
        ),
        rule(
            r"(?i)\b(?:bearer|basic)\s+(?P<a>[A-Za-z._~+/=-]*[0-9][A-Za-z0-9._~+/=-]*)",
            &[' '],
        ),
        // `name="value"`, `"name": "value"`, `name: Some("value")`.
        rule(
            &format!(r#"(?i)\b{NAMES}{END}\s*[:=]\s*{QUOTED}"#),
            &['=', ':'],
        ),
        // `name=value`, `name:value`.
        rule(
            &format!(r#"(?i)\b{NAMES}{END}(?:\s*=\s*|:)(?P<a>[^\s"'\\&,;)}}\]]+)"#),
            &['=', ':'],
        ),
        rule(
            &format!(
                r#"(?i)\b{NAMES}{END}:\s+(?P<word>[^\s"'\\&,;)}}\]0-9]*[0-9][^\s"'&,;)}}\]]*)"#
            ),
            &[':'],
        ),
        rule(
            r"\b(?P<a>(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{10,}|AIza[A-Za-z0-9_-]{30,}|xox[a-z]-[A-Za-z0-9-]{10,}|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]+|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)",
            &['_', '-', '.', 'A'],
        ),
    ]
});

/// The text without what looks like credentials.
pub(super) fn scrub(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for Rule { pattern, hints } in &*RULES {
        if let Some(pattern) = pattern
            && clean.contains(*hints)
            && let Cow::Owned(cleaner) = pattern.replace_all(&clean, redacted)
        {
            clean = Cow::Owned(cleaner);
        }
    }
    // PostHog's own.
    match clean.contains("ph") {
        true => Cow::Owned(without_keys(&clean)),
        false => clean,
    }
}

/// What was found, with something else in the place of the secret.
fn redacted(found: &Captures<'_>) -> String {
    let whole = found.get(0);
    let word = found
        .name("word")
        .filter(|word| word.as_str().len() >= MIN_WORD);
    let mut groups = ["a", "b", "c", "d"].iter();
    let secret = groups.find_map(|name| found.name(name)).or(word);
    let (Some(whole), Some(secret)) = (whole, secret) else {
        return whole.map_or_else(String::new, |whole| whole.as_str().to_owned());
    };
    if secret.as_str().starts_with("[redacted") {
        return whole.as_str().to_owned();
    }
    let before = secret.start() - whole.start();
    let after = secret.end() - whole.start();
    let whole = whole.as_str();
    [&whole[..before], REDACTED, &whole[after..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(RULES.iter().all(|rule| rule.pattern.is_some()));
    }

    #[test]
    fn credentials_are_taken_out() {
        for (text, clean) in [
            (
                "postgres://shop:hunter2@db.internal:5432/shop refused",
                "postgres://[redacted]@db.internal:5432/shop refused",
            ),
            (
                "https://s3cr3t@github.com/x",
                "https://[redacted]@github.com/x",
            ),
            ("password=hunter2", "password=[redacted]"),
            (
                "DB_PASSWORD = 'hunter 2' is wrong",
                "DB_PASSWORD = '[redacted]' is wrong",
            ),
            ("password: hunter2", "password: [redacted]"),
            (
                r#"{"user":"ada","password":"hunter","n":1}"#,
                r#"{"user":"ada","password":"[redacted]","n":1}"#,
            ),
            (r#"api_key: "abcdef""#, r#"api_key: "[redacted]""#),
            (
                "GET /a?token=abc&page=2 failed",
                "GET /a?token=[redacted]&page=2 failed",
            ),
            (
                "Authorization: Bearer abc.def",
                "Authorization: Bearer [redacted]",
            ),
            ("sent Bearer a1b2c3", "sent Bearer [redacted]"),
            ("set-cookie: a=b; c=d", "set-cookie: [redacted]"),
            (
                r#"{\"password\":\"hunter2\",\"n\":1}"#,
                r#"{\"password\":\"[redacted]\",\"n\":1}"#,
            ),
            (
                r#"Login { password: Some("hunter2"), n: 1 }"#,
                r#"Login { password: Some("[redacted]"), n: 1 }"#,
            ),
            (
                r#"{"password": String("hunter2")}"#,
                r#"{"password": String("[redacted]")}"#,
            ),
            (r#"password="hunter2 and cut"#, r#"password="[redacted]"#),
            (r#"password="it'shunter2" x"#, r#"password="[redacted]" x"#),
            (
                "Authorization: ApiKey abc123secret x",
                "Authorization: ApiKey [redacted] x",
            ),
            (
                r#"Authorization: Digest username="ada", response="6629""#,
                "Authorization: Digest [redacted]",
            ),
            (
                r#"{"cookie": "a=\"b\"; sid=hunter2"}"#,
                r#"{"cookie": "[redacted]"}"#,
            ),
            ("github_pat_11ABCDEFG0123456789abcdef x", "[redacted] x"),
            (
                "postgres://u:pa/ss1@host/db",
                "postgres://[redacted]@host/db",
            ),
            ("key AKIAIOSFODNN7EXAMPLE", "key [redacted]"),
            ("phc_abcdefghijkl", "phc_[redacted]"),
            ("jwt eyJhbGciOi.eyJzdWIi.c2ln", "jwt [redacted]"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- end",
                "[redacted] end",
            ),
        ] {
            assert_eq!(scrub(text), clean);
            assert_eq!(scrub(clean), clean, "twice");
        }
    }

    #[test]
    fn ordinary_texts_stay() {
        for text in [
            "token expired",
            "missing field `password` at line 1 column 2",
            "invalid token: expected a comma",
            "unexpected token: `}`",
            "basic authentication failed",
            "no such file: /etc/passwd: 2",
            "connection to https://example.com/a@b refused",
            "user ada@example.com is unknown",
            "http://localhost:8080/users/ada@example.com is gone",
            "digest mismatch: expected a, got b",
            "wrong password: must be longer",
            "",
        ] {
            assert_eq!(scrub(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_scrubbed_once(text in "(?s).{0,200}") {
            let clean = scrub(&text).into_owned();
            prop_assert_eq!(scrub(&clean), clean.clone());
        }

        #[test]
        fn a_secret_does_not_come_out(
            before in "[ -~]{0,20}",
            name in "(password|api_key|client-secret|TOKEN|db.passwd)",
            (open, close) in prop_oneof![
                Just(("=", "")), Just(("=\"", "\"")), Just(("='", "'")), Just(("\":\"", "\"")), Just((": \"", "\"")),
                Just((": Some(\"", "\")")), Just(("\\\":\\\"", "\\\"")), Just((" = ", "")), Just(("=\"", "")),
            ],
            secret in "[a-zA-Z0-9+/_.$!-]{6,16}",
            after in "[ -~]{0,20}",
        ) {
            // In letters that a text around it does not have by chance.
            let secret = format!("Zq{secret}");
            let text = format!("{before} {name}{open}{secret}{close} {after}");
            prop_assert!(!scrub(&text).contains(&secret), "{} -> {}", text, scrub(&text));
        }
    }
}
