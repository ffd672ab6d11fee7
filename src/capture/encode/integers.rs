//! Integers beyond 2^53. PostHog reads numbers as doubles, which hold them rounded.

/// How integers beyond 2^53 (±9,007,199,254,740,992) are sent.
///
/// PostHog reads the numbers in properties as doubles. So a snowflake id such as 987654321012345678 becomes
/// 987654321012345728 there, and several ids become one.
///
/// Integers up to 2^53 are numbers in any case, and those that fit in no 64 bits are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum LargeIntegers {
    /// As text, exact to the last digit: `"987654321012345678"`.
    #[default]
    Text,
    /// As numbers. PostHog rounds them. For properties that are summed up, or that were numbers in PostHog before.
    Number,
}

/// 2^53: doubles hold all integers up to it.
const EXACT: u64 = 1 << 53;

/// The digits of the largest exact integer.
const EXACT_DIGITS: &[u8] = b"9007199254740992";

impl LargeIntegers {
    /// Whether an integer of that size is to be text.
    #[inline]
    pub(super) fn is_text(self, size: u64) -> bool {
        size > EXACT && self == Self::Text
    }

    /// JSON with its integers as they are to be sent. `None`: as it is. With [`Number`](Self::Number), those stay
    /// numbers that fit in 64 bits.
    pub(super) fn written(self, json: &str) -> Option<String> {
        quoted(json, |digits, negative| match self {
            Self::Text => is_beyond(digits, EXACT_DIGITS),
            Self::Number => fits_nowhere(digits, negative),
        })
    }

    /// JSON whose integers `serde_json` can read without rounding: those that fit in no 64 bits are text. `None`: as
    /// it is.
    pub(super) fn readable(json: &str) -> Option<String> {
        Self::Number.written(json)
    }
}

/// JSON with quotes around those integers, given by their digits and whether they are negative, for which `wanted`
/// is true. Runs over texts and anything that is no JSON without a change.
fn quoted(json: &str, wanted: impl Fn(&[u8], bool) -> bool) -> Option<String> {
    let bytes = json.as_bytes();
    // Most have no number of so many digits.
    let mut run = 0;
    let long = bytes.iter().any(|byte| {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        run >= EXACT_DIGITS.len()
    });
    if !long {
        return None;
    }
    let mut out = String::with_capacity(json.len() + 16);
    let (mut from, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_text(bytes, at),
            b'-' | b'0'..=b'9' => {
                let end = end_of(bytes, at, |b| {
                    b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')
                });
                let negative = *byte == b'-';
                let digits = &bytes[at + usize::from(negative)..end];
                if digits.iter().all(u8::is_ascii_digit) && wanted(digits, negative) {
                    out.push_str(&json[from..at]);
                    out.push('"');
                    out.push_str(&json[at..end]);
                    out.push('"');
                    from = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if from == 0 {
        return None;
    }
    out.push_str(&json[from..]);
    Some(out)
}

fn end_of(bytes: &[u8], from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let length = bytes[from..].iter().position(|byte| !is_part(*byte));
    length.map_or(bytes.len(), |length| from + length)
}

/// Where the text that begins at `from` ends.
fn end_of_text(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether an integer is larger than another, by their digits. JSON writes no zeros in front.
fn is_beyond(digits: &[u8], limit: &[u8]) -> bool {
    digits.len() > limit.len() || (digits.len() == limit.len() && digits > limit)
}

fn fits_nowhere(digits: &[u8], negative: bool) -> bool {
    match negative {
        true => is_beyond(digits, b"9223372036854775808"),
        false => is_beyond(digits, b"18446744073709551615"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn written(by: LargeIntegers, json: &str) -> String {
        by.written(json).unwrap_or_else(|| json.to_owned())
    }

    #[test]
    fn integers_beyond_the_limit_get_quotes_and_nothing_else_does() {
        let json = r#"{"9007199254740993":[9007199254740992,9007199254740993,-9007199254740992,-9007199254740993],"a\"9007199254740993":"x\\","f":[9007199254740993.0,9007199254740993e1,18446744073709551616]}"#;
        let text = r#"{"9007199254740993":[9007199254740992,"9007199254740993",-9007199254740992,"-9007199254740993"],"a\"9007199254740993":"x\\","f":[9007199254740993.0,9007199254740993e1,"18446744073709551616"]}"#;
        let number = r#"{"9007199254740993":[9007199254740992,9007199254740993,-9007199254740992,-9007199254740993],"a\"9007199254740993":"x\\","f":[9007199254740993.0,9007199254740993e1,"18446744073709551616"]}"#;
        assert_eq!(written(LargeIntegers::Text, json), text);
        assert_eq!(written(LargeIntegers::Number, json), number);
    }

    #[test]
    fn the_first_that_fit_in_no_64_bits_are_text_in_any_case() {
        for (json, fits) in [
            ("18446744073709551615", true),
            ("18446744073709551616", false),
            ("-9223372036854775808", true),
            ("-9223372036854775809", false),
        ] {
            assert_eq!(
                LargeIntegers::Number.written(json).is_none(),
                fits,
                "{json}"
            );
        }
    }

    proptest! {
        #[test]
        fn all_that_is_read_back_is_the_same_or_text(values in proptest::collection::vec(any::<i128>(), 1..5), shift in 0..100_u32, key in "[\"\\\\\\d]{0,20}") {
            let values: Vec<i128> = values.into_iter().map(|n| n >> shift).collect();
            let key = Value::from(key).to_string();
            let json = format!("{{{key}:{values:?}}}");
            let read: Value = serde_json::from_str(&written(LargeIntegers::Text, &json)).unwrap();
            let list = read.as_object().unwrap().values().next().unwrap();
            for (value, read) in values.iter().zip(list.as_array().unwrap()) {
                match value.unsigned_abs() > 1 << 53 {
                    true => prop_assert_eq!(read, &Value::from(value.to_string())),
                    false => prop_assert_eq!(read, &Value::from(*value as i64)),
                }
            }
        }

        #[test]
        fn any_text_is_gone_over_without_a_panic(text in "[-0-9.eE\"\\\\é]{0,60}") {
            let _ = (LargeIntegers::Text.written(&text), LargeIntegers::readable(&text));
        }
    }
}
