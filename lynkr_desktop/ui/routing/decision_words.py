"""A routing decision in words."""

from __future__ import annotations

import re
from pathlib import PurePath, PureWindowsPath

from PySide6.QtCore import QCoreApplication

from lynkr_desktop.protocol.code import IndexStatus
from lynkr_desktop.protocol.routing import ContributionRow, DecisionRow, Outcome, Verdict
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.state_words import tier_name

_SCORE_PREFIX = re.compile(r"^score \d\.\d+: ")
"""The log's reason begins with the score, which stands beside it here."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("Decision", text)


def title(row: DecisionRow) -> str:
    """What was asked, or who asked where that is not known."""
    return one_line(row.title) or (_tr("Side request") if row.side else row.client) or row.id


def reason(row: DecisionRow) -> str:
    """Why, without the score."""
    words = one_line(_SCORE_PREFIX.sub("", row.reason))
    return words[:1].upper() + words[1:]


def files(row: DecisionRow) -> str:
    """The first file and how many more: `store.ts +4`."""
    if not row.files:
        return ""
    first = PurePath(row.files[0]).name
    return first if len(row.files) == 1 else f"{first} +{len(row.files) - 1}"


def score(row: DecisionRow) -> str:
    """Two decimals, or a dash where no score was needed."""
    return "–" if row.score is None else f"{row.score:.2f}"


def tier(row: DecisionRow) -> str:
    """The tier that was taken; a model that the client named itself may have none."""
    return _tr("None") if row.tier is None else tier_name(row.tier)


def model(row: DecisionRow) -> str:
    """`provider/model`, of the answer or else of the first choice."""
    if row.model:
        return f"{row.provider}/{row.model}".strip("/")
    first = next((item for item in row.candidates if not item.skipped), None)
    return "" if first is None else first.name


def short_model(row: DecisionRow) -> str:
    """The model alone, for where there is little room."""
    return model(row).rpartition("/")[2]


def heading(row: DecisionRow) -> str:
    """`0.71 is Complex`, or what there is to say without a score."""
    if row.score is None:
        return tier(row) if row.tier is not None else _tr("Chosen by the client")
    if row.scored_tier is not None and row.tier is not None and row.scored_tier is not row.tier:
        return _tr("{score} is {scored}, taken was {tier}").format(
            score=score(row), scored=tier_name(row.scored_tier), tier=tier_name(row.tier)
        )
    return _tr("{score} is {tier}").format(score=score(row), tier=tier(row))


def judged(row: DecisionRow) -> Verdict:
    """What a person said, else what the outcome says."""
    return row.mark or row.verdict


def verdict(value: Verdict) -> str:
    """A verdict in words; empty where it is not known."""
    words = {"good": _tr("Good"), "under": _tr("Too weak"), "over": _tr("Too strong"), "": ""}
    return words[value]


def contribution(row: ContributionRow) -> str:
    """The name of a part of the score; of a concept its own, since the reason beside it says what it is."""
    words = {
        "base": _tr("Any ask"),
        "length": _tr("Length"),
        "question": _tr("A question"),
        "steps": _tr("Points listed"),
        "pasted": _tr("Pasted text"),
        "bare": _tr("Hardly a word"),
        "path": _tr("A file named"),
        "code": _tr("Code named"),
        "together": _tr("Together"),
        "wording": _tr("Wording"),
        "complexity": _tr("Cyclomatic complexity"),
        "blast radius": _tr("Blast radius"),
        "depth": _tr("Dependency depth"),
        "cohesion": _tr("Module cohesion"),
        "cycle": _tr("Cycle of files"),
        "leaf": _tr("A leaf"),
        "failures": _tr("Failures so far"),
        "results": _tr("Tool results"),
        "tools": _tr("Tools on offer"),
        "protected path": _tr("Protected path"),
        "limit": _tr("Limit"),
    }
    plain = row.name.replace("_", " ").replace(".", " ").strip()
    return words.get(row.name) or plain[:1].upper() + plain[1:]


def points(value: float) -> str:
    """Signed points with a true minus: `+0.17`, `−0.10`."""
    rounded = round(value, 2)
    return f"{'−' if rounded < 0 else '+'}{abs(rounded):.2f}"


def remarks(row: DecisionRow) -> list[str]:
    """What else bore on the choice: side request, experiment, profile."""
    found = []
    if row.side:
        found.append(_tr("A harness asked, not a person. Such requests never keep a tier."))
    if row.arm in ("up", "down"):
        found.append(
            _tr("Taken by the experiment, with a chance of {share}.").format(
                share=fmt.percent(row.propensity)
            )
        )
    elif row.arm == "control":
        found.append(_tr("Could have been moved by the experiment, and was not."))
    if row.profile and row.profile != "default":
        found.append(_tr("The profile {name} was in force.").format(name=row.profile))
    return found


def outcome(found: Outcome) -> list[str]:
    """What happened afterwards, a line for each thing that is known."""
    lines = []
    if found.tests == "passed":
        lines.append(_tr("Tests passed: {n:,}").format(n=found.tests_passed))
    elif found.tests == "failed":
        lines.append(
            _tr("Tests failed: {n:,} of {all:,}").format(
                n=found.tests_failed, all=found.tests_failed + found.tests_passed
            )
        )
    if found.results:
        lines.append(
            _tr("Tool results: {n:,}, of these {errors:,} errors").format(
                n=found.results, errors=found.errors
            )
        )
    if found.denied:
        lines.append(_tr("Actions denied: {n:,}").format(n=found.denied))
    if found.retried:
        lines.append(_tr("Asked again: {n:,} times").format(n=found.retried))
    if found.escalated:
        lines.append(_tr("A stronger tier was then asked for."))
    if found.followed and not lines:
        lines.append(_tr("The conversation went on with another request."))
    return lines


def one_line(words: str) -> str:
    """Without line breaks."""
    return " ".join(words.split())


# ---------------------------------------------------------------- the index of a workspace


def workspace_name(root: str) -> str:
    """The last part of a folder's path, of either kind."""
    name = PureWindowsPath(root).name if "\\" in root else PurePath(root).name
    return name or root


def indexing(statuses: tuple[IndexStatus, ...]) -> str:
    """`Indexing shop: 312 of 1,020 files`; empty while nothing is indexed."""
    busy = [status for status in statuses if status.unfinished]
    if not busy:
        return ""
    if len(busy) > 1:
        return _tr("Indexing {n} workspaces: {done:,} of {total:,} files").format(
            n=len(busy), done=sum(one.done for one in busy), total=sum(one.total for one in busy)
        )
    one = busy[0]
    name = workspace_name(one.root)
    if not one.total:
        return _tr("Indexing {name}: looking for files").format(name=name)
    return _tr("Indexing {name}: {done:,} of {total:,} files").format(
        name=name, done=one.done, total=one.total
    )


def indexing_part(statuses: tuple[IndexStatus, ...]) -> float:
    """How much of what is being indexed is done, 0..1."""
    busy = [status for status in statuses if status.unfinished]
    total = sum(one.total for one in busy)
    return sum(one.done for one in busy) / total if total else 0.0
