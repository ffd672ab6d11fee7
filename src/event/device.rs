//! What the events say about the machine they come from.

/// The operating system's name, as PostHog writes it.
pub(crate) fn os() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Mac OS X",
        "windows" => "Windows",
        "freebsd" => "FreeBSD",
        other => other,
    }
}

/// Its version, where the system tells it in a file. Read once per process.
pub(crate) fn os_version() -> Option<&'static str> {
    static VERSION: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    VERSION
        .get_or_init(|| {
            let release = std::fs::read_to_string("/etc/os-release").ok()?;
            let version = release
                .lines()
                .find_map(|l| l.strip_prefix("VERSION_ID="))?;
            let version = version.trim_matches(['"', '\'']).trim();
            (!version.is_empty()).then(|| version.to_owned())
        })
        .as_deref()
}
