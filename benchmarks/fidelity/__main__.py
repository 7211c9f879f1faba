"""Prints the figures: `make bench-fidelity ARGS="--split tune"`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import get_args

from benchmarks.fidelity import speed
from benchmarks.fidelity.conversations import load
from benchmarks.fidelity.evaluate import Outcome, evaluate
from benchmarks.fidelity.subjects import Headroom, LastTurns, Lynkr, Nothing, OldResultsCleared, Subject
from lynkr_desktop.engine.optimization.optimizer import CACHE
from lynkr_desktop.protocol.optimization import StageName

STAGES: tuple[StageName, ...] = (
    "smart_tool_selection",
    "code_mode_meta_tools",
    "distill_compression",
    "memory_dedup",
)
"""What the table shows as Lynkr; the window has its own line: it only acts where a prompt is too long."""

_HEAD = (
    "| what shortens | tokens saved | in all prompts | needles present | restored | lost | faults | breaks "
    "| cost, Anthropic | "
    "worst | cost, OpenAI | worst | if all is asked |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def subjects(chosen: str, stages: Sequence[StageName]) -> list[Subject]:
    """What is judged: `lynkr`, `stages` (each by itself too), or `all`."""
    ours: list[Subject] = [Lynkr(stages)]
    if chosen == "lynkr":
        return ours
    each: list[Subject] = [Lynkr((stage,)) for stage in stages]
    each.append(Lynkr((*stages, "sliding_window_history"), window=32_000))
    if chosen == "stages":
        return [*ours, *each]
    return [Nothing(), *ours, *each, LastTurns(10), OldResultsCleared(3)]


def line(name: str, outcomes: Sequence[Outcome]) -> str:
    """A line of the table."""
    verdicts = sum((one.verdicts for one in outcomes), Counter[str]())
    before, after = sum(one.before for one in outcomes), sum(one.after for one in outcomes)
    sent, left = sum(one.sent_before for one in outcomes), sum(one.sent_after for one in outcomes)
    bills = [
        (one.anthropic, one.openai) for one in outcomes if one.anthropic and one.openai and one.turns > 1
    ]
    first, second = [bill for bill, _ in bills], [bill for _, bill in bills]
    cells = [
        name,
        f"{1 - after / before:.1%}",
        f"{1 - left / sent:.1%}",
        str(verdicts["present"]),
        str(verdicts["restored"]),
        str(verdicts["lost"]),
        str(sum(len(one.faults) for one in outcomes)),
        str(sum(one.breaks for one in outcomes)),
        f"{mean(bill.ratio for bill in first) - 1:+.1%}",
        f"{max(bill.ratio for bill in first) - 1:+.1%}",
        f"{mean(bill.ratio for bill in second) - 1:+.1%}",
        f"{max(bill.ratio for bill in second) - 1:+.1%}",
        f"{mean(bill.worst_ratio for bill in first) - 1:+.1%}",
    ]
    return f"| {' | '.join(cells)} |"


def details(outcomes: Sequence[Outcome]) -> str:
    """What is lost and what costs more than direct, one line each; for the tune split alone."""
    said: list[str] = []
    for one in outcomes:
        said += [
            f"lost: {one.name}: {needle.question} {needle.facts} (turn {needle.turn})" for needle in one.lost
        ]
        for fault, count in Counter(one.faults).items():
            said.append(f"fault: {one.name}: {fault} ({count} times)")
        for why, count in Counter(one.skipped).items():
            said.append(f"skipped: {one.name}: {why} ({count} times)")
        if one.breaks:
            said.append(f"breaks: {one.name}: {one.breaks} of {one.turns}")
        if one.unstable:
            said.append(f"unstable: {one.name}")
        for who, bill in (("Anthropic", one.anthropic), ("OpenAI", one.openai)):
            if bill is not None and bill.ratio > 1:
                said.append(f"dearer: {one.name}: {bill.ratio - 1:+.2%} with {who}")
    return "\n".join(said)


def kinds(outcomes: Sequence[Outcome]) -> str:
    """Tokens of tools' answers by kind."""
    sums: dict[str, list[int]] = {}
    for one in outcomes:
        for kind, (before, after) in one.kinds.items():
            known = sums.setdefault(kind, [0, 0])
            known[0] += before
            known[1] += after
    rows = [
        f"| {kind} | {before:,} | {after:,} | {1 - after / before:.1%} |"
        for kind, (before, after) in sorted(sums.items())
        if before
    ]
    return "\n".join(
        ["| kind of answer | tokens before | after | saved |", "| --- | ---: | ---: | ---: |", *rows]
    )


