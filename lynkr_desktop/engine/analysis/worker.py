"""A process that reads source files for the index: batches come on standard input, readings go out.

It ends when its input ends, so it never outlives the engine, however that ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import sys
from typing import IO

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.analysis.reading import read_facts

LENGTH = struct.Struct("<I")
"""Before each message: the number of its bytes."""

HELLO = b"ready"
"""The first message of a process."""


class Batch(Struct, frozen=True, array_like=True):
    """Files to read, in this order; each is answered by a `Reading`."""

    root: str
    limit: int
    paths: list[str]


def receive(stream: IO[bytes]) -> bytes | None:
    """The next message; None when the stream has ended."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    message = stream.read(length)
    return message if len(message) == length else None


def main() -> None:
    """Serves batches until the input ends."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal sends it to the whole group; the engine says when
    _step_back()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that prints may stand between the messages
    import lynkr_desktop.engine.analysis.extract  # noqa: F401  what cannot be imported shows before the first file

    _send(target, HELLO)
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Batch)
    while (message := receive(source)) is not None:
        batch = decoder.decode(message)
        for path in batch.paths:
            _send(target, encoder.encode(read_facts(batch.root, path, batch.limit)))


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(LENGTH.pack(len(message)) + message)
    stream.flush()  # what was answered is safe from what the next file may do


def _step_back() -> None:
    """Lets everything else on the machine go first."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            import psutil

            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(10)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
    os._exit(0)  # the flush at exit would complain of the broken pipe once more
