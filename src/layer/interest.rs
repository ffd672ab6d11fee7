//! [`Interest`]: what a callsite is to the layer. Decided once from its field names, its kind and its level, then read
//! from a lock-free table, so that what does not concern the layer costs one or two loads.
//!
//! Spans more verbose than the layer's level say nothing, whatever other layers let through: otherwise the same program
//! would attribute its events differently with another log layer beside this one. Where such a span has fields of ours,
//! [`Interests::remarks`] has the actor warn of it.
//!
//! A new kind of interest (an error that becomes an exception, a span that becomes a generation) is a variant here, a rule
//! in [`Rules::interest_in`], and an arm where `mod.rs` matches on it.
//!
//! Invariant: the answer for a callsite never changes. Metadata is static, so its address is the callsite's name.

use super::builder::SpanFields;
use super::fields;
use super::mapping::FieldMapping;
use super::seen_spans::SeenSpans;
#[cfg(feature = "errors")]
use super::steps::is_step;
use crate::event::record::{Record, Slot};
#[cfg(feature = "errors")]
use crate::exceptions::Selection;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;

/// What a callsite is to the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Interest {
    /// Nothing.
    Ignore = 0,
    /// A span that says something about the events within.
    Context = 1,
    /// An event that is captured, or a span that becomes one when it closes (and says something about those within).
    Event = 2,
    /// An event that may be an exception.
    #[cfg(feature = "errors")]
    Exception = 3,
    /// An event that is captured, and an exception if it says so.
    #[cfg(feature = "errors")]
    EventAndException = RARE,
    /// An event that is kept for the exceptions after it.
    #[cfg(feature = "errors")]
    Step = RARE + 1,
}

/// Interests from this one on stand in a table of their own: beside an address there is room for three.
#[cfg(feature = "errors")]
const RARE: usize = 4;

/// The options that decide.
#[derive(Debug)]
pub(crate) struct Rules {
    /// False: nothing concerns the layer.
    pub(crate) enabled: bool,
    pub(crate) max_level: LevelFilter,
    pub(crate) span_fields: SpanFields,
    pub(crate) mapping: FieldMapping,
    /// `None`: no event is an exception.
    #[cfg(feature = "errors")]
    pub(crate) exceptions: Option<Selection>,
}

impl Rules {
    fn is_identity(&self, name: &str) -> bool {
        fields::is_ours(name) || self.mapping.contains(name)
    }

    pub(super) fn interest_in(&self, metadata: &Metadata<'_>) -> Interest {
        if !self.enabled {
            return Interest::Ignore;
        }
        #[cfg(feature = "errors")]
        if let Some(interest) = self.interest_in_exception(metadata) {
            return interest;
        }
        let any = |is: &dyn Fn(&str) -> bool| metadata.fields().iter().any(|f| is(f.name()));
        let says_something = |name: &str| self.is_identity(name) || self.span_fields.allows(name);
        if *metadata.level() > self.max_level {
            Interest::Ignore
        } else if any(&|name| name == fields::EVENT) {
            Interest::Event
        } else if metadata.is_span() && any(&says_something) {
            Interest::Context
        } else {
            Interest::Ignore
        }
    }

    /// `None`: the event has nothing to do with exceptions.
    #[cfg(feature = "errors")]
    fn interest_in_exception(&self, metadata: &Metadata<'_>) -> Option<Interest> {
        let selection = self.exceptions.as_ref()?;
        if metadata.is_span() {
            return None;
        }
        let has = |name: &str| metadata.fields().field(name).is_some();
        let is_event = has(fields::EVENT) && *metadata.level() <= self.max_level;
        match (is_event, has(fields::EXCEPTION)) {
            (true, true) => Some(Interest::EventAndException),
            (true, false) => None,
            // Of any level. One below this layer's exists only where another layer wants that level.
            (false, true) => Some(Interest::Exception),
            (false, false) if selection.selects(metadata) => Some(Interest::Exception),
            (false, false) if selection.steps > 0 && is_step(metadata, self.max_level) => {
                Some(Interest::Step)
            }
            (false, false) => None,
        }
    }

    /// The most verbose level of what concerns the layer.
    pub(super) fn verbosest(&self) -> LevelFilter {
        #[cfg(feature = "errors")]
        if let Some(selection) = &self.exceptions {
            return selection.level().max(self.max_level);
        }
        self.max_level
    }

