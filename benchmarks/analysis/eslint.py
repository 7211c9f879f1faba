"""ESLint's `complexity` rule with typescript-eslint, in a process of node that answers file by file."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

from benchmarks.analysis.corpora import CACHE
from benchmarks.analysis.oracles import Measured, Oracle, Rules
from lynkr_desktop.engine.analysis.languages.typescript import FUNCTIONS

PACKAGES = ("eslint@10.15.0", "typescript-eslint@8.73.0", "typescript@6.0.3")
_SCRIPT = Path(__file__).with_name("eslint.mjs")


def measure(path: Path, _source: str) -> list[Measured]:
    """All functions that ESLint sees, by the names that we would give them.

    Raises:
        SyntaxError: ESLint cannot read the file.
        OSError: there is no node, or npm cannot install ESLint.
    """
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{path}\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    if "error" in answer:
        raise SyntaxError(answer["error"])
    return [
        Measured(name.rsplit(".", 1)[-1], line, complexity) for name, line, complexity in answer["functions"]
    ]


@cache
def _process() -> subprocess.Popen[str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise FileNotFoundError("This comparison needs node and npm.")
    folder = CACHE.parent / "eslint"
    if not all((folder / "node_modules" / package.split("@")[0]).exists() for package in PACKAGES):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        subprocess.run(
            [npm, "install", "--no-fund", "--no-audit", "--save-exact", *PACKAGES], cwd=folder, check=True
        )
    # It ends when its standard input is closed, at the latest with this process.
    return subprocess.Popen(
        [node, str(_SCRIPT), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


_PARENTS = (
    "arguments",
    "array",
    "assignment_pattern",
    "augmented_assignment_expression",
    "await_expression",
    "binary_expression",
    "call_expression",
    "expression_statement",
    "member_expression",
    "new_expression",
    "object_assignment_pattern",
    "parenthesized_expression",
    "return_statement",
    "sequence_expression",
    "spread_element",
    "subscript_expression",
    "template_substitution",
    "ternary_expression",
    "unary_expression",
    "yield_expression",
)
"""Where a function has no name."""

ESLINT = Oracle(
    "ESLint",
    measure,
    Rules(
        query="".join(f"({parent} {FUNCTIONS} @decision.unnamed)\n" for parent in _PARENTS)
        + f"(arrow_function body: {FUNCTIONS} @decision.unnamed)\n"
        + f"(assignment_expression left: (subscript_expression) right: {FUNCTIONS} @decision.unnamed)",
        apart="unnamed",
    ),
)
