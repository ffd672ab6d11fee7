//! [`LookUp`]: an address into the functions whose code it is: the function itself, and those that are inlined there.
//!
//! Reads the files of the program and its libraries on this machine, never the network, and never what the `backtrace`
//! crate would hold a lock for: callers take their stacks meanwhile. A file is opened at the first exception with an
//! address in it, and only if it is still the one that was loaded. What is damaged costs its names only.

use super::super::paths::{dependency, is_of_this_crate};
use super::Effort;
use super::images::Loaded;
use super::names::{crate_of, name_of_symbol};
use crate::panic::catch;
use addr2line::Loader;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many files are held open. Further ones give no names.
const MAX_FILES: usize = 64;
/// How many addresses are remembered.
const MAX_ADDRESSES: usize = 4_096;
/// Above this size in bytes a file is not opened while the process ends.
const LARGE_FILE: u64 = 256 << 20;
/// How many functions can be inlined at one address.
const MAX_LAYERS: usize = 64;

/// A function that an address is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Layer {
    /// Empty: not known.
    pub(super) function: Box<str>,
    /// As the compiler wrote it.
    pub(super) path: Option<Box<str>>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
}

impl Layer {
    /// The crate that its code is of.
    pub(super) fn crate_name(&self) -> Option<Cow<'_, str>> {
        if let Some(name) = crate_of(&self.function) {
            return Some(name.into());
        }
        let path = self.path.as_deref()?;
        match is_of_this_crate(path) {
            true => Some("tracing_posthog".into()),
            false => dependency(path).map(Cow::Owned),
        }
    }
}

/// Where the code of an address is in the source: the innermost first. Empty: not known.
pub(super) type Layers = Arc<[Layer]>;

#[derive(Default)]
pub(super) struct LookUp {
    /// `None`: could not be read.
    files: HashMap<PathBuf, Option<Loader>>,
    found: HashMap<u64, Layers>,
}

impl fmt::Debug for LookUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookUp")
            .field("files", &self.files.keys())
            .field("found", &self.found.len())
            .finish()
    }
}

impl LookUp {
    /// The layers of a return address in an image.
    pub(super) fn layers(&mut self, address: u64, image: &Loaded, effort: Effort) -> Layers {
        if let Some(layers) = self.found.get(&address) {
            return Arc::clone(layers);
        }
        if effort == Effort::Little && !self.files.contains_key(&image.path) && is_large(image) {
            return [].into();
        }
        let layers: Layers = self.read(address, image).unwrap_or_default().into();
        if self.found.len() >= MAX_ADDRESSES {
            self.found.clear();
        }
        self.found.insert(address, Arc::clone(&layers));
        layers
    }

    /// Forgets what was found: the addresses may be those of other images now.
    pub(super) fn forget(&mut self) {
        self.found.clear();
        self.files.clear();
    }

    fn read(&mut self, address: u64, image: &Loaded) -> Option<Vec<Layer>> {
        let open = self.files.len();
        let file = match self.files.get(&image.path) {
            Some(file) => file,
            None if open >= MAX_FILES => return None,
            None => {
                let file = catch(|| load(image)).flatten();
                self.files.entry(image.path.clone()).or_insert(file)
            }
        };
        let file = file.as_ref()?;
        // The call stands before the address that it returns to.
        let probe = (address.wrapping_sub(1))
            .wrapping_sub(image.bias)
            .wrapping_add(file.relative_address_base());
        match catch(|| layers(file, probe)) {
            Some(layers) => Some(layers),
            None => {
                self.files.insert(image.path.clone(), None);
                None
            }
        }
    }
}

/// Whether reading the file may take longer than an ending process waits.
fn is_large(image: &Loaded) -> bool {
    let size = std::fs::metadata(&image.path).map(|file| file.len());
    size.is_ok_and(|size| size > LARGE_FILE)
}

/// Opens the file of an image.
fn load(image: &Loaded) -> Option<Loader> {
    Loader::new(file_of(image)?).ok()
}

/// The file that the image was loaded from, if it is still there.
pub(super) fn file_of(image: &Loaded) -> Option<PathBuf> {
    // The program's own, also when it was replaced or removed.
    let running =
        (cfg!(target_os = "linux") && image.is_program).then(|| Path::new("/proc/self/exe"));
    let mut files = [Some(image.path.as_path()), running].into_iter().flatten();
    files.find(|path| is_of(path, image)).map(Path::to_path_buf)
}

