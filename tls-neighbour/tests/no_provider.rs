//! The program has no provider: an error of `build()` says so. Run without default features.
#![cfg(not(feature = "ring"))]

use tls_neighbour::client_at;
use tracing_posthog::PostHogError;

#[test]
fn without_a_provider_the_client_is_not_built_and_says_what_to_do() {
    let error = client_at(([127, 0, 0, 1], 9).into()).build().unwrap_err();
    assert!(matches!(error, PostHogError::Config { .. }), "{error:?}");
    let text = error.to_string();
    for word in ["rustls-no-provider", "install_default", "`rustls-ring`"] {
        assert!(text.contains(word), "{text}");
    }
}
