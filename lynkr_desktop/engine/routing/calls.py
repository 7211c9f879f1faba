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

_SHELL = re.compile(r"bash|shell|exec|terminal|command|run|process|test|build", re.IGNORECASE)
_WRITE = re.compile(r"edit|write|patch|replace|create|insert|delete|rename|apply", re.IGNORECASE)
_READ_ONLY = frozenset({"view", "read", "list", "search", "cat"})

_ERROR = re.compile(
    r"(?m)^(?:<tool_use_error>|Error\b|error(?:\[\w+\])?:|fatal:|Exit code:? [1-9]|panic:|npm ERR!|"
    r"Process exited with code [1-9]|Traceback \(most recent call last\)|Exception in thread|"
    r"(?:[Cc]ommand |[Pp]rocess )?timed out\b|[Ss]egmentation fault|"
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
    "timed out",
    "egmentation",
    "not found",
    "No such",
    "denied",
)
"""One of these stands in each error; looking for them first spares most results the slow pattern."""

_TESTS_FAILED = re.compile(
    r"(?m)\b[1-9]\d* (?:tests? |examples?, [1-9]\d* )?(?:failed|failing|failures?|errors?)\b|^--- FAIL|"
    r"^FAIL(?:ED|URES)?\b|^not ok \d|test result: FAILED|Failures?: [1-9]|Failed: +[1-9]|^[ \t]*Failed \w|"
    r"^[ \t]*[✗✘✕×✖] |\bAssertion(?:Failed)?Error\b|\bassertion [`']?(?:left|failed)|BUILD FAIL|"
    r"Test Run Failed|^error(?:\[\w+\])?: |: error (?:TS|CS)\d|Build FAILED|DATA RACE|panicked at"
)
_JSON_CODE = re.compile(r'"exit_code": ?\d')
_ENDED_BADLY = re.compile(r"\b[Ee]xit(?:ed with)?[ _](?:code|status)\"?[: ]+[1-9]")
"""How a harness says that a command failed, whatever it printed."""

_TESTS_RUN = re.compile(
    r"\b(?:py\.?test|unittest|tox|nox|jest|vitest|mocha|playwright|cypress|mvnw?|gradlew?|sbt|ctest|rspec|phpunit|"
    r"rake|tsc|mypy|pyright|make|just|bazel|go (?:test|build|vet)|"
    r"cargo (?:test|nextest|build|check|clippy|bench|miri)|"
    r"(?:dotnet|swift|zig|mix|deno|bun|flutter|node|docker|compose) (?:--)?(?:test|build)|"
    r"(?:npm|pnpm|yarn|bun)(?: run)? (?:t|test|build|check|e2e|lint)|manage\.py test|"
    r"[\w-]*tests?\.(?:sh|py|[cm]?[jt]s)|test_\w+\.py)\b"
)
_SLIP = re.compile(
    r"[^\n]{0,200}(?:command not found|[Nn]o such file|"
    r"[Uu]nknown (?:option|command)|(?:[Ff]ile|[Pp]ath|[Dd]irectory) (?:does not exist|not found)|"
    r"is not recognized|[Uu]sage:|[Pp]ermission denied)"
)
"""How the result begins of a call that went wrong by itself: a typo, a file that is not there."""

_EDITS = re.compile(
    r"\b(?:sed|perl|ruby|gsed)\s+-\w*i|\bapply_patch\b|\bpatch\s+-|\bgit apply\b|\btee\s|\bcat\s*>|"
    r"<<\s*['\"]?\w+['\"]?\s*>|\bwrite_text\(|\.write\("
)
"""A command that changes files."""

_WHAT_FAILED = re.compile(r"(?m)^[^\n]*(?:[Ee]rror|FAIL|panic|fatal|Exception)[^\n]*$")


class Work:
    """What was done since an ask.

    Attributes:
        results: tool results.
        errors: those that say that something went wrong.
        failures: attempts that failed: what was run after an edit and went wrong, or one error again.
        red: whether what was run last to see whether it works did not.
        paths: the paths that calls named, the newest first.
        written: those of them that were changed or created.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        calls: dict[str, ToolUse] = {}
        paths: dict[str, None] = {}
        written: dict[str, None] = {}
        outcomes: list[tuple[ToolUse | None, ToolResult, int]] = []
        edits = 0
        for message in messages:
            for block in message.content:
                if isinstance(block, ToolUse):
                    calls[block.id] = block
                    changes = writes(block)
                    for path in paths_of(block):
                        paths.pop(path, None)
                        paths[path] = None
                        if changes:
                            written[path] = None
                    edits += changes or (_ran(block) and _EDITS.search(command_of(block)) is not None)
                elif isinstance(block, ToolResult):
                    outcomes.append((calls.get(block.tool_use_id), block, edits))
                elif isinstance(block, Text) and is_result(block.text):
                    outcomes.append((None, ToolResult("", (block,)), edits))
        self.paths = tuple(reversed(paths))
        self.written = tuple(reversed(written))
        self.results = len(outcomes)
        self.errors = 0
        self.red = False
        tried: set[int] = set()
        red_before = 0
        again: Counter[str] = Counter()
        for call, result, after in outcomes[-_MAX_RESULTS:]:
            text = ends_of(result)
            ran = call is None or _ran(call)
            tested = ran and (call is None or _TESTS_RUN.search(command_of(call)) is not None)
            if tested and (result.is_error or _TESTS_FAILED.search(text) or _ENDED_BADLY.search(text)):
                self.errors += 1
                self.red = True
                red_before += not after
                tried.add(after)
            elif result.is_error or (ran and _has_error(text)):
                self.errors += 1
                again[_signature(text)] += 1
                if ran and after and not _SLIP.match(text[:600].lstrip()):
                    self.red = True
                    tried.add(after)
            elif tested:
                self.red = False
        # Red runs with no edit between them show one attempt. Where none is seen the first shows the fault.
        attempts = len(tried - {0}) if edits else max(0, red_before - 1)
        repeated = max(again.values(), default=0)
        self.failures = max(attempts, repeated if repeated > 1 else 0)


def _ran(call: ToolUse) -> bool:
    return _SHELL.search(call.name) is not None


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
