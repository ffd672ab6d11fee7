#!/usr/bin/env python3
"""What the feature `rest` costs those who build. For this crate alone, from clean: `cargo check`, a debug build with and
without the feature, its rlib, and the documentation. How much larger a stripped program is that makes three typed calls
(`size/src/bin/typed.rs`) than one that makes the same by raw requests (`raw.rs`). What `cargo package` uploads.

    python3 benches/rest_cost.py [times]          # some minutes, most of them for the dependencies
"""
import os
import re
import resource
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.path.join(ROOT, "target", "rest-cost")
# Incremental builds do more than is counted here; debug information as cargo gives it to users. Some links of the
# documentation lead to features that are not on.
ENV = os.environ | {"CARGO_TARGET_DIR": TARGET, "CARGO_INCREMENTAL": "0", "CARGO_PROFILE_DEV_DEBUG": "full",
                    "RUSTDOCFLAGS": "--cap-lints allow"}


def cargo(*words, folder=ROOT):
    subprocess.run(["cargo", words[0], "--quiet", *words[1:]], cwd=folder, env=ENV, check=True)


def timed(*words):
    """Wall and CPU seconds."""
    def cpu():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime
    wall, before = time.monotonic(), cpu()
    cargo(*words)
    return time.monotonic() - wall, cpu() - before


def packaged():
    """The last line of `cargo package`: files, their size, and the size of the archive."""
    words = ["cargo", "package", "--locked", "--allow-dirty", "--no-verify", "--offline"]
    done = subprocess.run(words, cwd=ROOT, env=ENV, check=True, capture_output=True, text=True)
    return re.search(r"Packaged (.*)", done.stderr).group(1)


def main():
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    defaults = ["--locked", "--no-default-features", "--features"]
    runs = {
        "check, rest": ["check", *defaults, "rustls,rest"],
        "build": ["build", *defaults, "rustls"],
        "build, rest": ["build", *defaults, "rustls,rest"],
        "doc, rest": ["doc", *defaults, "rustls,rest", "--no-deps"],
    }
    for words in runs.values():
        cargo(*words)
    best, rlib = {}, {}
    for _ in range(times):
        for name, words in runs.items():
            cargo("clean", "--package", "tracing-posthog")
            took = timed(*words)
            best[name] = min(best.get(name, took), took, key=lambda t: t[1])
            if words[0] == "build":
                rlib[name] = os.path.getsize(f"{TARGET}/debug/libtracing_posthog.rlib")
    print(f"this crate alone, features rustls and rustls,rest, best of {times}")
    for name, (wall, cpu) in best.items():
        size = f", rlib {rlib[name] / 1e6:5.1f} MB" if name in rlib else ""
        print(f"  {name:<12} {wall:5.1f} s, CPU {cpu:5.1f} s{size}")

    size, sizes = os.path.join(ROOT, "benches", "size"), {}
    for name, features in (("raw", []), ("typed", ["--features", "rest"])):
        cargo("build", "--release", "--bin", name, *features, folder=size)
        sizes[name] = os.path.getsize(f"{TARGET}/release/{name}")
    print("stripped program with three operations")
    print(f"  raw          {sizes['raw']:,} bytes")
    print(f"  typed        {sizes['typed']:,} bytes, {sizes['typed'] - sizes['raw']:,} more")
    print(f"package: {packaged()}")


if __name__ == "__main__":
    main()
