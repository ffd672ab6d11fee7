//! TLS by the program's own crypto provider (feature `rustls-no-provider`).
//!
//! `rustls` has no cryptography of its own: a provider does it, and the usual two are features of `rustls` itself. Cargo
//! unites features over a whole program. So a library that switches one on takes something away: where both are on,
//! `rustls` cannot choose any more, and `ClientConfig::builder()` panics in code that has nothing to do with the
//! library. This module switches none on. It takes the provider that the program installed, else one whose feature the
//! program has on.
//!
//! Invariants: nothing is installed for the process, so the program may do that before or after; nothing panics.

use crate::error::PostHogError;
use reqwest::ClientBuilder;
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;

/// An error where there is no provider that requests could use.
pub(super) fn check() -> Result<(), PostHogError> {
    if CryptoProvider::get_default().is_some() || compiled::provider().is_some() {
        return Ok(());
    }
    Err(PostHogError::config(
        "rustls-no-provider",
        "rustls has no crypto provider in this program; install one before the client is built, such as \
         `rustls::crypto::ring::default_provider().install_default()`, turn on the feature `ring` or `aws_lc_rs` of \
         rustls, or use this crate's feature `rustls` or `rustls-ring` instead",
    ))
}

/// Gives a client the program's provider.
pub(super) fn configure(builder: ClientBuilder) -> Result<ClientBuilder, rustls::Error> {
    let compiled = match CryptoProvider::get_default() {
        // reqwest takes it by itself.
        Some(_) => None,
        None => compiled::provider(),
    };
    let Some(provider) = compiled else {
        return Ok(builder);
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(builder.tls_backend_preconfigured(config))
}

/// The providers that are compiled into `rustls`. No `cfg` of this crate can see features of another. But names can:
/// within [`provider`] the modules that `rustls` has win over those here.
mod compiled {
    use super::CryptoProvider;

    /// Stands in for a provider whose feature is off.
    struct Absent;

    #[allow(dead_code)]
    mod aws_lc_rs {
        pub(super) fn default_provider() -> super::Absent {
            super::Absent
        }
    }

    #[allow(dead_code)]
    mod ring {
        pub(super) fn default_provider() -> super::Absent {
            super::Absent
        }
    }

    trait Found {
        fn found(self) -> Option<CryptoProvider>;
    }

    impl Found for CryptoProvider {
        fn found(self) -> Option<CryptoProvider> {
            Some(self)
        }
    }

    impl Found for Absent {
        fn found(self) -> Option<CryptoProvider> {
            None
        }
    }

    /// Where both are there, the one that reqwest prefers.
    pub(super) fn provider() -> Option<CryptoProvider> {
        #[allow(unused_imports)]
        use rustls::crypto::*;
        let aws_lc_rs = aws_lc_rs::default_provider().found();
        aws_lc_rs.or_else(|| ring::default_provider().found())
    }
}
