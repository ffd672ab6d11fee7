//! [`IntoException`]: what can become an [`Exception`].
//!
//! - Errors, boxed errors and reports that dereference to an error: here. `anyhow::Error` is one of these reports, and
//!   brings a backtrace ([`anyhow`]).
//! - [`error_stack`]: reports of `error-stack`, with attachments.
//! - [`span_trace`]: the spans that an error of `tracing-error` arose in.
//!
//! Each kind has a marker type of its own, so that the implementations do not overlap.

#[cfg(feature = "anyhow")]
mod anyhow;
#[cfg(feature = "error-stack")]
mod error_stack;
#[cfg(feature = "tracing-error")]
mod span_trace;

#[cfg(feature = "tracing-error")]
pub(super) use span_trace::{add_span_trace, write_span_trace};

use super::chain::of_error;
use super::exception::Exception;
use super::type_name::{type_key, typed};
use std::error::Error;
use std::ops::Deref;

/// What can become an [`Exception`]: a reference to an error, to a boxed error, or to a report.
///
/// | value | what is known |
/// |---|---|
/// | `&E` of an error `E`, `&Box<E>`, `&Arc<E>` | the type's path, texts and types of its sources |
/// | `&dyn Error`, `&Box<dyn Error>`, with or without `Send` and `Sync` | the same; the type as its `Debug` text shows it |
/// | `&anyhow::Error`, `&eyre::Report` | the same; of `anyhow` the backtrace too, with the feature `anyhow` |
/// | `&error_stack::Report<C>` | contexts, attachments and backtrace, with the feature `error-stack` |
/// | [`Exception`] | what you made of it |
///
/// Pass `&*error` for an `Arc<dyn Error>`. A report of `miette` has several views; name the one of the error:
///
/// ```
/// # use std::error::Error;
/// # use tracing_posthog::CaptureHandle;
/// # fn f(posthog: &CaptureHandle, report: miette::Report) {
/// let error: &(dyn Error + Send + Sync) = report.as_ref();
/// posthog.capture_error(error);
/// # }
/// ```
///
/// Backtraces that `eyre` and `miette` keep are private to these crates, so the stack is that of the place where the error
/// is captured. One that you hold yourself goes into [`Exception::backtrace`].
///
/// # Your own types
///
/// Implement the trait for a report of your own that is no [`Error`]. `M` tells kinds of values apart and is always
/// inferred: any type of your own will do.
///
/// ```
/// use tracing_posthog::{Exception, IntoException};
///
/// struct Refusal { reason: &'static str, code: u16 }
///
/// impl IntoException<Refusal> for &Refusal {
///     fn into_exception(self) -> Exception {
///         Exception::new("Refusal", self.reason).property("code", self.code)
///     }
/// }
///
/// let exception = Exception::of(&Refusal { reason: "no money", code: 402 });
/// assert_eq!(exception.type_name(), "Refusal");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become an exception",
    label = "neither a reference to an error nor to a report",
    note = "pass a reference to the error (`&error`), or `&*error` where it is in an `Arc<dyn Error>`",
    note = "reports of `error-stack` need the feature `error-stack` of `tracing-posthog`",
    note = "for something that is no error: `Exception::new(\"Type\", text)`"
)]
pub trait IntoException<M> {
    /// What is known of the error.
    fn into_exception(self) -> Exception;

    /// A number that tells the type of the error from other types, for the [rate limit](crate::Errors::rate_limit), which is
    /// asked before anything of the error is formatted. Default: all errors of one callsite count as one type.
    fn type_key(&self) -> u64 {
        0
    }
}

/// Markers of the kinds of values that can become an [`Exception`]. Nothing has to name them.
pub(crate) mod kinds {
    /// An error whose type is known.
    #[derive(Debug)]
    pub struct Typed;

    /// A reference to an error whose type is lost.
    #[derive(Debug)]
    pub struct Erased;

    /// What dereferences to an error that is `Send` and `Sync`: `anyhow::Error`, `eyre::Report`, boxes.
    #[derive(Debug)]
    pub struct Report;

    /// What dereferences to an error that is neither.
    #[derive(Debug)]
    pub struct Boxed;

    /// What dereferences to an error that is `Send` only.
    #[derive(Debug)]
    pub struct BoxedSend;

    /// What dereferences to an error that is `Sync` only.
    #[derive(Debug)]
    pub struct BoxedSync;

    /// A report of `error-stack`.
    #[cfg(feature = "error-stack")]
    #[derive(Debug)]
    pub struct Stacked;
}
use kinds::{Boxed, BoxedSend, BoxedSync, Erased, Report, Typed};

impl IntoException<Self> for Exception {
    fn into_exception(self) -> Self {
        self
    }

    fn type_key(&self) -> u64 {
        type_key(self)
    }
}

impl<E: Error + 'static> IntoException<Typed> for &E {
    fn into_exception(self) -> Exception {
        of_error(self, Some(&typed::<E>()))
    }

    fn type_key(&self) -> u64 {
        type_key(*self)
    }
}

macro_rules! erased {
    ($($error:ty),*) => {
        $(impl IntoException<Erased> for &$error {
            fn into_exception(self) -> Exception {
                of_error(self, None)
            }

            fn type_key(&self) -> u64 {
                type_key(*self)
            }
        })*
    };
}

erased!(
    (dyn Error + 'static),
    (dyn Error + Send + 'static),
    (dyn Error + Sync + 'static),
    (dyn Error + Send + Sync + 'static)
);

impl<R> IntoException<Report> for &R
where
    R: Deref<Target = dyn Error + Send + Sync + 'static> + 'static,
{
    fn into_exception(self) -> Exception {
        let exception = of_error(&**self, None);
        #[cfg(feature = "anyhow")]
        let exception = anyhow::with_backtrace(exception, self);
        exception
    }

    fn type_key(&self) -> u64 {
        type_key(&***self)
    }
}

macro_rules! boxed {
    ($($kind:ident: $error:ty),*) => {
        $(impl<R: Deref<Target = $error> + 'static> IntoException<$kind> for &R {
            fn into_exception(self) -> Exception {
                of_error(&**self, None)
            }

            fn type_key(&self) -> u64 {
                type_key(&***self)
            }
        })*
    };
}

boxed!(
    Boxed: dyn Error + 'static,
    BoxedSend: dyn Error + Send + 'static,
    BoxedSync: dyn Error + Sync + 'static
);
