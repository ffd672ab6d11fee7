//! [`Images`]: the program and the libraries that are loaded, where they lie, and by which id PostHog knows their symbols.
//!
//! Listed at the first exception, and again when an address is in none of them or in a library: libraries are loaded and
//! unloaded. What was found before is forgotten only if the list differs. An address that is in no image (code made at run
//! time) is remembered, so that it costs no further listing.

use crate::panic::catch;
use findshlibs::{Segment, SharedLibrary, SharedLibraryId, TargetSharedLibrary};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

/// How many addresses without an image are remembered.
const MAX_UNKNOWN: usize = 1_024;
/// How many images are listed at most.
const MAX_IMAGES: usize = 4_096;

/// A loaded program or library, as in `$debug_images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::capture::exceptions) struct Image {
    pub(in crate::capture::exceptions) kind: &'static str,
    pub(in crate::capture::exceptions) debug_id: Box<str>,
    pub(in crate::capture::exceptions) code_id: Option<Box<str>>,
    /// Where it starts in memory: what PostHog subtracts from an address.
    pub(in crate::capture::exceptions) address: u64,
    pub(in crate::capture::exceptions) size: u64,
    /// Where the file says that it starts.
    pub(in crate::capture::exceptions) stated_address: u64,
    pub(in crate::capture::exceptions) file: Box<str>,
    pub(in crate::capture::exceptions) arch: &'static str,
}

/// An image with what the process needs of it to look names up.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// `None`: it has no id, so PostHog cannot know it.
    pub(super) image: Option<Image>,
    /// What its code occupies.
    code: Range<u64>,
    /// What the loader added to the addresses that the file states.
    pub(super) bias: u64,
    pub(super) path: PathBuf,
    pub(super) id: Vec<u8>,
    /// Listed first: the program itself.
    pub(super) is_program: bool,
    /// Holds this crate: the program, or a library of it that another program loaded.
    pub(super) is_home: bool,
}

#[derive(Debug, Default)]
pub(super) struct Images {
    images: Vec<Loaded>,
    unknown: HashSet<u64>,
}

/// Whether what was found before may be wrong now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    AsBefore,
    Anew,
}

impl Images {
    /// The image that holds the code at this address.
    pub(super) fn find(&self, address: u64) -> Option<&Loaded> {
        self.images
            .iter()
            .find(|image| image.code.contains(&address))
    }

    /// Lists the images again if one of the addresses is in none, or in a library, which may have been replaced.
    pub(super) fn cover(&mut self, mut addresses: impl Iterator<Item = u64>) -> Listed {
        let is_certain = |at| {
            let image = self.find(at);
            self.unknown.contains(&at) || image.is_some_and(|image| image.is_program)
        };
        match addresses.all(is_certain) {
            true => Listed::AsBefore,
            false => self.list(),
        }
    }

    pub(super) fn list(&mut self) -> Listed {
        let images = catch(list).unwrap_or_default();
        let same = |(one, other): (&Loaded, &Loaded)| {
            (&one.code, &one.id, &one.path) == (&other.code, &other.id, &other.path)
        };
        let before = std::mem::replace(&mut self.images, images);
        if before.len() == self.images.len() && before.iter().zip(&self.images).all(same) {
            return Listed::AsBefore;
        }
        self.unknown.clear();
        Listed::Anew
    }

    /// The image of the program's own code.
    pub(super) fn home(&self) -> Option<&Loaded> {
        self.images.iter().find(|image| image.is_home)
    }

    /// Remembers addresses that are in no image.
    pub(super) fn give_up(&mut self, address: u64) {
        if self.unknown.len() >= MAX_UNKNOWN {
            self.unknown.clear();
        }
        self.unknown.insert(address);
    }
}

fn list() -> Vec<Loaded> {
    // A function of this crate: its image is that of the program's own code, also where that is a library.
    let here = list as fn() -> Vec<Loaded> as usize as u64;
    let mut images = Vec::new();
    TargetSharedLibrary::each(|library| {
        if images.len() < MAX_IMAGES {
            images.extend(loaded(library, images.is_empty(), here));
        }
    });
    images
}

fn loaded(library: &TargetSharedLibrary<'_>, is_program: bool, here: u64) -> Option<Loaded> {
    let bias = library.virtual_memory_bias().0 as u64;
    let in_memory = || {
        library.segments().filter(|s| {
            // Apple's programs begin with 4 GB that hold nothing.
            s.is_load() && s.name() != "__PAGEZERO" && s.len() > 0
        })
    };
    let start = |s: &<TargetSharedLibrary<'_> as SharedLibrary>::Segment| {
        bias.wrapping_add(s.stated_virtual_memory_address().0 as u64)
    };
    let end = |s: &<TargetSharedLibrary<'_> as SharedLibrary>::Segment| {
        start(s).saturating_add(s.len() as u64)
    };
    let code = || in_memory().filter(|s| s.is_code());
    let code = code().map(|s| start(&s)).min()?..code().map(|s| end(&s)).max()?;
    // PE's sections begin after its header, and what Apple's libraries share lies anywhere.
    let (address, size) = if cfg!(windows) {
        (bias, in_memory().map(|s| end(&s)).max()? - bias)
    } else if cfg!(target_vendor = "apple") {
        (code.start, code.end - code.start)
    } else {
        let first = in_memory().map(|s| start(&s)).min()?;
        (first, in_memory().map(|s| end(&s)).max()? - first)
    };
    let path = PathBuf::from(library.name());
    let id = library.debug_id().or_else(|| library.id());
    let image = id.as_ref().and_then(|id| {
        let (kind, debug_id) = debug_id(id)?;
        Some(Image {
            kind,
            debug_id: debug_id.into(),
            code_id: library.id().and_then(code_id),
            address,
            size,
            stated_address: address.wrapping_sub(bias),
            file: file_name(&path),
            arch: std::env::consts::ARCH,
        })
    });
    Some(Loaded {
        image,
        is_home: code.contains(&here),
        code,
        bias,
        path,
        id: id.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        is_program,
    })
}

