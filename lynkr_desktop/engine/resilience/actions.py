"""What agents did, the newest first, and what became of it: failed, waited for something, or neither."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from msgspec import Struct

from lynkr_desktop.engine.optimization.distill.envelope import split_envelope
from lynkr_desktop.engine.optimization.tool_kinds import prefix_of
from lynkr_desktop.engine.optimization.tool_words import split_name
from lynkr_desktop.engine.routing.calls import command_of, paths_of
from lynkr_desktop.engine.routing.clean import RESUMED, clean, is_result
from lynkr_desktop.engine.routing.outcomes import refused
from lynkr_desktop.engine.wire.canonical import Json, Message, Text, ToolResult, ToolUse

_HEAD, _TAIL = 700, 400
"""Characters at the ends of an output in which harnesses say how it ended."""

_LINE = 2_000
"""Characters of a line in which times are looked for."""

_LONGEST = 200_000
"""Characters of outputs that are compared line by line; of longer ones every letter must be the same."""

_DIFFERENT = 10_000
"""Characters of lines that differ and are looked at; where more differs, more than times does."""

_NOTHING: Json = {}


class Action(Struct, frozen=True):
    """A call of a tool that was answered.

    Attributes:
        mark: names it within its conversation.
        tool: its name.
        arguments: without those that only say why.
        output: what came back.
        error: whether the client says that it failed.
    """

    mark: str
    tool: str
    arguments: Json
    output: str
    error: bool

    @property
    def failed(self) -> bool:
        """Whether it went wrong: by the client's own word, by an exit code, else by how its output begins."""
        return self.error or says_failure(self.output)

    @property
    def waits(self) -> bool:
        """Whether it only waits for something, or looks whether that is done: it may well be repeated."""
        return _is_wait(self.tool, self.arguments) or _still_runs(self.output)

    @property
    def thinks(self) -> bool:
        """Whether it is a thought, made by a tool for that: it does nothing."""
        return _is_thought(self.tool)

    @property
    def said(self) -> str:
        """The tool and what it was called for, in one short line."""
        call = ToolUse("", self.tool, self.arguments)
        what = command_of(call) or next(paths_of(call), "")
        return " ".join(f"{self.tool} {what}".split())[:120]

    def repeats(self, other: Action) -> bool:
        """Whether it did the same with the same output, but for times and other things that never stay."""
        if self.tool != other.tool or self.error != other.error:
            return False
        try:
            same = self.arguments == other.arguments
        except RecursionError:
            return False
        return same and same_output(self.output, other.output)


def actions(messages: Sequence[Message], known: frozenset[str] = frozenset()) -> Iterator[Action]:
    """The actions since a person last said or refused something, the newest first.

    Args:
        messages: of the conversation.
        known: marks of actions that a person knows of; the first of them ends it.
    """
    for at in range(len(messages) - 1, -1, -1):
        message = messages[at]
        if message.role != "user":
            continue
        if speaks(message):
            return
        for number in range(len(message.content) - 1, -1, -1):
            block = message.content[number]
            if isinstance(block, ToolResult):
                mark, output = block.tool_use_id, block.text
                call = _call_of(mark, messages, at)
                error = block.is_error
            elif isinstance(block, Text) and is_result(block.text):
                head, _, output = block.text.partition("\n")
                mark, call, error = (
                    f"{at}:{number}:{len(block.text)}",
                    ToolUse("", head[:300], _NOTHING),
                    False,
                )
            else:
                continue
            if mark in known or (error and refused(output)):
                return
            if call is None:
                yield Action(mark, "", _NOTHING, output, error)
            else:
                yield Action(mark, call.name, _without_reasons(call.input), output, error)


def turns(messages: Sequence[Message], known: frozenset[str] = frozenset(), most: int = 10_000) -> int:
    """How many turns the model had since a person last spoke, or since an action that a person knows of.

    Args:
        messages: of the conversation.
        known: marks of such actions.
        most: where counting ends.
    """
    count = 0
    for message in reversed(messages):
        if message.role == "assistant":
            count += 1
            if count >= most:
                break
        elif speaks(message) or (known and any(_mark(block) in known for block in message.content)):
            break
    return count


def marks(messages: Sequence[Message], most: int) -> tuple[str, ...]:
    """The marks of the newest actions, whoever spoke since."""
    found: list[str] = []
    for at in range(len(messages) - 1, -1, -1):
        for number in range(len(messages[at].content) - 1, -1, -1):
            block = messages[at].content[number]
            if isinstance(block, ToolResult):
                found.append(block.tool_use_id)
            elif isinstance(block, Text) and messages[at].role == "user" and is_result(block.text):
                found.append(f"{at}:{number}:{len(block.text)}")
            if len(found) >= most:
                return tuple(found)
    return tuple(found)


