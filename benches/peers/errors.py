#!/usr/bin/env python3
"""Errors captured by this crate, by posthog-rs and by sentry, on the calling thread:

    python3 benches/peers/errors.py             # some minutes, most of it compiling
"""
import os
import statistics
import subprocess

import run

OURS = "tracing-posthog"
PEERS = [OURS, "posthog-rs", "sentry"]
ROWS = {
    "an error with a stack, at a depth of about 20": ("time", "stack"),
    "an error without a stack": ("time", "plain"),
    "the first one of the process, with a stack": ("first", "stack"),
    "one that the token bucket holds back": ("time", "held"),
}
# The others have no limit of their own.
ONLY_OURS = "held"
RUNS = 9


def once(peer, row):
    program = [os.path.join(run.OUT, f"errors-{peer}"), *row]
    return [float(figure) for figure in subprocess.run(
        program, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=600).stdout.split()]


def main():
    run.build({f"errors-{peer}": "errors" for peer in PEERS})
    print("\n|  | " + " | ".join(PEERS) + " |\n|---|" + "--:|" * len(PEERS))
    for title, row in ROWS.items():
        peers = [OURS] if ONLY_OURS in row else PEERS
        # In turns, so that what else the machine does meets all alike.
        runs = [[once(peer, row) for peer in peers] for _ in range(RUNS)]
        cells = ["{:,.0f} ns, {:,.0f}".format(*(statistics.median(figures) for figures in zip(*of_peer)))
                 for of_peer in zip(*runs)]
        print(f"| {title} | " + " | ".join(cells + [""] * (len(PEERS) - len(cells))) + " |", flush=True)


if __name__ == "__main__":
    main()
