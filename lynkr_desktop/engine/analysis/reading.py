"""One source file read from the disk: its facts, or the reason why there are none."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.analysis.facts import SUFFIXES, FileFacts
from lynkr_desktop.engine.analysis.walk import Reason, Stamp, judge, read

log = logging.getLogger(__name__)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(FileFacts)
_warm: set[str] = set()


class Reading(Struct, frozen=True, array_like=True):
    """A file as it was when it was read.

    Attributes:
        path: relative to the root of its workspace.
        digest: of its content and suffix, see `digest_of`; empty when it could not be read.
        reason: why it is left out, empty when it is not.
        facts: packed, for `unpack`; empty with a reason.
    """

    path: str
    mtime_ns: int = 0
    size: int = 0
    digest: bytes = b""
    reason: str = ""
    facts: bytes = b""


def digest_of(content: bytes, path: str) -> bytes:
    """Stands for what the facts are made of: the bytes, and the suffix, which chooses the grammar."""
    suffix = os.path.splitext(path)[1].encode()
    return hashlib.blake2b(content, digest_size=16, person=suffix[:16]).digest()


def unpack(facts: bytes) -> FileFacts:
    """The facts of a reading.

    Raises:
        msgspec.MsgspecError: they are not what `read_facts` packed.
    """
    return _decoder.decode(facts)


def warm(path: str) -> bool:
    """Whether this process has read a file of this suffix before, so that the next one is quick."""
    return os.path.splitext(path)[1] in _warm


def warm_up(paths: Iterable[str]) -> None:
    """Loads the grammars of files, so that the first of them that is wanted at once is read at once."""
    for suffix in sorted({os.path.splitext(path)[1] for path in paths} - _warm):
        parse("a" + suffix, b"", Stamp(0, 0))


def read_facts(root: str, path: str, limit: int) -> Reading:
    """Reads and parses one file of up to `limit` bytes."""
    content = read(os.path.join(root, *path.split("/")), limit)
    if isinstance(content, Reason):
        return Reading(path, reason=content.value)
    return parse(path, *content)


def parse_in_time(path: str, content: bytes, stamp: Stamp, seconds: float) -> Reading | None:
    """The same as `parse`; None when it takes longer, as hostile source does."""
    from lynkr_desktop.engine.analysis import grammar

    with grammar.in_time(seconds) as patience:
        reading = parse(path, content, stamp)
    return None if patience.ran_out else reading


def parse(path: str, content: bytes, stamp: Stamp) -> Reading:
    """The reading of a file whose bytes are at hand."""
    from lynkr_desktop.engine.analysis.extract import extract  # with the grammars: not before the first use

    digest = digest_of(content, path)
    reason = judge(content)
    if reason is not None:
        return Reading(path, *stamp, digest, reason.value)
    suffix = os.path.splitext(path)[1]
    try:
        facts = extract(content, SUFFIXES[suffix], suffix)
    except Exception:  # whatever a strange file brings about: it must not take the index with it
        log.exception("the parser failed on %s", path)
        return Reading(path, *stamp, digest, Reason.PARSER.value)
    _warm.add(suffix)
    return Reading(path, *stamp, digest, "", _encoder.encode(facts))
