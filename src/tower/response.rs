//! What comes back: [`ResponseFuture`] and [`ResponseBody`], which run in the request's span and hold it.

use ::http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::any::type_name;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tracing::Span;

const STATUS: &str = "http.response.status_code";
const ERROR: &str = "error.type";

pin_project! {
    /// Code of the service. It is polled and dropped in the span, at the latest when this is dropped.
    #[derive(Debug)]
    struct InSpan<T> {
        #[pin]
        inner: Option<T>,
        span: Span,
    }

    impl<T> PinnedDrop for InSpan<T> {
        fn drop(this: Pin<&mut Self>) {
            this.end();
        }
    }
}

impl<T> InSpan<T> {
    fn new(inner: T, span: Span) -> Self {
        let inner = Some(inner);
        Self { inner, span }
    }

    /// Polls what is inside. `None`: it ended before.
    fn poll<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut T>) -> R) -> Option<R> {
        let this = self.project();
        let inner = this.inner.as_pin_mut()?;
        let _entered = this.span.enter();
        Some(poll(inner))
    }

    /// Drops what is inside and gives the span away.
    fn end(self: Pin<&mut Self>) -> Span {
        let mut this = self.project();
        let span = std::mem::replace(this.span, Span::none());
        if this.inner.is_some() {
            let _entered = span.enter();
            this.inner.set(None);
        }
        span
    }
}

pin_project! {
    /// The response to a request, in the request's span; made by [`RequestContextService`](super::RequestContextService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: InSpan<F>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, span: Span) -> Self {
        let inner = InSpan::new(inner, span);
        Self { inner }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.project().inner;
        let Some(polled) = inner.as_mut().poll(|future| future.poll(cx)) else {
            return Poll::Pending; // Nothing comes after the response.
        };
        let result = ready!(polled);
        let span = inner.end();
        Poll::Ready(match result {
            Ok(response) => {
                record_status(&span, response.status());
                Ok(response.map(|body| ResponseBody {
                    inner: InSpan::new(body, span),
                }))
            }
            Err(error) => {
                span.record(ERROR, type_name::<E>());
                Err(error)
            }
        })
    }
}

fn record_status(span: &Span, status: StatusCode) {
    span.record(STATUS, status.as_u16());
    if status.is_server_error() {
        span.record(ERROR, status.as_str());
    }
}

pin_project! {
    /// The body of a response. Its frames are made in the request's span, which closes when the body ends or is dropped.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: InSpan<B>,
    }
}

impl<B: Default> Default for ResponseBody<B> {
    /// The body of a response that others make, such as a layer that refuses requests. It has no span.
    fn default() -> Self {
        let inner = InSpan::new(B::default(), Span::none());
        Self { inner }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut inner = self.project().inner;
        let Some(polled) = inner.as_mut().poll(|body| body.poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let frame = ready!(polled);
        match &frame {
            Some(Ok(_)) => {}
            Some(Err(_)) => {
                inner.span.record(ERROR, type_name::<B::Error>());
            }
            None => drop(inner.end()),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner.inner {
            Some(body) => body.is_end_stream(),
            None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner.inner {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