def main() -> None:
    """Judges and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--split", choices=("tune", "test"), default="tune")
    arguments.add_argument("--subjects", choices=("lynkr", "stages", "all"), default="all")
    arguments.add_argument("--stages", default=",".join(STAGES), help="in order, parted by commas")
    arguments.add_argument("--only", default="", help="conversations whose name has this")
    arguments.add_argument("--headroom", type=Path, help="the python of an environment with headroom-ai")
    arguments.add_argument("--details", action="store_true", help="every loss; only for the tune split")
    arguments.add_argument("--whole", action="store_true", help="nothing that was left out is searched first")
    arguments.add_argument("--speed", action="store_true", help="measure time, and nothing else")
    arguments.add_argument("--json", action="store_true", help="totals as JSON")
    chosen = arguments.parse_args()
    stages: tuple[StageName, ...] = tuple(filter(None, chosen.stages.split(",")))
    known = [name for name in get_args(StageName) if name != CACHE]  # the cache shortens nothing
    if unknown := set(stages) - set(known):
        sys.exit(f"Not to be judged: {', '.join(sorted(unknown))}. There are {', '.join(known)}.")
    if chosen.details and chosen.split == "test":
        sys.exit("What is lost in the test split is not shown: nobody may tune on it.")
    conversations = [one for one in load(chosen.split) if chosen.only in one.id]
    if not conversations:
        sys.exit(f"No conversation of the {chosen.split} split has {chosen.only!r} in its name.")
    if chosen.speed:
        print(speed.table(conversations, stages))
        return
    needles = sum(len(one.needles) for one in conversations)
    print(
        f"{len(conversations)} conversations of the {chosen.split} split, {needles} needles\n\n{_HEAD}",
        flush=True,
    )
    listed: list[Outcome] = []
    with contextlib.ExitStack() as stack:
        judged = subjects(chosen.subjects, stages)
        python = chosen.headroom or Path(os.environ.get("HEADROOM_PYTHON", "nowhere"))
        if chosen.subjects == "all" and python.exists():
            judged.append(stack.enter_context(Headroom(python)))
        for subject in judged:
            outcomes = evaluate(subject, conversations, not chosen.whole)
            if isinstance(subject, Lynkr) and not listed:
                listed = outcomes
            print(line(subject.name, outcomes), flush=True)
            if chosen.details and isinstance(subject, Lynkr):
                print(details(outcomes), flush=True)
    if chosen.subjects == "all" and not python.exists():
        print(
            "\nHeadroom is not here: make an environment with `pip install headroom-ai`, "
            "and name its python by --headroom."
        )
    print(f"\n{kinds(listed)}")
    print(f"\n{_tries(listed)}")
    if chosen.json:
        print(json.dumps([_plain(one, private=chosen.split == "test") for one in listed]))


def _tries(outcomes: Sequence[Outcome]) -> str:
    tries = sum((one.tries for one in outcomes), Counter[int]())
    said = ", ".join(f"{count} in round {number}" for number, count in sorted(tries.items()))
    unstable = sum(one.unstable for one in outcomes)
    return f"Restored: {said or 'nothing'}. Prompts that came out otherwise when made anew: {unstable}."


def _plain(outcome: Outcome, private: bool) -> dict[str, object]:
    bills = {"anthropic": outcome.anthropic, "openai": outcome.openai}
    return {
        "name": "" if private else outcome.name,
        "before": outcome.before,
        "after": outcome.after,
        "turns": outcome.turns,
        **{name: bill.ratio for name, bill in bills.items() if bill is not None},
    }


if __name__ == "__main__":
    main()
