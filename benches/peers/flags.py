#!/usr/bin/env python3
"""Feature flags evaluated in the program's own process, by this crate and by posthog-rs:

    python3 benches/peers/flags.py              # a few minutes, most of it compiling
    python3 benches/peers/flags.py FILE         # and how many of the cases in that file each answers right

A case is a line of JSON: `definitions` (the body that PostHog serves), `now` (such as `2031-03-31T12:30:00Z`), `input`
(`flag`, `distinct_id`, `device_id`, `groups`, `person_properties`, `group_properties`) and `expect`, the answer:
`{"decided": true, "value": …}`, or `{"decided": false}` where only PostHog can tell. `accept` may list other right answers.
"""
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


def of(peer, *args):
    program = os.path.join(run.OUT, f"flags-{peer}")
    return subprocess.run([program, *args], check=True, stdout=subprocess.PIPE, text=True, timeout=600).stdout


def medians(commands):
    """Runs all commands in turns, so that what else the machine does meets all alike."""
    runs = [[[float(figure) for figure in of(*command).split()] for command in commands] for _ in range(RUNS)]
    return [[statistics.median(figures) for figures in zip(*of_command)] for of_command in zip(*runs)]


def show(title, columns, rows):
    print(f"\n**{title}**\n\n|  | " + " | ".join(columns) + " |\n|---|" + "--:|" * len(columns))
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    if len(sys.argv) > 2 or not all(map(os.path.isfile, sys.argv[1:])):
        sys.exit("give one file of cases, or none")
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
    show("One evaluation: time, allocations", [f"{peer} `{entry}`" for peer, entry in entries], rows)
    loads = [cell(*figures) for figures in medians([(peer, "load") for peer in PEERS])]
    show("Definitions read and dropped: time, allocations", PEERS, {"1,000 flags, 100 cohorts": loads})

    for cases in sys.argv[1:]:
        answers = {peer: of(peer, "answers", cases).split() for peer in PEERS}
        total = sum(map(int, answers[OURS]))
        show(f"Answers to {total:,} cases", ["right", "wrong", "gives up needlessly", "refuses the definitions"], answers)


if __name__ == "__main__":
    main()
