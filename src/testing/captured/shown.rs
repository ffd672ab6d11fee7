//! `Debug` of captured events, for the messages of tests that fail.

use super::super::RecordedEvent;
use super::super::recorded::printable;
use super::CapturedEvents;
use std::fmt;

/// How many events are shown.
const EVENTS: usize = 50;
/// How many events outside of every capture are shown.
const STRAYS: usize = 10;
/// How many characters of a name or a distinct id.
const CHARS: usize = 80;

/// Shows name and distinct id of each event, and why others are missing.
impl fmt::Debug for CapturedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.keep(u64::MAX);
        let (shown, more, unreadable) = {
            let kept = self.store.kept();
            let shown: Vec<Line> = kept.events.iter().take(EVENTS).map(Line::of).collect();
            let more = kept.events.len() - shown.len();
            (shown, more, kept.unreadable.clone())
        };
        let stats = self.handle.stats();
        let mut s = f.debug_struct("CapturedEvents");
        s.field("events", &shown);
        if more > 0 {
            s.field("more_events", &more);
        }
        if stats.dropped.total() > 0 {
            s.field("dropped", &stats.dropped);
        }
        if !self.handle.is_enabled() {
            let state = match (self.handle.is_disabled(), stats.disabled) {
                (true, _) => "disabled",
                (false, true) => "opted out",
                (false, false) => "shut down",
            };
            s.field("captures_no_more", &format_args!("{state}"));
        }
        for hidden in self.handle.hidden() {
            s.field("hidden", &format_args!("{hidden}"));
        }
        if let Some((strays, number)) = Self::strays() {
            strays.store.keep(u64::MAX);
            let mut kept = strays.store.kept();
            // Nobody else looks at them.
            kept.events.truncate(STRAYS);
            let lines: Vec<Line> = kept.events.iter().map(Line::of).collect();
            s.field("outside_of_every_capture", &number);
            s.field("such_as", &lines);
        }
        if let Some(unreadable) = unreadable {
            s.field("unreadable", &unreadable);
        }
        s.finish()
    }
}

/// `name (distinct id)`.
struct Line(String);

impl Line {
    fn of(event: &RecordedEvent) -> Self {
        Self(format!(
            "{} ({})",
            cut(&event.event),
            cut(&event.distinct_id)
        ))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
    }
}
