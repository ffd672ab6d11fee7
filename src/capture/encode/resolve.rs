//! What a record says: the nearest value of each name.

use super::LargeIntegers;
use super::identity::{PROCESS, needs};
use super::objects::slot_of;
use crate::capture::diagnostics::{About, Diagnostics};
use crate::event::record::{self, Field, Slot, Val};
use serde_json::{Map, Value};
use smallvec::SmallVec;

/// What a record says, once the nearest value of each name has won.
#[derive(Default)]
pub(super) struct Resolved<'a> {
    /// What warnings are about: the record of the event as it was captured.
    pub(super) about: About<'a>,
    pub(super) name: Option<Val<'a>>,
    pub(super) distinct_id: Nearest<Val<'a>>,
    pub(super) session_id: Nearest<Val<'a>>,
    pub(super) timestamp: Option<Val<'a>>,
    pub(super) uuid: Option<Val<'a>>,
    pub(super) process_person_profile: Nearest<bool>,
    pub(super) geoip_disable: Nearest<bool>,
    /// Its short form is to be sent.
    pub(super) is_minimal: bool,
    /// A field for exceptions that the event itself has.
    pub(super) exception_field: Option<Field<'a>>,
    #[cfg(feature = "errors")]
    pub(super) exception: crate::capture::exceptions::Parts<'a>,
    pub(super) objects: SmallVec<[Object<'a>; 1]>,
    pub(super) fields: SmallVec<[Field<'a>; 24]>,
    /// Where in `fields` each segment after the first begins.
    starts: SmallVec<[usize; 4]>,
}

/// An object whose entries are properties, groups or person properties.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    segment: usize,
    /// What its entries are.
    pub(super) slot: Slot,
    pub(super) json: &'a str,
}

impl<'a> Object<'a> {
    /// Its entries, with no digit lost. `None`: it is not an object.
    pub(super) fn entries(&self) -> Option<Map<String, Value>> {
        let readable = LargeIntegers::readable(self.json);
        serde_json::from_str(readable.as_deref().unwrap_or(self.json)).ok()
    }

    /// A property that is one of these objects.
    fn of(segment: usize, field: &Field<'a>, json: &'a str) -> Option<Self> {
        let slot = slot_of(field.key)?;
        (field.slot == Slot::Property && json.starts_with('{')).then_some(Self {
            segment,
            slot,
            json,
        })
    }
}

