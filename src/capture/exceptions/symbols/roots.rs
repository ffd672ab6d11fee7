//! The directories that the compiler ran in, by the debug information of a file: paths of own sources are relative to
//! them, as `file!()` gives them.
//!
//! Reads the first bytes of each compilation unit, and no more of what may be hundreds of megabytes. Where debug
//! information is compressed or lies in other files, nothing is found: callsites reveal the directories then, later.

use addr2line::gimli::{
    AttributeValue, DW_AT_comp_dir, DebugAbbrev, DebugInfo, EndianSlice, RunTimeEndian,
};
use object::{Object, ObjectSection};
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How many units are looked at.
const MAX_UNITS: usize = 50_000;
/// How many directories are found at most.
const MAX_ROOTS: usize = 256;
/// What the header of a unit and its first entry take, with room to spare.
const UNIT_BYTES: u64 = 512;
/// How long a directory is at most.
const PATH_BYTES: u64 = 1_024;
/// How much of the descriptions of entries is read.
const ABBREV_BYTES: u64 = 64 << 20;

/// The directories, each once.
pub(super) fn roots(path: &Path) -> Vec<String> {
    Dwarf::open(path).map(Dwarf::roots).unwrap_or_default()
}

struct Dwarf {
    file: File,
    endian: RunTimeEndian,
    info: Section,
    strings: Option<Section>,
    line_strings: Option<Section>,
    abbreviations: Vec<u8>,
}

/// Where a section lies in the file.
#[derive(Clone, Copy)]
struct Section {
    start: u64,
    size: u64,
}

/// Where a directory's text is.
#[derive(PartialEq, Eq, Hash)]
enum Text {
    In(Vec<u8>),
    Strings(u64),
    LineStrings(u64),
}

impl Dwarf {
    fn open(path: &Path) -> Option<Self> {
        let cache = object::ReadCache::new(File::open(path).ok()?);
        let object = object::File::parse(&cache).ok()?;
        let section = |name: &str| {
            let range = object.section_by_name(name)?.compressed_file_range().ok()?;
            let is_plain = range.format == object::CompressionFormat::None;
            is_plain.then_some(Section {
                start: range.offset,
                size: range.compressed_size,
            })
        };
        let mut dwarf = Self {
            file: File::open(path).ok()?,
            endian: match object.is_little_endian() {
                true => RunTimeEndian::Little,
                false => RunTimeEndian::Big,
            },
            info: section(".debug_info")?,
            strings: section(".debug_str"),
            line_strings: section(".debug_line_str"),
            abbreviations: Vec::new(),
        };
        dwarf.abbreviations = dwarf.read(section(".debug_abbrev")?, 0, ABBREV_BYTES)?;
        Some(dwarf)
    }

    fn read(&mut self, of: Section, offset: u64, at_most: u64) -> Option<Vec<u8>> {
        let size = of.size.checked_sub(offset)?.min(at_most);
        self.file.seek(SeekFrom::Start(of.start + offset)).ok()?;
        let mut bytes = Vec::new();
        (&self.file).take(size).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn roots(mut self) -> Vec<String> {
        let mut seen = HashSet::new();
        let mut offset = 0;
        for _ in 0..MAX_UNITS {
            let Some((text, next)) = self.unit(offset) else {
                break;
            };
            offset = next;
            seen.extend(text);
            if seen.len() >= MAX_ROOTS {
                break;
            }
        }
        let mut roots: Vec<String> = seen
            .into_iter()
            .filter_map(|text| self.text(text))
            .collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// Where the directory of a unit is, and where the next unit begins.
    fn unit(&mut self, offset: u64) -> Option<(Option<Text>, u64)> {
        let mut bytes = self.read(self.info, offset, UNIT_BYTES)?;
        let length: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
        let is_little = self.endian == RunTimeEndian::Little;
        let length = match is_little {
            true => u32::from_le_bytes(length),
            false => u32::from_be_bytes(length),
        };
        // Reserved, and the 64-bit format, which no compiler of ours writes.
        if length >= 0xffff_fff0 {
            return None;
        }
        // The unit ends where what was read of it does.
        let there = u32::try_from(bytes.len()).ok()?.checked_sub(4)?.min(length);
        let there = match is_little {
            true => there.to_le_bytes(),
            false => there.to_be_bytes(),
        };
        bytes.get_mut(..4)?.copy_from_slice(&there);
        Some((self.directory(&bytes), offset + 4 + u64::from(length)))
    }

    fn directory(&self, unit: &[u8]) -> Option<Text> {
        let header = DebugInfo::new(unit, self.endian).units().next().ok()??;
        let abbreviations = DebugAbbrev::new(&self.abbreviations, self.endian);
        let abbreviations = abbreviations
            .abbreviations(header.debug_abbrev_offset())
            .ok()?;
        let mut entries = header.entries(&abbreviations);
        let entry = entries.next_dfs().ok()??;
        match entry.attr_value(DW_AT_comp_dir)? {
            AttributeValue::String(text) => Some(Text::In(EndianSlice::slice(&text).to_vec())),
            AttributeValue::DebugStrRef(at) => Some(Text::Strings(at.0 as u64)),
            AttributeValue::DebugLineStrRef(at) => Some(Text::LineStrings(at.0 as u64)),
            _ => None,
        }
    }

    fn text(&mut self, text: Text) -> Option<String> {
        let bytes = match text {
            Text::In(bytes) => bytes,
            Text::Strings(at) => self.read(self.strings?, at, PATH_BYTES)?,
            Text::LineStrings(at) => self.read(self.line_strings?, at, PATH_BYTES)?,
        };
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8(bytes[..end].to_vec()).ok()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_directory_that_this_crate_is_built_in_is_found() {
        let roots = roots(&std::env::current_exe().unwrap());
        assert!(
            roots.iter().any(|r| r == env!("CARGO_MANIFEST_DIR")),
            "{roots:#?}"
        );
    }

    #[test]
    fn files_without_debug_information_have_none() {
        assert_eq!(roots(Path::new("/no such file")), [""; 0]);
        assert_eq!(roots(Path::new("/proc/self/cmdline")), [""; 0]);
    }
}
