//! What PostHog writes at times and `serde_json` does not read: numbers that JSON does not have, numbers that it would
//! round, and halves of characters.
//!
//! PostHog's Python writes `NaN`, `Infinity` and `-Infinity` at times, which no JSON parser reads. And it writes integers
//! of any size, which a [`Value`](serde_json::Value) keeps as a rounded float. Both are found by one pass over the text,
//! outside of its strings.
//!
//! Texts that a program cut between the two `\u` escapes of one character, such as an emoji, stay so in PostHog. No text
//! of Rust's holds one of the two alone.

#[cfg(feature = "rest")]
use std::borrow::Cow;

/// The text with `null` for `NaN`, `Infinity` and `-Infinity`, and how many there were. `None`: there are none.
pub(crate) fn without_nan(json: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut count = 0;
    let text = rewritten(json, |token| {
        is_no_number(token).then(|| {
            count += 1;
            b"null".to_vec()
        })
    });
    text.map(|text| (text, count))
}

/// The text with `\ufffd` for each half of a surrogate pair that stands alone, and how many there were. `None`: there are
/// none. It has the same length.
pub(crate) fn without_lone_surrogates(json: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut alone = Vec::new();
    let mut at = 0;
    // A backslash stands only in strings.
    while let Some(found) = json
        .get(at..)
        .and_then(|rest| rest.iter().position(|b| *b == b'\\'))
    {
        at += found;
        at += match (escaped_unit(json, at), escaped_unit(json, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                alone.push(at);
                6
            }
            _ => 2,
        };
    }
    let mut text = (!alone.is_empty()).then(|| json.to_vec())?;
    for at in &alone {
        text[at + 2..at + 6].copy_from_slice(b"fffd");
    }
    Some((text, alone.len()))
}

/// The UTF-16 unit that the text has as an escape there, such as `\ud83d`.
fn escaped_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

/// The text with each number as a string that a [`Value`](serde_json::Value) would not keep as it is: `NaN` and its like,
/// integers beyond 64 bits, and decimals of more than 17 digits.
#[cfg(feature = "rest")]
pub(crate) fn exact(json: &[u8]) -> Cow<'_, [u8]> {
    let text = rewritten(json, |token| {
        (is_no_number(token) || is_rounded(token)).then(|| [b"\"", token, b"\""].concat())
    });
    text.map_or(Cow::Borrowed(json), Cow::Owned)
}

fn is_no_number(token: &[u8]) -> bool {
    matches!(token, b"NaN" | b"Infinity" | b"-Infinity")
}

/// Whether it is a number with more digits than 64 bits hold.
#[cfg(feature = "rest")]
fn is_rounded(token: &[u8]) -> bool {
    if token.len() <= 17 || !matches!(token, [b'-' | b'0'..=b'9', ..]) {
        return false;
    }
    let Ok(text) = std::str::from_utf8(token) else {
        return false;
    };
    if text.bytes().skip(1).all(|b| b.is_ascii_digit()) {
        return text.parse::<i64>().is_err() && text.parse::<u64>().is_err();
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    let is_number = text.parse::<f64>().is_ok();
    is_number && digits.skip_while(|digit| *digit == b'0').count() > 17
}

/// The text with each bare token that `replace` gives another text for replaced. `None`: there is none.
fn rewritten(json: &[u8], mut replace: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = json.get(at) {
        let rest = &json[at..];
        at += match byte {
            b'"' => string_len(rest),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'+' | b'.' => {
                let len = token_len(rest);
                if let Some(other) = replace(&rest[..len]) {
                    text.extend_from_slice(&json[copied..at]);
                    text.extend_from_slice(&other);
                    copied = at + len;
                }
                len
            }
            _ => 1,
        };
    }
    if copied == 0 {
        return None;
    }
    text.extend_from_slice(&json[copied..]);
    Some(text)
}

fn token_len(text: &[u8]) -> usize {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.');
    text.iter().position(|b| !is_part(b)).unwrap_or(text.len())
}

/// The length of the string that the text begins with, its quotes included.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn only_bare_tokens_are_replaced() {
        for (text, want, count) in [
            ("NaN", "null", 1),
            ("[NaN,-Infinity, Infinity]", "[null,null, null]", 3),
            (
                r#"{"NaN": NaN, "a\"": "NaN"}"#,
                r#"{"NaN": null, "a\"": "NaN"}"#,
                1,
            ),
            (r#"["\\", NaN]"#, r#"["\\", null]"#, 1),
        ] {
            let (got, n) = without_nan(text.as_bytes()).unwrap();
            assert_eq!((String::from_utf8(got).unwrap().as_str(), n), (want, count));
        }
        for none in [
            "",
            "[1]",
            "\"NaN",
            r#"{"a": "NaN"}"#,
            "NaNa",
            "nan",
            "+Infinity",
            "\"\\",
        ] {
            assert_eq!(without_nan(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn only_halves_that_stand_alone_are_replaced() {
        for (text, want, count) in [
            (r#"["\ud83d"]"#, r#"["\ufffd"]"#, 1),
            (r#"{"\uDE00": 1}"#, r#"{"\ufffd": 1}"#, 1),
            (
                r#"["\ud83d\ud83d\ude00\ude00"]"#,
                r#"["\ufffd\ud83d\ude00\ufffd"]"#,
                2,
            ),
            (r#"["\ud83d\n\ude00"]"#, r#"["\ufffd\n\ufffd"]"#, 2),
            (r#"["\\\\\ud83d"]"#, r#"["\\\\\ufffd"]"#, 1),
        ] {
            let (got, n) = without_lone_surrogates(text.as_bytes()).unwrap();
            assert_eq!((String::from_utf8(got).unwrap().as_str(), n), (want, count));
        }
        for none in [
            "",
            r#"["\ud83d\ude00"]"#,
            r#"["\\ud83d"]"#,
            r#"["\u00e4\u+123\ud8"]"#,
            "\\",
            "\\ud83",
        ] {
            assert_eq!(without_lone_surrogates(none.as_bytes()), None, "{none}");
        }
    }

    #[cfg(feature = "rest")]
    #[test]
    fn numbers_that_would_be_rounded_become_text() {
        for (text, want) in [
            ("[18446744073709551615]", "[18446744073709551615]"),
            ("[-9223372036854775808]", "[-9223372036854775808]"),
            ("[18446744073709551616]", r#"["18446744073709551616"]"#),
            ("[-9223372036854775809]", r#"["-9223372036854775809"]"#),
            ("[0.12345678901234567]", "[0.12345678901234567]"),
            ("[1.234567890123456789]", r#"["1.234567890123456789"]"#),
            ("[1.7976931348623157e+308]", "[1.7976931348623157e+308]"),
            ("[0.00000000000000000000012]", "[0.00000000000000000000012]"),
            ("[NaN]", r#"["NaN"]"#),
            ("[1-2222222222222222222]", "[1-2222222222222222222]"),
        ] {
            let got = exact(text.as_bytes());
            assert_eq!(std::str::from_utf8(&got).unwrap(), want);
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "(NaN|[\"\\\\]|Infinity)*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(".*", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_as_serde_writes_it_stays_as_it_is(value in json()) {
            let text = value.to_string();
            prop_assert_eq!(without_nan(text.as_bytes()), None);
            prop_assert_eq!(without_lone_surrogates(text.as_bytes()), None);
            #[cfg(feature = "rest")]
            prop_assert_eq!(&*exact(text.as_bytes()), text.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = without_nan(&bytes);
            let _ = without_lone_surrogates(&bytes);
            #[cfg(feature = "rest")]
            let _ = exact(&bytes);
        }
    }
}
