//! [`RetryRule`]: which failures a policy retries.

use crate::error::RequestErrorKind;
use std::error::Error;

/// Which failures a policy retries, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryRule {
    /// What may pass, after a random share more, and no earlier than PostHog asks for.
    Transient,
    /// A gateway that gave up (502, 504), and a connection that broke off or took too long, after exactly the delay: as
    /// PostHog specifies it for flags. A refused connection is not retried.
    #[cfg(feature = "flags")]
    Gateway,
}

impl RetryRule {
    /// What an attempt without a response counts as.
    pub(crate) fn kind(
        self,
        kind: RequestErrorKind,
        source: Option<&(dyn Error + Send + Sync + 'static)>,
    ) -> RequestErrorKind {
        match self {
            // Not all that ends a connection before the request is sent is a refusal.
            #[cfg(feature = "flags")]
            Self::Gateway if kind == RequestErrorKind::Connect && broke_off(source) => {
                RequestErrorKind::Interrupted
            }
            _ => {
                let _ = source;
                kind
            }
        }
    }
}

/// Whether a connection timed out, was reset or ended while it was made.
#[cfg(feature = "flags")]
fn broke_off(source: Option<&(dyn Error + Send + Sync + 'static)>) -> bool {
    use std::io::ErrorKind;
    let mut next = source.map(|source| source as &(dyn Error + 'static));
    while let Some(error) = next {
        let of_http = error.downcast_ref::<reqwest::Error>();
        let of_system = error.downcast_ref::<std::io::Error>();
        let is_broken = matches!(
            of_system.map(std::io::Error::kind),
            Some(
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::TimedOut
                    | ErrorKind::UnexpectedEof
            )
        );
        if is_broken || of_http.is_some_and(reqwest::Error::is_timeout) {
            return true;
        }
        // The source of such an error is that of the one within.
        let within = of_system.and_then(std::io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    false
}

#[cfg(all(test, feature = "flags"))]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_breaks_while_it_is_made_was_not_refused() {
        use std::io::{Error as IoError, ErrorKind};
        let kind = |rule: RetryRule, kind| {
            let source = IoError::other(IoError::from(kind));
            rule.kind(RequestErrorKind::Connect, Some(&source))
        };
        let broken = [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof];
        for broken in broken {
            let (flags, others) = (RetryRule::Gateway, RetryRule::Transient);
            assert_eq!(kind(flags, broken), RequestErrorKind::Interrupted);
            assert_eq!(kind(others, broken), RequestErrorKind::Connect);
        }
        let refused = kind(RetryRule::Gateway, ErrorKind::ConnectionRefused);
        assert_eq!(refused, RequestErrorKind::Connect);
    }
}
