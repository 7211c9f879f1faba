"""A folder in which commands are run for real, with names of this machine taken out of what they say."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

_MOST = 30_000
"""Characters of an output that Claude Code and OpenHands keep."""

_SECRET = re.compile(r"(?:ghp_|sk-|AKIA|xox[bp]-)[A-Za-z0-9-]{16,}")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")


class Workspace:
    """A folder of a project.

    Args:
        root: where it is.
        shown: where the conversation says that it is.
        tools: the environment whose programs are run.
    """

    def __init__(self, root: Path, shown: str, tools: Path) -> None:
        self.root = root
        self.shown = shown
        self._tools = tools
        self._private = {str(root): shown, str(tools): "/home/dev/.venv"}
        self._private[sys.base_prefix] = "/usr/local"
        self._private[str(Path.home() / ".cargo")] = "/home/dev/.cargo"
        self._private[socket.gethostname()] = "devbox"

    def run(self, command: str, seconds: float = 120) -> tuple[str, int]:
        """Runs a command; gives what it said, and how it ended."""
        environment = {
            "PATH": f"{self._tools}/bin:{os.environ['PATH']}",
            "HOME": os.environ["HOME"],
            "PYTHONPATH": "src:.",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_AUTHOR_NAME": "Dev",
            "GIT_AUTHOR_EMAIL": "dev@example.com",
            "GIT_COMMITTER_NAME": "Dev",
            "GIT_COMMITTER_EMAIL": "dev@example.com",
            "GIT_PAGER": "cat",
            "COLUMNS": "100",
        }
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
        return self.clean(done.stdout.decode("utf-8", "replace")), done.returncode

    def clean(self, text: str) -> str:
        """The text without names of this machine, cut as agents cut it."""
        for private in sorted(self._private, key=len, reverse=True):
            text = text.replace(private, self._private[private])
        text = _SECRET.sub("<key>", text)
        text = _MAIL.sub(lambda mail: mail[0] if "example" in mail[0] else "someone@example.org", text)
        text = text.replace("root root", "dev dev").replace("(root)", "(dev)")
        if len(text) <= _MOST:
            return text
        half = _MOST // 2
        left = text[half:-half].count("\n")
        return f"{text[:half]}\n\n... [{left} lines truncated] ...\n\n{text[-half:]}"
