//! A program with a TLS of its own, and PostHog beside it.

use std::io::Read;
use std::net::TcpListener;
use tracing_posthog::{
    Event, PostHogClient, PostHogClientBuilder, PostHogError, RequestErrorKind, RetryPolicy,
};

/// The program's own TLS, as most code writes it. Panics where rustls cannot choose a provider.
pub fn own_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// A client for PostHog at that address.
pub fn client_at(address: std::net::SocketAddr) -> PostHogClientBuilder {
    PostHogClient::builder()
        .project_api_key("phc_test")
        .host(format!("https://{address}"))
        .retry(RetryPolicy::none())
}

/// Sends an event to a listener, and breaks off the TLS handshake after its first bytes. True where it was one.
pub fn posthog_begins_a_handshake() -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client_at(listener.local_addr().unwrap()).build().unwrap();
    let other_end = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut said = [0; 3];
        stream.read_exact(&mut said).unwrap();
        said
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let sent = client.capture_batch([Event::new("e")]);
    let summary = runtime.block_on(sent).unwrap();
    let is_connect = matches!(
        &summary.errors[..],
        [PostHogError::RequestError(e)] if e.kind == RequestErrorKind::Connect
    );
    assert!(is_connect, "{summary:?}");
    other_end.join().unwrap()[..2] == [0x16, 3]
}
