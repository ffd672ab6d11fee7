//! Lists: one page, every page, every item.
//!
//! ```text
//!  Request<Page<T>> ──► Pages: one request after the other ──► Items: one item after the other
//!                          │ [walk]: where the next page is, and that there is an end
//! ```
//!
//! Invariants:
//! - Of a `next` address only the parameters are used: no request leaves the list's own host and path.
//! - A list is read to its end, or there is an error: one that goes on elsewhere, in a circle or at no address.
//! - Dropping a future loses no page.

mod walk;

use super::request::{ApiCall, Request};
use crate::error::PostHogError;
use crate::rest::whole::{Whole, twice};
use futures_util::stream::{BoxStream, Stream, StreamExt, try_unfold};
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use walk::{Parameters, Walk};

/// One page of a list.
///
/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use serde_json::Value;
/// use tracing_posthog::Method;
/// use tracing_posthog::rest::Page;
///
/// let flags: Page<Value> = client
///     .request(Method::GET, "/api/projects/1/feature_flags/")
///     .query("limit", 50)
///     .send_as()
///     .await?;
/// println!("{} of {:?}", flags.results.len(), flags.count);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items of this page.
    pub results: Vec<T>,
    /// The address of the next page; `None` on the last one.
    pub next: Option<String>,
    /// The address of the page before.
    pub previous: Option<String>,
    /// How many items there are on all pages, if PostHog counts them.
    pub count: Option<u64>,
    /// All other fields beside the items.
    pub extra: Map<String, Value>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            results: Vec::new(),
            next: None,
            previous: None,
            count: None,
            extra: Map::new(),
        }
    }
}

impl<T> IntoIterator for Page<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    /// The items of this page, not of the following ones.
    fn into_iter(self) -> Self::IntoIter {
        self.results.into_iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Page<T> {
    /// Reads `{results, next, previous, count, …}`, or a bare array as a list of one page.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Shape<T> {
            type Value = Page<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a page: an object with `results`, or an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Page<T>, A::Error> {
                let mut page = Page::default();
                while let Some(item) = seq.next_element()? {
                    page.results.push(item);
                }
                Ok(page)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page<T>, A::Error> {
                let mut page = Page::default();
                let mut results = None;
                while let Some(name) = map.next_key::<String>()? {
                    if page.extra.contains_key(&name) || (name == "results" && results.is_some()) {
                        return Err(twice());
                    }
                    if name == "results" {
                        results = Some(map.next_value::<Option<Vec<T>>>()?.unwrap_or_default());
                        continue;
                    }
                    let Whole(value) = map.next_value()?;
                    page.extra.insert(name, value);
                }
                page.next = taken(&mut page.extra, "next", address);
                page.previous = taken(&mut page.extra, "previous", address);
                page.count = taken(&mut page.extra, "count", number);
                page.results = results.ok_or_else(|| serde::de::Error::missing_field("results"))?;
                Ok(page)
            }
        }

        deserializer.deserialize_any(Shape(PhantomData))
    }
}

/// Whether the text of a page has the field `next`, even if there is none.
fn says_next(body: &[u8]) -> bool {
    let fields: Result<HashMap<String, IgnoredAny>, _> = serde_json::from_slice(body);
    fields.is_ok_and(|fields| fields.contains_key("next"))
}

/// Takes a field out, unless it is not what it should be. `null` and an empty text are none.
fn taken<T>(
    extra: &mut Map<String, Value>,
    name: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let value = extra.get(name)?;
    let read = read(value);
    if read.is_some() || value.is_null() || value == "" {
        extra.remove(name);
    }
    read
}

