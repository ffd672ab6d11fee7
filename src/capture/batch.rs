//! Encoded events that travel in one request, and the bodies they travel in.

use super::encode::Encoder;
use super::queue::{Chunk, Home};
use super::spool::FileId;
use super::stamp::Stamp;
use super::stats::DropReason;
use crate::config::Secret;
use crate::error::PostHogError;
use crate::http::{Body, Call, Http, Payload, Side};
use bytes::Bytes;
use flate2::{Compress, Compression as Level, FlushCompress, Status};
use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;
use tokio::time::Instant;

/// Encoded events: their JSON, separated by commas.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// The number of the first event of the chunk it comes from.
    pub(crate) seq: u64,
    pub(crate) json: Vec<u8>,
    /// Where each event ends, the comma not counted.
    ends: Vec<usize>,
    /// When its attempts were last exhausted.
    pub(crate) exhausted: Option<Instant>,
    /// Where the ledger counts it.
    pub(crate) home: Home,
    /// The file that holds the same events.
    pub(crate) file: Option<FileId>,
}

impl Batch {
    fn new(seq: u64) -> Self {
        Self {
            seq,
            json: Vec::new(),
            ends: Vec::new(),
            exhausted: None,
            home: Home::default(),
            file: None,
        }
    }

    /// A batch of events that were encoded before.
    #[cfg(feature = "spool")]
    pub(crate) fn of_events<'a>(seq: u64, events: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut batch = Self::new(seq);
        for event in events {
            if batch.len() > 0 {
                batch.json.push(b',');
            }
            batch.json.extend_from_slice(event);
            batch.ends.push(batch.json.len());
        }
        batch
    }

    /// Each event's JSON.
    #[cfg(feature = "spool")]
    pub(crate) fn events(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let event = &self.json[start..*end];
            start = end + 1;
            event
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Two batches of half the events each, in the same place and without files; `None` for a single one.
    pub(crate) fn split(&self) -> Option<(Self, Self)> {
        if self.len() < 2 {
            return None;
        }
        let half = self.len() / 2;
        let (mut first, mut second) = (Self::new(self.seq), Self::new(self.seq));
        (first.home, second.home) = (self.home, self.home);
        let cut = self.ends[half - 1];
        first.ends.extend_from_slice(&self.ends[..half]);
        first.json.extend_from_slice(&self.json[..cut]);
        // The comma between the halves stays out of both.
        second
            .ends
            .extend(self.ends[half..].iter().map(|end| end - cut - 1));
        second.json.extend_from_slice(&self.json[cut + 1..]);
        Some((first, second))
    }
}

/// Encodes a chunk into batches under `max_bytes` each. Gives each event that is dropped to `dropped`.
pub(crate) fn encode(
    encoder: &mut Encoder,
    chunk: &Chunk,
    max_bytes: usize,
    mut dropped: impl FnMut(DropReason),
) -> Vec<Batch> {
    let mut done = Vec::new();
    let mut batch = Batch::new(chunk.seq());
    batch.json.reserve(chunk.len() * 512);
    for (record, at) in chunk.records() {
        let before = batch.json.len();
        if before > 0 {
            batch.json.push(b',');
        }
        let start = batch.json.len();
        if let Err(reason) = encoder.event(record, at, &mut batch.json) {
            batch.json.truncate(before);
            dropped(reason);
            continue;
        }
        if batch.json.len() > max_bytes && before > 0 {
            let mut next = Batch::new(chunk.seq());
            next.json.extend_from_slice(&batch.json[start..]);
            batch.json.truncate(before);
            done.push(std::mem::replace(&mut batch, next));
        }
        batch.ends.push(batch.json.len());
    }
    if batch.len() > 0 {
        done.push(batch);
    }
    done
}

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// gzip at a fast level, the default.
    #[default]
    Gzip,
    /// None.
    Off,
}

/// What stands around the events in a request, and how it is packed. One for each actor.
#[derive(Debug)]
pub(crate) struct Wire {
    /// `{"api_key":…,"historical_migration":…,"sent_at":"`
    head: Vec<u8>,
    gzip: Option<Mutex<Compress>>,
}

