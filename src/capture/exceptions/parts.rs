//! [`Parts`]: what a record says of an exception.

use crate::event::record::{Val, exception};
use smallvec::SmallVec;

/// Where an exception comes from. As text in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event of `tracing`.
    Log,
    /// `capture_error`.
    Manual,
    /// A panic; the process may go on.
    Panic,
    /// A panic that ends the process.
    FatalPanic,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Manual => "manual",
            Self::Panic => "panic",
            Self::FatalPanic => "fatal_panic",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Log, Self::Manual, Self::Panic, Self::FatalPanic]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// An error of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    /// Empty: not known.
    pub(crate) type_name: &'a str,
    pub(crate) value: &'a str,
}

/// What a record says of an exception.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts<'a> {
    /// `None`: the record is of no exception.
    pub(crate) kind: Option<Kind>,
    /// Whether the event has the field `posthog.exception`.
    pub(crate) wanted: bool,
    pub(crate) level: &'a str,
    /// The outermost first. Empty: there is no error value.
    pub(crate) links: SmallVec<[Link<'a>; 4]>,
    pub(crate) message: &'a str,
    pub(crate) file: &'a str,
    pub(crate) line: u32,
    pub(crate) module: &'a str,
    pub(crate) target: &'a str,
    /// Return addresses, the innermost first, as bytes.
    pub(super) stack: &'a [u8],
    pub(crate) backtrace: &'a str,
    /// JSON.
    pub(crate) spans: &'a str,
    /// JSON.
    pub(crate) steps: &'a str,
    pub(crate) scope: u64,
    pub(crate) suppressed: u64,
    pub(crate) fingerprint: Option<Val<'a>>,
    pub(crate) issue_name: Option<Val<'a>>,
}

impl<'a> Parts<'a> {
    /// Takes one part in; parts that are not known are ignored.
    pub(crate) fn add(&mut self, key: &str, value: Val<'a>) {
        match (key, value) {
            (exception::KIND, Val::Str(kind)) => self.kind = Kind::of(kind),
            (exception::LEVEL, Val::Str(level)) => self.level = level,
            (exception::TYPE, Val::Str(type_name)) => self.links.push(Link {
                type_name,
                value: "",
            }),
            (exception::VALUE, Val::Str(value)) => {
                if let Some(link) = self.links.last_mut() {
                    link.value = value;
                }
            }
            (exception::MESSAGE, Val::Str(message)) => self.message = message,
            (exception::FILE, Val::Str(file)) => self.file = file,
            (exception::LINE, Val::U64(line)) => self.line = u32::try_from(line).unwrap_or(0),
            (exception::MODULE, Val::Str(module)) => self.module = module,
            (exception::TARGET, Val::Str(target)) => self.target = target,
            (exception::STACK, Val::Bytes(stack)) => self.stack = stack,
            (exception::BACKTRACE, Val::Str(text)) => self.backtrace = text,
            (exception::SPANS, Val::Json(spans)) => self.spans = spans,
            (exception::STEPS, Val::Json(steps)) => self.steps = steps,
            (exception::SCOPE, Val::U64(scope)) => self.scope = scope,
            (exception::SUPPRESSED, Val::U64(n)) => self.suppressed = n,
            (exception::WANTED, _) => self.wanted = true,
            (exception::FINGERPRINT, value) => self.fingerprint = Some(value),
            (exception::ISSUE_NAME, value) => self.issue_name = Some(value),
            _ => {}
        }
    }

    /// The return addresses, the innermost first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = u64> + use<'a> {
        let (addresses, _) = self.stack.as_chunks::<8>();
        addresses.iter().map(|bytes| u64::from_le_bytes(*bytes))
    }
}
