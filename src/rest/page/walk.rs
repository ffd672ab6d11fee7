//! From one page of a list to the next: where it is, and that the list ends.
//!
//! A list that goes on without saying where is an error, not an end: nothing of it is left out silently.

use super::Page;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde_json::Value;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Where a list may be asked to begin, other than by a number of items.
const PLACES: [&str; 4] = ["after", "before", "cursor", "page"];
/// What says whether there is a next page, in lists that give no address.
const MORE: [&str; 4] = ["has_next", "hasNext", "has_more", "hasMore"];
/// More empty pages than this, one after the other, are taken for a list without end.
const EMPTY_PAGES: u32 = 100;
/// More pages than this are taken for a list without end.
const PAGES: usize = 100_000;

/// Where a walk over the pages of one list stands. Sends nothing.
#[derive(Debug)]
pub(super) struct Walk {
    /// Queries asked already, as hashes: a list of many pages costs eight bytes for each.
    seen: HashSet<u64>,
    empty: u32,
    /// The last page, as a hash.
    last: Option<u64>,
    /// How many items of the list came or were skipped so far. `None`: the walk began at a place without a number.
    passed: Option<u64>,
}

pub(super) type Parameters = Vec<(String, String)>;

impl Walk {
    pub(super) fn from(query: &Parameters) -> Self {
        Self {
            seen: HashSet::from([fingerprint(&sorted(query))]),
            empty: 0,
            last: None,
            passed: match query
                .iter()
                .any(|(name, _)| PLACES.contains(&name.as_str()))
            {
                true => None,
                false => Some(number(query, "offset").unwrap_or(0)),
            },
        }
    }

    /// The same for a list that is asked for by a body, which may say where to begin.
    pub(super) fn by_body(query: &Parameters) -> Self {
        Self {
            passed: None,
            ..Self::from(query)
        }
    }

    /// Whether a page is the same as the last one: a list that ignores where it is asked to go on gives
    /// its first page for ever.
    pub(super) fn repeats(&mut self, page: &[u8]) -> bool {
        let this = Some(fingerprint(page));
        std::mem::replace(&mut self.last, this) == this
    }

    /// A problem if a list that says nothing about a next page has more items than came.
    pub(super) fn end<T>(
        &self,
        page: &Page<T>,
        says_next: impl Fn() -> bool,
    ) -> Result<(), String> {
        let (Some(count), Some(passed)) = (page.count, self.passed) else {
            return Ok(());
        };
        let says_more = MORE.iter().any(|name| page.extra.contains_key(*name));
        match count > passed && !says_more && !says_next() {
            true => Err(format!(
                "PostHog counts {count} items, and does not say where those after the first {passed} are; ask for \
                 larger pages with `limit`"
            )),
            false => Ok(()),
        }
    }