/// Whether the file is the one that was loaded, and not a later build.
fn is_of(path: &Path, image: &Loaded) -> bool {
    use object::Object;
    let read = || {
        let file = object::ReadCache::new(std::fs::File::open(path).ok()?);
        let object = object::File::parse(&file).ok()?;
        if let Ok(Some(id)) = object.build_id() {
            return Some(id == image.id);
        }
        if let Ok(Some(id)) = object.mach_uuid() {
            return Some(id.as_slice() == image.id);
        }
        // One without an id cannot be told from another; Windows does not let programs be replaced while they run.
        Some(image.id.is_empty() || cfg!(windows))
    };
    catch(read).flatten().unwrap_or(false)
}

fn layers(file: &Loader, probe: u64) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let symbol = || file.find_symbol(probe).map(name_of_symbol);
    if let Ok(mut frames) = file.find_frames(probe) {
        while let Ok(Some(frame)) = frames.next() {
            if layers.len() == MAX_LAYERS {
                break;
            }
            let mangled = frame.function.as_ref().and_then(|f| f.raw_name().ok());
            let location = frame.location.as_ref();
            layers.push(Layer {
                function: mangled
                    .map(|m| name_of_symbol(&m))
                    .unwrap_or_default()
                    .into(),
                path: location.and_then(|l| l.file).map(Into::into),
                line: location.and_then(|l| l.line).filter(|line| *line > 0),
                column: location.and_then(|l| l.column).filter(|column| *column > 0),
            });
        }
    }
    // Debug information may know no name, or one without its path; the symbol has it.
    match layers.last_mut() {
        Some(outermost) if !outermost.function.contains("::") => {
            if let Some(name) = symbol().filter(|name| !name.is_empty()) {
                outermost.function = name.into();
            }
        }
        Some(_) => {}
        None => layers.extend(symbol().map(|name| Layer {
            function: name.into(),
            ..Layer::default()
        })),
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::exceptions::symbols::images::Images;

    fn is_send<T: Send>() {}

    #[test]
    fn it_goes_to_the_actors_thread() {
        is_send::<LookUp>();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let here = is_send::<u8> as fn() as usize as u64;
        let mut images = Images::default();
        images.cover([here].into_iter());
        let mut image = images.find(here).unwrap().clone();
        let mut look_up = LookUp::default();
        assert!(!look_up.layers(here + 1, &image, Effort::Any).is_empty());
        image.path = "/no such file".into();
        image.is_program = false;
        for n in 0..2 * MAX_ADDRESSES as u64 {
            assert!(look_up.layers(n, &image, Effort::Any).is_empty());
        }
        assert!(look_up.found.len() <= MAX_ADDRESSES);
        for n in 0..2 * MAX_FILES {
            image.path = format!("/no such file {n}").into();
            look_up.layers(1 << 40 | n as u64, &image, Effort::Any);
        }
        assert!(look_up.files.len() <= MAX_FILES);
    }

    #[test]
    fn a_file_of_another_build_gives_no_names() {
        let here = is_send::<u8> as fn() as usize as u64;
        let mut images = Images::default();
        images.cover([here].into_iter());
        let mut image = images.find(here).unwrap().clone();
        image.id = vec![1; 20];
        assert!(
            LookUp::default()
                .layers(here + 1, &image, Effort::Any)
                .is_empty()
        );
    }

    #[test]
    fn a_damaged_file_costs_names_only() {
        let here = is_send::<u8> as fn() as usize as u64;
        let mut images = Images::default();
        images.cover([here].into_iter());
        let mut image = images.find(here).unwrap().clone();
        let directory = std::env::temp_dir().join(format!("damaged-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let whole = std::fs::read(&image.path).unwrap();
        image.is_program = false;
        image.id = Vec::new();
        for (n, kept) in [0, 3, 64, 4_096, whole.len() / 2].into_iter().enumerate() {
            image.path = directory.join(n.to_string());
            std::fs::write(&image.path, &whole[..kept]).unwrap();
            let _ = LookUp::default().layers(here + 1, &image, Effort::Any);
        }
        std::fs::remove_dir_all(directory).unwrap();
    }
}
