//! The spans that an error of `tracing-error` arose in: property `span_trace`, each as `name at file:line`, the innermost
//! first. Fields are left out: they may be personal, and no option lets them through.

use crate::capture::exceptions::paths::shown;
use crate::event::record::{Key, Record, Slot, Texts};
use crate::exceptions::exception::Exception;
use crate::panic::catch;
use smallvec::SmallVec;
use std::error::Error;
use std::fmt;
use tracing::Metadata;
use tracing_error::{ExtractSpanTrace, SpanTrace};

const NAME: &str = "span_trace";

/// How many spans are kept.
const MAX_SPANS: usize = 64;

struct Place(&'static Metadata<'static>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(span) = self;
        f.write_str(span.name())?;
        match (span.file(), span.line()) {
            (Some(file), Some(line)) => write!(f, " at {}:{line}", shown::<&str>(file, &[])),
            _ => Ok(()),
        }
    }
}

/// The subscriber is asked, which is not ours.
fn places(trace: &SpanTrace) -> SmallVec<[Place; 16]> {
    let mut places = SmallVec::new();
    catch(|| {
        trace.with_spans(|span, _| {
            places.push(Place(span));
            places.len() < MAX_SPANS
        });
    });
    places
}

/// The trace of the innermost error that has one: it is nearest to where the error arose.
fn last<'a>(links: impl Iterator<Item = &'a (dyn Error + 'static)>) -> Option<&'a SpanTrace> {
    links.filter_map(ExtractSpanTrace::span_trace).last()
}

pub(in crate::exceptions) fn write_span_trace<'a>(
    links: impl Iterator<Item = &'a (dyn Error + 'static)>,
    record: &mut Record,
) {
    let Some(trace) = last(links) else { return };
    let places = places(trace);
    if let Some(mut texts) = Texts::begin(record, Key::Named(Slot::Property, NAME)) {
        let _ = places.iter().all(|place| texts.push(place));
        texts.end();
    }
}

pub(in crate::exceptions) fn add_span_trace<'a>(
    links: impl Iterator<Item = &'a (dyn Error + 'static)>,
    exception: &mut Exception,
) {
    if let Some(trace) = last(links) {
        add(trace, exception);
    }
}

pub(super) fn add(trace: &SpanTrace, exception: &mut Exception) {
    let places: Vec<_> = places(trace).iter().map(Place::to_string).collect();
    if !places.is_empty() {
        exception.properties.insert(NAME.into(), places.into());
    }
}