def speaks(message: Message) -> bool:
    """Whether a turn has words of a person, or an interruption by one."""
    for block in message.content:
        if isinstance(block, Text):
            start = block.text[:200].lstrip()
            if start.startswith("[Request interrupted by user"):
                return True
            if not start.startswith(RESUMED) and clean(block.text):
                return True
    return False


def is_compacted(messages: Sequence[Message]) -> bool:
    """Whether a conversation goes on from a summary of itself."""
    for block in messages[0].content if messages else ():
        if isinstance(block, Text) and block.text[:200].lstrip().startswith(RESUMED):
            return True
    return False


def _mark(block: object) -> str:
    return block.tool_use_id if isinstance(block, ToolResult) else ""


def _call_of(call_id: str, messages: Sequence[Message], before: int) -> ToolUse | None:
    """The call that a result answers; it stands in the turn before, or in one just before that."""
    for at in range(before - 1, max(-1, before - 5), -1):
        for block in messages[at].content:
            if isinstance(block, ToolUse) and block.id == call_id:
                return block
    return None


# ---------------------------------------------------------------- arguments

_REASONS = frozenset(
    {
        "thought",
        "thoughts",
        "thinking",
        "reasoning",
        "explanation",
        "justification",
        "security_risk",
        "summary",
    }
)
"""Arguments in which agents say why they call, beside what they call for."""


def _without_reasons(given: Json) -> Json:
    dropped = _REASONS.intersection(given)
    if "description" in given and ("command" in given or "cmd" in given):
        dropped |= {"description"}
    if not dropped or len(dropped) == len(given):
        return given
    return {name: value for name, value in given.items() if name not in dropped}


# ---------------------------------------------------------------- waiting, thinking

_THOUGHTS = frozenset({"think", "thinking", "thought", "thoughts", "reason", "reasoning"})
_THOUGHT_FILLERS = frozenset({"sequential", "tool", "deep"})
_WAITS = frozenset({"wait", "await", "sleep", "poll", "monitor", "watch"})
_RUNNING = frozenset(
    {"bash", "shell", "task", "agent", "process", "terminal", "command", "job", "run", "build"}
)
_LOOKS = frozenset({"output", "status", "progress", "state", "logs"})

_WAITING = re.compile(
    r"\b(?:sleep|Start-Sleep)\b[ \w-]{0,40} ?\$?[\d.{(]|(?:^|[;&|]\s*)wait\b|--(?:watch|wait)\b|"
    r"\btail\b[^|;&]{0,80} -[fF]\b|\bwait-for\b|\b(?:kubectl|oc) (?:wait|rollout status)|\bgh run watch\b|"
    r"\bdocker wait\b|\bwhile !|\buntil "
)
_STILL_RUNS = re.compile(
    r"\[The command has no new output after|Process running with session ID|"
    r"<status>\s*(?:running|pending)|\"(?:status|state)\"\s*:\s*\"(?:running|pending|queued|in_progress|starting)\"|"
    r"(?m:^(?:status|state): (?:running|pending|queued|in.progress)\b)|\bis still running\b",
    re.IGNORECASE,
)
_STILL_MARKS = ("no new output", "unning", "ending", "ueued", "rogress", "tarting", "RUNNING", "PENDING")


@lru_cache(512)
def _words(tool: str) -> frozenset[str]:
    return frozenset(split_name(tool[len(prefix_of(tool)) :][:100]))


@lru_cache(512)
def _is_thought(tool: str) -> bool:
    words = _words(tool)
    return bool(words & _THOUGHTS) and words <= _THOUGHTS | _THOUGHT_FILLERS


@lru_cache(512)
def _waits_by_name(tool: str) -> bool:
    words = _words(tool)
    return bool(words & _WAITS) or bool(words & _LOOKS and words & _RUNNING)


def _is_wait(tool: str, arguments: Json) -> bool:
    if _waits_by_name(tool):
        return True
    for name in ("command", "cmd", "chars"):
        value = arguments.get(name)
        if isinstance(value, str) and not value.strip():
            return True  # OpenHands and Codex look at what still runs by sending it nothing
    if tool == "write_stdin" and "chars" not in arguments:
        return True
    command = command_of(ToolUse("", tool, arguments))
    return bool(command) and _WAITING.search(command) is not None


def _still_runs(output: str) -> bool:
    ends = output if len(output) <= _HEAD + _TAIL else f"{output[:_HEAD]}\n{output[-_TAIL:]}"
    return any(map(ends.__contains__, _STILL_MARKS)) and _STILL_RUNS.search(ends) is not None


# ---------------------------------------------------------------- failures

_CODE_MARKS = ("xit", "EXIT", "code>", "Code>")
"""One of these stands before each exit code; looking for them first spares most outputs the slow patterns."""

_CODE_BEFORE = re.compile(
    r"\s*(?:(?:Chunk ID|Wall time|Original token count|Total output lines|Command:|Directory:|Command ex)"
    r"[^\n]{0,300}\n)*"
    r"(?:\[?(?:Process|Command|The command) (?:exited|completed|finished|failed)[^\n\d]{0,40}|"
    r"Exit[ _]code:? |<(?:returncode|exit_code|exitCode)>)(-?\d+)",
    re.IGNORECASE,
)
"""The exit code in front of an output: Claude Code, Codex, Roo, mini-swe-agent."""

