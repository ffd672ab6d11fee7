#!/usr/bin/env python3
"""The comparison with the peers, in one command:

    python3 benches/peers/run.py                # everything; about half an hour, most of it compiling
    python3 benches/peers/run.py caller         # or a part: caller, deliver, threads, build
    python3 benches/peers/run.py caller loki    # and some of the peers only

Needs valgrind, and Linux. Each peer is built by itself, since cargo gives a whole build one backend of
flate2. Everything stays on this machine but the fetching of crates.
"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "out")

# What is shown: the feature that is built, and what is set in its environment.
OURS = "tracing-posthog"
PEERS = {
    OURS: (OURS, {}),
    "tracing-posthog, identity only": (OURS, {"SPAN_FIELDS": "none"}),
    "posthog-rs": ("posthog-rs", {}),
    "posthog-rs, gzip": ("posthog-rs", {"GZIP": "1"}),
    "otel-log": ("otel-log", {}),
    "sentry-log": ("sentry-log", {}),
    "loki": ("loki", {}),
}
EVENTS = 300_000


def cargo(*args, folder=HERE, **more):
    # Incremental builds inline less.
    env = os.environ | {"CARGO_INCREMENTAL": "0"}
    return subprocess.run(["cargo", *args], cwd=folder, env=env, check=True, **more)


def build(programs):
    """Of each feature, the program that is named."""
    os.makedirs(OUT, exist_ok=True)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
    for feature, program in sorted(programs.items()):
        cargo("build", "--quiet", "--release", "--features", feature, "--bin", program)
        shutil.copy2(os.path.join(target, "release", program), os.path.join(OUT, feature))


def run(peer, *args, before=()):
    feature, env = PEERS[peer]
    done = subprocess.run([*before, os.path.join(OUT, feature), *args], env=os.environ | env,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{peer} failed: {' '.join(args)}")
    return [float(word) for word in done.stdout.split()]


def counted(peer, case, times):
    """Instructions and allocations of the thread that captures."""
    with tempfile.TemporaryDirectory() as folder:
        run(peer, "caller", case, str(times), before=(
            "valgrind", "--tool=callgrind", "--separate-threads=yes", "--fair-sched=try",
            f"--callgrind-out-file={folder}/out"))
        with open(f"{folder}/out-01") as out:
            text = out.read()
    instructions = int(re.search(r"^(?:totals|summary): (\d+)", text, re.M)[1])
    names = dict(re.findall(r"^c?fn=\((\d+)\) (.*)$", text, re.M))
    takes = {number for number, name in names.items() if name in ("malloc", "calloc", "realloc")}
    calls = re.findall(r"^cfn=\((\d+)\).*\ncalls=(\d+)", text, re.M)
    return instructions, sum(int(count) for number, count in calls if number in takes)


def caller(peers):
    table = {peer: [] for peer in peers}
    for peer in peers:
        for case in ("event", "request"):
            more, less = counted(peer, case, 4000), counted(peer, case, 2000)
            table[peer] += [(m - l) / 2000 for m, l in zip(more, less)]
    for case in ("event", "request"):
        # In turns, so that what else the machine does meets all alike.
        times = [[run(peer, "caller", case, "20000")[0] for peer in peers] for _ in range(9)]
        for peer, of_peer in zip(peers, zip(*times)):
            table[peer].append(statistics.median(of_peer))
    show("The caller's thread, for one event in two open spans, and for a request (two spans opened, one event, "
         "closed)", ["event: instructions", "allocations", "CPU ns", "request: instructions", "allocations",
                     "CPU ns"],
         {peer: (i, a, t, ri, ra, rt) for peer, (i, a, ri, ra, t, rt) in table.items()}, "{:,.0f} {:.1f} {:,.0f} {:,.0f} {:.1f} {:,.0f}",
         (0, 2, 3, 5))


def delivered(peer, threads=1):
    sink = subprocess.Popen([os.path.join(OUT, "sink")], stdout=subprocess.PIPE, text=True)
    try:
        url = sink.stdout.readline().strip()
        seconds, cpu, peak = run(peer, "deliver", str(EVENTS), str(threads), url)
        with urllib.request.urlopen(f"{url}/count") as answer:
            events, requests, size = (int(word) for word in answer.read().split())
    finally:
        sink.kill()
        sink.wait()
    return 100 * events / EVENTS, events / seconds, cpu * 1e6 / max(events, 1), peak, size / max(events, 1)


def deliver(peers):
    runs = [[delivered(peer) for peer in peers] for _ in range(5)]
    table = {peer: [statistics.median(figure) for figure in zip(*of_peer)]
             for peer, of_peer in zip(peers, zip(*runs))}
    show(f"{EVENTS:,} events delivered to a sink on this machine, by one thread that waits for room", [
        "delivered %", "events per s", "CPU us per event", "peak MiB", "bytes per event on the wire"],
        table, "{:.1f} {:,.0f} {:.2f} {:.0f} {:.0f}", (2,))


def threads(peers):
    runs = [[[delivered(peer, n)[:2] for n in (1, 8)] for peer in peers] for _ in range(5)]
    table = {}
    for peer, of_peer in zip(peers, zip(*runs)):
        one, eight = (statistics.median(rate for _, rate in of_count) for of_count in zip(*of_peer))
        share = statistics.median(eight_threads[0] for _, eight_threads in of_peer)
        table[peer] = (one, eight, eight / one, share)
    show("Delivered per second, of one thread and of eight that each wait for room",
         ["1 thread", "8 threads", "8 to 1", "of 8: delivered %"], table, "{:,.0f} {:,.0f} {:.2f} {:.0f}", ())


def builds(_):
    """A program that only names the crate: all it compiles in release mode, from nothing."""
    ours = os.path.dirname(os.path.dirname(HERE))
    named = {
        "tracing-posthog, without REST": f'tracing-posthog = {{ path = "{ours}", default-features = false, features = ["rustls"] }}',
        "tracing-posthog, default features": f'tracing-posthog = {{ path = "{ours}" }}',
        "posthog-rs": 'posthog-rs = "0.30"',
    }
    table = {}
    for name, dependency in named.items():
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/src")
            with open(f"{folder}/src/main.rs", "w") as main:
                main.write("fn main() {}\n")
            with open(f"{folder}/Cargo.toml", "w") as manifest:
                manifest.write(f'[package]\nname = "empty"\nedition = "2024"\n[dependencies]\n{dependency}\n[workspace]\n')
            # The versions that this comparison was made with.
            shutil.copy2(os.path.join(HERE, "Cargo.lock"), folder)
            cargo("fetch", "--quiet", folder=folder)
            started = time.monotonic()
            told = cargo("build", "--release", "--target-dir", f"{folder}/target", folder=folder,
                         stderr=subprocess.PIPE, text=True).stderr
            table[name] = (time.monotonic() - started, len(set(re.findall(r"Compiling (\S+ \S+)", told))) - 1)
    show("A clean release build", ["seconds", "crates"], table, "{:.0f} {:.0f}", (), first="")


def show(title, columns, table, formats, ratios, first="peer"):
    """Prints a table; for the columns `ratios`, how many times ours the figure is."""
    print(f"\n**{title}**\n\n| {first} | " + " | ".join(columns) + " |\n|---|" + "--:|" * len(columns))
    for name, figures in table.items():
        cells = [form.format(figure) for form, figure in zip(formats.split(), figures)]
        for n in ratios:
            if OURS in table and name != OURS:
                cells[n] += f" ({figures[n] / table[OURS][n]:.1f} x)"
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    parts = {"caller": caller, "deliver": deliver, "threads": threads, "build": builds}
    asked = sys.argv[1:]
    if unknown := [word for word in asked if word not in parts and word not in PEERS]:
        sys.exit(f"neither a part nor a peer: {', '.join(unknown)}")
    peers = [p for p in PEERS if p in asked] or list(PEERS)
    chosen = [part for part in parts if part in asked] or list(parts)
    if chosen != ["build"]:
        build({PEERS[peer][0]: "peer" for peer in peers} | {"sink": "sink"})
    for part in chosen:
        parts[part](peers)


if __name__ == "__main__":
    main()
