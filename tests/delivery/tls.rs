//! Over `https` the first thing said is the start of a TLS handshake, by whichever TLS is compiled in.
#![cfg(any(feature = "rustls", feature = "native-tls"))]

use std::io::Read;
use std::net::TcpListener;
use tracing_posthog::{
    Event, PostHogClient, PostHogError, RequestError, RequestErrorKind, RetryPolicy,
};

#[tokio::test]
async fn a_handshake_begins_and_what_breaks_it_off_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host(format!("https://{}", listener.local_addr().unwrap()))
        .retry(RetryPolicy::none())
        .build()
        .unwrap();
    let other_end = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut said = [0; 3];
        stream.read_exact(&mut said).unwrap();
        said
    });
    let summary = client.capture_batch([Event::new("e")]).await.unwrap();
    // A handshake, of TLS 1.x.
    assert_eq!(other_end.join().unwrap()[..2], [0x16, 3]);
    let connect = |e: &RequestError| e.kind == RequestErrorKind::Connect;
    assert!(
        matches!(&summary.errors[..], [PostHogError::RequestError(e)] if connect(e)),
        "{summary:?}"
    );
}