    /// The query of the page after `page`, which answered `query` at `path`. Of a `next` address only
    /// the query is taken, so wherever it points, no request leaves the list's own place.
    pub(super) fn after<T>(
        &mut self,
        page: &Page<T>,
        query: &Parameters,
        path: &str,
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<Option<Parameters>, String> {
        let items = page.results.len() as u64;
        self.passed = self.passed.map(|passed| passed.saturating_add(items));
        if page.extra.contains_key("next") {
            return Err("its address is no text".to_owned());
        }
        let next = match &page.next {
            Some(next) => with(query, query_of(next, path, is_ours)?),
            None => match unaddressed(page, query, path) {
                Some(set) => with(query, vec![set]),
                None => return Ok(None),
            },
        };
        self.empty = match page.results.is_empty() {
            true => self.empty + 1,
            false => 0,
        };
        if self.empty >= EMPTY_PAGES {
            return Err(format!(
                "{EMPTY_PAGES} empty pages came one after the other"
            ));
        }
        if self.seen.len() >= PAGES {
            return Err(format!(
                "{PAGES} pages came and there is no end; ask for larger pages with `limit`"
            ));
        }
        if !self.seen.insert(fingerprint(&sorted(&next))) {
            return Err("it was read before: the list leads in a circle".to_owned());
        }
        Ok(Some(next))
    }
}

/// `query` with the parameters of `next` in place of its own of the same names.
fn with(query: &Parameters, next: Parameters) -> Parameters {
    let kept = query
        .iter()
        .filter(|(name, _)| !next.iter().any(|(other, _)| other == name))
        .cloned();
    let mut all: Parameters = kept.collect();
    all.extend(next);
    all
}

fn fingerprint(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn sorted(query: &Parameters) -> Vec<&(String, String)> {
    let mut sorted: Vec<_> = query.iter().collect();
    sorted.sort();
    sorted
}

/// The query of a `next` address, which must be one of the same list on a host that is ours.
fn query_of(next: &str, path: &str, is_ours: impl Fn(&str) -> bool) -> Result<Parameters, String> {
    // The host given here is only there for addresses that have none.
    let own = format!("http://own.invalid{path}");
    let url = Url::parse(&own)
        .and_then(|own| own.join(next))
        .map_err(|e| format!("its address is no URL: {e}"))?;
    let host = url.host_str().unwrap_or_default();
    if host != "own.invalid" && !is_ours(host) {
        return Err(format!(
            "it is said to be at {host:?}, which is not the configured host; \
             if this is another name of your PostHog, allow it with `alias`"
        ));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("its address is of the scheme {:?}", url.scheme()));
    }
    // A proxy may have put a prefix in front or taken one away.
    let (there, here) = (plain(url.path()), plain(path));
    if !there.ends_with(&here) && !here.ends_with(&there) {
        return Err("its address is that of something else, not of this list".to_owned());
    }
    Ok(url.query_pairs().into_owned().collect())
}

/// A path's segments, decoded.
fn plain(path: &str) -> Vec<String> {
    path.trim_matches('/')
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect()
}

/// The parameter that leads on where a list says that there is more, but gives no address.
fn unaddressed<T>(page: &Page<T>, query: &Parameters, path: &str) -> Option<(String, String)> {
    let said = |names: &[&str]| names.iter().find_map(|name| page.extra.get(*name));
    if let Some(Value::String(cursor)) = said(&["next_cursor", "nextCursor"])
        && !cursor.is_empty()
    {
        let name = match plain(path).last().map(String::as_str) {
            // They take what they call a cursor under another name.
            Some("session_recordings") => "after",
            _ => "cursor",
        };
        return Some((name.to_owned(), cursor.clone()));
    }
    if said(&MORE) != Some(&Value::Bool(true)) || page.results.is_empty() {
        return None;
    }
    if let Some(offset) = said(&["next_offset", "nextOffset"]).and_then(Value::as_u64) {
        return Some(("offset".to_owned(), offset.to_string()));
    }
    Some(match number(query, "page") {
        Some(number) => (
            "page".to_owned(),
            u64::saturating_add(number, 1).to_string(),
        ),
        None => {
            let offset = number(query, "offset").unwrap_or(0);
            let next = offset.saturating_add(page.results.len() as u64);
            ("offset".to_owned(), next.to_string())
        }
    })
}

fn number(query: &Parameters, name: &str) -> Option<u64> {
    let (_, value) = query.iter().find(|(other, _)| other == name)?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PATH: &str = "/api/projects/1/persons/";

    fn page(value: Value) -> Page<u32> {
        serde_json::from_value(value).unwrap()
    }

    fn query(text: &str) -> Parameters {
        let url = Url::parse(&format!("http://x/?{text}")).unwrap();
        url.query_pairs().into_owned().collect()
    }

    fn next_of(next: &str) -> Result<Parameters, String> {
        query_of(next, PATH, |host| host == "eu.posthog.com")
    }

    #[test]
    fn only_the_query_of_the_same_list_on_our_host_is_taken() {
        for good in [
            "https://eu.posthog.com/api/projects/1/persons/?cursor=a%2Fb",
            "http://eu.posthog.com:8000/api/projects/1/persons?cursor=a/b",
            "https://EU.posthog.com/prefix/api/projects/1/persons/?cursor=a%2fb",
            "https://eu.posthog.com/projects/1/persons/?cursor=a/b",
            "https://eu.posthog.com/x/../api/projects/1/%70ersons/?cursor=a/b",
            "/api/projects/1/persons/?cursor=a/b",
            "?cursor=a/b",
        ] {
            assert_eq!(next_of(good), Ok(query("cursor=a/b")), "{good}");
        }
        for (bad, says) in [
            (
                "https://evil.example/api/projects/1/persons/?cursor=a",
                "\"evil.example\"",
            ),
            (
                "https://eu.posthog.com.evil.example/api/projects/1/persons/",
                "configured host",
            ),
            (
                "https://eu.posthog.com@evil.example/api/projects/1/persons/",
                "\"evil.example\"",
            ),
            ("//evil.example/api/projects/1/persons/", "\"evil.example\""),
            (
                "\\\\evil.example/api/projects/1/persons/",
                "\"evil.example\"",
            ),
            (
                "https://eu.posthog.com/api/projects/2/persons/?cursor=a",
                "something else",
            ),
            (
                "https://eu.posthog.com/api/projects/1/persons/../../2/persons/",
                "something else",
            ),
            (
                "https://eu.posthog.com/api/projects/1/persons/%2e%2e/",
                "something else",
            ),
            (
                "https://eu.posthog.com/api/projects%2F1/persons/",
                "something else",
            ),
            ("https://eu.posthog.com/", "something else"),
            ("file:///etc/passwd", "configured host"),
            ("javascript:alert(1)", "configured host"),
            ("http://", "no URL"),
        ] {
            let error = next_of(bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn a_walk_ends_where_the_list_ends() {
        let start = query("limit=2&search=a");
        let mut walk = Walk::from(&start);
        let first = page(json!({"results": [1, 2], "next": "?limit=2&offset=2"}));
        let second = walk
            .after(&first, &start, PATH, |_| false)
            .unwrap()
            .unwrap();
        assert_eq!(second, query("search=a&limit=2&offset=2"));
        let last = page(json!({"results": [3], "next": null}));
        assert_eq!(walk.after(&last, &second, PATH, |_| false), Ok(None));
    }

    #[test]
    fn lists_without_addresses_lead_on_by_what_they_say() {
        for (asked, said, want) in [
            ("", json!({"has_next": true}), Some("offset=2")),
            (
                "limit=2&offset=4",
                json!({"hasMore": true}),
                Some("limit=2&offset=6"),
            ),
            ("page=3", json!({"has_next": true}), Some("page=4")),
            (
                "",
                json!({"hasMore": true, "nextOffset": 25}),
                Some("offset=25"),
            ),
            ("cursor=a", json!({"next_cursor": "b"}), Some("cursor=b")),
            ("", json!({"next_cursor": null, "has_next": false}), None),
            ("", json!({"has_next": "true"}), None),
            ("", json!({}), None),
        ] {
            let asked = query(asked);
            let mut value = said.clone();
            value["results"] = json!([1, 2]);
            let next = Walk::from(&asked).after(&page(value), &asked, PATH, |_| false);
            assert_eq!(next, Ok(want.map(query)), "{said}");
        }
        let recordings = "/api/projects/1/session_recordings/";
        let first = page(json!({"results": [1], "has_next": true, "next_cursor": "b"}));
        let start = query("limit=1");
        let next = Walk::from(&start).after(&first, &start, recordings, |_| false);
        assert_eq!(next, Ok(Some(query("limit=1&after=b"))));
        let empty = page(json!({"results": [], "has_next": true}));
        let start = Parameters::new();
        assert_eq!(
            Walk::from(&start).after(&empty, &start, PATH, |_| false),
            Ok(None)
        );
    }

    #[test]
    fn circles_and_endless_lists_end_with_an_error() {
        let start = query("limit=1");
        let walk = |page_of: &dyn Fn(usize) -> Value| {
            let (mut walk, mut at) = (Walk::from(&start), start.clone());
            for n in 1.. {
                match walk.after(&page(page_of(n)), &at, PATH, |_| false) {
                    Ok(Some(next)) => at = next,
                    Ok(None) => panic!("an end"),
                    Err(problem) => return (n, problem),
                }
            }
            unreachable!()
        };
        let (n, problem) = walk(&|_| json!({"results": [1], "next": "?limit=1"}));
        assert!(n == 1 && problem.contains("circle"), "{n} {problem}");
        let (n, problem) = walk(&|n| json!({"results": [1], "next": format!("?b={}&a=1", n % 3)}));
        assert!(n == 4 && problem.contains("circle"), "{n} {problem}");
        let (n, problem) = walk(&|n| json!({"results": [], "next": format!("?offset={n}")}));
        assert!(
            n == 100 && problem.contains("100 empty pages"),
            "{n} {problem}"
        );
        let (n, problem) = walk(&|n| json!({"results": [1], "next": format!("?offset={n}")}));
        assert!(n == PAGES && problem.contains("no end"), "{n} {problem}");
    }
}
