"""YAML into plain data, with the line of every option. Knows nothing of the options themselves.

The parser's events are counted before anything is built, so nothing that a hostile file can hold (depth,
aliases that multiply) costs more than reading it once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Loc = tuple[str | int, ...]
"""Where a value stands: keys and list indexes from the top."""

MAX_DEPTH = 40
MAX_VALUES = 20_000
"""Values with all aliases expanded; the largest sensible file has a few hundred."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge")
)
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        message: what is wrong, without the full stop.
        key: dotted name of the option at fault; empty when the message names it.
        line: counted from 1; 0 when it concerns the whole file.
        hint: a sentence on what was probably meant.
    """

    message: str
    key: str = ""
    line: int = 0
    hint: str = ""

    @property
    def text(self) -> str:
        """All of it as a sentence."""
        name = f"{self.key}: " if self.key else ""
        place = f" (line {self.line})" if self.line else ""
        hint = f". {self.hint}" if self.hint else ""
        return f"{name}{self.message}{place}{hint}"


class DocumentError(Exception):
    """The text is no usable YAML."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = problems


@dataclass
class Document:
    """The data of a file and the line on which each part of it begins."""

    data: dict[str, Any]
    lines: dict[Loc, int] = field(default_factory=dict)

    def line(self, loc: Loc) -> int:
        """The line of `loc`, or of the nearest thing around it that the file has."""
        for end in range(len(loc), 0, -1):
            if loc[:end] in self.lines:
                return self.lines[loc[:end]]
        return 0


def dotted(loc: Loc) -> str:
    """`('tiers', 'simple', 'providers', 0)` as `tiers.simple.providers[0]`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(content: bytes) -> Document:
    """Reads one YAML mapping; nothing but comments gives an empty one.

    Raises:
        DocumentError: it is not text, not YAML, not a mapping, or larger inside than it looks.
    """
    text = _decode(content)
    try:
        _check_depth(text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise DocumentError(_syntax(error, text)) from None
    if node is None or (isinstance(node, ScalarNode) and node.tag.endswith(":null")):
        return Document({})
    if not isinstance(node, MappingNode):
        raise DocumentError(
            Problem("the file must be a mapping of options, such as `proxy:`", line=_line(node))
        )
    _Survey().check(node)
    builder = _Builder()
    data = builder.mapping(node, ())
    if builder.problems:
        raise DocumentError(*builder.problems)
    return Document(data, builder.lines)


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(Problem("the file is not UTF-8 text; save it as UTF-8", line=line)) from None
    if "\0" in text:
        raise DocumentError(Problem("this is a binary file; give the path of a YAML file"))
    return text


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise DocumentError(Problem(f"nested more than {MAX_DEPTH} deep", line=line))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _syntax(error: yaml.YAMLError, text: str) -> Problem:
    """What the parser says, without the snippet, which may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError):
        position = getattr(error, "position", 0)
        return Problem(
            "the file has a character that YAML does not allow", line=text.count("\n", 0, position) + 1
        )
    mark = error.problem_mark or error.context_mark
    rows = text.split("\n")
    line = min(mark.line + 1, len(rows)) if mark else 0
    said = (error.problem or "cannot be read").strip()
    if "undefined alias" in said or "tag" in said:
        return Problem("uses an alias or tag that is not defined; put text with * or ! in quotes", line=line)
    hint = ""
    row = rows[line - 1] if line else ""
    if "\t" in row[: len(row) - len(row.lstrip())]:
        hint = "Tabs cannot indent YAML: use spaces"
    elif "mapping values" in said or "expected ':'" in said:
        hint = "Check the indentation and the colon here and in the line above"
    return Problem(f"not valid YAML: {said.split(' (')[0]}", line=line, hint=hint)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


class _Survey:
    """Looks at every node once, before aliases are expanded: keys, tags, and how large it would become."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}
        self._problems: list[Problem] = []

    def check(self, root: Node) -> None:
        values, depth = self._measure(root)
        if values > MAX_VALUES or depth > MAX_DEPTH:
            raise DocumentError(
                Problem("the file grows beyond all measure when its aliases (*) are expanded")
            )
        if self._problems:
            raise DocumentError(*self._problems)

    def _measure(self, node: Node) -> tuple[int, int]:
        """(values, depth) with aliases expanded."""
        known = self._seen.get(id(node))
        if known is not None:
            return known
        if node.tag not in _CORE_TAGS:
            self._problems.append(
                Problem("tags (!) are not supported; put text with ! in quotes", line=_line(node))
            )
        self._seen[id(node)] = (MAX_VALUES + 1, 0)  # an alias to a node from within itself ends here
        children: list[Node] = []
        if isinstance(node, SequenceNode):
            children = node.value
        elif isinstance(node, MappingNode):
            self._check_keys(node)
            children = [value for _, value in node.value]
        sizes = [self._measure(child) for child in children]
        size = (1 + sum(values for values, _ in sizes), 1 + max((depth for _, depth in sizes), default=0))
        self._seen[id(node)] = size
        return size

    def _check_keys(self, node: MappingNode) -> None:
        first: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, ScalarNode) or key.tag != _TEXT:
                self._problems.append(Problem("a name must be text; put it in quotes", line=_line(key)))
            elif key.value in first:
                text = f"{_brief(key.value)} is given twice, first in line {first[key.value]}"
                self._problems.append(Problem(text, line=_line(key)))
            else:
                first[key.value] = _line(key)


def _brief(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")


class _Builder(SafeConstructor):
    """Builds plain data from surveyed nodes and notes where everything stands."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Loc, int] = {}
        self.problems: list[Problem] = []

    def mapping(self, node: MappingNode, loc: Loc) -> dict[str, Any]:
        try:
            self.flatten_mapping(node)
        except yaml.YAMLError:
            self.problems.append(
                Problem("<< must be followed by a mapping or a list of them", line=_line(node))
            )
            return {}
        data: dict[str, Any] = {}
        for key, value in node.value:
            below = (*loc, key.value)
            self.lines[below] = _line(key)
            data[key.value] = self._value(value, below)
        return data

    def _value(self, node: Node, loc: Loc) -> Any:
        if isinstance(node, MappingNode):
            return self.mapping(node, loc)
        if isinstance(node, SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self.lines[(*loc, index)] = _line(item)
                items.append(self._value(item, (*loc, index)))
            return items
        try:
            value = self.construct_object(node)
            if isinstance(value, int) and value.bit_length() > 64:
                raise ValueError("too large")
            return value
        except (ValueError, OverflowError, yaml.YAMLError):
            text = "cannot be read as a number or date; put it in quotes"
            self.problems.append(Problem(text, dotted(loc), _line(node)))
            return None
