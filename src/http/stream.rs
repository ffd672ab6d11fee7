//! A response's body as it comes, read on the client's runtime.

use super::io::Task;
use super::{Http, kind_of_body};
use crate::error::RequestErrorKind;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A body that broke off.
#[derive(Debug)]
pub(crate) struct StreamError {
    pub(crate) kind: RequestErrorKind,
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

enum Part {
    Chunk(Bytes),
    /// The body is complete. A channel that closes without this word broke off.
    End,
    Failed(StreamError),
}

/// Chunks of a body. The reader stops while one waits to be taken.
pub(crate) struct BodyStream {
    parts: mpsc::Receiver<Part>,
    ended: bool,
    _reader: Task<()>,
    /// The reader's thread lives as long as the client.
    _http: Arc<Http>,
}

impl BodyStream {
    pub(super) fn new(http: Arc<Http>, mut answer: reqwest::Response) -> Self {
        let (send, parts) = mpsc::channel(1);
        let idle = http.attempt_timeout;
        let reader = http.io.spawn(async move {
            loop {
                let part = match tokio::time::timeout(idle, answer.chunk()).await {
                    Ok(Ok(Some(chunk))) => Part::Chunk(chunk),
                    Ok(Ok(None)) => Part::End,
                    Ok(Err(e)) => Part::Failed(StreamError {
                        kind: kind_of_body(&e),
                        source: Some(Box::new(e.without_url())),
                    }),
                    Err(_) => Part::Failed(StreamError {
                        kind: RequestErrorKind::Timeout,
                        source: None,
                    }),
                };
                let more = matches!(part, Part::Chunk(_));
                if send.send(part).await.is_err() || !more {
                    return;
                }
            }
        });
        Self {
            parts,
            ended: false,
            _reader: reader,
            _http: http,
        }
    }

    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, StreamError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let part = std::task::ready!(self.parts.poll_recv(cx));
        self.ended = !matches!(part, Some(Part::Chunk(_)));
        Poll::Ready(match part {
            Some(Part::Chunk(chunk)) => Some(Ok(chunk)),
            Some(Part::End) => None,
            Some(Part::Failed(error)) => Some(Err(error)),
            None => Some(Err(StreamError {
                kind: RequestErrorKind::Interrupted,
                source: None,
            })),
        })
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").finish_non_exhaustive()
    }
}
