"""Reads a decoded JSON body field by field; what is wrong is named by its path."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from lynkr_desktop.engine.wire.canonical import Json
from lynkr_desktop.engine.wire.errors import InvalidRequest

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not the JSON that is wanted, or nested too deeply."""

MAX_DEPTH_MESSAGE = "The body is nested too deeply."


def decode_object(body: bytes) -> Json:
    """Decodes a JSON object. Raises `InvalidRequest` that says where the JSON breaks."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidRequest(MAX_DEPTH_MESSAGE) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest("The body is not valid UTF-8.") from error
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return value


def decode_or_none(body: bytes) -> Any:
    """The value of a JSON text, None where it is none: upstreams send anything with an error."""
    try:
        return msgspec.json.decode(body)
    except NOT_JSON:
        return None


def token_count(source: Any, key: str) -> int:
    """A number of tokens in a usage object; 0 for a field that is absent or of the wrong type."""
    value = source.get(key) if isinstance(source, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def encode_json(value: Any) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(value)


Reader = Callable[["Fields", str], Any]
"""Takes an object and the name of one of its fields; gives its value. Raises `InvalidRequest`."""


class Fields:
    """Typed access to an object; remembers what was read, so that the rest can be kept or named."""

    def __init__(self, value: Any, path: str = "") -> None:
        if not isinstance(value, dict):
            raise InvalidRequest(f"{path or 'The body'} must be an object.", path or None)
        self._value: Json = value
        self._read: set[str] = set()
        self._path = path

    def at(self, key: str) -> str:
        """The path of a field."""
        return f"{self._path}.{key}" if self._path else key

    def wrong(self, key: str, expected: str) -> InvalidRequest:
        """The error for a field of the wrong type."""
        return InvalidRequest(f"{self.at(key)} must be {expected}.", self.at(key))

    def get(self, key: str) -> Any:
        """The field as it is; None when absent or null."""
        # Most requests leave most fields out, and this is asked for each of them.
        value = self._value.get(key)
        if value is not None:
            self._read.add(key)
        return value

    def has_any(self, keys: Collection[str]) -> bool:
        """Whether one of these fields stands there, be it null."""
        return not self._value.keys().isdisjoint(keys)

    def given(self, readers: Mapping[str, Reader]) -> dict[str, Any]:
        """What `readers` make of those of their fields that are there; requests leave most of them out."""
        found = [key for key, value in self._value.items() if value is not None and key in readers]
        return {key: readers[key](self, key) for key in found}

    def need(self, key: str) -> Any:
        """The field, which must be there."""
        value = self.get(key)
        if value is None:
            raise InvalidRequest(f"{self.at(key)} is required.", self.at(key))
        return value

    def string(self, key: str, default: str = "") -> str:
        """A string field."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def need_string(self, key: str) -> str:
        """A string field that must be there and not be empty."""
        value = self.need(key)
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        if not value:
            raise InvalidRequest(f"{self.at(key)} must not be empty.", self.at(key))
        return value

    def boolean(self, key: str) -> bool | None:
        """A boolean field, None when absent."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def integer(self, key: str, *, low: int | None = None) -> int | None:
        """An integer field, None when absent."""
        value = self._value.get(key)
        if value is None:
            return None
        self._read.add(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, "an integer")
        if low is not None and value < low:
            raise self.wrong(key, f"at least {low}")
        return value

    def number(self, key: str, *, low: float | None = None, high: float | None = None) -> float | None:
        """A number field, None when absent."""
        value = self._value.get(key)
        if value is None:
            return None
        self._read.add(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, "a number")
        if (low is not None and value < low) or (high is not None and value > high):
            raise self.wrong(key, f"between {low:g} and {high:g}")
        return float(value)

    def items(self, key: str) -> list[Any]:
        """A list field, empty when absent."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def object(self, key: str) -> Json:
        """An object field, empty when absent."""
        value = self.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        """A list of strings, or one string; empty when absent."""
        value = self.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "a string or a list of strings")
        return tuple(value)

    def rest(self) -> Json:
        """The fields that nothing has read and that say something."""
        value, read = self._value, self._read
        if len(read) == len(value):
            return {}
        return {key: item for key, item in value.items() if key not in read and item is not None}