    /// Whether its level alone keeps a span from saying something.
    fn is_too_verbose(&self, metadata: &Metadata<'_>) -> bool {
        self.enabled
            && metadata.is_span()
            && *metadata.level() > self.max_level
            && metadata.fields().iter().any(|f| self.is_identity(f.name()))
    }
}

const PLACES: usize = 256;

/// In each place, the address of a callsite's metadata and, in its free low bits, the interest in it. A callsite may push
/// another out; then its interest is decided again.
#[derive(Debug)]
struct Table(Box<[AtomicUsize; PLACES]>);

/// Addresses of metadata are multiples of this at least, which leaves room for all interests.
const ALIGNMENT: usize = align_of::<Metadata<'static>>();
const _: () = assert!(ALIGNMENT >= 4);

impl Table {
    fn new() -> Self {
        Self(Box::new([const { AtomicUsize::new(0) }; PLACES]))
    }

    #[inline]
    fn place(&self, address: usize) -> &AtomicUsize {
        // Callsites are statics, often next to each other: what differs is in the middle bits, and goes to the top.
        let hash = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.0[(hash >> 56) as usize % PLACES]
    }
}

/// The interest in each callsite, once it is known.
#[derive(Debug)]
pub(crate) struct Interests {
    rules: Rules,
    /// Most callsites of a program. Apart, so that they do not push out the few others.
    ignored: Table,
    others: Table,
    #[cfg(feature = "errors")]
    rare: Table,
    /// Whether there are remarks that were not made yet.
    remarks: AtomicBool,
    too_verbose: Mutex<TooVerbose>,
    seen: Arc<SeenSpans>,
}

/// Spans whose level alone keeps them from saying something.
#[derive(Debug, Default)]
struct TooVerbose {
    spans: Vec<&'static Metadata<'static>>,
    /// How many of them were remarked upon.
    said: usize,
}

/// So many of them are remembered.
const MAX_REMARKS: usize = 16;

