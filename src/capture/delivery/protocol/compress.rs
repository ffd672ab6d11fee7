//! Packing request bodies.

use crate::words::words;
use flate2::{Compress, Compression as Level, FlushCompress, Status};
use std::sync::{Mutex, PoisonError};

/// How request bodies are compressed. All but gzip and none need
/// [`CaptureProtocol::V1`](crate::CaptureProtocol::V1), or `Auto`, which goes back to gzip where a host has no
/// v1: v0 does not unpack them.
///
/// As text: `gzip`, `off`, `deflate`, `brotli`, `zstd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// gzip at a fast level, the default.
    #[default]
    Gzip,
    /// None.
    Off,
    /// `deflate`, in the zlib format (RFC 1950), at a fast level.
    Deflate,
    /// Brotli at quality 4.
    #[cfg(feature = "brotli")]
    #[cfg_attr(docsrs, doc(cfg(feature = "brotli")))]
    Brotli,
    /// Zstandard at level 1.
    #[cfg(feature = "zstd")]
    #[cfg_attr(docsrs, doc(cfg(feature = "zstd")))]
    Zstd,
}

words! {
    Compression, "compression":
    Gzip = "gzip",
    Off = "off",
    Deflate = "deflate",
    #[cfg(feature = "brotli")]
    Brotli = "brotli",
    #[cfg(feature = "zstd")]
    Zstd = "zstd",
    ; needs
    #[cfg(not(feature = "brotli"))]
    "brotli",
    #[cfg(not(feature = "zstd"))]
    "zstd",
}

impl Compression {
    /// Whether v0 unpacks it.
    pub(crate) fn is_v0(self) -> bool {
        matches!(self, Self::Gzip | Self::Off)
    }
}

/// Packs bodies, one after the other.
#[derive(Debug)]
pub(super) enum Compressor {
    Off,
    /// gzip or zlib, by the name of their content encoding.
    Flate(&'static str, Mutex<Compress>),
    #[cfg(feature = "brotli")]
    Brotli,
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> Self {
        let fast = Level::new(1);
        match compression {
            Compression::Off => Self::Off,
            Compression::Gzip => Self::Flate("gzip", Mutex::new(Compress::new_gzip(fast, 15))),
            Compression::Deflate => Self::Flate("deflate", Mutex::new(Compress::new(fast, true))),
            #[cfg(feature = "brotli")]
            Compression::Brotli => Self::Brotli,
            #[cfg(feature = "zstd")]
            Compression::Zstd => Self::Zstd,
        }
    }

    /// The parts as one body, and its content encoding. Where packing fails the body goes as it is.
    pub(super) fn compress(&self, parts: [&[u8]; 3]) -> (Vec<u8>, Option<&'static str>) {
        let packed = match self {
            Self::Off => None,
            Self::Flate(name, packer) => {
                let mut packer = packer.lock().unwrap_or_else(PoisonError::into_inner);
                flate(&mut packer, parts).map(|packed| (packed, *name))
            }
            #[cfg(feature = "brotli")]
            Self::Brotli => brotli(parts).map(|packed| (packed, "br")),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd(parts).map(|packed| (packed, "zstd")),
        };
        match packed {
            Some((packed, name)) => (packed, Some(name)),
            None => (parts.concat(), None),
        }
    }
}

#[cfg(feature = "brotli")]
fn brotli(parts: [&[u8]; 3]) -> Option<Vec<u8>> {
    use std::io::Write;
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 22);
    for part in parts {
        writer.write_all(part).ok()?;
    }
    Some(writer.into_inner())
}

#[cfg(feature = "zstd")]
fn zstd(parts: [&[u8]; 3]) -> Option<Vec<u8>> {
    use std::io::Write;
    let mut writer = zstd::Encoder::new(Vec::new(), 1).ok()?;
    for part in parts {
        writer.write_all(part).ok()?;
    }
    writer.finish().ok()
}

/// One gzip member, or zlib stream, of all parts.
fn flate(packer: &mut Compress, parts: [&[u8]; 3]) -> Option<Vec<u8>> {
    packer.reset();
    let total: usize = parts.iter().map(|p| p.len()).sum();
    let mut out = Vec::with_capacity(total / 4 + 256);
    for (n, part) in parts.iter().enumerate() {
        let (flush, mut rest) = match n {
            2 => (FlushCompress::Finish, *part),
            _ => (FlushCompress::None, *part),
        };
        loop {
            if out.capacity() - out.len() < 64 {
                out.reserve(out.len() / 2 + 256);
            }
            let before = packer.total_in();
            let status = packer.compress_vec(rest, &mut out, flush).ok()?;
            rest = rest.get((packer.total_in() - before) as usize..)?;
            match status {
                Status::StreamEnd => return Some(out),
                _ if rest.is_empty() && flush == FlushCompress::None => break,
                Status::Ok | Status::BufError => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    type Unpack = fn(&[u8]) -> Vec<u8>;

    /// Each packer, with what unpacks it.
    fn packers() -> Vec<(Compression, Unpack)> {
        fn all(mut from: impl Read) -> Vec<u8> {
            let mut unpacked = Vec::new();
            from.read_to_end(&mut unpacked).unwrap();
            unpacked
        }
        vec![
            (Compression::Off, |b| b.to_vec()),
            (Compression::Gzip, |b| all(flate2::read::GzDecoder::new(b))),
            (Compression::Deflate, |b| {
                assert_eq!(b[0], 0x78, "zlib, not raw");
                all(flate2::read::ZlibDecoder::new(b))
            }),
            #[cfg(feature = "brotli")]
            (Compression::Brotli, |b| {
                all(brotli::Decompressor::new(b, 4096))
            }),
            #[cfg(feature = "zstd")]
            (Compression::Zstd, |b| all(zstd::Decoder::new(b).unwrap())),
        ]
    }

    #[test]
    fn bodies_unpack_to_all_parts() {
        for (compression, unpack) in packers() {
            let packer = Compressor::new(compression);
            for size in [0, 1, 300, 70_000, 900_000] {
                let noise: Vec<u8> = (0..size as u32)
                    .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
                    .collect();
                let (packed, name) = packer.compress([b"head", &noise, b"tail"]);
                assert_eq!(name.is_none(), compression == Compression::Off);
                let whole = [b"head", &noise[..], b"tail"].concat();
                assert_eq!(unpack(&packed), whole, "{compression:?} {size}");
            }
        }
    }
}
