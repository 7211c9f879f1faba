"""Records the conversations anew: `python -m benchmarks.fidelity.record SOURCES TOOLS SCRATCH`.

SOURCES holds the unpacked source archives that `projects.py` names, TOOLS is an environment with pytest, ruff,
mypy, lizard and radon. git, cargo, node, npm, javac, gcc and make must be there. Versions of tools differ, so
another machine gives other conversations: figures compare on one recording only.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.fidelity.conversations import DATA, Conversation, Split
from benchmarks.fidelity.record import sessions
from benchmarks.fidelity.record.projects import PROJECTS, workspace_of
from benchmarks.fidelity.record.recorder import Recorder
from benchmarks.fidelity.record.shapes import SHAPES
from benchmarks.fidelity.record.singles import OWN_FOLDER, SINGLES
from benchmarks.fidelity.record.tools import every_tool, names
from benchmarks.fidelity.record.workspace import Workspace

_SERVERS = ("github", "jira", "postgres", "browser", "slack", "sentry")
_LONG = {"click", "packaging", "pluggy", "werkzeug", "jinja2", "more_itertools"}


def record(split: Split, sources: Path, tools: Path, scratch: Path) -> Iterator[Conversation]:
    """The conversations of a split."""
    projects = [project for project in PROJECTS if project.split == split]
    offset = 0 if split == "tune" else 1
    number = offset
    for project in projects:
        for turns in (14, 30, 60) if project.name in _LONG else (14, 30):
            shape = SHAPES[number % 3]
            # Codex and OpenHands bring few tools along; sessions have between 14 and 60.
            servers = _SERVERS[: 2 + number % 5] if turns > 14 else _SERVERS[:1]
            name = f"{split}-{project.name}-{turns}"
            workspace = workspace_of(project, sources, scratch, tools, name)
            recorder = sessions.begin(name, "session", project, shape, workspace, names(*servers))
            sessions.session(recorder, project, turns)
            number += 1
            yield recorder.written()
    for place, (kind, (play, servers)) in enumerate(SINGLES.items()):
        project = projects[place % len(projects)]
        shape = SHAPES[(place + offset) % 3]
        name = f"{split}-{kind}"
        if kind in OWN_FOLDER:
            workspace = Workspace(scratch / name / "shop", "/home/dev/shop", tools)
            (scratch / name).mkdir(parents=True)
        else:
            workspace = workspace_of(project, sources, scratch, tools, name)
        offered = names(*(servers or _SERVERS[:1] if shape != "claude_code" else servers))
        recorder = Recorder(name, split, kind, shape, workspace, offered)
        play(recorder, project, random.Random(name))
        yield recorder.written()


def main() -> None:
    """Writes the data files."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("sources", type=Path)
    arguments.add_argument("tools", type=Path)
    arguments.add_argument("scratch", type=Path)
    arguments.add_argument("--split", choices=("tune", "test"), help="only this split")
    chosen = arguments.parse_args()
    DATA.mkdir(exist_ok=True)
    (DATA / "tools.json").write_text(json.dumps(every_tool(), indent=1) + "\n", "utf-8")
    splits: tuple[Split, ...] = (chosen.split,) if chosen.split else ("tune", "test")
    for split in splits:
        with lzma.open(DATA / f"{split}.jsonl.xz", "wb", preset=6) as lines:
            for conversation in record(
                split, chosen.sources.resolve(), chosen.tools, chosen.scratch.resolve()
            ):
                lines.write(msgspec.json.encode(conversation) + b"\n")
                print(conversation.id, len(conversation.messages), len(conversation.needles), flush=True)


if __name__ == "__main__":
    main()
