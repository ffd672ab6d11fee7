//! Routes of the local PostHog: which template a path fits, and what the route answers.
//!
//! ```text
//!  on(method, template, answers) ──[Template]──► Routes           (server state)
//!                                                  │ find(method, path)
//!                                                  ▼
//!                         Matched: template and placeholders ──► RecordedRequest ──► [Turns] or a function ──► Answer
//! ```
//!
//! Invariants: a placeholder is one segment that is not empty. Segments are compared after percent-decoding, so an id
//! that contains a slash stays in its segment. Of two routes that fit, the one whose first difference is a literal
//! wins. Two routes of the same shape cannot exist: the later one replaces the earlier.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use percent_encoding::percent_decode_str;
use reqwest::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Reply};
use super::recorded::RecordedRequest;

/// An error names that many routes.
const NAMED: usize = 6;
/// That many mistakes in templates are remembered.
const MISTAKES: usize = 8;

/// What a route answers, each time or in turn. See [`PostHogServer::on`](super::PostHogServer::on).
///
/// | | the route answers |
/// |---|---|
/// | [`Answer`] | the same, as often as it is asked |
/// | [`Value`] | status 200 with this JSON |
/// | `[Answer; N]`, `Vec<Answer>` | each of them once, in order; then the last one again and again |
/// | `Fn(&RecordedRequest) -> Answer` | what the function returns |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no answer of a route",
    note = "give an `Answer`, a `serde_json::Value`, several `Answer`s, or a closure `|request: &RecordedRequest| …` that returns an `Answer`"
)]
pub trait Answers: sealed::Sealed {
    #[doc(hidden)]
    fn into_source(self) -> Source;
}

mod sealed {
    pub trait Sealed {}
}

/// Where the answers of one route come from.
#[doc(hidden)]
pub struct Source(Kind);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Turns(_) => "Answers",
            Kind::Function(_) => "Function",
        })
    }
}

enum Kind {
    Turns(Turns),
    Function(Box<Function>),
}

type Function = dyn Fn(&RecordedRequest) -> Answer + Send + Sync;

/// Answers one after the other; the last one stays.
struct Turns {
    answers: Vec<Answer>,
    next: AtomicUsize,
}

impl sealed::Sealed for Answer {}

impl Answers for Answer {
    fn into_source(self) -> Source {
        vec![self].into_source()
    }
}

impl sealed::Sealed for Value {}

impl Answers for Value {
    fn into_source(self) -> Source {
        Answer::status(200).json(self).into_source()
    }
}

impl<const N: usize> sealed::Sealed for [Answer; N] {}

impl<const N: usize> Answers for [Answer; N] {
    fn into_source(self) -> Source {
        Vec::from(self).into_source()
    }
}

impl sealed::Sealed for Vec<Answer> {}

impl Answers for Vec<Answer> {
    fn into_source(self) -> Source {
        Source(Kind::Turns(Turns {
            answers: self,
            next: AtomicUsize::new(0),
        }))
    }
}

impl<F: Fn(&RecordedRequest) -> Answer> sealed::Sealed for F {}

impl<F: Fn(&RecordedRequest) -> Answer + Send + Sync + 'static> Answers for F {
    fn into_source(self) -> Source {
        Source(Kind::Function(Box::new(self)))
    }
}

impl Turns {
    fn next(&self) -> Option<Answer> {
        let last = self.answers.len().checked_sub(1)?;
        let turn = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |turn| {
                Some(last.min(turn + 1))
            });
        self.answers.get(turn.unwrap_or(last)).cloned()
    }
}

pub(super) struct Route {
    method: Method,
    template: Template,
    source: Source,
}

impl Route {
    /// What is wrong with it names the place where it was given.
    pub(super) fn new(
        method: Method,
        path: &str,
        answers: impl Answers,
        caller: &Location<'_>,
    ) -> Result<Self, String> {
        let source = answers.into_source();
        let template = match &source.0 {
            Kind::Turns(turns) if turns.answers.is_empty() => {
                Err("it has no answers; give at least one".to_owned())
            }
            _ => Template::parse(path),
        };
        match template {
            Ok(template) => Ok(Self {
                method,
                template,
                source,
            }),
            Err(why) => Err(format!(
                "{caller}: no route was made of {method} {path:?}: {why}"
            )),
        }
    }

    fn is_replaced_by(&self, other: &Self) -> bool {
        self.method == other.method && self.template.has_shape_of(&other.template)
    }

    /// May run code of the test: the caller holds no lock.
    pub(super) fn answer(&self, request: &RecordedRequest) -> Option<Answer> {
        match &self.source.0 {
            Kind::Turns(turns) => turns.next(),
            Kind::Function(function) => Some(function(request)),
        }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.template.text)
    }
}

