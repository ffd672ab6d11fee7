//! Reports of `error-stack`: contexts become the chain, printable attachments the property `attachments`.

use super::IntoException;
use super::kinds::Stacked;
use crate::exceptions::chain::{MAX_LINKS, of_context, text_of};
use crate::exceptions::exception::Exception;
use error_stack::{AttachmentKind, FrameKind, Report};
use std::backtrace::Backtrace;

impl<C: ?Sized + 'static> IntoException<Stacked> for &Report<C> {
    fn into_exception(self) -> Exception {
        let mut exception = Exception::empty();
        let mut attachments = Vec::new();
        for frame in self.frames() {
            match frame.kind() {
                FrameKind::Context(context) if exception.links.len() < MAX_LINKS => {
                    exception.links.push(of_context(context));
                }
                FrameKind::Attachment(AttachmentKind::Printable(text))
                    if attachments.len() < MAX_LINKS =>
                {
                    attachments.push(String::from(text_of(text)));
                }
                _ => {}
            }
        }
        if !attachments.is_empty() {
            exception = exception.property("attachments", attachments);
        }
        #[cfg(feature = "tracing-error")]
        if let Some(trace) = self.downcast_ref::<tracing_error::SpanTrace>() {
            super::span_trace::add(trace, &mut exception);
        }
        match self.downcast_ref::<Backtrace>() {
            Some(backtrace) => exception.backtrace(backtrace),
            None => exception,
        }
    }
}
