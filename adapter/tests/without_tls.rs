//! The adapter is built without TLS. What the crate says of that.

use tracing_posthog::{PostHogClient, PostHogError};

#[test]
fn an_address_that_needs_tls_is_an_error_that_says_what_to_do() {
    let client = || PostHogClient::builder().project_api_key("phc_test");
    let cloud = client().build().map(drop);
    let own = client().host("https://ph.example.com").build().map(drop);
    let rest = client()
        .host("http://localhost:8000")
        .rest_host("https://ph.example.com");
    for built in [cloud, own, rest.build().map(drop)] {
        let error = built.err().unwrap_or_else(|| unreachable!("it was built"));
        assert!(matches!(error, PostHogError::Config { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("`rustls`") && text.contains("`reqwest_client`"),
            "{text}"
        );
    }
    assert!(client().host("http://localhost:8000").build().is_ok());
    let mine = client().reqwest_client(Default::default());
    assert!(mine.build().is_ok());
}
