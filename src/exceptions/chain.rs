//! An error and its sources: their types and texts.
//!
//! ```text
//! error ─[links]─► each error of the chain ─┬─► write_chain: into a record, on the way of the layer
//!                                           └─► of_error: into an `Exception`, on the way of `capture_error`
//! ```
//!
//! Invariants:
//! - The outermost comes first, as `source` gives them, but one that says the same as the one before it.
//! - All is bounded: the links, the text of each, the text of all. A ring ends where it began.
//! - A `Display` or a `source` that panics costs its own text, or the errors behind it.

use super::exception::{Exception, Link};
use super::text::{Limited, limited};
use super::type_name::TypeName;
use crate::event::record::{End, Key, Record, Slot, Text, exception};
use crate::panic::catch;
use smallvec::SmallVec;
use std::error::Error;
use std::fmt::{Display, Write};

/// How many errors of a chain are kept. PostHog takes as many.
pub(super) const MAX_LINKS: usize = 50;

/// How many characters of a text are kept. PostHog keeps as many.
const MAX_TEXT: usize = 10_000;

/// How many characters the texts of a chain have together.
const MAX_TEXTS: usize = 60_000;

/// The error and its sources, the outermost first.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut seen: SmallVec<[*const (dyn Error + 'static); 8]> = SmallVec::new();
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        let here = std::ptr::from_ref(error);
        // The type counts too: an error and its first field are in the same place.
        if seen.len() == MAX_LINKS || seen.contains(&here) {
            return None;
        }
        seen.push(here);
        next = catch(|| error.source()).flatten();
        Some(error)
    })
}

/// What `tracing-error` puts into a chain beside the errors: it shows fields of spans, which may be personal.
fn is_span_trace(text: &str) -> bool {
    text.starts_with("span backtrace:\n")
}

/// Writes an error and its sources, the outermost first, and what an [`Exception`] among them says besides. Its level
/// is for the caller to write. Returns whether an error brought a stack of its own.
pub(crate) fn write_chain(record: &mut Record, error: &(dyn Error + 'static)) -> bool {
    let mut writer = Writer {
        record,
        left: MAX_TEXTS,
        last: None,
        links: 0,
    };
    let mut has_own_stack = false;
    for error in links(error) {
        match error.downcast_ref::<Exception>() {
            Some(exception) => has_own_stack |= writer.exception(exception),
            None => writer.link(TypeName::of(error).as_str(), &error),
        }
    }
    #[cfg(feature = "tracing-error")]
    super::into::write_span_trace(links(error), writer.record);
    has_own_stack
}

/// Writes a text that stands for an error, whose type is not known.
pub(crate) fn write_text_link(record: &mut Record, value: &dyn Display) {
    record.str(Key::Named(Slot::Exception, exception::TYPE), "");
    write_text(record, exception::VALUE, value);
}

/// Writes a text as the part of that name, up to as many characters as PostHog keeps.
pub(crate) fn write_text(record: &mut Record, part: &str, text: &dyn Display) {
    write_limited(record, part, text, MAX_TEXT);
}

/// Returns how many characters were written.
fn write_limited(record: &mut Record, part: &str, value: &dyn Display, max: usize) -> usize {
    let Some(open) = record.open(Key::Named(Slot::Exception, part)) else {
        return 0;
    };
    let mut text = Limited::new(Text(record), max);
    // An error means that the text is long enough, or that the value gave up: then what it had written stays.
    let written = catch(|| write!(text, "{value}").is_ok());
    let left = text.left();
    match written {
        Some(_) => record.close(open),
        None => record.rewind(open),
    }
    max - left
}

struct Writer<'a> {
    record: &'a mut Record,
    /// How many characters of texts may follow.
    left: usize,
    /// Where the last link begins.
    last: Option<End>,
    links: usize,
}

impl Writer<'_> {
    fn link(&mut self, type_name: &str, value: &dyn Display) {
        if self.links == MAX_LINKS {
            return;
        }
        let begin = self.record.end();
        self.record
            .str(Key::Named(Slot::Exception, exception::TYPE), type_name);
        let value_at = self.record.end();
        let written = write_limited(
            self.record,
            exception::VALUE,
            value,
            MAX_TEXT.min(self.left),
        );
        if is_text(self.record.since(value_at), is_span_trace) || self.repeats(begin) {
            return self.record.cut_back(begin);
        }
        self.left -= written;
        self.links += 1;
        self.last = Some(begin);
    }

    /// Whether the link that begins here says the same as the one before.
    fn repeats(&self, begin: End) -> bool {
        self.last.is_some_and(|last| {
            let both = self.record.since(last);
            let this = self.record.since(begin);
            both.len() == 2 * this.len() && both.starts_with(this)
        })
    }

    /// Returns whether it brought a stack.
    fn exception(&mut self, exception: &Exception) -> bool {
        for link in &exception.links {
            self.link(&link.type_name, &link.value);
        }
        let record = &mut *self.record;
        for (part, text) in [
            (exception::BACKTRACE, &exception.backtrace),
            (exception::FINGERPRINT, &exception.fingerprint),
        ] {
            if let Some(text) = text {
                record.str(Key::Named(Slot::Exception, part), text);
            }
        }
        if let Some(id) = &exception.distinct_id {
            record.str(Key::Named(Slot::DistinctId, ""), id);
        }
        for (name, value) in &exception.properties {
            record.value(Key::Named(Slot::Property, name), value);
        }
        exception.backtrace.is_some()
    }
}

/// Whether the fields are one text that is such.
fn is_text(fields: &[u8], is: impl Fn(&str) -> bool) -> bool {
    let text = crate::event::record::fields(fields).next();
    matches!(text.map(|field| field.value), Some(crate::event::record::Val::Str(text)) if is(text))
}

