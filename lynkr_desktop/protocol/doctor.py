"""What `lynkr doctor` found, as its `--json` prints it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

FindingResult = Literal["ok", "note", "problem", "skipped"]
DoctorArea = Literal["Lynkr", "Files", "Keys", "Models", "System", "Environment"]


class Finding(Struct, frozen=True, kw_only=True):
    """What one check found.

    Attributes:
        check: its name, the same in every version and on every system.
        subject: which one it is about where there are several, such as a provider's name.
        area: what it belongs to.
        result: `problem` keeps something from working, `note` is worth knowing, `skipped` was not looked at.
        found: in one line.
        todo: what to do about it, in one line; empty where nothing is.
    """

    check: str
    subject: str = ""
    area: DoctorArea
    result: FindingResult
    found: str
    todo: str = ""

    @property
    def title(self) -> str:
        """The check as people read it."""
        return f"{self.check} {self.subject}".rstrip()


class DoctorReport(Struct, frozen=True, kw_only=True):
    """Everything that was looked at.

    Attributes:
        version: of the command.
        home: the folder of the engine that was looked at.
        running: whether an engine of this home runs.
        online: whether other machines were asked.
        problems: how many findings are problems; the exit code is 1 where there are any.
        findings: in a fixed order.
    """

    version: str
    home: str
    running: bool
    online: bool
    problems: int
    findings: tuple[Finding, ...]
