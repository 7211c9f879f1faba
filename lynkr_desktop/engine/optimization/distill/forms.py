"""Which smaller forms a text can take, by what it came from and what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.distill import (
    beginnings,
    blobs,
    findings,
    grouping,
    json_forms,
    long_listing,
    tables,
    terminal,
    trees,
)
from lynkr_desktop.engine.optimization.distill.envelope import split_envelope
from lynkr_desktop.engine.optimization.distill.filler import mark_filler, mark_repeated_warnings
from lynkr_desktop.engine.optimization.distill.listing import (
    Listing,
    blank_tokens,
    listing_of,
    may_be_numbered,
    narrow,
)
from lynkr_desktop.engine.optimization.distill.logs import mark_templates
from lynkr_desktop.engine.optimization.distill.mentions import Mentions
from lynkr_desktop.engine.optimization.distill.outline import fold
from lynkr_desktop.engine.optimization.distill.shortening import Lines, Note, note_for
from lynkr_desktop.engine.optimization.distill.source import Source
from lynkr_desktop.engine.optimization.distill.traces import mark_library_frames, mark_repeated_blocks

_MIN_SHARE, _MIN_TOKENS = 0.15, 40
"""What a replacement must save."""

_MIN_LOSSLESS_SHARE = 0.05
"""The same where nothing can have to be asked for again."""

_LOSSY_GAIN = 0.75
"""A form that leaves something out must be this much smaller than the best one that does not."""

_MAY_BE_LEAST = 1.3
"""How much longer than another a form may be and have fewer tokens."""

_FOLDER_VIEW = "Here's the files and directories"
"""How the tool of Anthropic and OpenHands that views files begins where the path is a folder."""

_LOG_FILES = (".log", ".out", ".err", ".txt")
_LOG_FOLDER = re.compile(r"(?:^|/)logs?/[^/]+$")
_DATA_FILES = (".json", ".jsonl", ".ndjson")
_TABLE_FILES = (".csv", ".tsv", ".psv")


class Form(Struct, frozen=True):
    """A text in another form.

    Attributes:
        text: in that form.
        kind: of what it is a form, in words for people.
        lossless: whether nothing is lost.
        saved: tokens that it has fewer than the original.
        shown: of a file with gaps, which lines still stand in the text, as (start, end).
        original: what is kept where something is left out; empty where that is the whole text.
    """

    text: str
    kind: str
    lossless: bool
    saved: int = 0
    shown: tuple[tuple[int, int], ...] = ()
    original: str = ""


def best_form(
    text: str,
    source: Source,
    count: Callable[[str], int],
    note: Note | None,
    listing: Listing | None = None,
    mentions: Mentions | None = None,
) -> Form | None:
    """The smallest form of a text that is worth it, a lossless one where that has most of the gain.

    Args:
        text: a tool's result.
        source: what it came from.
        count: tokens of a text.
        note: makes the line that stands for what is left out; None where nothing may be lost.
        listing: its lines, where it is a file.
        mentions: what was spoken of before, where it is a whole file that is new.
    """
    forms: list[Form] = []
    if listing is None and source.kind == "other" and may_be_numbered(text):
        listing = listing_of(text, partial=False)  # an edit, as the file has it now
    is_folder = text.startswith(_FOLDER_VIEW)
    if listing is not None and not is_folder:
        short = narrow(text, listing)
        folded = _outline(text, listing, source.path, mentions) if mentions is not None else None
        if folded is not None and len(folded.text) < _LOSSY_GAIN * len(short or text):
            forms.append(folded)
        elif short is not None:
            if (blanks := blank_tokens(text, listing, short)) is not None:
                tokens.take(short, fewer=blanks, than=text)
            forms.append(Form(short, "line numbers", True))
    if source.kind == "file" and not is_folder:
        forms += _of_file(text, source, note) if note is not None else ()
    else:
        head, body, tail = split_envelope(text)
        clean = terminal.clean(body)
        forms += [Form(f"{head}{form.text}{tail}", form.kind, True) for form in _lossless(body, clean)]
        if note is not None:
            first = 1 + head.count("\n")
            forms += [
                Form(f"{head}{form.text}{tail}", form.kind, False)
                for form in _shortened(clean, source, first, note)
            ]
    shorter = [form for form in forms if len(form.text) < len(text)]
    if not shorter:
        return None
    before = count(text)
    kept, cut = (
        max(
            (replace(form, saved=before - count(form.text)) for form in _near_least(alike)),
            key=_saved,
            default=None,
        )
        for alike in (
            [form for form in shorter if form.lossless],
            [form for form in shorter if not form.lossless],
        )
    )
    best = kept
    if cut is not None and before - cut.saved < _LOSSY_GAIN * (before - (kept.saved if kept else 0)):
        best = cut
    if best is None or not worth_it(before, best.saved, lossless=best.lossless):
        return None
    return best


def _near_least(forms: list[Form]) -> list[Form]:
    """The forms that may have the fewest tokens: to count takes longer than to make them."""
    least = min((len(form.text) for form in forms), default=0)
    return [form for form in forms if len(form.text) <= _MAY_BE_LEAST * least]


def worth_it(before: int, saved: int, *, lossless: bool = False) -> bool:
    """Whether a replacement that saves some of a text's tokens is worth it."""
    return saved >= max(_MIN_TOKENS, (_MIN_LOSSLESS_SHARE if lossless else _MIN_SHARE) * before)


