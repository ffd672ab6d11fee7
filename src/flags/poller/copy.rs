//! Copies of an error: all who wait for one load are told how it failed.

use crate::error::{PostHogError, RequestError};
use serde::de::Error as _;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The same error once more. Its sources are shared.
pub(super) fn copy(error: &Arc<PostHogError>) -> PostHogError {
    match &**error {
        PostHogError::ApiError(refusal) => PostHogError::ApiError(refusal.clone()),
        PostHogError::RequestError(failure) => PostHogError::RequestError(Box::new(RequestError {
            operation: failure.operation,
            method: failure.method.clone(),
            path: failure.path.clone(),
            kind: failure.kind,
            attempts: failure.attempts,
            retry_after: failure.retry_after,
            source: failure.source.is_some().then(|| {
                let source: Box<dyn Error + Send + Sync> = Box::new(Source(error.clone()));
                source
            }),
        })),
        PostHogError::SerializationError {
            operation,
            what,
            source,
        } => PostHogError::SerializationError {
            operation,
            what: what.clone(),
            source: serde_json::Error::custom(source),
        },
        // Loads fail with none of the others.
        other => PostHogError::SerializationError {
            operation: super::load::OPERATION,
            what: other.to_string(),
            source: serde_json::Error::custom(other),
        },
    }
}

/// The source of a failed request.
struct Source(Arc<PostHogError>);

impl Source {
    fn shared(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match &*self.0 {
            PostHogError::RequestError(failure) => failure.source.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shared(), f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shared() {
            Some(source) => fmt::Display::fmt(source, f),
            None => Ok(()),
        }
    }
}

impl Error for Source {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.shared()?.source()
    }
}