impl Wire {
    pub(crate) fn new(key: &Secret, historical: Migration, compression: Compression) -> Self {
        let mut head = b"{\"api_key\":".to_vec();
        // A key is ASCII text: it always has its JSON.
        let _ = serde_json::to_writer(&mut head, key.reveal());
        if historical == Migration::Historical {
            head.extend_from_slice(b",\"historical_migration\":true");
        }
        head.extend_from_slice(b",\"sent_at\":\"");
        let gzip = (compression == Compression::Gzip)
            .then(|| Mutex::new(Compress::new_gzip(Level::new(1), 15)));
        Self { head, gzip }
    }

    /// Sends the batch: attempts, backoff and all.
    pub(crate) async fn send(
        &self,
        http: &Http,
        batch: &Batch,
        hurry: Option<watch::Receiver<bool>>,
    ) -> Result<(), PostHogError> {
        let body = || self.payload(batch, SystemTime::now());
        let call = Call {
            operation: "capture batch",
            method: Method::POST,
            side: Side::Capture,
            path: "/batch/",
            query: &[],
            body: Body::PerAttempt(&body),
            // PostHog knows an event that it has seen by its uuid.
            idempotent: true,
            hurry,
        };
        // What a 2xx says does not matter: several servers say it in several ways, or not at all.
        http.api_request_raw(call).await.map(drop)
    }

    /// The body of one attempt. `sent_at` is of this attempt: PostHog corrects a wrong clock by it.
    fn payload(&self, batch: &Batch, now: SystemTime) -> Payload {
        let mut head = self.head.clone();
        Stamp::default().write(super::record::millis(now), &mut head);
        head.extend_from_slice(b"\",\"batch\":[");
        let parts = [&head[..], &batch.json, b"]}"];
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let packed = self.gzip.as_ref().and_then(|gzip| {
            gzip_parts(
                &mut gzip.lock().unwrap_or_else(PoisonError::into_inner),
                parts,
            )
        });
        let bytes = match packed {
            Some(packed) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                packed.into()
            }
            None => Bytes::from(parts.concat()),
        };
        Payload { headers, bytes }
    }
}

/// One gzip member of all parts. `None` where it fails: then the body goes as it is.
fn gzip_parts(gzip: &mut Compress, parts: [&[u8]; 3]) -> Option<Vec<u8>> {
    gzip.reset();
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
            let before = gzip.total_in();
            let status = gzip.compress_vec(rest, &mut out, flush).ok()?;
            rest = rest.get((gzip.total_in() - before) as usize..)?;
            match status {
                Status::StreamEnd => return Some(out),
                _ if rest.is_empty() && flush == FlushCompress::None => break,
                Status::Ok | Status::BufError => {}
            }
        }
    }
    None
}

/// Whether the events are of now, or are moved here from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Migration {
    #[default]
    Live,
    Historical,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn gzip_is_one_member_that_unpacks_to_all_parts() {
        let mut gzip = Compress::new_gzip(Level::new(1), 15);
        for size in [0, 1, 300, 70_000, 900_000] {
            let noise: Vec<u8> = (0..size as u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect();
            let packed = gzip_parts(&mut gzip, [b"head", &noise, b"tail"]).unwrap();
            let mut unpacked = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
            decoder.read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, [b"head", &noise[..], b"tail"].concat(), "{size}");
        }
    }

    #[test]
    fn a_split_batch_is_two_batches_of_the_same_events() {
        let mut batch = Batch::new(7);
        for event in ["{\"a\":1}", "{\"b\":22}", "{\"c\":333}"] {
            if batch.len() > 0 {
                batch.json.push(b',');
            }
            batch.json.extend_from_slice(event.as_bytes());
            batch.ends.push(batch.json.len());
        }
        let (first, second) = batch.split().unwrap();
        assert_eq!(first.json, b"{\"a\":1}");
        assert_eq!(second.json, b"{\"b\":22},{\"c\":333}");
        let (second, third) = second.split().unwrap();
        assert_eq!(
            (second.json, third.json),
            (b"{\"b\":22}".to_vec(), b"{\"c\":333}".to_vec())
        );
        assert!(first.split().is_none());
    }
}
