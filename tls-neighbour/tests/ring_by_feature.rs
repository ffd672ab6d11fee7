//! The program has `ring` on and installs no provider: rustls takes it by its feature, and so does PostHog's client.
//! One test, because a provider is installed for the whole process.

use rustls::crypto::CryptoProvider;
use tls_neighbour::{own_tls, posthog_begins_a_handshake};

#[test]
fn the_programs_own_tls_works_before_and_after_posthogs() {
    assert!(posthog_begins_a_handshake());
    // The program may still choose one.
    assert!(CryptoProvider::get_default().is_none());
    own_tls();
    // `rustls` has installed what its only feature says.
    assert!(CryptoProvider::get_default().is_some());
    assert!(posthog_begins_a_handshake());
    own_tls();
}
