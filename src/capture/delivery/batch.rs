//! Encoded events that travel in one request.

use crate::capture::ledger::Residence;
use crate::capture::spool::FileId;
use tokio::time::Instant;

/// Encoded events, their JSON separated by commas, and how far their delivery has come.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// The number of the first event of the segment it comes from.
    pub(crate) seq: u64,
    pub(crate) json: Vec<u8>,
    /// Where each event ends, the comma not counted.
    ends: Vec<usize>,
    /// Where the ledger counts it.
    pub(crate) residence: Residence,
    /// The file that holds the same events.
    pub(crate) file: Option<FileId>,
    pub(crate) delivery: Delivery,
}

/// How far the delivery of a batch has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivery {
    /// How many attempts were made in this round.
    pub(crate) attempts: u32,
    /// When the next attempt may be made.
    pub(crate) next_at: Option<Instant>,
    /// When the attempts of a round were last exhausted.
    pub(crate) exhausted_at: Option<Instant>,
    /// What all attempts of a round share, by capture v1.
    pub(crate) request: Option<RequestIdentity>,
    /// Whether it was counted as a batch that was sent.
    pub(crate) counted: bool,
    /// Whether an attempt panicked: the program's tracing layers no longer see the others.
    pub(crate) panicked: bool,
}

/// What all attempts of a request share.
#[derive(Debug, Clone)]
pub(crate) struct RequestIdentity {
    pub(crate) id: String,
    pub(crate) created_at: i64,
}

impl Delivery {
    /// Begins a new round of attempts.
    pub(crate) fn start_over(&mut self, exhausted_at: Option<Instant>) {
        *self = Self {
            exhausted_at,
            panicked: self.panicked,
            ..Self::default()
        };
    }
}

impl Delivery {
    /// Begins a new round of attempts by another protocol: it is the same request to whoever counts.
    pub(crate) fn switch_protocol(&mut self) {
        self.start_over(self.exhausted_at);
        self.counted = true;
    }
}

impl Batch {
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

    pub(super) fn new(seq: u64) -> Self {
        Self {
            seq,
            json: Vec::new(),
            ends: Vec::new(),
            residence: Residence::default(),
            file: None,
            delivery: Delivery::default(),
        }
    }

    /// Ends the event that was just written to `json`.
    pub(super) fn end_event(&mut self) {
        self.ends.push(self.json.len());
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

    /// A batch of some of these events: in the same place, without a file, as far in its delivery.
    pub(crate) fn pick(&self, events: &[usize]) -> Self {
        let all: Vec<_> = self.events().collect();
        let picked = events.iter().filter_map(|n| all.get(*n).copied());
        Self {
            residence: self.residence,
            delivery: self.delivery.clone(),
            ..Self::of_events(self.seq, picked)
        }
    }

    /// Two batches of half the events each, in the same place and without files. `None` for a single event.
    pub(crate) fn split(&self) -> Option<[Self; 2]> {
        if self.len() < 2 {
            return None;
        }
        let half = self.len() / 2;
        let (mut first, mut second) = (Self::new(self.seq), Self::new(self.seq));
        (first.residence, second.residence) = (self.residence, self.residence);
        let cut = self.ends[half - 1];
        first.ends.extend_from_slice(&self.ends[..half]);
        first.json.extend_from_slice(&self.json[..cut]);
        // The comma between the halves is in neither.
        second
            .ends
            .extend(self.ends[half..].iter().map(|end| end - cut - 1));
        second.json.extend_from_slice(&self.json[cut + 1..]);
        Some([first, second])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let events = [&b"{\"a\":1}"[..], b"{\"b\":22}", b"{\"c\":333}"];
        Batch::of_events(7, events)
    }

    #[test]
    fn a_split_batch_is_two_batches_of_the_same_events() {
        let [first, second] = batch().split().unwrap();
        assert_eq!(first.json, b"{\"a\":1}");
        assert_eq!(second.json, b"{\"b\":22},{\"c\":333}");
        let [second, third] = second.split().unwrap();
        assert_eq!(
            (second.json, third.json),
            (b"{\"b\":22}".to_vec(), b"{\"c\":333}".to_vec())
        );
        assert!(first.split().is_none());
    }

    #[test]
    fn picked_events_go_on_where_their_batch_was() {
        let mut whole = batch();
        whole.delivery.attempts = 2;
        let part = whole.pick(&[0, 2]);
        assert_eq!(part.json, b"{\"a\":1},{\"c\":333}");
        assert_eq!((part.seq, part.delivery.attempts), (7, 2));
        assert_eq!(part.events().count(), 2);
    }
}
