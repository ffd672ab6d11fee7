//! The program installs its provider, after PostHog's client was built.

use tls_neighbour::{own_tls, posthog_begins_a_handshake};

#[test]
fn the_program_may_install_its_provider_after_posthogs_client_was_used() {
    assert!(posthog_begins_a_handshake());
    let ring = rustls::crypto::ring::default_provider();
    ring.install_default().expect("nobody installed one");
    own_tls();
    assert!(posthog_begins_a_handshake());
}