/// What is known of an error and its sources. `name`: what to call the error itself.
pub(super) fn of_error(error: &(dyn Error + 'static), name: Option<&str>) -> Exception {
    let mut exception = Exception::empty();
    let mut left = MAX_TEXTS;
    for (n, error) in links(error).enumerate() {
        if let Some(inner) = error.downcast_ref::<Exception>() {
            exception.take_in(inner);
            continue;
        }
        let (value, written) = limited(&error, MAX_TEXT.min(left));
        let link = Link {
            type_name: match name {
                Some(name) if n == 0 => name.into(),
                _ => TypeName::of(error).as_str().into(),
            },
            value: value.into(),
        };
        if !is_span_trace(&link.value) && exception.links.last() != Some(&link) {
            left -= written;
            exception.links.push(link);
        }
    }
    exception.links.truncate(MAX_LINKS);
    #[cfg(feature = "tracing-error")]
    super::into::add_span_trace(links(error), &mut exception);
    exception
}

/// An error without its sources.
#[cfg(feature = "error-stack")]
pub(super) fn of_context(error: &(dyn Error + 'static)) -> Link {
    Link {
        type_name: TypeName::of(error).as_str().into(),
        value: text_of(&error),
    }
}

/// The text of something that is no error.
pub(super) fn text_of(value: &dyn Display) -> Box<str> {
    limited(value, MAX_TEXT).0.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::exceptions::Parts;
    use crate::event::record::fields;
    use std::fmt;

    /// An error that says what it is told to, over other errors.
    struct Says {
        text: fn(&mut fmt::Formatter<'_>) -> fmt::Result,
        source: Option<Box<dyn Error>>,
    }

    impl fmt::Debug for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Says")
        }
    }

    impl Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.text)(f)
        }
    }

    impl Error for Says {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.source.as_deref()
        }
    }

    fn over(n: usize, text: fn(&mut fmt::Formatter<'_>) -> fmt::Result) -> Says {
        (1..n).fold(Says { text, source: None }, |source, _| Says {
            text,
            source: Some(Box::new(source)),
        })
    }

    /// The links, as both ways make them.
    fn written(error: &(dyn Error + 'static)) -> Vec<(String, String)> {
        let mut record = Record::over(Vec::new(), 1 << 20);
        assert!(!write_chain(&mut record, error));
        assert!(!record.overflowed());
        let mut parts = Parts::default();
        for field in fields(record.bytes()) {
            parts.add(field.key, field.value);
        }
        let links: Vec<_> = parts
            .links
            .iter()
            .map(|link| (link.type_name.to_owned(), link.value.to_owned()))
            .collect();
        let of_error: Vec<_> = of_error(error, None)
            .links
            .iter()
            .map(|link| (link.type_name.to_string(), link.value.to_string()))
            .collect();
        assert_eq!(links, of_error);
        links
    }

    fn alternating(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        thread_local!(static NEXT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
        let n = NEXT.get();
        NEXT.set((n + 1) % 2);
        write!(f, "{n}")
    }

    #[test]
    fn chains_and_texts_are_bounded() {
        let lengths = |links: Vec<(String, String)>| -> Vec<_> {
            let lengths = links.iter().map(|(_, text)| text.chars().count());
            lengths.collect()
        };
        assert_eq!(lengths(written(&over(99, alternating))), [1; MAX_LINKS]);
        // The last one is without a text.
        let mut want = [MAX_TEXT; 7];
        want[6] = 0;
        let long = |f: &mut fmt::Formatter<'_>| alternating(f).and(write!(f, "{:ü>20000}", ""));
        assert_eq!(lengths(written(&over(99, long))), want);
    }

    #[test]
    fn what_is_said_twice_is_kept_once() {
        assert_eq!(written(&over(9, |f| f.write_str("same"))).len(), 1);
    }

    #[test]
    fn a_ring_ends_where_it_began() {
        #[derive(Debug)]
        struct Ring(u8);
        impl Display for Ring {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        static RINGS: [Ring; 3] = [Ring(0), Ring(1), Ring(2)];
        impl Error for Ring {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&RINGS[usize::from(self.0 + 1) % 3])
            }
        }
        let texts: Vec<_> = written(&RINGS[1]).into_iter().map(|link| link.1).collect();
        assert_eq!(texts, ["1", "2", "0"]);
    }

    #[test]
    fn a_panic_costs_a_text_or_what_is_behind_it() {
        let panics = Says {
            text: |_| std::panic::panic_any(1),
            source: Some(Box::new(over(1, |f| f.write_str("cause")))),
        };
        let texts: Vec<_> = written(&panics).into_iter().map(|link| link.1).collect();
        assert_eq!(texts, ["", "cause"]);

        #[derive(Debug)]
        struct Broken;
        impl Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("broken")
            }
        }
        impl Error for Broken {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                std::panic::panic_any(1)
            }
        }
        assert_eq!(written(&Broken), [("Broken".into(), "broken".into())]);
    }

    #[test]
    fn a_text_that_gives_up_keeps_what_it_wrote() {
        let gives_up = over(1, |f| f.write_str("half").and(Err(fmt::Error)));
        assert_eq!(written(&gives_up)[0].1, "half");
    }

    #[test]
    fn a_trace_of_spans_is_no_error() {
        let trace = over(1, |f| f.write_str("span backtrace:\n   0: user{name=ada}"));
        let error = Says {
            text: |f| f.write_str("failed"),
            source: Some(Box::new(trace)),
        };
        assert_eq!(written(&error), [("Says".into(), "failed".into())]);
    }
}
