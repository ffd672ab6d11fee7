//! Encoded events that travel in one request.

use super::encode::Encoder;
use super::queue::{Chunk, Home};
use super::spool::FileId;
use super::stats::DropReason;
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

    /// A batch of some of these events, in the same place and without a file.
    pub(crate) fn pick(&self, events: &[usize]) -> Self {
        let all: Vec<_> = self.events().collect();
        let picked = events.iter().filter_map(|n| all.get(*n).copied());
        Self {
            home: self.home,
            ..Self::of_events(self.seq, picked)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
