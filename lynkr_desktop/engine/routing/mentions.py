"""The files and symbols that a request names, for a look-up in the index of its workspace.

People name code by paths, by `names in backticks`, by @files, by what they paste: tracebacks, diffs, output
of grep. Agents name it by what their calls read and change. What was asked about comes first, then what is
worked on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from lynkr_desktop.engine.analysis.index import Touched, WorkspaceIndex
from lynkr_desktop.engine.routing.ask import Ask
from lynkr_desktop.engine.routing.calls import command_of, ends_of, paths_of
from lynkr_desktop.engine.routing.clean import clean_text
from lynkr_desktop.engine.wire.canonical import Request, ToolResult, ToolUse

MAX_NAMES = 48
_MAX_ASKED, _MAX_WORKED, _MAX_SEEN = 24, 12, 12
_MAX_TEXT = 6_000
"""Characters of the beginning and of the end of an ask in which names are looked for."""

_SEEN_TURNS = 4
"""Turns before the newest one whose results are looked at: what was found last is what is worked on."""

_WORKED_TURNS, _MAX_BEFORE = 40, 2
"""Turns before an ask in which it is looked for what was worked on, and how many files of that count."""

_SLIGHT = 0.1
"""An ask that leans less than this on what was said is about something else than what was worked on."""

_SUFFIX = r"(?:pyi?|[cm]?[jt]sx?|rs|go|java|cs)"
# ASCII throughout: in Chinese and Japanese a name touches the words around it.
_PATH = re.compile(
    rf"(?<![\w@:/\\.-])@?((?:[A-Za-z]:[\\/]|\.{{0,2}}[\\/])?(?:\(?[\w.@+\[\]-][\w.@+\[\]()-]*[\\/])*"
    rf"[\w.@+\[\]-]+\.{_SUFFIX})"
    r"(?![\w/\\-])",
    re.ASCII,
)
_WIDE_PATH = re.compile(rf"(?<![^\s`'\"(\[<@])([^\s`'\"()\[\]<>|@]{{1,200}}\.{_SUFFIX})(?![\w/\\-])")
"""A path in letters of any script; only blanks and quotes part it from the words around it."""

_AT_FILE = re.compile(r"(?<![\w@.])@((?:[\w.+-]+/)+[\w.+-]+|[\w+-]+\.[\w.+-]+)", re.ASCII)
_BACKTICKED = re.compile(r"`([^`\n]{2,120})`")
_SYMBOL = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|#|->)[A-Za-z_$][\w$]*)*(?:\(\))?")
_CALLED = re.compile(r"(?<![\w.`])((?:[A-Za-z_]\w*(?:\.|::))*[A-Za-z_]\w{2,})\(\)", re.ASCII)
_QUALIFIED = re.compile(r"(?<![\w./\\@-])((?:[A-Za-z_]\w+(?:\.|::))+[A-Za-z_]\w+)(?![\w/\\-]|\.\w)", re.ASCII)
_CAMEL = re.compile(
    r"(?<![\w.`/\\-])([A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+|[a-z][a-z0-9]+(?:[A-Z][a-z0-9]+)+)(?![\w/\\])",
    re.ASCII,
)
_CAPITALISED = re.compile(r"(?<=[a-z0-9,)'\"] )([A-Z][a-z]{3,})(?![\w/\\])", re.ASCII)
"""A word in a sentence that begins like the name of a class."""

_SNAKE = re.compile(r"(?<![\w.`/\\-])([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?![\w/\\])", re.ASCII)
_DEFINED = re.compile(
    r"(?m)^[+ ]?\s*(?:async )?(?:def|class|func|fn|interface|struct|trait)\s+([A-Za-z_]\w+)"
)
_POINTED_AT = re.compile(
    r"\b(?:file|module|function|method|class|datei|klasse|funktion|methode|modul|fichier|fonction|classe|méthode|"
    r"archivo|fichero|función|clase|método|módulo|arquivo|função|bestand|funzione|metodo|plik|dosya|tệp|fil)(?:s|es|en|n)?\b|файл|функци|модул|класс|ファイル|関数|モジュール|クラス|文件|函数|模块|"
    r"파일|함수|클래스|फ़ाइल|फ़ंक्शन|ملف|دالة",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


def names(request: Request, ask: Ask) -> tuple[str, ...]:
    """The names in a request, each once, what matters most first; at most `MAX_NAMES`.

    Order: what the ask names (and for a yes, what the ask that it answers names), what calls since then
    changed or read, and what the newest results show where neither named anything.
    """
    found: dict[str, None] = {}
    _add(found, _in_text(ask.text), _MAX_ASKED)
    if ask.follow_up and ask.subject is not ask.text:
        _add(found, _in_text(ask.subject), _MAX_ASKED)
    _add(found, [*ask.written, *ask.paths], len(found) + _MAX_WORKED)
    if ask.results and len(found) < _MAX_SEEN:
        _add(found, _in_commands(request), len(found) + _MAX_WORKED)
    if ask.results and not found:
        _add(found, _in_results(request), _MAX_SEEN)
    return tuple(found)[:MAX_NAMES]


def look_up(index: WorkspaceIndex, request: Request, ask: Ask) -> Touched:
    """The code that a request is about: what it names, and where that is none what was worked on before."""
    touched = index.find(names(request, ask))
    if touched.files or not ask.earlier:
        return touched
    if ask.leans < _SLIGHT and not _POINTED_AT.search(ask.text[:_MAX_TEXT]):
        return touched  # a matter of its own
    return index.find(worked_on(request, ask.position))


def worked_on(request: Request, position: int) -> tuple[str, ...]:
    """The one or two files that the newest calls before a turn were about, the newest first."""
    turns = request.messages[max(0, position - _WORKED_TURNS) : position][::-1]
    found: dict[str, None] = {}
    for message in turns:
        if found and message.role == "user" and clean_text(message):
            break  # what was done for an ask before that is another matter
        for block in reversed(message.content):
            if isinstance(block, ToolUse):
                _add(found, tuple(paths_of(block)) or _paths(command_of(block)), _MAX_BEFORE)
    if not found:
        results = (block for turn in turns for block in reversed(turn.content))
        shown = next((_paths(ends_of(block)) for block in results if isinstance(block, ToolResult)), ())
        _add(found, shown, _MAX_BEFORE)
    return tuple(found)


def _add(found: dict[str, None], more: Sequence[str], limit: int) -> None:
    for name in more:
        if len(found) >= limit:
            return
        found.setdefault(name)


def named_in(text: str) -> bool:
    """Whether the words of a person name a file or a symbol, or point at the one that is being spoken of."""
    return bool(_in_text(text)) or _POINTED_AT.search(text[:_MAX_TEXT]) is not None


@lru_cache(maxsize=256)
def _in_text(text: str) -> tuple[str, ...]:
    """Names in the words of a person: paths first, since a symbol may stand in many files."""
    if len(text) > 2 * _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]}\n{text[-_MAX_TEXT:]}"
    paths: list[str] = []
    symbols: list[str] = []
    if "." in text:
        paths += _paths(text)
    if "@" in text:
        paths += _AT_FILE.findall(text)
    prose = _FENCE.sub(" ", text) if "```" in text else text
    if "`" in prose:
        for quoted in _BACKTICKED.findall(prose):
            if _SYMBOL.fullmatch(quoted):
                symbols.append(quoted)
            elif "/" in quoted and " " not in quoted:
                paths.append(quoted)
    if "()" in prose:
        symbols += _CALLED.findall(prose)
    if "." in prose or "::" in prose:
        symbols += _QUALIFIED.findall(prose)
    symbols += _CAMEL.findall(prose)
    symbols += _CAPITALISED.findall(prose)
    if "_" in prose:
        symbols += _SNAKE.findall(prose)
    if prose is not text:
        symbols += _DEFINED.findall(text)
    return (*dict.fromkeys(paths), *dict.fromkeys(symbols))


def _paths(text: str) -> list[str]:
    found: list[str] = _PATH.findall(text)
    if not text.isascii():
        wide = [path for path in _WIDE_PATH.findall(text) if not path.isascii()]
        cut = set(_PATH.findall("\n".join(wide)))
        found = [*wide, *(path for path in found if path not in cut)]
    if "(" in text:  # Next.js has folders in brackets; a stack trace has places in them
        found = [path.lstrip("(") if ")" not in path else path for path in found]
    if "+++ " in text or "diff --git" in text:
        found = [path[2:] if path.startswith(("a/", "b/")) else path for path in found]
    return found


def _in_commands(request: Request) -> list[str]:
    """Paths in the newest commands of agents that do all by a shell."""
    found: list[str] = []
    for message in request.messages[: -_SEEN_TURNS - 1 : -1]:
        if message.role == "assistant":
            for block in message.content:
                if isinstance(block, ToolUse):
                    found += _paths(command_of(block))
    return found


def _in_results(request: Request) -> list[str]:
    """Paths in the newest results: tracebacks, diffs, the output of grep."""
    found: list[str] = []
    for message in request.messages[: -_SEEN_TURNS - 1 : -1]:
        if message.role == "user":
            for block in reversed(message.content):
                if isinstance(block, ToolResult):
                    found += _paths(ends_of(block))
    return list(dict.fromkeys(found))