fn address(value: &Value) -> Option<String> {
    let url = value.as_str().filter(|url| !url.is_empty());
    url.map(str::to_owned)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

/// The most items that [`Request::all`] keeps.
const ITEMS: usize = 1_000_000;

/// Every page of a list, one at a time: from [`Request::pages`].
///
/// Use it for what needs the pages themselves: their [`count`](Page::count), a pause between them, or to go on after an
/// error. Otherwise [`Request::stream`] is shorter.
pub struct Pages<T> {
    call: ApiCall,
    walk: Walk,
    upcoming: Option<Result<Parameters, PostHogError>>,
    items: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("path", &self.call.shown_path())
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Pages<T> {
    fn new(call: ApiCall) -> Self {
        let query = call.parameters().to_vec();
        Self {
            walk: match call.has_body() {
                false => Walk::from(&query),
                true => Walk::by_body(&query),
            },
            upcoming: Some(Ok(query)),
            call,
            items: PhantomData,
        }
    }

    /// Asks for the next page; `None` after the last.
    ///
    /// If a request fails, the next call asks for the same page again. Dropping the future loses no page.
    ///
    /// # Errors
    /// Any of [`PostHogError`]. [`PostHogError::Paging`] if the next page cannot be asked for; it is the last item.
    pub async fn next(&mut self) -> Option<Result<Page<T>, PostHogError>> {
        let query = match self.upcoming.take()? {
            Ok(query) => query,
            Err(problem) => return Some(Err(problem)),
        };
        let call = self.call.for_page(&query);
        self.upcoming = Some(Ok(query));
        let body = match call.send_raw().await {
            Ok(body) => body,
            Err(error) => return Some(Err(error)),
        };
        let inner = &self.call.client().inner;
        let operation = self.call.operation();
        let page: Page<T> = match inner.http.read_json(operation, &body) {
            Ok(page) => page,
            Err(error) => return Some(Err(error)),
        };
        if !page.results.is_empty() && self.walk.repeats(&body) {
            self.upcoming = None;
            return Some(Err(PostHogError::Paging {
                operation,
                problem: "the same page came twice: the list leads in a circle".to_owned(),
            }));
        }
        let is_ours =
            |host: &str| inner.http.hosts.include(host) || inner.aliases.iter().any(|a| a == host);
        if let Some(Ok(query)) = &self.upcoming {
            let path = self.call.path().unwrap_or_default();
            let next = self.walk.after(&page, query, path, is_ours);
            let next = match next {
                Ok(None) => self.walk.end(&page, || says_next(&body)).map(|()| None),
                next => next,
            };
            self.upcoming = next.transpose().map(|next| {
                next.map_err(|problem| PostHogError::Paging {
                    operation,
                    problem: inner.http.clean(&problem),
                })
            });
        }
        Some(Ok(page))
    }
}

/// Every item of a list: from [`Request::stream`].
///
/// It is a [`Stream`]; [`next`](Self::next) reads it without a stream crate. Each page is fetched when its first item is
/// asked for. After an error the stream ends.
pub struct Items<T> {
    items: BoxStream<'static, Result<T, PostHogError>>,
}

impl<T> Items<T> {
    /// The next item; `None` after the last.
    ///
    /// # Errors
    /// Any of [`PostHogError`], once.
    pub async fn next(&mut self) -> Option<Result<T, PostHogError>> {
        self.items.next().await
    }
}

impl<T> Stream for Items<T> {
    type Item = Result<T, PostHogError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.items.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}

/// Lists. PostHog returns them in pages, by `limit` and `offset`, by a cursor, or by other addresses. All are followed the
/// same way.
///
/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use serde_json::Value;
/// use tracing_posthog::Method;
/// use tracing_posthog::rest::Page;
///
/// let mut people = client
///     .request(Method::GET, "/api/projects/1/persons/")
///     .query("search", "ada@")
///     .answer_as::<Page<Value>>()
///     .stream();
/// while let Some(person) = people.next().await {
///     println!("{}", person?["distinct_ids"]);
/// }
/// # Ok(())
/// # }
/// ```
///
/// A `next` address never takes a request elsewhere: it must be an address of the same list on the configured
/// host (or an [`alias`](crate::PostHogClientBuilder::alias) of it), and only its parameters are used.
///
/// A list ends with [`PostHogError::Paging`] if it leads in a circle, returns one page twice in a row, 100 empty pages in a
/// row or more than 100,000 pages, or if it counts more items than it returned without saying where the others are.
impl<T: DeserializeOwned, P> Request<Page<T>, P> {
    /// Every page, one at a time.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// # use tracing_posthog::Method;
    /// # use tracing_posthog::rest::Page;
    /// let list = client.request(Method::GET, "/api/projects/1/cohorts/");
    /// let mut pages = list.answer_as::<Page<serde_json::Value>>().pages();
    /// while let Some(page) = pages.next().await {
    ///     let page = page?;
    ///     println!("{} of {:?}", page.results.len(), page.count);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages(self) -> Pages<T> {
        Pages::new(self.call)
    }

    /// Every item of every page, in order. Each page is fetched when its turn comes.
    pub fn stream(self) -> Items<T>
    where
        T: Send + 'static,
    {
        let start = (self.pages(), Vec::new().into_iter());
        let items = try_unfold(start, |(mut pages, mut ready)| async move {
            loop {
                if let Some(item) = ready.next() {
                    return Ok(Some((item, (pages, ready))));
                }
                match pages.next().await {
                    Some(page) => ready = page?.results.into_iter(),
                    None => return Ok(None),
                }
            }
        });
        Items {
            items: items.boxed(),
        }
    }

    /// All items of all pages, in memory: at most 1,000,000. [`all_up_to`](Self::all_up_to) has another bound,
    /// [`stream`](Self::stream) has none.
    ///
    /// # Errors
    /// Any of [`PostHogError`]; [`PostHogError::Paging`] if there are more.
    pub async fn all(self) -> Result<Vec<T>, PostHogError> {
        self.all_up_to(ITEMS).await
    }

    /// All items of all pages, or an error if there are more than `max`. To take some of many, use
    /// [`first`](Self::first).
    ///
    /// # Errors
    /// Any of [`PostHogError`]; [`PostHogError::Paging`] if there are more.
    pub async fn all_up_to(self, max: usize) -> Result<Vec<T>, PostHogError> {
        let operation = self.call.operation();
        let mut pages = self.pages();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            all.extend(page?.results);
            if all.len() > max {
                return Err(PostHogError::Paging {
                    operation,
                    problem: format!("there are more than {max} items; read them with `stream`"),
                });
            }
        }
        Ok(all)
    }

    /// The first `n` items, or all if there are fewer. Later pages are not fetched.
    ///
    /// # Errors
    /// Any of [`PostHogError`].
    pub async fn first(self, n: usize) -> Result<Vec<T>, PostHogError> {
        let mut pages = self.pages();
        let mut first = Vec::new();
        while first.len() < n
            && let Some(page) = pages.next().await
        {
            first.extend(page?.results);
        }
        first.truncate(n);
        Ok(first)
    }
}

#[cfg(test)]
mod tests;
