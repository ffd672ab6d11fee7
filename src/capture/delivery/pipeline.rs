//! From the queue to batches: the one way in which records become requests, for the actor, for
//! [`capture_batch`](crate::PostHogClient::capture_batch) and for tests.

use super::batch::Batch;
use crate::capture::encode::Encoder;
use crate::capture::ledger::DropReason;
use crate::capture::queue::{Queue, Segment};

/// Takes segments out of a queue and encodes them.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) encoder: Encoder,
    /// A batch holds at most this much JSON, unless a single event is larger.
    pub(crate) batch_bytes: usize,
}

/// What became of a segment, or of the first part of it. The ledger knows of the dropped events already.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) batches: Vec<Batch>,
    /// The reason of each event that was dropped.
    pub(crate) dropped: Vec<DropReason>,
}

impl Pipeline {
    /// Encodes the oldest segment, if it is ready or began before `flush_up_to`: all of it, or a batch and an event
    /// where it is more. Text may be six times as long in JSON: the rest stays in the queue as it is.
    pub(crate) fn next(&mut self, queue: &Queue, flush_up_to: u64) -> Option<Encoded> {
        let mut segment = queue.take(flush_up_to)?;
        let taken = segment.byte_len();
        let encoded = self.encode(&mut segment);
        let json = encoded.batches.iter().map(|b| b.json.len()).sum();
        let encoded_bytes = taken - segment.byte_len();
        queue.encoded(segment, encoded_bytes, json);
        for reason in &encoded.dropped {
            queue.settle(1, 0, Err(*reason));
        }
        Some(encoded)
    }

    fn encode(&mut self, segment: &mut Segment) -> Encoded {
        let mut encoded = Encoded::default();
        let mut batch = Batch::new(segment.seq());
        batch
            .json
            .reserve((segment.len() * 512).min(self.batch_bytes));
        while encoded.batches.is_empty()
            && let Some((record, at)) = segment.first()
        {
            let before = batch.json.len();
            if before > 0 {
                batch.json.push(b',');
            }
            let start = batch.json.len();
            let written = self.encoder.event(record, at, &mut batch.json);
            segment.drop_first();
            if let Err(reason) = written {
                batch.json.truncate(before);
                encoded.dropped.push(reason);
                continue;
            }
            if batch.json.len() > self.batch_bytes && before > 0 {
                let mut next = Batch::new(batch.seq);
                next.json.extend_from_slice(&batch.json[start..]);
                batch.json.truncate(before);
                encoded.batches.push(std::mem::replace(&mut batch, next));
            }
            batch.end_event();
        }
        if batch.len() > 0 {
            encoded.batches.push(batch);
        }
        for batch in &mut encoded.batches {
            // Its memory is counted by what it holds.
            if batch.json.capacity() > batch.json.len() + batch.json.len() / 4 {
                batch.json.shrink_to_fit();
            }
        }
        encoded
    }
}
