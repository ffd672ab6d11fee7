//! [`Chunks`]: the body of an answer as it comes.

use crate::error::{PostHogError, RequestErrorKind};
use crate::http::kind_of_body;
use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt, try_unfold};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// An answer's body, chunk by chunk: [`Request::send_for_stream`](crate::Request::send_for_stream).
///
/// A [`Stream`], and usable without one of the stream crates by [`next`](Self::next). Where chunks end means
/// nothing. After an error it ends.
///
/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Write;
/// let mut file = std::fs::File::create("export.csv")?;
/// let mut export = client.project(12345).exports().content(7).send_for_stream().await?;
/// while let Some(chunk) = export.next().await {
///     file.write_all(&chunk?)?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct Chunks {
    chunks: BoxStream<'static, Result<Bytes, PostHogError>>,
}

impl Chunks {
    /// `failed` makes the error of this request, `idle` is how long a chunk may take.
    pub(super) fn new(
        answer: Option<reqwest::Response>,
        idle: Duration,
        failed: impl Fn(RequestErrorKind, Option<Source>) -> PostHogError + Clone + Send + 'static,
    ) -> Self {
        let chunks = try_unfold(answer, move |answer| {
            let failed = failed.clone();
            async move {
                let Some(mut answer) = answer else {
                    return Ok(None);
                };
                match tokio::time::timeout(idle, answer.chunk()).await {
                    Ok(Ok(Some(chunk))) => Ok(Some((chunk, Some(answer)))),
                    Ok(Ok(None)) => Ok(None),
                    Ok(Err(e)) => Err(failed(kind_of_body(&e), Some(Box::new(e.without_url())))),
                    Err(_) => Err(failed(RequestErrorKind::Timeout, None)),
                }
            }
        });
        Self {
            chunks: chunks.boxed(),
        }
    }

    /// The next chunk; `None` at the end of the body.
    ///
    /// # Errors
    /// [`PostHogError::RequestError`], once.
    pub async fn next(&mut self) -> Option<Result<Bytes, PostHogError>> {
        self.chunks.next().await
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, PostHogError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}
