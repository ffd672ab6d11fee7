//! [`Verdict`]: what is known of a filter, a cohort or a condition.

use crate::flags::value::UnresolvedReason;

/// Whether something holds, as far as it can be decided here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// Not decided, which does not keep others from deciding.
    Open(UnresolvedReason),
    /// Only PostHog knows, and nothing after it counts: a static cohort, a cohort of another form.
    Server(UnresolvedReason),
}

pub(super) const UNSUPPORTED: Verdict = Verdict::Open(UnresolvedReason::UnsupportedDefinition);
pub(super) const MISSING: Verdict = Verdict::Open(UnresolvedReason::MissingContext);

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Verdict {
    /// The opposite, if `inverse`.
    pub(super) fn inverted(self, inverse: bool) -> Self {
        match self {
            Self::Yes if inverse => Self::No,
            Self::No if inverse => Self::Yes,
            other => other,
        }
    }
}

/// Of two reasons the one that PostHog's SDKs name.
pub(super) fn graver(one: UnresolvedReason, other: UnresolvedReason) -> UnresolvedReason {
    fn rank(reason: UnresolvedReason) -> u8 {
        match reason {
            UnresolvedReason::ExperienceContinuity => 0,
            UnresolvedReason::UnsupportedDefinition => 1,
            UnresolvedReason::UnresolvedDependency => 2,
            UnresolvedReason::MissingContext => 3,
            UnresolvedReason::NotLoaded
            | UnresolvedReason::RequestFailed
            | UnresolvedReason::NotComputed => 4,
        }
    }
    if rank(other) < rank(one) { other } else { one }
}

/// What stayed undecided among things that all have to hold.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Undecided {
    reason: Option<UnresolvedReason>,
    /// The first one can only be decided by PostHog.
    server: bool,
}

impl Undecided {
    pub(super) fn add(&mut self, reason: UnresolvedReason, server: bool) {
        self.server |= server && self.reason.is_none();
        self.reason = Some(self.reason.map_or(reason, |known| graver(known, reason)));
    }

    pub(super) fn reason(self) -> Option<UnresolvedReason> {
        self.reason
    }

    /// What is undecided; `decided` where nothing is.
    pub(super) fn or(self, decided: Verdict) -> Verdict {
        match self.reason {
            None => decided,
            Some(reason) if self.server => Verdict::Server(reason),
            Some(reason) => Verdict::Open(reason),
        }
    }
}
