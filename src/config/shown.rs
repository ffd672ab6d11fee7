//! What may be shown of a host that somebody gave.

use crate::redact::{excerpt, has_key};

/// Of a host as it was given what is no secret: not the credentials before it, nor the query behind it. A value that
/// is no address at all is not shown, for it may be a secret in the wrong variable.
pub(crate) fn shown_host(host: &str) -> String {
    let host = host.trim();
    let address = host.rsplit_once('@').map_or(host, |(_, rest)| rest);
    let address = address.split(['?', '#']).next().unwrap_or_default();
    match is_address(address) && !has_key(address) {
        true => format!("{:?}", excerpt(address, 100)),
        false => format!("the value ({} characters)", host.chars().count()),
    }
}

/// Whether a text reads like an address. Without a scheme it has to look like the name of a host: `ada:password` and
/// tokens with dots are none.
fn is_address(text: &str) -> bool {
    let with_scheme = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let (authority, path) = match with_scheme.unwrap_or(text).split_once('/') {
        Some((authority, path)) => (authority, path),
        None => (with_scheme.unwrap_or(text), ""),
    };
    let (name, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let of = |text: &str, more: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    of(name, ".-_")
        && of(path, "./-_:")
        && is_number(port)
        && (with_scheme.is_some() || is_host_name(name))
}

/// Whether a text is a host's name in the usual writing: small letters, and a word or a number at its end.
fn is_host_name(text: &str) -> bool {
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let Some((rest, last)) = text.rsplit_once('.') else {
        return text == "localhost";
    };
    let is_word = (2..=24).contains(&last.len()) && last.bytes().all(|b| b.is_ascii_lowercase());
    let is_ipv4 = text.parse::<std::net::Ipv4Addr>().is_ok();
    text.chars().all(small) && !rest.is_empty() && (is_word || is_ipv4)
}