impl Interests {
    pub(crate) fn new(rules: Rules, seen: Arc<SeenSpans>) -> Self {
        Self {
            rules,
            seen,
            ignored: Table::new(),
            others: Table::new(),
            #[cfg(feature = "errors")]
            rare: Table::new(),
            remarks: AtomicBool::new(false),
            too_verbose: Mutex::default(),
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether the callsite is known to be ignored. False says nothing.
    #[inline]
    pub(crate) fn is_ignored(&self, metadata: &'static Metadata<'static>) -> bool {
        let address = std::ptr::from_ref(metadata).addr();
        self.ignored.place(address).load(Relaxed) == address
    }

    #[inline]
    pub(crate) fn of(&self, metadata: &'static Metadata<'static>) -> Interest {
        let address = std::ptr::from_ref(metadata).addr();
        if self.is_ignored(metadata) {
            return Interest::Ignore;
        }
        match self
            .others
            .place(address)
            .load(Relaxed)
            .wrapping_sub(address)
        {
            1 => Interest::Context,
            2 => Interest::Event,
            #[cfg(feature = "errors")]
            3 => Interest::Exception,
            #[cfg(feature = "errors")]
            _ => self.rare_of(metadata),
            #[cfg(not(feature = "errors"))]
            _ => self.decide(metadata),
        }
    }

    #[cfg(feature = "errors")]
    #[inline(never)]
    fn rare_of(&self, metadata: &'static Metadata<'static>) -> Interest {
        let address = std::ptr::from_ref(metadata).addr();
        match self.rare.place(address).load(Relaxed).wrapping_sub(address) {
            1 => Interest::EventAndException,
            2 => Interest::Step,
            _ => self.decide(metadata),
        }
    }

    #[inline(never)]
    fn decide(&self, metadata: &'static Metadata<'static>) -> Interest {
        let address = std::ptr::from_ref(metadata).addr();
        let interest = self.rules.interest_in(metadata);
        if !self.note(metadata, interest) {
            return interest;
        }
        let (table, mark) = match interest {
            Interest::Ignore => (&self.ignored, 0),
            #[cfg(feature = "errors")]
            Interest::EventAndException | Interest::Step => {
                (&self.rare, interest as usize - RARE + 1)
            }
            _ => (&self.others, interest as usize),
        };
        table.place(address).store(address + mark, Relaxed);
        interest
    }

    /// False: what is to be noted could not be, so that the callsite has to be decided again.
    fn note(&self, metadata: &'static Metadata<'static>, interest: Interest) -> bool {
        if !metadata.is_span() {
            return true;
        }
        if interest == Interest::Ignore && self.rules.is_too_verbose(metadata) {
            let Ok(mut noted) = self.too_verbose.try_lock() else {
                return false;
            };
            let known = noted.spans.iter().any(|m| std::ptr::eq(*m, metadata));
            if !known && noted.spans.len() < MAX_REMARKS {
                noted.spans.push(metadata);
                self.remarks.store(true, Relaxed);
            }
        }
        self.seen.add(metadata)
    }

    /// Has the actor warn of what was noticed since the last time. A callback cannot log.
    #[inline]
    pub(crate) fn remarks(&self, record: &mut Record) {
        if self.remarks.load(Relaxed) {
            self.write_remarks(record);
        }
    }

    #[cold]
    fn write_remarks(&self, record: &mut Record) {
        let noted: SmallVec<[_; MAX_REMARKS]> = {
            let Ok(mut noted) = self.too_verbose.try_lock() else {
                return;
            };
            self.remarks.store(false, Relaxed);
            let all = noted.spans.len();
            let said = std::mem::replace(&mut noted.said, all);
            let new = noted.spans.get(said..).unwrap_or_default();
            SmallVec::from_slice(new)
        };
        for span in noted {
            let (name, level) = (span.name(), span.level());
            let (file, line) = (span.file().unwrap_or("?"), span.line().unwrap_or(0));
            record.remark(
                Slot::TooVerbose,
                &format!("{name} ({level}, {file}:{line})"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{Level, debug_span, info_span};

    fn interests(rules: Rules) -> [Interest; 6] {
        let interests = Interests::new(rules, Arc::default());
        let spans = tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            [
                info_span!("plain", route = "/"),
                info_span!("identity", posthog.distinct_id = "ada"),
                info_span!("event", posthog.event = "e"),
                debug_span!("plain", other = 1),
                debug_span!("identity", posthog.distinct_id = "ada"),
                debug_span!("event", posthog.event = "e"),
            ]
            .map(|span| span.metadata().unwrap())
        });
        // The second time from the tables.
        let _ = spans.map(|metadata| interests.of(metadata));
        spans.map(|metadata| {
            let interest = interests.of(metadata);
            assert_eq!(interest, interests.rules().interest_in(metadata));
            interest
        })
    }

    #[test]
    fn names_kind_and_level_decide() {
        use Interest::{Context, Event, Ignore};
        let rules = |level: Level, span_fields| Rules {
            enabled: true,
            max_level: level.into(),
            span_fields,
            mapping: FieldMapping::default(),
            #[cfg(feature = "errors")]
            exceptions: None,
        };
        assert_eq!(
            interests(rules(Level::INFO, SpanFields::none())),
            [Ignore, Context, Event, Ignore, Ignore, Ignore]
        );
        assert_eq!(
            interests(rules(Level::DEBUG, SpanFields::named(["route"]))),
            [Context, Context, Event, Ignore, Context, Event]
        );
        let disabled = Rules {
            enabled: false,
            ..rules(Level::TRACE, SpanFields::all())
        };
        assert_eq!(interests(disabled), [Ignore; 6]);
    }

    #[test]
    fn callsites_that_share_a_place_push_each_other_out_and_are_still_told_apart() {
        let interests = Interests::new(
            Rules {
                enabled: true,
                max_level: LevelFilter::INFO,
                span_fields: SpanFields::none(),
                mapping: FieldMapping::default(),
                #[cfg(feature = "errors")]
                exceptions: None,
            },
            Arc::default(),
        );
        let [ours, other] =
            tracing::subscriber::with_default(tracing_subscriber::registry(), || {
                [info_span!("ours", posthog.event = "e"), info_span!("other")]
                    .map(|span| span.metadata().unwrap())
            });
        let address = |metadata: &Metadata<'_>| std::ptr::from_ref(metadata).addr();
        for _ in 0..3 {
            assert_eq!(interests.of(ours), Interest::Event);
            let place = interests.others.place(address(ours));
            place.store(address(other) + 1, Relaxed);
            assert_eq!(interests.of(other), Interest::Ignore);
        }
    }
}
