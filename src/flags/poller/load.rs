//! One load of definitions: the request, what the answer means, and what becomes of it.

use super::episodes::{Episodes, Failure};
use super::undecidable::Named;
use super::{Health, pace};
use crate::diagnostics::log;
use crate::error::{PostHogError, RequestErrorKind};
use crate::flags::FlagDefinitions;
use crate::flags::core::Core;
use crate::flags::settings::FlagMode;
use crate::http::retry::RetryPolicy;
use crate::http::{
    Auth, Body, Destination, Endpoint, Http, Redirects, Request, Response, ResponseMode, Tries,
    Visibility,
};
use bytes::Bytes;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde::de::Error as _;
use std::borrow::Cow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// What is being done, in errors and spans.
pub(super) const OPERATION: &str = "load flag definitions";

pub(super) const ENDPOINT: Endpoint = Endpoint {
    operation: OPERATION,
    method: Method::GET,
    destination: Destination::Flags,
    path: Cow::Borrowed("/flags/definitions"),
};

/// Larger definitions are an error. In memory they may take some tens of times their size, if they are made for that.
const MAX_DEFINITIONS: usize = 32 << 20;

/// A longer ETag is not sent back.
const LONGEST_ETAG: usize = 1_024;

/// What the task of a client knows of its loads.
#[derive(Debug, Default)]
pub(super) struct Loader {
    /// Of the definitions that are in force.
    etag: Option<HeaderValue>,
    /// The definitions that were replaced last. They are freed here, not by the last caller who reads them.
    replaced: Option<Arc<FlagDefinitions>>,
    failures: u32,
    /// A load panicked, maybe by a tracing layer: from then on none is asked.
    panicked: bool,
    episodes: Episodes,
    named: Named,
}

/// How a load ended.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) error: Option<Arc<PostHogError>>,
    /// For how long the next one waits.
    pub(super) wait: Duration,
    /// For how long PostHog asked to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// What PostHog answered.
enum Answer {
    Definitions {
        parsed: FlagDefinitions,
        etag: Option<HeaderValue>,
    },
    NotModified {
        etag: Option<HeaderValue>,
    },
}

/// A load that brought nothing.
struct Failed {
    error: PostHogError,
    retry_after: Option<Duration>,
}

