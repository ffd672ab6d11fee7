//! Ids of the browser's `posthog-js`: from headers, cleaned.

use ::http::header::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// The header of the distinct id.
pub(super) const DISTINCT_ID: HeaderName = HeaderName::from_static("x-posthog-distinct-id");

/// The header of the session id.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("x-posthog-session-id");

/// PostHog cuts distinct ids after as many characters.
const MAX_CHARS: usize = 200;

/// The first header of that name that has an id.
pub(super) fn from_headers<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut values = headers.get_all(name).iter();
    values.find_map(|value| clean(std::str::from_utf8(value.as_bytes()).ok()?))
}

/// The text without control characters and surrounding white space, at most 200 characters. `None` if nothing is left.
pub(super) fn clean(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim_matches(is_margin);
    let id = match text.contains(char::is_control) {
        false => Cow::Borrowed(cut(text)),
        true => {
            let clean: String = text.chars().filter(|c| !c.is_control()).collect();
            Cow::Owned(cut(&clean).to_owned())
        }
    };
    (!id.is_empty()).then_some(id)
}

fn is_margin(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Cuts after the last character that fits. White space there would be a margin.
fn cut(text: &str) -> &str {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => text.split_at(end).0.trim_end(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderValue;
    use proptest::prelude::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SESSION_ID, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn session(values: &[&[u8]]) -> Option<String> {
        from_headers(&headers(values), &SESSION_ID).map(Cow::into_owned)
    }

    #[test]
    fn the_first_usable_of_repeated_headers_counts() {
        assert_eq!(session(&[]), None);
        assert_eq!(session(&[b"s1", b"s2"]).as_deref(), Some("s1"));
        assert_eq!(session(&[b"", b" \t ", b"s3"]).as_deref(), Some("s3"));
        // Latin-1, as a browser would send it, is no UTF-8.
        assert_eq!(session(&[b"caf\xe9", b"s2"]).as_deref(), Some("s2"));
        assert_eq!(session(&["café".as_bytes()]).as_deref(), Some("café"));
        assert_eq!(session(&["\u{85}".as_bytes()]), None);
    }

    #[test]
    fn what_is_clean_is_borrowed() {
        assert!(matches!(clean(" ada "), Some(Cow::Borrowed("ada"))));
        assert!(matches!(clean(&"x".repeat(300)), Some(Cow::Borrowed(id)) if id.len() == 200));
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(clean(&"é".repeat(201)), Some("é".repeat(200).into()));
        let long = format!("{} b", "a".repeat(199));
        assert_eq!(clean(&long), Some("a".repeat(199).into()));
    }

    proptest! {
        #[test]
        fn an_id_is_the_text_without_what_does_not_belong(
            text in proptest::collection::vec(
                prop_oneof![any::<char>(), Just(' '), Just('\u{0}'), Just('\u{9f}'), Just('\u{2003}'), Just('a')],
                0..300,
            ),
        ) {
            let text: String = text.into_iter().collect();
            let kept: String = text.chars().filter(|c| !c.is_control()).collect();
            let want: String = kept.trim().chars().take(200).collect();
            let want = Some(want.trim_end()).filter(|id| !id.is_empty());
            let got = clean(&text);
            prop_assert_eq!(got.as_deref(), want);
            if let Some(id) = got {
                prop_assert_eq!(clean(&id), Some(Cow::Borrowed(&*id)), "clean ids stay as they are");
            }
        }

        #[test]
        fn any_bytes_of_headers_do(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..4)) {
            let mut map = HeaderMap::new();
            for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
                map.append(DISTINCT_ID, value);
            }
            let texts = map.get_all(DISTINCT_ID).iter().filter_map(|v| std::str::from_utf8(v.as_bytes()).ok());
            let want = texts.filter_map(clean).next();
            prop_assert_eq!(from_headers(&map, &DISTINCT_ID), want);
        }
    }
}
