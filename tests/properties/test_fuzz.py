"""A short form of the fuzzer; `make fuzz` runs the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.properties.fuzz import Finding, Fuzzer, fuzz_http
from tests.support.stage import BACKENDS, stage


def told(findings: list[Finding]) -> str:
    """The first findings, as a person needs them."""
    return "\n".join(f"{found.number} {found.where}: {found.what}" for found in findings[:3])


@pytest.mark.parametrize("seed", [1, 2])
def test_no_mutated_body_breaks_a_codec(seed: int) -> None:
    fuzzer = Fuzzer(seed)
    fuzzer.run(5000)
    assert not fuzzer.findings, told(fuzzer.findings)
    assert fuzzer.good > 500, "too few bodies were understood to say anything"


async def test_no_mutated_body_makes_the_engine_fail_or_hang(tmp_path: Path) -> None:
    fuzzer = Fuzzer(3)
    async with stage(tmp_path, *BACKENDS) as running:
        await fuzz_http(fuzzer, running, 1000)
    assert not fuzzer.findings, told(fuzzer.findings)
    assert fuzzer.good > 100
