//! Without a TLS feature: whether the program has TLS all the same.
//!
//! Cargo unites features over a whole program, so another crate may have switched TLS on in reqwest. No `cfg` of this
//! crate can see that. But names can: within [`is_compiled`] the modules that reqwest has win over those here.

use crate::error::PostHogError;
use std::any::TypeId;

/// Of a file in a storage, whose address is a secret.
pub(super) const NO_TLS_FOR_FILES: &str = "PostHog keeps the file in a storage that needs TLS, and this program was built without: \
     turn on a feature of tracing-posthog (`rustls`, `rustls-ring`, `rustls-no-provider` or `native-tls`); a \
     `reqwest_client` of your own is not used for storages";

/// Stands in for what reqwest has with TLS only.
struct Absent;

#[allow(dead_code)]
mod tls {
    pub(super) struct Version;

    impl Version {
        pub(super) const TLS_1_2: super::Absent = super::Absent;
    }
}

/// Whether the program has TLS.
pub(super) fn is_compiled() -> bool {
    #[allow(unused_imports)]
    use reqwest::*;
    is_there(tls::Version::TLS_1_2)
}

fn is_there<T: 'static>(_: T) -> bool {
    TypeId::of::<T>() != TypeId::of::<Absent>()
}

/// An error where an address needs TLS and the program has none.
pub(super) fn check(addresses: [&str; 2]) -> Result<(), PostHogError> {
    let https = addresses.iter().find(|url| url.starts_with("https://"));
    match https {
        Some(url) if !is_compiled() => Err(PostHogError::config(
            "host",
            format!(
                "{url} needs TLS, and this program was built without: turn on a feature of tracing-posthog (`rustls`, \
                 `rustls-ring`, `rustls-no-provider` or `native-tls`), or give a `reqwest_client` of your own",
            ),
        )),
        _ => Ok(()),
    }
}
