"""The real Claude Code does a task of ten steps, with everything on that saves tokens and with nothing."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml

from lynkr_desktop.engine.optimization.tokens import count
from lynkr_desktop.protocol.optimization import StageName
from tests.support import brain
from tests.support.claude import run_claude
from tests.support.fakes.anthropic import AnthropicFake
from tests.support.fakes.base import Asked
from tests.support.proxy import running_proxy
from tests.support.script import Call, Reply, Say, text

KEY = "sk-ant-api03-test-0123456789"
ALLOWED = ("--allowedTools", "Read,Edit,Bash,Grep,Glob")
PROMPT = (
    "One test of this project fails. Find out why, repair the cause, and tell me the total that it prints."
)
DONE = "Repaired: rounding went the wrong way. The total is 4712."
SAVING = {
    "optimization": {"pipeline": list(get_args(StageName))},
    "memory": {"enabled": True},
}


def project(folder: Path) -> None:
    """A package with many parts, one of them wrong, and a test suite that says much."""
    (folder / "shop").mkdir(parents=True)
    for number in range(60):
        part = folder / "shop" / f"part_{number:02}.py"
        lines = [
            f"def price_{number}_{item}(units):\n    return units * {item + number}\n" for item in range(12)
        ]
        part.write_text("\n\n".join(lines), encoding="utf-8")
    helpers = "\n\n".join(
        f"def helper_{number}(rows):\n    '''Sums column {number} of the rows.'''\n"
        f"    return sum(row[{number}] for row in rows)\n"
        for number in range(90)
    )
    total = "def total(rows):\n    '''Rounds half up.'''\n    return int(sum(rows))\n"
    (folder / "shop" / "totals.py").write_text(f"{helpers}\n\n{total}", encoding="utf-8")
    cases = "\n".join(
        f"    def test_part_{number}(self):\n        self.assertTrue(True)\n" for number in range(400)
    )
    (folder / "test_shop.py").write_text(
        "import unittest\nfrom shop.totals import total\n\n\nclass Shop(unittest.TestCase):\n"
        f"{cases}\n    def test_total(self):\n        self.assertEqual(total([4711.2, 0.5]), 4712)\n\n\n"
        "if __name__ == '__main__':\n    unittest.main(verbosity=2)\n",
        encoding="utf-8",
    )


@dataclass
class Programmer:
    """A model that works in ten steps, and gives up where it does not find what it must know."""

    folder: Path
    asked: list[Asked] = field(default_factory=list)
    restored: int = 0
    missing: list[str] = field(default_factory=list)

    def answer(self, asked: Asked) -> Reply:
        seen = brain.read(asked.path, asked.json)
        if not {"Read", "Bash"} <= seen.tools.keys() | self._named(asked.json):
            return text("Totals of a shop")
        self.asked.append(asked)
        results = seen.results
        steps = self._steps()
        done = len(self._calls(asked.json))
        if done:
            needed = steps[done - 1][1]
            last = results[-1] if results else ""
            if needed and needed not in last:
                path = re.search(r"lynkr:r_[0-9a-f]{12}", last)
                if path is None:
                    self.missing.append(needed)
                    return text(f"I cannot find {needed}.")
                self.restored += 1
                return Reply((Call("Read", {"file_path": path[0]}),))
        return Reply((Say("Next. "), steps[done][0])) if done < len(steps) else text(DONE)

    def _steps(self) -> list[tuple[Call, str]]:
        """Each call, with what must be found in its result."""
        python = sys.executable
        totals = str(self.folder / "shop" / "totals.py")
        run = f"cd {self.folder} && {python} test_shop.py 2>&1 || true"
        return [
            (Call("Bash", {"command": f"ls -R {self.folder}"}), "part_37.py"),
            (Call("Bash", {"command": run}), "4711 != 4712"),
            (Call("Bash", {"command": f"grep -rn 'def total' {self.folder}/shop"}), "def total"),
            (Call("Read", {"file_path": totals}), "return int(sum(rows))"),
            (Call("Read", {"file_path": str(self.folder / "shop" / "part_07.py")}), "price_7_3"),
            (
                Call(
                    "Edit",
                    {
                        "file_path": totals,
                        "old_string": "return int(sum(rows))",
                        "new_string": "return int(sum(rows) + 0.5)",
                    },
                ),
                "",
            ),
            (Call("Bash", {"command": run}), "OK"),
            (Call("Bash", {"command": f"cat {totals}"}), "helper_77"),
            (Call("Bash", {"command": run.replace("test_shop.py", "-m unittest -v test_shop")}), "OK"),
            (
                Call(
                    "Bash",
                    {
                        "command": f"cd {self.folder} && {python} -c "
                        "'from shop.totals import total; print(total([4711.2, 0.5]))'"
                    },
                ),
                "4712",
            ),
        ]

    @staticmethod
    def _calls(body: dict[str, Any]) -> list[str]:
        return [
            block["name"]
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
            if block.get("type") == "tool_use" and "lynkr:" not in str(block["input"])
        ]

    @staticmethod
    def _named(body: dict[str, Any]) -> set[str]:
        return {tool.get("name", "") for tool in body.get("tools") or ()}

    @property
    def tokens(self) -> int:
        """Of all prompts that the model got."""
        return sum(
            count(json.dumps({key: asked.json.get(key) for key in ("system", "tools", "messages")}))
            for asked in self.asked
        )


async def work(
    folder: Path, config: dict[str, Any]
) -> tuple[Programmer, dict[str, Any], list[dict[str, Any]]]:
    """Lets Claude Code do the task; the model, what it printed at the end, and the records."""
    home = folder / "home"
    project(home / "work")
    programmer = Programmer(home / "work")
    async with AnthropicFake() as server:
        server.brain = programmer.answer
        tier = {"providers": ["anthropic/claude-opus-4-8"], "max_complexity": 1.0}
        whole = {
            "providers": {"anthropic": {"base_url": server.url}},
            "routing": {"tiers": {"simple": tier}},
            **config,
        }
        environ = {**os.environ, "ANTHROPIC_API_KEY": KEY}
        with running_proxy(folder / "proxy", yaml.safe_dump(whole), environ) as proxy:
            printed = await run_claude(proxy, home, PROMPT, *ALLOWED, within=180)
            records = proxy.records(len(programmer.asked))
    return programmer, printed, records


async def test_a_task_of_ten_steps_takes_fewer_tokens_and_ends_the_same(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    plain, plain_end, _ = await work(tmp_path / "off", {})
    saving, saving_end, records = await work(tmp_path / "on", SAVING)
    for made, printed in ((plain, plain_end), (saving, saving_end)):
        assert made.missing == []
        assert printed["result"] == DONE
        assert printed["is_error"] is False
        assert "sum(rows) + 0.5" in (made.folder / "shop" / "totals.py").read_text(encoding="utf-8")
    record_property("tokens off", plain.tokens)
    record_property("tokens on", saving.tokens)
    record_property("restored", saving.restored)
    print(
        f"prompts of all turns: {plain.tokens:,} tokens off, {saving.tokens:,} on; {saving.restored} restored"
    )
    assert saving.tokens < 0.9 * plain.tokens
    assert sum(record["saved_tokens"] for record in records) > 0
