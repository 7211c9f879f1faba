"""A check, what it found, and how all of them are run at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lynkr_desktop.protocol.doctor import DoctorArea, Finding, FindingResult

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: how bad it is, what it is in one line, and what to do in one line."""

    result: FindingResult
    text: str
    todo: str = ""


def ok(text: str) -> Found:
    """All is well."""
    return Found("ok", text)


def note(text: str, todo: str = "") -> Found:
    """Worth knowing; Lynkr does its work all the same."""
    return Found("note", text, todo)


def problem(text: str, todo: str) -> Found:
    """Something does not work."""
    return Found("problem", text, todo)


def skipped(why: str) -> Found:
    """It was not looked at."""
    return Found("skipped", why)


NO_CONFIGURATION = "The configuration cannot be used."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        name: as in `Finding.check`.
        area: what it belongs to.
        run: looks; called in a thread of its own.
        subject: as in `Finding.subject`.
        seconds: how long it may take.
        worst: what it counts as where it does not end or fails itself: a note for what Lynkr can do without.
    """

    name: str
    area: DoctorArea
    run: Callable[[Look], Found]
    subject: str = ""
    seconds: float = 5.0
    worst: FindingResult = "problem"


@dataclass(slots=True)
class _Run:
    """A check that runs. Its thread ends with the process, so a check that hangs is left behind."""

    check: Check
    done: threading.Event = field(default_factory=threading.Event)
    found: Found | None = None


def run_checks(look: Look, checks: Sequence[Check]) -> tuple[tuple[Finding, ...], bool]:
    """Runs all checks at once, each with its own time limit.

    Returns:
        What they found, in their order, and whether any of them hangs still.
    """
    began = time.monotonic()
    runs = [_Run(check) for check in checks]
    for run in runs:
        threading.Thread(
            target=_run, args=(run, look), name=f"lynkr-doctor {run.check.name}", daemon=True
        ).start()
    findings, hangs = [], False
    for run in runs:
        run.done.wait(max(0.0, began + run.check.seconds - time.monotonic()))
        found = run.found
        if found is None:
            hangs = True
            found = Found(
                run.check.worst,
                f"There was no answer within {run.check.seconds:g} s.",
                "Something that it waits for hangs: a disk, a network or another program. Try again.",
            )
        findings.append(_finding(run.check, found))
    return tuple(findings), hangs


def _run(run: _Run, look: Look) -> None:
    check = run.check
    try:
        run.found = check.run(look)
    except ImportError as error:
        run.found = Found(
            check.worst,
            f"This cannot be checked: the package {error.name or 'of it'} cannot be loaded.",
            "Install Lynkr anew, so that all its packages are there.",
        )
    except Exception as error:  # noqa: BLE001 - one check that fails must not end the others
        run.found = Found(
            check.worst,
            f"This check failed itself ({type(error).__name__}).",
            "Look at what it is about yourself, and report this as a fault of Lynkr.",
        )
    finally:
        run.done.set()


def _finding(check: Check, found: Found) -> Finding:
    from lynkr_desktop.engine.security.redaction import redact

    return Finding(
        check=check.name,
        subject=check.subject,
        area=check.area,
        result=found.result,
        found=redact(_line(found.text)),
        todo=redact(_line(found.todo)),
    )


def _line(text: str) -> str:
    """One line, of bounded length; what others wrote may have more."""
    text = " ".join(text.split())
    return text if len(text) <= 500 else f"{text[:499]}…"
