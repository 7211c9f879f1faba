"""What the tool calls of agents did: the paths that they name, the commands that they ran, what failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from lynkr_desktop.engine.routing.clean import is_result
from lynkr_desktop.engine.wire.canonical import Message, Text, ToolResult, ToolUse

_HEAD, _TAIL = 1_500, 2_500
"""Characters at the ends of a result in which errors are looked for."""

_MAX_RESULTS = 60
"""Results whose text is looked at, the newest ones; the others are only counted."""

_PATH_KEYS = (
    "file_path",
    "path",
    "filePath",
    "notebook_path",
    "target_file",
    "relative_path",
    "relative_workspace_path",
    "filename",
    "file",
)
_COMMAND_KEYS = ("command", "cmd", "script", "input", "patch", "raw", "code")
_PATCHED = re.compile(r"(?m)^\*\*\* (?:Update|Add|Delete) File: (.{1,300})$")

_SHELL = re.compile(r"bash|shell|exec|terminal|command|run|process", re.IGNORECASE)
_WRITE = re.compile(r"edit|write|patch|replace|create|insert|delete|rename|apply", re.IGNORECASE)
_READ_ONLY = frozenset({"view", "read", "list", "search", "cat"})

_ERROR = re.compile(
    r"(?m)^(?:<tool_use_error>|Error\b|error(?:\[\w+\])?:|fatal:|Exit code:? [1-9]|panic:|npm ERR!|"
    r"Process exited with code [1-9]|Traceback \(most recent call last\)|Exception in thread|"
    r"\S+: command not found|[^\n]{0,200}: (?:No such file or directory|Permission denied))|"
    r"\b[Ee]xit(?:ed with)?[ _](?:code|status)\"?[: ]+[1-9]"
)
_ERROR_MARKS = (
    "rror",
    "fatal:",
    "xit",
    "Traceback",
    "panic:",
    "Exception in",
    "not found",
    "No such",
    "denied",
)
"""One of these stands in each error; looking for them first spares most results the slow pattern."""

_TESTS_FAILED = re.compile(
    r"(?m)\b[1-9]\d* (?:tests? )?(?:failed|failing|failures?)\b|^--- FAIL|^FAIL(?:ED)?\b|^not ok \d|"
    r"test result: FAILED|Failures?: [1-9]|Failed: +[1-9]|\bAssertionError\b|BUILD FAILURE|Test Run Failed|"
    r"^error(?:\[\w+\])?: |: error (?:TS|CS)\d|Build FAILED"
)
_JSON_CODE = re.compile(r'"exit_code": ?\d')
_ENDED_BADLY = re.compile(r"\b[Ee]xit(?:ed with)?[ _](?:code|status)\"?[: ]+[1-9]")
"""How a harness says that a command failed, whatever it printed."""

_TESTS_RUN = re.compile(
    r"\b(?:py\.?test|unittest|tox|nox|jest|vitest|mocha|mvn|gradlew?|ctest|rspec|phpunit|tsc|make|"
    r"go (?:test|build|vet)|cargo (?:test|nextest|build|check)|dotnet (?:test|build)|"
    r"(?:npm|pnpm|yarn|bun)(?: run)? (?:test|build))\b"
)
_WHAT_FAILED = re.compile(r"(?m)^[^\n]*(?:[Ee]rror|FAIL|panic|fatal|Exception)[^\n]*$")


class Work:
    """What was done since an ask.

    Attributes:
        results: tool results.
        errors: those that say that something went wrong.
        failures: attempts that failed: tests or builds that are red after an edit, or one error again.
        paths: the paths that calls named, the newest first.
        written: those of them that were changed or created.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        calls: dict[str, ToolUse] = {}
        paths: dict[str, None] = {}
        written: dict[str, None] = {}
        outcomes: list[tuple[ToolUse | None, ToolResult, bool]] = []
        for message in messages:
            for block in message.content:
                if isinstance(block, ToolUse):
                    calls[block.id] = block
                    for path in paths_of(block):
                        paths.pop(path, None)
                        paths[path] = None
                        if writes(block):
                            written[path] = None
                elif isinstance(block, ToolResult):
                    outcomes.append((calls.get(block.tool_use_id), block, bool(written)))
                elif isinstance(block, Text) and is_result(block.text):
                    outcomes.append((None, ToolResult("", (block,)), bool(written)))
        self.paths = tuple(reversed(paths))
        self.written = tuple(reversed(written))
        self.results = len(outcomes)
        self.errors = 0
        red_after_edit = red_before = 0
        again: Counter[str] = Counter()
        for call, result, after_edit in outcomes[-_MAX_RESULTS:]:
            text = ends_of(result)
            ran = call is None or _SHELL.search(call.name) is not None
            tested = ran and (call is None or _TESTS_RUN.search(command_of(call)) is not None)
            if tested and (result.is_error or _TESTS_FAILED.search(text) or _ENDED_BADLY.search(text)):
                self.errors += 1
                red_after_edit += after_edit
                red_before += not after_edit
            elif result.is_error or (ran and _has_error(text)):
                self.errors += 1
                again[_signature(text)] += 1
        # Where edits go through the shell none is seen; then the first red run is what shows the fault.
        attempts = red_after_edit if written else max(0, red_before - 1)
        repeated = max(again.values(), default=0)
        self.failures = max(attempts, repeated if repeated > 1 else 0)


def writes(call: ToolUse) -> bool:
    """Whether a call changes or creates files, by the name of its tool."""
    command = call.input.get("command")
    if isinstance(command, str) and command in _READ_ONLY:  # OpenHands and Anthropic have one tool for both
        return False
    return _WRITE.search(call.name) is not None


def paths_of(call: ToolUse) -> Iterator[str]:
    """The paths that a call names by a field of its own, or in a patch."""
    for key in _PATH_KEYS:
        value = call.input.get(key)
        if isinstance(value, str) and 0 < len(value) <= 500:
            yield value
            break
    else:
        if "*** " in (patch := command_of(call)):
            for found in _PATCHED.finditer(patch):
                yield found[1].strip()


def command_of(call: ToolUse) -> str:
    """The command, script or patch of a call, bounded; empty where it has none."""
    for key in _COMMAND_KEYS:
        value = call.input.get(key)
        if isinstance(value, str):
            return value[:4_000]
        if isinstance(value, list):
            return " ".join([part for part in value[:40] if isinstance(part, str)])[:4_000]
    return ""


def ends_of(result: ToolResult) -> str:
    """The beginning and the end of a result, where errors stand."""
    parts: list[str] = []
    for part in result.content[:4]:
        if isinstance(part, Text):
            text = part.text
            if text.startswith("{") and _JSON_CODE.search(text, max(0, len(text) - 300)):
                text = text.replace("\\n", "\n")  # Codex: {"output": "...", "metadata": {"exit_code": 1}}
            short = len(text) <= _HEAD + _TAIL
            parts.append(text if short else f"{text[:_HEAD]}\n{text[-_TAIL:]}")
    return "\n".join(parts)


def _has_error(text: str) -> bool:
    return any(map(text.__contains__, _ERROR_MARKS)) and _ERROR.search(text) is not None


def _signature(text: str) -> str:
    """An error without what differs each time: numbers and places."""
    found = _WHAT_FAILED.search(text)
    return re.sub(r"\d+|0x[0-9a-f]+|/\S+", "", found[0] if found else text[:200])[:200]
