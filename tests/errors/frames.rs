//! Frames of a stack: resolved here where the program has debug information, by PostHog where it was stripped.

use crate::builds::{Build, SOURCE, exception, frames, stripped};
use object::Object;
use serde_json::Value;
use std::path::Path;

/// The line of the source that ends with `// {mark}`.
fn line_of(mark: &str) -> u64 {
    let mark = format!("// {mark}");
    let at = SOURCE.lines().position(|line| line.ends_with(&mark));
    at.unwrap() as u64 + 1
}

/// The outermost first.
const CHAIN: [(&str, &str); 4] = [
    ("process", "process"),
    ("charge", "<Card as Method>::charge"),
    ("check", "check"),
    ("report", "report"),
];

fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap();
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

/// The debug id as PostHog's tool computes it when it uploads the symbols.
fn debug_id(program: &Path) -> String {
    let bytes = std::fs::read(program).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let id = file.build_id().unwrap().unwrap();
    let guid: [u8; 16] = std::array::from_fn(|n| id.get(n).copied().unwrap_or(0));
    uuid::Uuid::from_bytes_le(guid).to_string()
}

#[test]
fn frames_are_resolved_here_with_line_tables() {
    for build in [Build::Debug, Build::Release, Build::NotRelocatable] {
        let exception = exception(&build.program(), "");
        let frames = frames(&exception);
        let last: Vec<_> = frames[frames.len() - 4..]
            .iter()
            .map(|f| {
                (
                    f["function"].as_str().unwrap(),
                    f["lineno"].as_u64().unwrap(),
                )
            })
            .collect();
        let expected = CHAIN.map(|(function, mark)| (function, line_of(mark)));
        assert_eq!(last, expected, "{build:?}");
        for frame in frames.iter().filter(|frame| frame["in_app"] == true) {
            assert_eq!(frame["filename"], "src/main.rs", "{build:?}: {frame}");
            assert_eq!(frame.get("instruction_addr"), None, "{build:?}: {frame}");
        }
        // What started the program is not there, nor is what captured the error.
        assert_eq!(frames[0]["function"], "main", "{build:?}");
    }
}

#[test]
fn a_panic_is_at_the_innermost_frame_without_what_reports_it() {
    for build in [Build::Debug, Build::Release] {
        let exception = exception(&build.program(), "panic");
        let frames = frames(&exception);
        let own = frames.iter().rposition(|f| f["in_app"] == true).unwrap();
        assert_eq!(
            frames[own]["function"], "overdraw",
            "{build:?}: {frames:#?}"
        );
        assert_eq!(frames[own]["lineno"], line_of("overdraw"));
        // What it called of the standard library stays.
        for frame in &frames[own + 1..] {
            let function = frame["function"].as_str().unwrap();
            assert!(function.ends_with("unwrap"), "{build:?}: {frames:#?}");
        }
    }
}

#[test]
fn frames_of_a_stripped_program_resolve_with_its_symbols() {
    for build in [Build::Release, Build::NotRelocatable] {
        let whole = build.program();
        let exception = exception(&stripped(&whole, "--strip-all"), "");
        let images = exception["$debug_images"].as_array().unwrap();
        let image = images
            .iter()
            .find(|image| image["code_file"] == "shop--strip-all")
            .unwrap();
        assert_eq!(image["type"], "elf");
        assert_eq!(image["debug_id"], debug_id(&whole));
        assert_eq!(image["arch"], std::env::consts::ARCH);

        let symbols = addr2line::Loader::new(&whole).unwrap();
        let bytes = std::fs::read(&whole).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        // PostHog looks up addresses relative to where the file begins in memory.
        let start = object::read::Object::segments(&file)
            .map(|segment| object::ObjectSegment::address(&segment))
            .min()
            .unwrap();
        assert_eq!(start, number(&image["image_vmaddr"]));
        let mut resolved = Vec::new();
        for frame in frames(&exception) {
            if frame["synthetic"] == true || frame["image_addr"] != image["image_addr"] {
                continue;
            }
            assert_eq!(frame["in_app"], true, "{frame}");
            let relative = number(&frame["instruction_addr"]) - number(&frame["image_addr"]);
            assert!(relative < image["image_size"].as_u64().unwrap());
            let probe = start + relative - 1;
            let mut layers = symbols.find_frames(probe).unwrap();
            let mut of_frame = Vec::new();
            while let Some(layer) = layers.next().unwrap() {
                // Line tables know the names of inlined functions only; symbols know the others.
                let name = match &layer.function {
                    Some(function) => function.demangle().unwrap().into_owned(),
                    None => {
                        let symbol = symbols.find_symbol(probe).unwrap_or_default();
                        addr2line::demangle_auto(symbol.into(), None).into_owned()
                    }
                };
                let name = name.rsplit("::").next().unwrap().to_owned();
                let line = layer.location.and_then(|l| l.line).unwrap_or(0);
                of_frame.push((name, line.into()));
            }
            resolved.extend(of_frame.into_iter().rev());
        }
        let expected = CHAIN.map(|(function, mark)| (function.to_owned(), line_of(mark)));
        assert!(
            resolved.windows(4).any(|frames| frames == expected),
            "{build:?}: {resolved:#?}"
        );
    }
}

#[test]
fn a_stripped_program_is_grouped_by_the_callsite_until_it_has_symbols() {
    let exception = exception(&stripped(&Build::Release.program(), "--strip-all"), "");
    let innermost = frames(&exception).pop().unwrap();
    let place = format!("src/main.rs:{}", line_of("report"));
    assert_eq!(innermost["function"], place);
    assert_eq!(innermost["module"], "shop::pay");
    assert_eq!(innermost["synthetic"], true);
    assert_eq!(innermost["in_app"], true);
}

#[test]
fn symbols_alone_give_names_and_what_is_the_programs_own() {
    let exception = exception(&stripped(&Build::Release.program(), "--strip-debug"), "");
    let frames = frames(&exception);
    let own: Vec<_> = frames
        .iter()
        .filter(|frame| frame["in_app"] == true && frame["synthetic"] != true)
        .map(|frame| frame["function"].as_str().unwrap())
        .collect();
    // No line tables, so nothing is known of inlined functions.
    for function in [
        "shop::main",
        "shop::process",
        "<shop::pay::Card as shop::pay::Method>::charge",
        "shop::pay::report",
    ] {
        assert!(own.contains(&function), "{function} is not in {own:#?}");
    }
    assert!(own.iter().all(|f| f.contains("shop::")), "{own:#?}");
    for frame in frames.iter().filter(|frame| frame["synthetic"] != true) {
        assert!(frame["instruction_addr"].is_string(), "{frame}");
    }
}

/// The default release build has no line tables. PostHog names such a frame by the address of its image, which is another
/// in each process, and lets it count for nothing beside frames of the standard library.
#[test]
fn a_program_with_symbols_only_is_grouped_by_the_callsite() {
    let program = stripped(&Build::Release.program(), "--strip-debug");
    let [first, second] = [(); 2].map(|()| {
        let properties = exception(&program, "");
        crate::grouping::sent(properties["$exception_list"].clone(), serde_json::json!({}))
    });
    assert_eq!(first.grouping(), second.grouping());
    let place = first.in_app_frames().next_back().unwrap();
    assert!(place.synthetic, "{first:#?}\n{}", first.grouping());
}