impl<'a> Resolved<'a> {
    /// Reads a record; what is wrong in it is noticed.
    // All of it is large, and would be moved.
    #[allow(clippy::field_reassign_with_default)]
    pub(super) fn of(record: &'a [u8], about: About<'a>, diagnostics: &Diagnostics) -> Self {
        let mut r = Self::default();
        r.about = about;
        let (mut segment, mut first_of_segment) = (0, 0);
        for field in record::fields(record) {
            match field.slot {
                Slot::Break => {
                    segment += 1;
                    first_of_segment = r.fields.len();
                    r.starts.push(first_of_segment);
                }
                // What is said of the plain events around, an event about profiles is not stopped by.
                Slot::ProcessPersonProfile if segment > 0 && r.is_about_profiles() => {}
                Slot::Property if segment > 0 && field.key == PROCESS && r.is_about_profiles() => {}
                // What only an event itself can say, a span further out does not say for it.
                Slot::Name if segment > 0 => {}
                Slot::Timestamp | Slot::Uuid | Slot::Set | Slot::SetOnce if segment > 0 => {
                    diagnostics.not_inherited(about, &field);
                }
                // As an empty id below.
                Slot::Group if is_empty(field.value) => {}
                Slot::Property | Slot::Group | Slot::Set | Slot::SetOnce => {
                    if let Val::Json(json) = field.value
                        && let Some(object) = Object::of(segment, &field, json)
                    {
                        r.objects.push(object);
                        continue;
                    }
                    let same = |f: &Field<'_>| f.slot == field.slot && f.key == field.key;
                    // Those of the event that go by number come first: nothing can be before them.
                    let earlier = match field.name {
                        Some(name) if name.unique && segment == 0 => None,
                        _ => r.fields.iter().position(same),
                    };
                    match earlier {
                        Some(nearer) if nearer < first_of_segment => {}
                        Some(earlier) => r.fields[earlier] = field,
                        None => r.fields.push(field),
                    }
                }
                Slot::Name => r.name = Some(field.value),
                Slot::Timestamp => r.timestamp = Some(field.value),
                Slot::Uuid => r.uuid = Some(field.value),
                // An empty id says nothing: the next one outwards counts.
                Slot::DistinctId if !is_empty(field.value) => {
                    r.distinct_id.offer(segment, field.value);
                }
                Slot::SessionId if !is_empty(field.value) => {
                    r.session_id.offer(segment, field.value);
                }
                Slot::DistinctId | Slot::SessionId => {}
                Slot::ProcessPersonProfile | Slot::GeoipDisable => match field.value.as_bool() {
                    None => diagnostics.not_a_bool(about, &field),
                    Some(value) if field.slot == Slot::GeoipDisable => {
                        r.geoip_disable.offer(segment, value);
                    }
                    Some(value) => r.process_person_profile.offer(segment, value),
                },
                Slot::Properties => match field.value {
                    Val::Str(json) | Val::Json(json) => r.objects.push(Object {
                        segment,
                        slot: Slot::Property,
                        json,
                    }),
                    _ => diagnostics.not_an_object(about),
                },
                Slot::Unknown => diagnostics.unknown_field(about, &field),
                Slot::Cut => diagnostics.span_too_large(about),
                Slot::TooVerbose => {
                    if let Val::Str(span) = field.value {
                        diagnostics.span_too_verbose(span);
                    }
                }
                Slot::Minimal => r.is_minimal = true,
                Slot::Exception if segment > 0 => diagnostics.not_inherited(about, &field),
                Slot::Exception => {
                    if field.name.is_some() {
                        r.exception_field.get_or_insert(field);
                    }
                    #[cfg(feature = "errors")]
                    r.exception.add(field.key, field.value);
                }
                // These are for the reader of the record, which has seen to them.
                Slot::CallsiteSchema | Slot::Numbered => {}
            }
        }
        r
    }

    pub(super) fn is_exception(&self) -> bool {
        #[cfg(feature = "errors")]
        return self.exception.kind.is_some();
        #[cfg(not(feature = "errors"))]
        false
    }

    /// Whether it is one of PostHog's own events about people and groups.
    pub(super) fn is_about_profiles(&self) -> bool {
        matches!(self.name, Some(Val::Str(name)) if needs(name).is_some())
    }

    /// The segments from the outermost inwards: the objects of each, and its fields.
    pub(super) fn inwards(
        &self,
    ) -> impl Iterator<Item = (usize, impl Iterator<Item = &Object<'a>>, &[Field<'a>])> {
        let mut rest = &self.fields[..];
        let starts = self.starts.iter().copied().enumerate();
        let segments = std::iter::once((0, 0)).chain(starts.map(|(n, start)| (n + 1, start)));
        let segments: SmallVec<[_; 8]> = segments.collect();
        segments.into_iter().rev().map(move |(segment, start)| {
            let (nearer, fields) = rest.split_at_checked(start).unwrap_or((rest, &[]));
            rest = nearer;
            let objects = self.objects.iter().filter(move |o| o.segment == segment);
            (segment, objects, fields)
        })
    }
}

/// The value of the nearest segment that has one; of that segment, the last.
#[derive(Clone, Copy)]
pub(super) struct Nearest<T>(Option<(usize, T)>);

impl<T> Default for Nearest<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy> Nearest<T> {
    fn offer(&mut self, segment: usize, value: T) {
        if self.0.is_none_or(|(nearest, _)| nearest == segment) {
            self.0 = Some((segment, value));
        }
    }

    pub(super) fn get(&self) -> Option<T> {
        self.0.map(|(_, value)| value)
    }
}

pub(super) fn is_empty(value: Val<'_>) -> bool {
    match value {
        Val::Null => true,
        Val::Str(s) => s.trim().is_empty(),
        _ => false,
    }
}