_CODE_BEHIND = re.compile(
    r"^(?:[\[(<]?(?:The )?(?:command|process) (?:completed|finished|exited|failed)[^\n\d]{0,40}|"
    r"[\[(]?exit(?:ed)?(?:[ _](?:with )?(?:code|status))?[:= ] ?|"
    r"<(?:returncode|exit_code|exitCode)>)(-?\d+)[^\n]{0,40}"
    r"(?=\n(?:Signal|Background|Process Group|PIDs?|\[|<)|\s*\Z)",
    re.IGNORECASE | re.MULTILINE,
)
"""The same behind it: OpenHands, Gemini CLI, generic shells."""

_CODE_IN_JSON = re.compile(r'"(?:exit_?code|return_?code|exit_?status)"\s*:\s*(-?\d+)', re.IGNORECASE)
_HEADERS = re.compile(
    r"\s*(?:(?:Chunk ID|Wall time|Original token count|Total output lines|Command ex|Output:|Error:\s*\n)"
    r"[^\n]{0,300}\n)*"
)
_SAYS_ERROR = re.compile(
    r"\s*(?:<tool_use_error>|<error>|(?:[\w.]{0,60}(?:Error|Exception)|error|fatal|panic)\b ?(?:\[\w+\])?:|"
    r"Error (?:executing|running|calling|invoking|while|in |occurred)|Traceback \(most recent|npm ERR!|"
    r"execution error|failed to (?:parse|execute|run|apply|find|read|write|call)\b|"
    r"apply_patch verification failed|unsupported call|"
    r"(?:the )?(?:command|tool|tool call|tool execution) (?:failed|timed out|was aborted|errored)|"
    r'\{\s*"(?:error|is_?error)"\s*:\s*(?!\s|null|""|false|\{\}|\[\])|\{\s*"(?:success|ok)"\s*:\s*false|'
    r"Unknown tool|No such tool|Invalid (?:arguments|parameters|tool)|InputValidationError)",
    re.IGNORECASE,
)
_SLIPS = re.compile(
    r"[^\n]{0,200}(?:command not found|No such file or directory|Permission denied|is not recognized as)\b"
)
_SHORT = 300


def says_failure(output: str) -> bool:
    """Whether an output says that its action went wrong. An exit code decides, where there is one."""
    start, end = output[:_HEAD], output[-_TAIL:]
    if (code := _exit_code(start, end)) is not None:
        return code != 0
    entered = _HEADERS.match(start)
    at = entered.end() if entered is not None else 0
    if _SAYS_ERROR.match(start, at):
        return True
    return len(output) <= _SHORT and _SLIPS.match(start, at) is not None


def _exit_code(start: str, end: str) -> int | None:
    if any(map(start.__contains__, _CODE_MARKS)):
        found = _CODE_BEFORE.match(start) or (_CODE_IN_JSON.search(start) if "{" in start[:50] else None)
        if found is not None:
            return int(found[1])
    if not any(map(end.__contains__, _CODE_MARKS)):
        return None
    if "{" in start[:50] and (found := _CODE_IN_JSON.search(end)) is not None:
        return int(found[1])
    codes = _CODE_BEHIND.findall(end)
    return int(codes[-1]) if codes else None


# ---------------------------------------------------------------- outputs

_VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?|"
    r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b|"
    r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* +\d{1,2}\b(?: +\d\d:\d\d\b)?|"
    r"\b\d+(?:[.,]\d+)? ?(?:[mµun]?s|secs?|seconds?|mins?|minutes?|hours?|milliseconds?)\b|"
    r"\b\d+[hm]\d+[ms]?\b|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|"
    r"/tmp/[\w./-]+|\bpytest-\d+|\bChunk ID: \w+|\bpid\W{1,3}\d+|"
    r"\b(?:duration|elapsed|time|took|timestamp)\w*\W{1,4}[\d.]+",
    re.IGNORECASE,
)


def same_output(one: str, other: str) -> bool:
    """Whether two outputs say the same, but for times, durations, addresses and temporary names."""
    if one == other:
        return True
    if max(len(one), len(other)) > _LONGEST or says_failure(one) != says_failure(other):
        return False
    first, second = _body(one).splitlines(), _body(other).splitlines()
    if len(first) != len(second):
        return False
    left = _DIFFERENT
    for line, beside in zip(first, second, strict=True):
        if line != beside:
            left -= len(line)
            if left < 0 or _steady(line) != _steady(beside):
                return False
    return True


def _steady(line: str) -> str:
    return _VOLATILE.sub("~", line[:_LINE]) + line[_LINE:]


def _body(output: str) -> str:
    """An output without what a harness appends."""
    head, body, _ = split_envelope(output)
    return head + body
