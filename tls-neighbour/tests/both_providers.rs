//! Why the feature `rustls-no-provider` exists: with the crate's default both providers are on.

use tls_neighbour::{own_tls, posthog_begins_a_handshake};

#[test]
fn beside_the_default_the_program_has_to_install_its_provider() {
    assert!(posthog_begins_a_handshake());
    let panicked = std::panic::catch_unwind(own_tls).is_err();
    assert!(
        panicked,
        "rustls chose one: then the documentation is wrong"
    );
    let ring = rustls::crypto::ring::default_provider();
    ring.install_default().expect("nobody installed one");
    own_tls();
    assert!(posthog_begins_a_handshake());
}
