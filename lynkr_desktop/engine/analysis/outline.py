"""What stands within what in a source file: its functions, classes and scopes, found by positions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from lynkr_desktop.engine.analysis.languages.spec import LanguageSpec, Token


class Span:
    """A function, class, extension or scope: where it stands, and within what."""

    __slots__ = (
        *("kind", "node", "start", "end", "name", "name_node"),
        *("owner", "qualified", "parent", "function"),
    )

    def __init__(self, kind: str, node: Any, name: str, name_node: Any, owner: str) -> None:
        self.kind = kind
        self.node = node
        self.start: int = node.start_byte
        self.end: int = node.end_byte
        self.name = name
        self.name_node = name_node
        self.owner = owner  # of a method: the qualified name of its type
        self.qualified = name
        self.parent: Span | None = None
        self.function = -1  # position of the innermost function, this one included

    def stands_in(self, parent: Span) -> None:
        """Takes what follows from the span directly around it."""
        self.parent = parent
        self.function = parent.function
        if self.kind == "function" and parent.kind in ("class", "extension") and not self.owner:
            self.owner = parent.qualified
        self.qualified = ".".join(filter(None, (parent.qualified, self.name)))

    @property
    def name_start(self) -> int:
        """The first byte of its name."""
        start: int = self.name_node.start_byte
        return start

    @property
    def line(self) -> int:
        """That of the name, from 1: annotations and modifiers stand before it."""
        row: int = self.name_node.start_point[0]
        return row + 1

    @property
    def end_line(self) -> int:
        """Its last line, from 1."""
        row: int = self.node.end_point[0]
        return row + 1


class Outline:
    """One file: its source, the nodes that were captured in it, and its spans.

    Attributes:
        found: the captured nodes by the name of their capture, in the order of the source.
        spans: the functions, classes, extensions and scopes, in the order of the source.
        functions: those of them that are functions.
        tokens: what was found where there is no tree.
    """

    def __init__(self, source: bytes, found: Mapping[str, list[Any]], spec: LanguageSpec) -> None:
        self.source = source
        self.found = found
        self.spans = sorted(self._captured_spans(), key=lambda span: (span.start, -span.end))
        self.functions: list[Span] = []
        # Where the innermost span changes, and what it is from there on.
        self._bounds: list[int] = []
        self._innermost: list[Span | None] = []
        self._nest()
        self._token_bounds = [0]  # of where there is no tree: start and end, in turns, after the first
        self.tokens = list(self._read_tokens(spec.read_tokens)) if spec.read_tokens is not None else []

    def _read_tokens(self, read: Callable[[bytes, int, int], Iterable[Token]]) -> Iterator[Token]:
        for node in self.found.get("tokens", ()):
            start, end = node.start_byte, node.end_byte
            if start >= self._token_bounds[-1]:
                self._token_bounds += [start, end]
                yield from read(self.source, start, end)

    def in_tokens(self, position: int) -> bool:
        """Whether a byte is where there is no tree; some grammars show single operators there anyway."""
        return bisect_right(self._token_bounds, position) % 2 == 0

    def _captured_spans(self) -> Iterator[Span]:
        owners = self.found.get("receiver.type", [])
        owner_starts = [node.start_byte for node in owners]
        for kind in ("function", "class", "extension", "scope"):
            names = self.found.get(f"{kind}.name", [])
            name_starts = [node.start_byte for node in names]
            for node in self.found.get(kind, ()):
                name = names[bisect_left(name_starts, node.start_byte)]
                owner = bisect_left(owner_starts, node.start_byte)
                owned = kind == "function" and owner < len(owners) and owner_starts[owner] < name.start_byte
                yield Span(
                    kind,
                    node,
                    decode(self.text(name)),
                    name,
                    decode(self.text(owners[owner])) if owned else "",
                )
        for node in self.found.get("anonymous", ()):
            yield Span("anonymous", node, "", node, "")

    def _nest(self) -> None:
        around: list[Span] = []

        def close_until(position: int) -> None:
            while around and around[-1].end <= position:
                self._bounds.append(around.pop().end)
                self._innermost.append(around[-1] if around else None)

        for span in self.spans:
            close_until(span.start)
            if around:
                span.stands_in(around[-1])
            elif span.owner:
                span.qualified = f"{span.owner}.{span.name}"
            if span.kind == "anonymous":
                if span.function >= 0:
                    continue  # a part of the function around it
                span.kind = "function"
            if span.kind == "function":
                span.function = len(self.functions)
                self.functions.append(span)
            around.append(span)
            self._bounds.append(span.start)
            self._innermost.append(span)
        close_until(len(self.source) + 1)

    def span_at(self, position: int) -> Span | None:
        """The innermost span around a byte."""
        found = bisect_right(self._bounds, position)
        return self._innermost[found - 1] if found else None

    def function_at(self, position: int) -> int:
        """The position of the innermost function around a byte, -1 for none."""
        found = bisect_right(self._bounds, position)
        span = self._innermost[found - 1] if found else None
        return -1 if span is None else span.function

    def scopes_at(self, position: int) -> str:
        """The names of the scopes around a byte, with dots between them."""
        names: list[str] = []
        span = self.span_at(position) if "scope" in self.found else None
        while span is not None:
            if span.kind == "scope":
                names.append(span.name)
            span = span.parent
        return ".".join(reversed(names))

    def text(self, node: Any) -> bytes:
        """The source of a node."""
        return self.source[node.start_byte : node.end_byte]

    def texts(self, capture: str) -> list[bytes]:
        """The sources of all nodes of a capture."""
        return [self.text(node) for node in self.found.get(capture, ())]


def decode(text: bytes) -> str:
    """Source as text; what is no UTF-8 becomes the replacement character."""
    return text.decode("utf-8", "replace")
