"""Parsers and queries of tree-sitter, alike over its two generations.

Python 3.11 and 3.12 have `tree-sitter-languages` (one library with all grammars, tree-sitter 0.21). Python
3.13 has `tree-sitter-language-pack` (a module per grammar, a later tree-sitter, in which queries run by a
cursor). Neither is imported before the first file is parsed.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

MODERN = sys.version_info >= (3, 13)
"""Whether the later generation is the one that is installed; see the dependencies in pyproject.toml."""

LONGEST_PARSE = 5.0
"""Seconds. A file of 1 MB takes 0.2. See `in_time` for less."""

_LONGEST_RUN = 2_000
"""Brackets or operators in a row, in an error; 12 were the most in 1,000 files of real broken code."""

_ERRORS_LOOKED_AT = 10_000

_CHUNK = 4096
"""Bytes that a parser is given at once. Each comparison of text in a query asks for a chunk again."""

_OTHER_NAMES = {} if MODERN else {"csharp": "c_sharp"}

_PACKAGES = (
    ("tree-sitter", "tree-sitter-language-pack", "tree-sitter-c-sharp")
    if MODERN
    else ("tree-sitter", "tree-sitter-languages")
)


class Node(Protocol):
    """What is used of a node of the syntax tree. Positions are bytes; a point is (row, column) from 0."""

    @property
    def type(self) -> str: ...
    @property
    def start_byte(self) -> int: ...
    @property
    def end_byte(self) -> int: ...
    @property
    def start_point(self) -> tuple[int, int]: ...
    @property
    def end_point(self) -> tuple[int, int]: ...
    @property
    def has_error(self) -> bool: ...


class Query:
    """A compiled query over one grammar. May be used from any thread."""

    def __init__(self, grammar: str, text: str) -> None:
        """Compiles `text`.

        Raises:
            ValueError, SyntaxError, NameError: the query does not fit the grammar; which of them depends on
                the generation of tree-sitter.
        """
        self.grammar = grammar
        language = _language(grammar)
        if MODERN:
            self._query: Any = _tree_sitter().Query(language, text)
        else:
            self._query = language.query(text)

    def captures(self, root: Node) -> dict[str, list[Any]]:
        """The captured nodes by the name of their capture, each list in the order of the source."""
        found: dict[str, list[Any]]
        if MODERN:
            found = _tree_sitter().QueryCursor(self._query).captures(root)
            for nodes in found.values():
                nodes.sort(key=_start)
            return found
        found = defaultdict(list)
        for node, name in self._query.captures(root):
            found[name].append(node)
        return dict(found)


_start = attrgetter("start_byte")


def parse(grammar: str, source: bytes) -> Node | None:
    """The root of the syntax tree of any bytes; what cannot be read is in error nodes.

    None where recovering from errors takes longer than there is time for (see `in_time`), or a query over
    the outcome would take long, as both can for long runs of nonsense.
    """
    parser = _parser(grammar)
    patience = getattr(_own, "patience", None) or Patience(LONGEST_PARSE)
    try:
        if MODERN:
            give_up = time.monotonic() + patience.seconds
            tree = parser.parse(
                lambda position, _: source[position : position + _CHUNK],
                progress_callback=lambda _position, _error: time.monotonic() > give_up,
            )
        else:
            parser.set_timeout_micros(int(patience.seconds * 1e6))
            tree = parser.parse(source)
    except ValueError:
        parser.reset()  # else it goes on with this source at the next call
        patience.ran_out = True
        return None
    root: Node = tree.root_node
    return None if root.has_error and _has_long_run(root) else root


def edition() -> str:
    """The parsers and grammars with their versions: others may give other facts of the same bytes."""
    from importlib import metadata  # slow, and not for the start

    found = []
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{package} {metadata.version(package)}")
    return ", ".join(found)


def _has_long_run(root: Any) -> bool:
    """Whether an error has a long run of unnamed nodes: a query takes time by the square of its length."""
    waiting = [root]
    for _ in range(_ERRORS_LOOKED_AT):
        if not waiting:
            break
        node = waiting.pop()
        run = 0
        for child in node.children:
            run = 0 if child.is_named else run + 1
            if run > _LONGEST_RUN:
                return True
            if child.has_error:
                waiting.append(child)
    return False


class Patience:
    """How long each parse of a thread may take, and whether one took longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ran_out = False


_own = threading.local()
"""The parsers of this thread by grammar, and its patience."""


@contextlib.contextmanager
def in_time(seconds: float) -> Iterator[Patience]:
    """Gives each parse of this thread only so long: while one goes on, no other thread may run."""
    before = getattr(_own, "patience", None)
    patience = _own.patience = Patience(seconds)
    try:
        yield patience
    finally:
        _own.patience = before


def _parser(grammar: str) -> Any:
    """This thread's parser: parsers keep state while they run."""
    parser = getattr(_own, grammar, None)
    if parser is None:
        parser = _tree_sitter().Parser()
        if MODERN:
            parser.language = _language(grammar)
        else:
            parser.set_language(_language(grammar))
        setattr(_own, grammar, parser)
    return parser


def _tree_sitter() -> Any:
    """The module; untyped, as its two generations differ and only one can be there."""
    import tree_sitter

    return tree_sitter


@cache
def _language(grammar: str) -> Any:
    name = _OTHER_NAMES.get(grammar, grammar)
    if MODERN:
        import tree_sitter_language_pack

        return tree_sitter_language_pack.get_language(name)
    import tree_sitter_languages

    # Its own get_language() goes by a path, of which tree-sitter 0.21 warns; it wants the pointer.
    assert tree_sitter_languages.__file__ is not None
    folder = Path(tree_sitter_languages.__file__).parent
    library = ctypes.cdll.LoadLibrary(
        str(folder / ("languages.dll" if sys.platform == "win32" else "languages.so"))
    )
    function = getattr(library, f"tree_sitter_{name}")
    function.restype = ctypes.c_void_p
    return _tree_sitter().Language(function(), name)
