"""One engine per module, with every provider behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.stage import BACKENDS, Stage, stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lynkr(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("lynkr"), *BACKENDS) as running:
        yield running
