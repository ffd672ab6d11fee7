//! Errors of the transport: a resolver or a redirect policy of the program's own HTTP client may name addresses, and
//! these may hold what was sent.

use super::Redactor;
use std::error::Error;
use std::fmt;

type Source = Box<dyn Error + Send + Sync>;

/// A longer chain is cut, for it may have no end.
const LONGEST_CHAIN: usize = 32;

/// An error that showed a secret, without it.
struct Cleaned {
    text: String,
    source: Option<Box<Self>>,
}

impl fmt::Display for Cleaned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cleaned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl Error for Cleaned {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl Redactor {
    /// An error as it is, for programs that ask for its type, unless it or a source of it shows a secret: then its
    /// texts alone.
    pub(crate) fn error(&self, error: Source) -> Source {
        // Its texts may be made by code of the program.
        match crate::panic::catch(|| self.without_secrets(&*error)) {
            Some(None) => error,
            Some(Some(cleaned)) => cleaned,
            None => "the error cannot be shown: showing it panics".into(),
        }
    }

    /// `None`: there is none to be removed.
    fn without_secrets(&self, error: &(dyn Error + 'static)) -> Option<Source> {
        let chain: Vec<&dyn Error> = std::iter::successors(Some(error), |&error| error.source())
            .take(LONGEST_CHAIN)
            .collect();
        let shows_secret = |error: &&dyn Error| {
            [error.to_string(), format!("{error:?}")]
                .iter()
                .any(|text| self.text(text) != *text)
        };
        // What is cut off was not looked at.
        if chain.len() < LONGEST_CHAIN && !chain.iter().any(shows_secret) {
            return None;
        }
        let cleaned = chain.iter().rev().fold(None, |source, error| {
            Some(Box::new(Cleaned {
                text: self.text(&error.to_string()),
                source,
            }))
        });
        cleaned.map(|cleaned| cleaned as Source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner of {0}")]
    struct Inner(&'static str);

    /// Shows itself by a panic.
    #[derive(Debug, thiserror::Error)]
    #[error("{}", panics())]
    struct Panics;

    fn panics() -> &'static str {
        panic!("shown")
    }

    #[test]
    fn only_errors_that_show_a_secret_are_replaced() {
        let redactor = Redactor::new(["old-key"], []);
        let kept = redactor.error(Box::new(Outer(Inner("a host"))));
        assert!(kept.downcast_ref::<Outer>().is_some());
        let replaced = redactor.error(Box::new(Outer(Inner("old-key"))));
        assert!(replaced.downcast_ref::<Outer>().is_none());
        assert_eq!(replaced.to_string(), "outer");
        let inner = replaced.source().unwrap();
        assert_eq!(inner.to_string(), "inner of [redacted]");
        assert!(inner.source().is_none());
        assert_eq!(format!("{inner:?}"), "\"inner of [redacted]\"");
    }

    /// Is its own source.
    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("endless")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    #[test]
    fn a_chain_without_end_is_cut() {
        let shown = Redactor::default().error(Box::new(Endless));
        let chain = std::iter::successors(Some(&*shown as &dyn Error), |&error| error.source());
        assert_eq!(chain.take(100).count(), LONGEST_CHAIN);
    }

    #[test]
    fn an_error_whose_text_panics_costs_its_text() {
        let shown = Redactor::default().error(Box::new(Panics));
        assert!(shown.to_string().contains("cannot be shown"), "{shown}");
    }
}