/// Without its directory, which may name a person.
fn file_name(path: &std::path::Path) -> Box<str> {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.unwrap_or_default()
        .trim_end_matches(" (deleted)")
        .into()
}

/// The id under which PostHog's command line tool uploads the symbols.
fn debug_id(id: &SharedLibraryId) -> Option<(&'static str, String)> {
    match id {
        SharedLibraryId::GnuBuildId(id) => Some(("elf", guid(id)?)),
        SharedLibraryId::Uuid(id) => Some((
            "macho",
            uuid::Uuid::from_bytes(*id).to_string().to_uppercase(),
        )),
        SharedLibraryId::PdbSignature(id, age) => {
            let id = uuid::Uuid::from_bytes(*id);
            Some((
                "pe",
                if *age > 0 {
                    format!("{id}-{age:x}")
                } else {
                    id.to_string()
                },
            ))
        }
        SharedLibraryId::PeSignature(..) => None,
    }
}

/// The first 16 bytes of a build id, read as a GUID of this machine's byte order.
fn guid(build_id: &[u8]) -> Option<String> {
    if build_id.is_empty() {
        return None;
    }
    let mut bytes = [0_u8; 16];
    for (byte, of_id) in bytes.iter_mut().zip(build_id) {
        *byte = *of_id;
    }
    let id = match cfg!(target_endian = "little") {
        true => uuid::Uuid::from_bytes_le(bytes),
        false => uuid::Uuid::from_bytes(bytes),
    };
    Some(id.to_string())
}

fn code_id(id: SharedLibraryId) -> Option<Box<str>> {
    match id {
        SharedLibraryId::GnuBuildId(id) => Some(hex(&id)),
        SharedLibraryId::Uuid(id) => Some(hex(&id)),
        SharedLibraryId::PeSignature(time, size) => Some(format!("{time:08X}{size:x}").into()),
        SharedLibraryId::PdbSignature(..) => None,
    }
}

fn hex(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_ids_are_those_of_posthogs_tool() {
        let id = [
            0x55, 0x53, 0x98, 0xeb, 0xd0, 0x1c, 0x90, 0x28, 0x5a, 0x3d, 0x85, 0x13, 0x8a, 0x19,
            0xcb, 0xf9, 0xbb, 0xce, 0xc3, 0x52,
        ];
        let elf = SharedLibraryId::GnuBuildId(id.to_vec());
        assert_eq!(
            debug_id(&elf).unwrap().1,
            "eb985355-1cd0-2890-5a3d-85138a19cbf9"
        );
        assert_eq!(
            code_id(elf).unwrap().as_ref(),
            "555398ebd01c90285a3d85138a19cbf9bbcec352"
        );
        // A short one (`--build-id=fast`).
        assert_eq!(
            debug_id(&SharedLibraryId::GnuBuildId(id[..8].to_vec()))
                .unwrap()
                .1,
            "eb985355-1cd0-2890-0000-000000000000"
        );
        assert_eq!(debug_id(&SharedLibraryId::GnuBuildId(Vec::new())), None);
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&id[..16]);
        assert_eq!(
            debug_id(&SharedLibraryId::Uuid(uuid)).unwrap(),
            ("macho", "555398EB-D01C-9028-5A3D-85138A19CBF9".to_owned())
        );
    }

    #[test]
    fn this_program_is_found_by_an_address_in_it() {
        let mut images = Images::default();
        let here = list as fn() -> Vec<Loaded> as usize as u64;
        assert_eq!(images.cover([here].into_iter()), Listed::Anew);
        let found = images.find(here).unwrap();
        assert!(found.is_program && found.is_home);
        let exe = std::env::current_exe().unwrap();
        assert_eq!(found.path, exe);
        let image = found.image.as_ref();
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            let image = image.unwrap();
            assert_eq!(
                image.file.as_ref(),
                exe.file_name().unwrap().to_str().unwrap()
            );
            assert!((image.address..image.address + image.size).contains(&here));
        }
        let _ = image;
        assert_eq!(images.images.iter().filter(|i| i.is_home).count(), 1);
    }

    #[test]
    fn an_address_in_no_image_is_looked_for_once() {
        let mut images = Images::default();
        assert_eq!(images.cover([1].into_iter()), Listed::Anew);
        assert!(images.find(1).is_none());
        images.give_up(1);
        assert_eq!(images.cover([1].into_iter()), Listed::AsBefore);
        // Listed again, and the same.
        assert_eq!(images.cover([1, 2].into_iter()), Listed::AsBefore);
        assert!(images.unknown.contains(&1));
        for address in 0..2 * MAX_UNKNOWN as u64 {
            images.give_up(address);
        }
        assert!(images.unknown.len() <= MAX_UNKNOWN);
    }
}
