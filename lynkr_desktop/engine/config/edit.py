"""Changes single options in the text of a configuration file; comments, order and blank lines stay.

The text is cut at the places where the YAML parser saw keys and values. Whatever comes out is read again and
must mean exactly what was wanted, so an unusual file is refused rather than damaged.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from lynkr_desktop.engine.config.document import DocumentError, read_document

Path = tuple[str, ...]
"""Names from the top, such as ("logging", "level")."""

_PLAIN = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~:@+-]*")
_STEP = "  "


class EditError(Exception):
    """The text cannot be changed as wanted. The message says why and what to do."""


def edit(content: bytes, changes: Mapping[Path, Any]) -> bytes:
    """The file with other values.

    Args:
        content: the file as it is, valid or empty.
        changes: new values by path; None removes an option, so that its default applies.

    Raises:
        DocumentError: the file cannot be read as it is.
        EditError: it is written in a way that cannot be changed here.
    """
    mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
    wanted = read_document(content).data
    text = content.decode("utf-8-sig")
    newline = "\r\n" if "\r\n" in text else "\n"
    for path, value in changes.items():
        wanted = copy.deepcopy(wanted)
        if value is None:
            _unset(wanted, path)
            text = _removed(text, path)
        else:
            _put(wanted, path, value)
            text = _set(text, path, value, wanted, newline)
    result = mark + text.encode()
    try:
        good = read_document(result).data == wanted
    except DocumentError:
        good = False
    if not good:
        names = ", ".join(".".join(path) for path in changes)
        raise EditError(
            f"{names} cannot be changed in this file, because of how it is written; edit it by hand."
        )
    return result


# ---------------------------------------------------------------- plain data


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        below = data.get(name)
        if not isinstance(below, dict):
            below = data[name] = {}
        data = below
    data[path[-1]] = value


def _unset(data: dict[str, Any], path: Path) -> None:
    """Removes a value, and the groups around it that have nothing else."""
    trail = []
    for name in path[:-1]:
        below = data.get(name)
        if not isinstance(below, dict):
            return
        trail.append((data, name))
        data = below
    data.pop(path[-1], None)
    for around, name in reversed(trail):
        if around[name]:
            return
        del around[name]


def _at(data: dict[str, Any], path: Path) -> Any:
    value: Any = data
    for name in path:
        value = value[name]
    return value


# ---------------------------------------------------------------- text


def _root(text: str) -> MappingNode | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return node if isinstance(node, MappingNode) else None


def _find(root: MappingNode, path: Path) -> list[tuple[MappingNode, Node, Node]]:
    """(mapping, key, value) for each name of the path, as far as the file has them in block style."""
    found: list[tuple[MappingNode, Node, Node]] = []
    mapping: Node = root
    for name in path:
        if not isinstance(mapping, MappingNode) or mapping.flow_style:
            break
        entry = next((entry for entry in mapping.value if entry[0].value == name), None)
        if entry is None:
            break
        found.append((mapping, *entry))
        mapping = entry[1]
    return found


def _set(text: str, path: Path, value: Any, wanted: dict[str, Any], newline: str) -> str:
    root = _root(text)
    if root is None:
        return _on_own_line(text, newline) + _block(path, value, "", newline)
    if root.flow_style:
        return text[: root.start_mark.index] + _written(wanted) + text[_end(root) :]
    found = _find(root, path)
    rest = path[len(found) :]
    if found:
        _, key, node = found[-1]
        if not rest or (isinstance(node, MappingNode) and node.flow_style and node.value):
            # The value itself, or braces around it, which are written anew.
            new = _written(_at(wanted, path[: len(found)]))
            return f"{text[: _colon(text, key)]} {new}{text[_end(node) :]}"
        if not isinstance(node, MappingNode) or not node.value:
            # The group is there and says nothing: `logging:` or `logging: {}`.
            cut = _colon(text, key)
            line_end = _line_end(text, max(_end(node), cut))
            kept = text[max(_end(node), cut) : line_end]
            indent = " " * key.start_mark.column + _STEP
            body = _block(rest, value, indent, newline)
            return f"{text[:cut]}{kept.rstrip()}{newline}{body.rstrip()}{text[line_end:]}"
    if not found:
        return _on_own_line(text, newline) + _block(path, value, " " * root.start_mark.column, newline)
    parent = found[-1][2]
    assert isinstance(parent, MappingNode)
    last = _line_end(text, _end(parent))
    indent = " " * parent.value[0][0].start_mark.column
    body = _block(rest, value, indent, newline)
    return _on_own_line(text[:last], newline) + body.rstrip() + (text[last:] or newline)


def _removed(text: str, path: Path) -> str:
    root = _root(text)
    found = _find(root, path) if root is not None else []
    if len(found) < len(path):
        return text
    depth = len(path)
    while depth > 1 and len(found[depth - 1][0].value) == 1:
        depth -= 1
    _, key, node = found[depth - 1]
    begin = text.rfind("\n", 0, key.start_mark.index) + 1
    end = _line_end(text, max(_end(node), _colon(text, key)))
    return text[:begin] + text[end:].removeprefix("\r").removeprefix("\n")


def _colon(text: str, key: Node) -> int:
    """Just behind the colon of a key."""
    return text.index(":", key.end_mark.index) + 1


def _end(node: Node) -> int:
    """Where the last thing of a node ends: the parser counts comments below a block as part of it."""
    if isinstance(node, ScalarNode) and node.style not in ("|", ">"):
        return int(node.end_mark.index)
    if isinstance(node, ScalarNode):
        return int(node.end_mark.index) - 1
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1]) if isinstance(node, MappingNode) else _end(last)


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end - 1 if end > position and text[end - 1] == "\r" else end


def _on_own_line(text: str, newline: str) -> str:
    return text if not text or text.endswith("\n") else text + newline


def _block(path: Path, value: Any, indent: str, newline: str) -> str:
    """`a:\\n  b: value\\n`, below what is there."""
    lines = [f"{indent}{_STEP * depth}{_scalar(name)}:" for depth, name in enumerate(path)]
    return newline.join(lines) + f" {_written(value)}{newline}"


def _written(value: Any) -> str:
    """A value in YAML's flow style, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and not value.endswith(":") and yaml.safe_load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
