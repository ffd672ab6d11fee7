//! JSON as PostHog's database takes it: without null characters.

/// A key and its colon.
pub(crate) fn key(out: &mut Vec<u8>, key: &str) {
    string(out, key);
    out.push(b':');
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
