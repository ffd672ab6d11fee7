//! How the adapter was started: from the environment.

use tracing_posthog::{CaptureProtocol, Compression};

/// The capture protocol under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `/batch/`.
    V0,
    /// `/i/v1/analytics/events`.
    V1,
}

impl Protocol {
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Self::V0 => "capture_v0",
            Self::V1 => "capture_v1",
        }
    }
}

impl From<Protocol> for CaptureProtocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::V0 => Self::V0,
            Protocol::V1 => Self::V1,
        }
    }
}

/// How bodies are packed where a test enables compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// gzip.
    Gzip,
    /// zlib, which HTTP calls deflate.
    Deflate,
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
}

impl Codec {
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Self::Gzip => "encoding_gzip",
            Self::Deflate => "encoding_deflate",
            Self::Br => "encoding_br",
            Self::Zstd => "encoding_zstd",
        }
    }
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::Gzip => Self::Gzip,
            Codec::Deflate => Self::Deflate,
            Codec::Br => Self::Brotli,
            Codec::Zstd => Self::Zstd,
        }
    }
}

/// The adapter's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// `CAPTURE_PROTOCOL`, default `v0`.
    pub protocol: Protocol,
    /// `COMPRESSION`, default `gzip`.
    pub codec: Codec,
    /// `PORT`, default 8080.
    pub port: u16,
}

impl Options {
    /// Reads them through `variable`, which is the environment except in tests.
    ///
    /// # Errors
    /// What is wrong with which variable, and what it may be.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let given = |name| variable(name).filter(|value| !value.trim().is_empty());
        let options = Self {
            protocol: match given("CAPTURE_PROTOCOL").as_deref() {
                None | Some("v0") => Protocol::V0,
                Some("v1") => Protocol::V1,
                Some(other) => {
                    return Err(format!("CAPTURE_PROTOCOL is {other:?}; it may be v0 or v1"));
                }
            },
            codec: match given("COMPRESSION").as_deref() {
                None | Some("gzip") => Codec::Gzip,
                Some("deflate") => Codec::Deflate,
                Some("br") => Codec::Br,
                Some("zstd") => Codec::Zstd,
                Some(other) => {
                    return Err(format!(
                        "COMPRESSION is {other:?}; it may be gzip, deflate, br or zstd"
                    ));
                }
            },
            port: match given("PORT") {
                None => 8080,
                Some(text) => text
                    .parse()
                    .map_err(|_| format!("PORT is {text:?}; it must be a number up to 65535"))?,
            },
        };
        if options.protocol == Protocol::V0 && options.codec != Codec::Gzip {
            return Err(
                "capture v0 knows gzip only: leave COMPRESSION out, or set CAPTURE_PROTOCOL=v1"
                    .to_owned(),
            );
        }
        Ok(options)
    }
}
