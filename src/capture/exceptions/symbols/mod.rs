//! Addresses into frames.
//!
//! ```text
//! return addresses ─[images]─► image ─[look_up, names]─► layers: function, path, line ─┐
//! text of a backtrace ─[text, names]───────────────────────────────────────────────────┤
//!                                                                                      ▼
//!                              frames ◄─[own, paths]─ in_app, file ◄─[trim]─ without what captured them
//! ```
//!
//! - [`images`]: the program and its libraries, where they lie and by which ids PostHog knows their symbols.
//! - [`look_up`]: the functions at an address, inlined ones too, by debug information or symbols.
//! - [`names`]: the same name for every build. [`text`]: backtraces that errors bring.
//! - [`trim`]: which frames are left out. [`own`]: which are the program's own, and how files are shown, with the
//!   directories that [`roots`] finds.
//!
//! Invariants:
//! - A frame with function, file and line is sent without its address: PostHog takes it as it is. Any other has one, if
//!   PostHog can know its image.
//! - Names, files and `in_app` of a frame are the same in every build of the same source, as far as the build says them.
//! - Everything that is remembered is bounded.

mod images;
mod look_up;
mod names;
mod own;
mod roots;
#[cfg(test)]
mod tests;
mod text;
mod trim;

use super::paths::shown;
use super::{Config, Kind, Parts, Symbols};
use crate::panic::catch;
pub(super) use images::Image;
use images::{Images, Listed};
use look_up::{Layer, LookUp};
use names::{CLOSURE, last_segment, module_of};
use own::{Code, Own};
use std::sync::{LazyLock, Mutex, PoisonError};
use trim::Origin;

/// A frame of a stack, as it is sent. `None` and empty: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: Box<str>,
    pub(super) module: Option<Box<str>>,
    pub(super) filename: Option<Box<str>>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    pub(super) in_app: bool,
    /// No frame of the stack: where the exception was captured.
    pub(super) synthetic: bool,
    /// Where PostHog is to find the names.
    pub(super) address: Option<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    /// The return address, as it was found.
    pub(super) instruction: u64,
    /// Where the image begins that it lies in: [`Image::address`].
    pub(super) image: u64,
}

/// A resolved stack.
#[derive(Debug, Clone, Default)]
pub(super) struct Stack {
    /// The outermost first.
    pub(super) frames: Vec<Frame>,
    /// Images of the frames that PostHog is to resolve.
    pub(super) images: Vec<Image>,
}

/// The frames of an exception. All encoders of the process share what was found: reading debug information is dear, and
/// the images are the same. Only actors, and tests that look at what they captured, wait for each other here.
pub(super) fn resolve(parts: &Parts<'_>, config: &Config) -> Stack {
    static RESOLVER: LazyLock<Mutex<Resolver>> = LazyLock::new(Mutex::default);
    let mut resolver = RESOLVER.lock().unwrap_or_else(PoisonError::into_inner);
    resolver.resolve(parts, config)
}

/// Resolves addresses, and remembers what it found.
#[derive(Debug, Default)]
struct Resolver {
    images: Images,
    look_up: LookUp,
    own: Own,
    /// Whether the directories of the program's sources were looked for.
    looked_for_roots: bool,
}

/// How much time names may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    None,
    /// The process ends, and waits a moment for the delivery: large files are not opened any more.
    Little,
    Any,
}

/// What was found of a frame.
#[derive(Debug)]
struct Found {
    layer: Layer,
    code: Code,
    address: Option<Address>,
}

impl Resolver {
    /// The frames of the exception, the outermost first, without those of `tracing` and of this crate at the end.
    fn resolve(&mut self, parts: &Parts<'_>, config: &Config) -> Stack {
        let (mut found, origin) = self.found(parts, config);
        let kept = trim::kept(found.iter().map(|found| &found.layer), origin);
        found.truncate(kept.end);
        found.drain(..kept.start);
        if origin == Origin::Capture && is_of_the_macro(&found) {
            found.remove(0);
        }
        found.truncate(config.max_frames);
        self.own
            .learn(parts, found.iter().map(|found| &found.layer));
        let mut stack = Stack::default();
        for found in found.iter().rev() {
            if let Some(address) = found.address {
                self.list_image(address, &mut stack.images);
            }
            stack.frames.push(self.frame(found, config));
        }
        stack.frames.extend(callsite(parts, &stack.frames));
        stack
    }

