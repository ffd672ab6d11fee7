//! [`Chunks`]: the body of an answer as a stream.
//!
//! A task on the client's runtime reads the body and waits while a chunk is not taken. Invariant: a body that breaks off
//! ends with an error, never as if it were complete.

use crate::error::PostHogError;
use crate::http::{BodyStream, StreamError};
use bytes::Bytes;
use futures_util::stream::Stream;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An answer's body, chunk by chunk: from [`Request::send_for_stream`](super::Request::send_for_stream).
///
/// It is a [`Stream`]; [`next`](Self::next) reads it without a stream crate. Chunks end anywhere, also in the middle of a
/// line. After an error the stream ends.
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
    body: Option<BodyStream>,
    failed: Box<dyn Fn(StreamError) -> PostHogError + Send + Sync>,
}

impl Chunks {
    /// `failed` makes the error of this request.
    pub(super) fn new(
        body: Option<BodyStream>,
        failed: impl Fn(StreamError) -> PostHogError + Send + Sync + 'static,
    ) -> Self {
        Self {
            body,
            failed: Box::new(failed),
        }
    }

    /// The next chunk; `None` at the end of the body.
    ///
    /// # Errors
    /// [`PostHogError::RequestError`], once.
    pub async fn next(&mut self) -> Option<Result<Bytes, PostHogError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, PostHogError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        body.poll_chunk(cx)
            .map(|chunk| chunk.map(|chunk| chunk.map_err(&this.failed)))
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}