impl From<PostHogError> for Failed {
    fn from(error: PostHogError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl Loader {
    /// Loads definitions once. `None`: the client is gone.
    pub(super) async fn load(&mut self, core: &Weak<Core>) -> Option<Loaded> {
        if let Some(replaced) = self.replaced.take() {
            // Without another thread it was dropped on this one.
            let _ = off_this_thread(move || drop(replaced)).await;
        }
        let (http, request) = {
            let core = core.upgrade()?;
            let http = core.polled()?.clone();
            let request = self.request(&http, core.settings.definitions_timeout);
            (http, request)
        };
        http.announcement.say();
        let answer = self.exchange(&http, request).await;
        // It may be the last: from here on nothing is waited for.
        let core = core.upgrade()?;
        Some(match answer {
            Ok(answer) => self.succeeded(&core, &http, answer),
            Err(failed) => self.failed(&core, failed),
        })
    }

    fn request(&self, http: &Http, timeout: Duration) -> Request {
        let mut headers = HeaderMap::new();
        if let Some(etag) = &self.etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        let token = http.project_key.as_ref().map(|key| key.reveal().to_owned());
        Request {
            endpoint: ENDPOINT,
            auth: Auth::FlagsKey,
            query: vec![
                ("token".into(), token.unwrap_or_default()),
                ("send_cohorts".into(), String::new()),
            ],
            headers,
            body: Body::Empty,
            idempotent: true,
            tries: Some(Tries {
                retry: RetryPolicy::none(),
                attempt_timeout: timeout,
            }),
            mode: ResponseMode::Whole {
                limit: MAX_DEFINITIONS,
            },
            redirects: Redirects::SamePlace,
            final_error: None,
            events: None,
        }
    }

    async fn exchange(&self, http: &Arc<Http>, request: Request) -> Result<Answer, Failed> {
        let visibility = match self.panicked {
            true => Visibility::Untraced,
            false => Visibility::Global,
        };
        let sent = http.send_once(request, 1, visibility).await;
        let response = match sent {
            Ok(response) => response?,
            Err(error) => {
                let kind = error.kind();
                return Err(ENDPOINT.failed(http, kind, Some(Box::new(error)), 1).into());
            }
        };
        let etag = || {
            let etag = response.headers.get(ETAG).cloned();
            etag.filter(|etag| etag.len() <= LONGEST_ETAG)
        };
        match response.status {
            StatusCode::NOT_MODIFIED if self.etag.is_some() => {
                Ok(Answer::NotModified { etag: etag() })
            }
            status if status.is_success() => Ok(Answer::Definitions {
                etag: etag(),
                parsed: parse(http, response.body).await?,
            }),
            _ => Err(Failed {
                error: http.refused(&ENDPOINT, &response),
                retry_after: retry_after(&response),
            }),
        }
    }

    fn succeeded(&mut self, core: &Core, http: &Http, answer: Answer) -> Loaded {
        match answer {
            Answer::NotModified { etag } => {
                core.counts.not_modified.fetch_add(1, Relaxed);
                *core.poller.lock() = Health::confirmed();
                self.etag = etag.or_else(|| self.etag.take());
            }
            Answer::Definitions { parsed, etag } => {
                core.counts.loads.fetch_add(1, Relaxed);
                self.name_undecidable(core, http, &parsed);
                let parsed = Arc::new(parsed);
                compile_the_rest(&parsed);
                // Whoever sees these definitions sees no error of an earlier load any more.
                let mut health = core.poller.lock();
                self.replaced = core.definitions.swap(Some(parsed));
                *health = Health::confirmed();
                self.etag = etag;
            }
        }
        self.failures = 0;
        self.episodes.succeeded();
        let flags = core.definitions.load().as_ref().map_or(0, |it| it.len());
        core.remarks.loaded(flags, core.settings.poll_interval);
        Loaded {
            error: None,
            wait: pace::after_success(core.settings.poll_interval),
            retry_after: None,
        }
    }

    fn failed(&mut self, core: &Core, Failed { error, retry_after }: Failed) -> Loaded {
        core.counts.load_failures.fetch_add(1, Relaxed);
        self.failures = self.failures.saturating_add(1);
        let retry_after = retry_after.map(pace::limited);
        self.panicked |= matches!(
            &error,
            PostHogError::RequestError(failure) if failure.kind == RequestErrorKind::Panicked
        );
        let failure = Failure::of(&error);
        let are_there_any = {
            let mut health = core.poller.lock();
            if failure.withdraws() {
                self.etag = None;
                self.replaced = core.definitions.swap(None);
            }
            let are_there_any = core.definitions.load().is_some();
            health.error = Some(error.to_string());
            if !are_there_any {
                health.confirmed = None;
            }
            are_there_any
        };
        self.episodes.failed(failure, &error, are_there_any);
        Loaded {
            error: Some(Arc::new(error)),
            wait: pace::after_failure(
                self.failures,
                core.settings.poll_interval,
                !are_there_any && failure.is_transient(),
                retry_after,
            ),
            retry_after,
        }
    }

    fn name_undecidable(&mut self, core: &Core, http: &Http, definitions: &FlagDefinitions) {
        let Some(flags) = self.named.new_ones(definitions, http) else {
            return;
        };
        let what = match core.settings.mode {
            FlagMode::LocalOnly => "they are unresolved for everybody",
            _ => "PostHog is asked for them, unless an evaluation names others by `keys`",
        };
        log!(
            target: "tracing_posthog::flags",
            warn,
            flags,
            "some feature flags can never be decided by their definitions; {what}"
        );
    }
}

/// For how long PostHog asks to be left alone.
fn retry_after(response: &Response) -> Option<Duration> {
    match response.status.as_u16() {
        429 | 503 => response.retry_after(),
        _ => None,
    }
}

/// Parses definitions where nobody waits: a body of 20 MB takes a while.
async fn parse(http: &Http, body: Bytes) -> Result<FlagDefinitions, PostHogError> {
    // What is no JSON object at all is told apart here: by the kind of answer that it is.
    let looks_like_json = body.trim_ascii_start().first() == Some(&b'{');
    if !looks_like_json {
        http.read_json::<serde_json::Map<String, serde_json::Value>>(OPERATION, &body)?;
    }
    match off_this_thread(move || FlagDefinitions::parse(&body)).await {
        Ok(parsed) => parsed,
        Err(Unfinished::NoThread) => {
            let source = std::io::Error::other("no thread could be started to read the answer");
            let kind = RequestErrorKind::ClientSetup;
            Err(ENDPOINT.failed(http, kind, Some(Box::new(source)), 1))
        }
        Err(Unfinished::Panicked) => Err(PostHogError::SerializationError {
            operation: OPERATION,
            what: "the definitions could not be read: this is a fault of the library".into(),
            source: serde_json::Error::custom("a panic"),
        }),
    }
}

/// Compiles the patterns that there was no time for, so that callers need not. Ends with the definitions; nobody waits.
fn compile_the_rest(definitions: &Arc<FlagDefinitions>) {
    let patterns = definitions.late_patterns();
    if patterns == 0 {
        return;
    }
    let definitions = Arc::downgrade(definitions);
    // Without a thread callers compile what they need.
    let _ = crate::panic::catch(|| {
        tokio::task::spawn_blocking(move || {
            for at in 0..patterns {
                let Some(definitions) = definitions.upgrade() else {
                    return;
                };
                definitions.compile_late_pattern(at);
            }
        })
    });
}

/// Why something that was to run on another thread has no result.
enum Unfinished {
    NoThread,
    Panicked,
}

/// Runs something on a thread where it holds up nothing else.
async fn off_this_thread<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let work = Arc::new(Mutex::new(Some(f)));
    let take = |work: &Mutex<Option<_>>| {
        let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
        work.take()
    };
    let theirs = work.clone();
    let run = move || take(&theirs).map(|f| f());
    // Where the system has no thread, `tokio` panics, and keeps what it was given until there is one.
    let Some(running) = crate::panic::catch(|| tokio::task::spawn_blocking(run)) else {
        drop(take(&work));
        return Err(Unfinished::NoThread);
    };
    match running.await {
        Ok(done) => done.ok_or(Unfinished::Panicked),
        Err(error) => {
            if let Ok(panic) = error.try_into_panic() {
                crate::panic::discard(panic);
            }
            Err(Unfinished::Panicked)
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::client::PostHogClient;
    use crate::testing::{Answer, PostHogServer};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn patterns_are_compiled_though_nobody_needs_them() {
        // Some milliseconds each.
        let flag = |at: u32| {
            let pattern = json!({"key": "p", "type": "person", "operator": "regex", "value": format!(r"^\w{{30}}{at}$")});
            json!({"key": at.to_string(), "active": true, "filters": {"groups": [{"properties": [pattern]}]}})
        };
        let flags: Vec<Value> = (0..200).map(flag).collect();
        let server = PostHogServer::start().unwrap();
        server.answer_with(move |_| Some(Answer::status(200).json(json!({"flags": flags}))));
        let client = PostHogClient::builder()
            .project_api_key("phc_test")
            .feature_flags_secret_key("phs_test")
            .host(server.url());
        let flags = client.build().unwrap().flags();
        flags.ready().await.unwrap();
        let definitions = flags.definitions().unwrap();
        assert!(definitions.late_patterns() > 0);
        let start = std::time::Instant::now();
        while definitions.uncompiled_patterns() > 0 {
            assert!(start.elapsed() < Duration::from_secs(60), "{definitions:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