def _saved(form: Form) -> int:
    return form.saved


def _lossless(body: str, clean: str) -> Iterator[Form]:
    folded = terminal.fold_repeats(clean)
    if folded != body:
        yield Form(folded, "terminal output", True)
    if (start := json_forms.start_of(body)) >= 0:
        lead, value = body[:start], body[start:]
        if (short := json_forms.compact(value)) is not None:
            yield Form(lead + short, "JSON without layout", True)
        if (short := json_forms.columnar(value)) is not None:
            yield Form(lead + short, "JSON as columns", True)
            return
    for group, kind in (
        (grouping.group_hits, "search results"),
        (findings.group_findings, "findings of linters"),
        (grouping.group_paths, "listings"),
        (long_listing.shorten_listing, "listings"),
        (trees.undraw_tree, "listings"),
        (trees.join_sections, "listings"),
        (beginnings.group_beginnings, "lines that begin alike"),
    ):
        if (grouped := group(clean)) is not None:
            yield Form(grouped, kind, True)


def _outline(text: str, listing: Listing, path: str, mentions: Mentions) -> Form | None:
    """A file with gaps. What is kept are its lines alone, so that they have the numbers that the gaps say."""
    original = text[len(listing.head) : len(text) - len(listing.tail)]
    folded = fold(listing, path, mentions, note_for(original))
    if folded is None:
        return None
    return Form(folded.text, "source files", False, shown=folded.shown, original=original)


def _of_file(text: str, source: Source, note: Note) -> Iterator[Form]:
    """Files that are data. Code stays as it is: it is edited by its exact words."""
    path = source.path.lower()
    lines = Lines(text)
    if blobs.mark_lock_lines(lines, path) and (short := lines.shortened(note)):
        yield Form(short, "lock files", False)
    if path.endswith(_DATA_FILES + _TABLE_FILES):
        listing = listing_of(text, partial=source.partial)
        plain = "\n".join(listing.lines)
        if path.endswith(_TABLE_FILES):
            table = tables.shorten_table(plain, note)
            if table is not None:
                yield Form(f"{listing.head}{table}{listing.tail}", "tables", False)
        elif (columns := json_forms.columnar(plain)) is not None:
            said = note("the layout of this file")
            yield Form(f"{listing.head}{said}\n{columns}{listing.tail}", "JSON as columns", False)
    elif path.endswith(_LOG_FILES) or _LOG_FOLDER.search(path):
        yield from _log(terminal.clean(text), 1, note)
    if (short := blobs.shorten_long_lines(text, note, "", cut=not path.endswith(_DATA_FILES))) is not None:
        yield Form(short, "long lines", False)


def _shortened(clean: str, source: Source, first: int, note: Note) -> Iterator[Form]:
    # Records are never left out of JSON: its columns are small enough.
    is_json = json_forms.is_json(clean)
    if source.kind in ("shell", "other") and not is_json:
        yield from _log(clean, first, note)
        if (table := tables.shorten_table(clean, note)) is not None:
            yield Form(table, "tables", False)
    if source.kind != "other":
        lines = Lines(clean, first)
        if blobs.mark_bulky_folders(lines) and (short := lines.shortened(note)):
            yield Form(short, "listings", False)
            for group in (grouping.group_hits, grouping.group_paths):
                if (grouped := group(short)) is not None:
                    yield Form(grouped, "listings", False)
    if (short := blobs.shorten_long_lines(clean, note, source.looks_for, cut=not is_json)) is not None:
        yield Form(short, "long lines", False)


def _log(clean: str, first: int, note: Note) -> Iterator[Form]:
    lines = Lines(clean, first)
    counts = {
        "test and build logs": mark_filler(lines) + mark_repeated_warnings(lines),
        "stack traces": mark_library_frames(lines) + mark_repeated_blocks(lines),
        "generated files in diffs": blobs.mark_generated_diffs(lines),
        "tables": tables.mark_rows(lines),
        "logs": mark_templates(lines),
    }
    if any(counts.values()) and (short := lines.shortened(note)):
        yield Form(terminal.fold_repeats(short), max(counts, key=lambda kind: counts[kind]), False)