/// A route that fits a request.
pub(super) struct Matched {
    pub(super) route: Arc<Route>,
    pub(super) template: String,
    /// The placeholders, decoded.
    pub(super) params: Vec<(String, String)>,
}

#[derive(Default)]
pub(super) struct Routes {
    routes: Vec<Arc<Route>>,
    mistakes: Vec<String>,
}

impl Routes {
    /// Adds a route, or what is wrong with it, which the answer to calls without a route names. Returns what was replaced,
    /// so that it is dropped without the lock: functions of tests may own a server.
    pub(super) fn add(&mut self, route: Result<Route, String>) -> Option<Arc<Route>> {
        let route = match route {
            Ok(route) => Arc::new(route),
            Err(mistake) => {
                if self.mistakes.len() < MISTAKES {
                    self.mistakes.push(mistake);
                }
                return None;
            }
        };
        let same = self
            .routes
            .iter_mut()
            .find(|other| other.is_replaced_by(&route));
        match same {
            Some(same) => Some(std::mem::replace(same, route)),
            None => {
                self.routes.push(route);
                None
            }
        }
    }

    pub(super) fn find(&self, method: &str, path: &str) -> Option<Matched> {
        let segments = segments(path)?;
        let fitting = self
            .routes
            .iter()
            .filter(|route| route.method.as_str() == method && route.template.fits(&segments));
        let route = fitting.max_by_key(|route| route.template.literals())?;
        Some(Matched {
            template: route.template.text.clone(),
            params: route.template.params(&segments),
            route: Arc::clone(route),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.routes.len()
    }

    pub(super) fn mistakes(&self) -> &[String] {
        &self.mistakes
    }

    /// The answer to a call that no route fits.
    pub(super) fn no_route(&self, method: &str, path: &str) -> Reply {
        let methods = self.methods_of(path);
        let (status, code, what) = match methods.is_empty() {
            true => (404, "not_found", "Endpoint not found.".to_owned()),
            false => {
                let what = format!("Method \"{method}\" not allowed.");
                (405, "method_not_allowed", what)
            }
        };
        let mut detail = format!("{what} The local PostHog has no route for {method} {path}");
        for mistake in &self.mistakes {
            let _ = write!(detail, "; {mistake}");
        }
        detail.push_str(&self.hint(path));
        let mut names = self.nearest_first(path).into_iter();
        match names.next() {
            None => detail.push_str("; add it with PostHogServer::on"),
            Some(first) => {
                let _ = write!(detail, "; it has {first}");
            }
        }
        for name in names.by_ref().take(NAMED - 1) {
            let _ = write!(detail, ", {name}");
        }
        if names.len() > 0 {
            let _ = write!(detail, " and {} more", names.len());
        }
        let body = json!({"type": "invalid_request", "code": code, "detail": detail, "attr": null});
        let reply = Reply::json(status, body.to_string());
        match methods.is_empty() {
            true => reply,
            false => reply.header("allow", &methods.join(", ")),
        }
    }

    /// The methods that the path has routes for.
    fn methods_of(&self, path: &str) -> Vec<&str> {
        let Some(segments) = segments(path) else {
            return Vec::new();
        };
        let fitting = self.routes.iter();
        let mut methods: Vec<&str> = fitting
            .filter(|route| route.template.fits(&segments))
            .map(|route| route.method.as_str())
            .collect();
        methods.sort_unstable();
        methods.dedup();
        methods
    }

    /// The most frequent mistake.
    fn hint(&self, path: &str) -> String {
        let other = match path.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{path}/"),
        };
        match (self.methods_of(&other).is_empty(), path.ends_with('/')) {
            (true, _) => String::new(),
            (false, true) => {
                "; a route differs only by the slash at the end, which it lacks".into()
            }
            (false, false) => "; a route differs only by the slash at its end".into(),
        }
    }

    /// The names of all routes, first those that have most of the path's first segments.
    fn nearest_first(&self, path: &str) -> Vec<String> {
        let segments = segments(path).unwrap_or_default();
        let mut routes: Vec<&Arc<Route>> = self.routes.iter().collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.template.common_with(&segments)));
        routes.into_iter().map(|route| route.name()).collect()
    }
}

/// A path with placeholders.
#[derive(Debug)]
struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, PartialEq)]
enum Segment {
    /// Decoded. Empty only at the end: the last slash.
    Literal(String),
    Placeholder(String),
}

