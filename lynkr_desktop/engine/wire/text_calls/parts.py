"""What the formats have in common: names, arguments and closing marks."""

from __future__ import annotations

import re

from lynkr_desktop.engine.wire.text_calls.json_calls import value
from lynkr_desktop.engine.wire.text_calls.reader import Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tools import OfferedTools, object_text

NAME = re.compile(r"[^\s<>\[\]{}()\"'`=,;]+")


def called(reader: Reader, tools: OfferedTools) -> Step[str]:
    """Takes the name of an offered tool."""
    return tools.check((yield from reader.word(NAME)))


def json_object(reader: Reader) -> Step[str]:
    """Takes arguments as one JSON object."""
    if (yield from reader.space()) != "{":
        raise Mismatch
    return object_text((yield from value(reader)))


def close(reader: Reader, *marks: str) -> Step[None]:
    """Takes a closing mark if there is one."""
    yield from reader.space()
    yield from reader.accept(*marks)


def unclosed(reader: Reader) -> Step[bool]:
    """Whether the answer ends here by itself, so that a closing mark was merely left out."""
    return not (yield from reader.space()) and reader.clean
