//! Source files: which are the program's own, and how they are shown.

/// Whether a source file belongs to a dependency, the standard library or the toolchain, by its path as the compiler wrote
/// it.
pub(crate) fn is_of_dependency(path: &str) -> bool {
    let path = path.replace('\\', "/");
    [
        "/registry/src/",
        "/git/checkouts/",
        "/rustc/",
        "/toolchains/",
        "/library/std/src/",
        "/library/core/src/",
        "/library/alloc/src/",
    ]
    .iter()
    .any(|part| path.contains(part))
}