impl Segment {
    fn fits(&self, segment: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == segment,
            Self::Placeholder(_) => !segment.is_empty(),
        }
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("the path must begin with a slash".into());
        }
        if text.contains(['?', '#']) {
            return Err("a path has no query; look at `request.param(name)` in a function".into());
        }
        let mut segments = Vec::new();
        let mut parts = text[1..].split('/').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() && parts.peek().is_some() {
                return Err("it has an empty segment (two slashes)".into());
            }
            let inner = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            let segment = match inner {
                Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
                    let same = Segment::Placeholder(name.to_owned());
                    if segments.contains(&same) {
                        return Err(format!("it has the placeholder {{{name}}} twice"));
                    }
                    same
                }
                None if !part.contains(['{', '}']) => Segment::Literal(decoded(part).into_owned()),
                _ => {
                    return Err(format!(
                        "{part:?} is neither text nor a placeholder; a placeholder is a whole segment, such as {{id}}"
                    ));
                }
            };
            segments.push(segment);
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
        })
    }

    fn fits(&self, path: &[Cow<'_, str>]) -> bool {
        self.segments.len() == path.len()
            && self
                .segments
                .iter()
                .zip(path)
                .all(|(segment, part)| segment.fits(part))
    }

    fn params(&self, path: &[Cow<'_, str>]) -> Vec<(String, String)> {
        let pairs = self.segments.iter().zip(path);
        pairs
            .filter_map(|(segment, part)| match segment {
                Segment::Placeholder(name) => Some((name.clone(), part.clone().into_owned())),
                Segment::Literal(_) => None,
            })
            .collect()
    }

    /// Which segments are literal. Greater is more specific, among templates of one length.
    fn literals(&self) -> Vec<bool> {
        let segments = self.segments.iter();
        segments
            .map(|segment| matches!(segment, Segment::Literal(_)))
            .collect()
    }

    /// Whether both fit the same paths.
    fn has_shape_of(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|pair| match pair {
                    (Segment::Literal(one), Segment::Literal(two)) => one == two,
                    (Segment::Placeholder(_), Segment::Placeholder(_)) => true,
                    _ => false,
                })
    }

    /// How many of the first segments fit.
    fn common_with(&self, path: &[Cow<'_, str>]) -> usize {
        let pairs = self.segments.iter().zip(path);
        pairs
            .take_while(|(segment, part)| segment.fits(part))
            .count()
    }
}

/// The segments of a path, decoded. The last one is empty where the path ends with a slash.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    Some(path.strip_prefix('/')?.split('/').map(decoded).collect())
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The pairs of a query, decoded as forms are: `+` is a space.
pub(super) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let text = |encoded: &str| decoded(&encoded.replace('+', " ")).into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (text(name), text(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Template, String> {
        Template::parse(text)
    }

    fn fits(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        let template = parse(template).unwrap();
        let segments = segments(path)?;
        template.fits(&segments).then(|| template.params(&segments))
    }

    #[test]
    fn a_placeholder_is_one_decoded_segment() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let template = "/api/projects/{project}/flags/{id}/";
        assert_eq!(
            fits(template, "/api/projects/7/flags/a%2Fb%20%C3%BC/"),
            Some(vec![pair("project", "7"), pair("id", "a/b ü")])
        );
        assert_eq!(fits("/a%20b/", "/a b/"), Some(Vec::new()));
        assert_eq!(fits("/", "/"), Some(Vec::new()));
        for path in [
            "/api/projects/7/flags/a",
            "/api/projects/7/flags/a/b/",
            "/api/projects//flags/a/",
            "/api/projects/7/flags//",
            "/api/projects/7/Flags/a/",
            "/x/api/projects/7/flags/a/",
            "",
        ] {
            assert_eq!(fits(template, path), None, "{path}");
        }
    }

    #[test]
    fn what_is_no_template_says_why() {
        for (text, why) in [
            ("api/x/", "begin with a slash"),
            ("", "begin with a slash"),
            ("http://127.0.0.1/api/", "begin with a slash"),
            ("/api/?limit=3", "no query"),
            ("/api//x/", "empty segment"),
            ("/api/{}/", "\"{}\" is neither"),
            ("/api/{id/", "\"{id\" is neither"),
            ("/api/id}/", "\"id}\" is neither"),
            ("/api/v{id}/", "\"v{id}\" is neither"),
            ("/api/{{id}}/", "\"{{id}}\" is neither"),
            ("/{id}/x/{id}/", "{id} twice"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn queries_are_read_as_forms() {
        let read = query_pairs("a=1&b=x+y%2B&c&&a=%C3%BC%ff&=z&d=e=f");
        let read: Vec<(&str, &str)> = read.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        assert_eq!(
            read,
            [
                ("a", "1"),
                ("b", "x y+"),
                ("c", ""),
                ("a", "ü\u{fffd}"),
                ("", "z"),
                ("d", "e=f")
            ]
        );
    }
}
