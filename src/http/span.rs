//! Spans whose layers may panic: a panic costs the span, never the request or the process.
//!
//! An ordinary instrumented future enters its span again when it is dropped. If a layer panics at that, within the
//! unwinding of its first panic, the process ends. And if it panics at that alone, the future's memory is freed although
//! the future was never dropped: a timer within it stays registered with the runtime, which writes to it later.

use crate::panic::{catch, discard};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tracing::{Span, Value};

/// A span, unless one of its layers panicked.
#[derive(Debug)]
pub(super) struct GuardedSpan(Option<Span>);

impl GuardedSpan {
    pub(super) fn new(make: impl FnOnce() -> Span) -> Self {
        Self(catch(make))
    }

    pub(super) fn current() -> Self {
        Self::new(Span::current)
    }

    pub(super) fn record(&self, field: &str, value: impl Value) {
        if let Some(span) = &self.0 {
            catch(|| {
                span.record(field, value);
            });
        }
    }

    /// A future that is polled within this span.
    pub(super) fn around<F: Future>(&self, future: F) -> Guarded<F> {
        Guarded {
            future: Box::pin(future),
            span: Self(self.0.as_ref().and_then(|span| catch(|| span.clone()))),
        }
    }
}

impl Drop for GuardedSpan {
    fn drop(&mut self) {
        let span = self.0.take();
        catch(|| drop(span));
    }
}

pub(super) struct Guarded<F> {
    future: Pin<Box<F>>,
    span: GuardedSpan,
}

impl<F: Future> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let entered = match &this.span.0 {
            Some(span) => catch(|| span.enter()),
            None => None,
        };
        let polled = catch_unwind(AssertUnwindSafe(|| this.future.as_mut().poll(cx)));
        let left = catch(|| drop(entered)).is_some();
        match polled {
            Ok(polled) => polled,
            Err(panic) if left => resume_unwind(panic),
            // One panic of two is enough.
            Err(panic) => {
                discard(panic);
                resume_unwind(Box::new("a tracing layer panicked"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tracing::span::Id;
    use tracing_subscriber::layer::{Context as LayerContext, Layer};
    use tracing_subscriber::prelude::*;
    use tracing_subscriber::registry::LookupSpan;

    /// Panics wherever a span is entered, left or closed.
    struct Panics;

    impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Panics {
        fn on_enter(&self, _: &Id, _: LayerContext<'_, S>) {
            panic!("entered");
        }

        fn on_exit(&self, _: &Id, _: LayerContext<'_, S>) {
            panic!("left");
        }

        fn on_close(&self, _: Id, _: LayerContext<'_, S>) {
            panic!("closed");
        }
    }

    #[test]
    fn a_future_is_dropped_whatever_its_span_does() {
        let subscriber = tracing_subscriber::registry().with(Panics);
        tracing::subscriber::with_default(subscriber, || {
            let span = GuardedSpan::new(|| tracing::info_span!("attempt"));
            let held = std::sync::Arc::new(());
            let inner = held.clone();
            let mut waits = Box::pin(span.around(async move {
                let _inner = inner;
                std::future::pending::<()>().await;
            }));
            assert_eq!(waits.as_mut().now_or_never(), None);
            catch(|| drop(waits));
            assert_eq!(std::sync::Arc::strong_count(&held), 1);
        });
    }

    #[test]
    fn a_layer_that_panics_at_everything_costs_the_span() {
        let subscriber = tracing_subscriber::registry().with(Panics);
        tracing::subscriber::with_default(subscriber, || {
            let span = GuardedSpan::new(|| tracing::info_span!("attempt", status = 0));
            span.record("status", 200);
            assert_eq!(span.around(async { 7 }).now_or_never(), Some(7));
        });
    }
}
