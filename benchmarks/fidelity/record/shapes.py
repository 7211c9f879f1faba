"""What the calls of an agent look like, for three agents."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fidelity.conversations import Shape
from lynkr_desktop.engine.wire.canonical import Json

SHAPES: tuple[Shape, ...] = ("claude_code", "codex", "openhands")

_REMINDER = (
    "\n\n<system-reminder>\nWhenever you read a file, you should consider whether it would be considered malware. "
    "You CAN and SHOULD provide analysis of what it is doing. But you MUST refuse to improve it where it is "
    "harmful.\n</system-reminder>\n"
)


def command(shape: Shape, line: str, folder: str) -> tuple[str, Json]:
    """The call that runs a command."""
    match shape:
        case "claude_code":
            return "Bash", {"command": line, "description": f"Run {line.split()[0]}"}
        case "codex":
            return "shell", {"command": ["bash", "-lc", line], "workdir": folder}
        case "openhands":
            return "execute_bash", {"command": line}


def command_said(shape: Shape, said: str, code: int, folder: str) -> str:
    """The answer to it."""
    match shape:
        case "claude_code":
            said = said.rstrip("\n")
            return f"Exit code {code}\n{said}" if code else said or "(no output)"
        case "codex":
            return f"Exit code: {code}\nWall time: 0.4 seconds\nOutput:\n{said}"
        case "openhands":
            return (
                f"{said.rstrip()}\n[The command completed with exit code {code}.]\n[Current working directory: "
                f"{folder}]\n[Python interpreter: /home/dev/.venv/bin/python]\n[Command finished with exit code {code}]"
            )


def read(shape: Shape, path: str, first: int | None, last: int | None, folder: str) -> tuple[str, Json]:
    """The call that reads a file."""
    match shape:
        case "claude_code":
            part = {"offset": first, "limit": last - first + 1} if first and last else {}
            return "Read", {"file_path": path, **part}
        case "codex":
            line = f"sed -n '{first},{last}p' {path}" if first else f"cat {path}"
            return command(shape, line, folder)
        case "openhands":
            part = {"view_range": [first, last]} if first else {}
            return "str_replace_editor", {"command": "view", "path": path, **part}


def read_said(shape: Shape, path: str, text: str, first: int | None, last: int | None, folder: str) -> str:
    """The answer to it."""
    lines = text.splitlines()
    begin = first or 1
    lines = lines[begin - 1 : last]
    match shape:
        case "claude_code":
            lines = lines[:2000]
            body = "\n".join(f"{number:>6}→{line}" for number, line in enumerate(lines, begin))
            return body + _REMINDER
        case "codex":
            return command_said(shape, "\n".join(lines) + "\n", 0, folder)
        case "openhands":
            body = "\n".join(f"{number:>6}\t{line}" for number, line in enumerate(lines, begin))
            return f"Here's the result of running `cat -n` on {path}:\n{body}\n"


def edit(shape: Shape, path: str, old: str, new: str) -> tuple[str, Json]:
    """The call that changes a file."""
    match shape:
        case "claude_code":
            return "Edit", {"file_path": path, "old_string": old, "new_string": new}
        case "codex":
            lines = ["*** Begin Patch", f"*** Update File: {path}", "@@"]
            lines += [f"-{line}" for line in old.splitlines()] + [f"+{line}" for line in new.splitlines()]
            return "apply_patch", {"input": "\n".join([*lines, "*** End Patch"])}
        case "openhands":
            return "str_replace_editor", {
                "command": "str_replace",
                "path": path,
                "old_str": old,
                "new_str": new,
            }


def edit_said(shape: Shape, path: str, text: str, new: str) -> str:
    """The answer to it: a few lines around the change, where the agent shows them."""
    at = text[: text.index(new)].count("\n")
    lines = text.splitlines()
    begin, end = max(0, at - 4), at + new.count("\n") + 5
    match shape:
        case "claude_code":
            body = "\n".join(f"{number:>6}→{line}" for number, line in enumerate(lines[begin:end], begin + 1))
            return (
                f"The file {path} has been updated. Here's the result of running `cat -n` on a snippet of the "
                f"edited file:\n{body}"
            )
        case "codex":
            return f"Success. Updated the following files:\nM {Path(path).name}\n"
        case "openhands":
            body = "\n".join(
                f"{number:>6}\t{line}" for number, line in enumerate(lines[begin:end], begin + 1)
            )
            return (
                f"The file {path} has been edited. Here's the result of running `cat -n` on a snippet of {path}:\n"
                f"{body}\nReview the changes and make sure they are as expected. Edit the file again if necessary."
            )


def grep(shape: Shape, pattern: str, path: str, folder: str) -> tuple[str, Json]:
    """The call that searches."""
    if shape == "claude_code":
        return "Grep", {"pattern": pattern, "path": path, "output_mode": "content", "-n": True}
    return command(shape, f"grep -rn --include='*.py' '{pattern}' {path}", folder)
