"""The models on offer, and the choice between them."""

from __future__ import annotations

import re

import pytest

from lynkr_desktop.engine.providers.embedded.catalog import (
    CATALOG,
    GEMMA,
    QWEN,
    QWEN_MIN_DISK,
    QWEN_MIN_MEMORY,
    CatalogModel,
    recommend,
)
from lynkr_desktop.engine.providers.embedded.errors import size_text


@pytest.mark.parametrize("model", CATALOG.values(), ids=CATALOG)
def test_parts_are_pinned_and_make_the_whole(model: CatalogModel) -> None:
    assert sum(part.size for part in model.parts) == model.size
    assert len({part.package for part in model.parts}) == len(model.parts)
    for number, part in enumerate(model.parts, 1):
        assert part.package.endswith(f"part{number}")
        assert part.member.startswith(part.package.replace("-", "_") + "/data/")
        assert re.fullmatch(r"\d+(\.\d+)+", part.version)
        assert re.fullmatch(r"[0-9a-f]{64}", part.sha256)
        assert 0 < part.wheel_size < part.size * 1.01
    assert model.licence
    assert "third party" in model.publisher


@pytest.mark.parametrize(
    ("memory", "disk", "installed", "expected"),
    [
        (QWEN_MIN_MEMORY, QWEN_MIN_DISK, False, QWEN.id),
        (QWEN_MIN_MEMORY - 1, QWEN_MIN_DISK, False, GEMMA.id),
        (QWEN_MIN_MEMORY, QWEN_MIN_DISK - 1, False, GEMMA.id),
        (QWEN_MIN_MEMORY, 0, True, QWEN.id),
        (QWEN_MIN_MEMORY - 1, QWEN_MIN_DISK, True, GEMMA.id),
    ],
)
def test_qwen_where_memory_and_disk_allow(memory: int, disk: int, installed: bool, expected: str) -> None:
    assert recommend(available_memory=memory, free_disk=disk, qwen_installed=installed) == expected


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (QWEN.size, "1.1 GB"), (253_113_024, "253.1 MB")],
)
def test_sizes_read_as_people_write_them(size: int, text: str) -> None:
    assert size_text(size) == text