    /// The innermost first.
    fn found(&mut self, parts: &Parts<'_>, config: &Config) -> (Vec<Found>, Origin) {
        if config.symbols == Symbols::Here && !self.looked_for_roots {
            self.looked_for_roots = true;
            self.look_for_roots();
        }
        let from_text = text::frames(parts.backtrace);
        if !from_text.is_empty() {
            let found = from_text.into_iter().map(|layer| Found {
                layer,
                code: Code::Elsewhere,
                address: None,
            });
            return (found.collect(), Origin::Text);
        }
        if self.images.cover(parts.addresses()) == Listed::Anew {
            self.look_up.forget();
        }
        let mut found = Vec::new();
        let effort = match (config.symbols, parts.kind) {
            (Symbols::PostHog, _) => Effort::None,
            (Symbols::Here, Some(Kind::FatalPanic)) => Effort::Little,
            (Symbols::Here, _) => Effort::Any,
        };
        for address in parts.addresses() {
            self.find(address, effort, &mut found);
        }
        let origin = match parts.kind {
            Some(Kind::Panic | Kind::FatalPanic) => Origin::Panic,
            _ => Origin::Capture,
        };
        (found, origin)
    }

    fn look_for_roots(&mut self) {
        self.images.list();
        let home = self.images.home().and_then(look_up::file_of);
        for root in home
            .and_then(|file| catch(|| roots::roots(&file)))
            .unwrap_or_default()
        {
            self.own.learn_root(&root);
        }
    }

    fn find(&mut self, instruction: u64, effort: Effort, all: &mut Vec<Found>) {
        let Some(loaded) = self.images.find(instruction) else {
            self.images.give_up(instruction);
            return;
        };
        let code = match loaded.is_home {
            true => Code::Home,
            false => Code::Elsewhere,
        };
        let layers = match effort {
            Effort::None => [].into(),
            effort => self.look_up.layers(instruction, loaded, effort),
        };
        let address = loaded.image.as_ref().map(|image| Address {
            instruction,
            image: image.address,
        });
        let found = |layer: &Layer, address| Found {
            layer: layer.clone(),
            code,
            address,
        };
        match &layers[..] {
            [] => all.extend(address.map(|address| found(&Layer::default(), Some(address)))),
            [layer] => all.push(found(layer, address.filter(|_| !is_resolved(layer)))),
            layers => all.extend(layers.iter().map(|layer| found(layer, None))),
        }
    }

    fn frame(&self, found: &Found, config: &Config) -> Frame {
        let layer = &found.layer;
        let in_app = self.own.has(layer, found.code, config);
        // PostHog groups by these. Where a function is inlined, as may be in the next build, and there are line tables
        // only, the rest of its name is not known; and the file says as much.
        let (function, module) = match in_app && layer.path.is_some() {
            true => (last_segment(&layer.function), None),
            false => (&*layer.function, module_of(&layer.function)),
        };
        Frame {
            function: function.into(),
            module: module.map(Into::into),
            filename: layer.path.as_deref().map(|path| self.own.shown(path)),
            line: layer.line,
            column: layer.column,
            in_app,
            synthetic: false,
            address: found.address,
        }
    }

    fn list_image(&self, address: Address, images: &mut Vec<Image>) {
        if images.iter().any(|image| image.address == address.image) {
            return;
        }
        let loaded = self.images.find(address.instruction);
        images.extend(loaded.and_then(|loaded| loaded.image.clone()));
    }
}

/// `error!` calls a closure of its own, at the place where it stands.
fn is_of_the_macro(innermost_first: &[Found]) -> bool {
    let [first, second, ..] = innermost_first else {
        return false;
    };
    let (first, second) = (&first.layer, &second.layer);
    last_segment(&first.function) == CLOSURE
        && first.path.is_some()
        && (&first.path, first.line) == (&second.path, second.line)
}

fn is_resolved(layer: &Layer) -> bool {
    !layer.function.is_empty() && layer.path.is_some() && layer.line.is_some()
}

/// The place of the capture as the innermost frame, where the stack does not say what the exception is: issues are to
/// group by place then, and not by text or by library.
fn callsite(parts: &Parts<'_>, frames: &[Frame]) -> Option<Frame> {
    let is_typed = (parts.links.first()).is_some_and(|link| !link.type_name.is_empty());
    let mut own = frames.iter().rev().filter(|frame| frame.in_app);
    // Of a frame that it is to resolve and cannot, PostHog takes the address for the file, or it takes nothing.
    let named = own.find(|frame| !frame.function.is_empty() && frame.address.is_none());
    // An async function is a closure, and line tables do not say of which function.
    if is_typed && named.is_some_and(|frame| &*frame.function != CLOSURE) {
        return None;
    }
    let module = Some(parts.module).filter(|module| !module.is_empty());
    let filename = Some(parts.file).filter(|file| !file.is_empty());
    let filename = filename.map(|file| shown::<&str>(file, &[]));
    let line = Some(parts.line).filter(|line| *line > 0);
    let function = match (&filename, line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => module?.to_owned(),
    };
    Some(Frame {
        function: function.into(),
        module: module.map(Into::into),
        filename: filename.map(Into::into),
        line,
        column: None,
        in_app: true,
        synthetic: true,
        address: None,
    })
}
