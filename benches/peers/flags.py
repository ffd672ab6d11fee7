#!/usr/bin/env python3
"""Feature flags evaluated in the program's own process, by this crate and by posthog-rs:

    python3 benches/peers/flags.py              # a few minutes, most of it compiling

It times each entry point, and counts how many of the cases in tests/flags each answers right. Those of another file:

    python3 benches/peers/flags.py FILE         # a case is a line of JSON; .gz or not
"""
import gzip
import json
import os
import statistics
import subprocess
import sys

import run

OURS = "tracing-posthog"
PEERS = ["posthog-rs", OURS]
CASES = {
    "boolean": "boolean, on for half of all users",
    "filters": "five person filters",
    "variants": "three variants",
    "cohort": "nested cohort, six filters",
    "regex": "regex",
    "all": "100 mixed flags",
}
GIVES_UP = ("evaluate_flag_simple", "cohort")
# Each of these is in 400 batches, of which the program gives the median.
RUNS = 9


def of(peer, *args, stdin=""):
    program = [os.path.join(run.OUT, f"flags-{peer}"), *args]
    return subprocess.run(program, check=True, input=stdin, stdout=subprocess.PIPE, text=True, timeout=600).stdout


def medians(commands):
    """Runs all commands in turns, so that what else the machine does meets all alike."""
    runs = [[[float(figure) for figure in of(*command).split()] for command in commands] for _ in range(RUNS)]
    return [[statistics.median(figures) for figures in zip(*of_command)] for of_command in zip(*runs)]


def show(title, columns, rows):
    print(f"\n**{title}**\n\n|  | " + " | ".join(columns) + " |\n|---|" + "--:|" * len(columns))
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    files = sys.argv[1:] or [os.path.join(run.HERE, "../../tests/flags/cases.jsonl.gz")]
    if len(files) > 1 or not os.path.isfile(files[0]):
        sys.exit("give one file of cases, or none")
    with (gzip.open if files[0].endswith(".gz") else open)(files[0], "rt") as file:
        cases = file.read()
    run.build({f"flags-{peer}": "flags" for peer in PEERS})
    ours, *theirs = [json.loads(of(peer, "values")) for peer in PEERS]
    if any(values != ours for values in theirs):
        sys.exit("the peers differ in what the flags are, so their times are not comparable")

    cell = "{:,.0f} ns, {:,.0f}".format
    entries = [(peer, entry) for peer in PEERS for entry in of(peer, "entries").split()]
    rows = {}
    for case, title in CASES.items():
        figures = medians([(peer, "time", case, entry) for peer, entry in entries])
        rows[title] = ["gives up" if (entry, case) == GIVES_UP else cell(*of_entry)
                       for (_, entry), of_entry in zip(entries, figures)]
    show("One evaluation: CPU time, allocations", [f"{peer} `{entry}`" for peer, entry in entries], rows)
    loads = [cell(*figures) for figures in medians([(peer, "load") for peer in PEERS])]
    show("Definitions read and dropped: CPU time, allocations", PEERS, {"1,000 flags, 100 cohorts": loads})

    answers = {peer: of(peer, "answers", stdin=cases).split() for peer in PEERS}
    show(f"Answers to {cases.count(chr(10)):,} cases", ["right", "wrong", "gives up needlessly", "refuses the definitions"],
         answers)


if __name__ == "__main__":
    main()
