//! JSON as PostHog's database takes it: without null characters.

use std::fmt;

/// A key and its colon.
pub(crate) fn key(out: &mut Vec<u8>, key: &str) {
    string(out, key);
    out.push(b':');
}

/// Gives `out`, piece by piece, the text as it stands within a JSON string, without null characters as [`string`] does.
pub(crate) fn escape(s: &str, mut out: impl FnMut(&str) -> fmt::Result) -> fmt::Result {
    let mut from = 0;
    for (at, byte) in s.bytes().enumerate() {
        let hex;
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0 => "\u{fffd}",
            1..0x20 => {
                hex = format!("\\u{byte:04x}");
                &hex
            }
            _ => continue,
        };
        out(&s[from..at])?;
        out(escaped)?;
        from = at + 1;
    }
    out(&s[from..])
}

/// A JSON string. Null characters, which PostHog's database does not take, become U+FFFD.
pub(crate) fn string(out: &mut Vec<u8>, s: &str) {
    let odd = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
    // Without an early end, so that the compiler looks at many bytes at once.
    if !s.bytes().fold(false, |any, b| any | odd(b)) {
        out.push(b'"');
        out.extend_from_slice(s.as_bytes());
        out.push(b'"');
    } else if s.contains('\0') {
        let _ = serde_json::to_writer(out, &s.replace('\0', "\u{fffd}"));
    } else {
        let _ = serde_json::to_writer(out, s);
    }
}
