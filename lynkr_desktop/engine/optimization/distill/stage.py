"""The stage `distill_compression`: tool results, each in the smallest form that says the same.

What becomes of a result depends on it, on its call, and on what stands before it, so it comes out the same in
each turn. The texts of people stay as they are: in their own turn nobody may touch them, and to change them
later would rewrite a prefix that a provider has cached.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from lynkr_desktop.engine.optimization.block_cache import BlockCache, block_key
from lynkr_desktop.engine.optimization.distill import outline
from lynkr_desktop.engine.optimization.distill.envelope import unwrapped
from lynkr_desktop.engine.optimization.distill.forms import Form, best_form, worth_it
from lynkr_desktop.engine.optimization.distill.listing import Listing, listing_of
from lynkr_desktop.engine.optimization.distill.mentions import Mentions, Places, places_in
from lynkr_desktop.engine.optimization.distill.reread import (
    Standing,
    Version,
    diffed,
    difference,
    known_left_out,
    same_again,
    unchanged,
)
from lynkr_desktop.engine.optimization.distill.shortening import note_for
from lynkr_desktop.engine.optimization.distill.source import Source, source_of, written_by
from lynkr_desktop.engine.optimization.stage import PATH, Scene, Stage
from lynkr_desktop.engine.wire.canonical import Block, Message, Request, Text, ToolResult, ToolUse
from lynkr_desktop.protocol.optimization import StageName

_MIN_CHARS = 200
"""A text that is shorter cannot save what a replacement must save."""

_CLEARER = 0.75
"""A diff says more than a file with gaps, which is therefore taken only where it is that much smaller."""

_NO_FORM = Form("", "", True)
_REREAD = "files read again"
_AGAIN = "results that came before"


class DistillStage(Stage):
    """Shrinks tool results by what they hold.

    Args:
        cache: what became of earlier blocks; one of its own by default.
    """

    name: StageName = "distill_compression"

    def __init__(self, cache: BlockCache[Form | Listing | Places] | None = None) -> None:
        self.cache: BlockCache[Form | Listing | Places] = BlockCache() if cache is None else cache

    def idle(self, request: Request, window: int | None) -> bool:
        """Without results of tools."""
        return not request.has_results

    def apply(self, request: Request, scene: Scene) -> Request:
        """The request with smaller tool results; the same object where there is nothing to do."""
        walk = _Walk(self.cache, scene)
        messages = tuple(map(walk.message, request.messages))
        if all(new is old for new, old in zip(messages, request.messages, strict=True)):
            return request
        scene.did += [
            f"{kind}: {blocks} shortened, {walk.saved[kind]:,} tokens fewer"
            for kind, blocks in walk.blocks.most_common()
        ]
        return replace(request, messages=messages)


class _Walk:
    """One way through a request, from its first block to its last."""

    def __init__(self, cache: BlockCache[Form | Listing | Places], scene: Scene) -> None:
        self.blocks: Counter[str] = Counter()
        self.saved: Counter[str] = Counter()
        self._cache = cache
        self._scene = scene
        self._sources: dict[str, Source | None] = {}
        self._standing = Standing()
        self._mentions = Mentions()
        self._seen: dict[bytes, str] = {}
        self._read: set[bytes] = set()

    def message(self, message: Message) -> Message:
        content = tuple(self._block(block, person=message.role == "user") for block in message.content)
        if all(new is old for new, old in zip(content, message.content, strict=True)):
            return message
        return replace(message, content=content)

    def _block(self, block: Block, *, person: bool) -> Block:
        if isinstance(block, Text):
            self._mentions.say(block.text, person=person)
            return block
        if isinstance(block, ToolUse):
            source = self._sources[block.id] = source_of(block)
            self._mentions.call(block, source.looks_for if source else "")
            if written := written_by(block):
                path, text = written
                listing = Listing("", "", tuple(text.split("\n")), 1, numbered=False)
                self._standing.add(path, f"{block.name} {path}", listing, block_key(text).hex())
            return block
        if not isinstance(block, ToolResult):
            return block
        source = self._sources.get(block.tool_use_id, Source())
        if source is None:
            return block
        content = tuple(
            self._part(part, source, block.is_error) if isinstance(part, Text) else part
            for part in block.content
        )
        if all(new is old for new, old in zip(content, block.content, strict=True)):
            return block
        return replace(block, content=content)

    def _part(self, part: Text, source: Source, is_error: bool) -> Text:
        if len(part.text) < _MIN_CHARS or f'left out; read "{PATH}' in part.text:
            self._mentions.find(places_in(part.text))
            return part
        wrapped = unwrapped(part.text)
        text = wrapped.output if wrapped else part.text
        self._scene.check_time()
        key = block_key(text)
        if source.kind != "file":
            self._mentions.find(self._places(text, key))
        form = (
            self._again(text, key)
            or self._reread(text, key, source, is_error)
            or self._form(text, key, source, is_error)
        )
        if source.kind == "file":
            self._read.add(key)
        if form is None:
            return part
        if not form.lossless:
            self._scene.keep(form.original or text)
        self.blocks[form.kind] += 1
        self.saved[form.kind] += form.saved
        return replace(part, text=wrapped.around(form.text) if wrapped else form.text)

    def _again(self, text: str, key: bytes) -> Form | None:
        """A result that came before, word for word."""
        if not self._scene.restorable or key not in self._seen:
            return None
        return self._worth(text, same_again(text, self._seen[key], note_for(text)), _AGAIN)

    def _reread(self, text: str, key: bytes, source: Source, is_error: bool) -> Form | None:
        """A file of which earlier lines stand in the context."""
        if source.kind != "file" or is_error:
            return None
        listing = self._listing(text, key, partial=source.partial)
        versions = self._standing.of(source.path) if self._scene.restorable else []
        note = note_for(text)
        # What was asked for in vain is shown when it is asked for again.
        parts = [version for version in versions if not version.folded]
        if source.partial or key in self._read:
            versions = parts
        for version in parts:
            if (said := unchanged(source, listing, version, note)) and (
                form := self._worth(text, said, _REREAD)
            ):
                return form
        if not versions:
            return None
        its_key = block_key(
            "reread", repr(source), key.hex(), *(version.key + version.label for version in versions)
        )
        form = self._remembered(its_key)
        if form is None:
            form = self._changed(text, listing, source, versions) or _NO_FORM
            self._remember(its_key, form)
        self._stand(source, listing, form, key)
        return form if form is not _NO_FORM else None

    def _stand(self, source: Source, listing: Listing, form: Form, key: bytes) -> None:
        """Notes the parts of a file that stand in its form."""
        for start, end in form.shown:
            part = replace(
                listing, lines=listing.lines[start:end], first=listing.first and listing.first + start
            )
            self._standing.add(source.path, source.label, part, f"{key.hex()}:{start}:{end}")

    def _changed(
        self, text: str, listing: Listing, source: Source, versions: Sequence[Version]
    ) -> Form | None:
        """A diff against one earlier version, or the file without what stands in several of them."""
        note = note_for(text)
        diffs = [difference(source, listing, version, note) for version in diffed(versions)]
        diff = min((diff for diff in diffs if diff is not None), key=len, default=None)
        parts = [version for version in versions if not version.folded]
        rest = known_left_out(source, listing, parts, note) if parts else None
        if rest is not None and (diff is None or len(rest[0]) < _CLEARER * len(diff)):
            form = self._worth(text, rest[0], _REREAD)
            return form and replace(form, shown=rest[1])
        return None if diff is None else self._worth(text, diff, _REREAD)

    def _form(self, text: str, key: bytes, source: Source, is_error: bool) -> Form | None:
        """The form that a text has by itself. What stays whole may be referred to later."""
        is_file = source.kind == "file"
        name = posixpath.basename(source.path)
        new = is_file and not (source.partial or is_error or self._standing.of(source.path))
        mentions = self._mentions if new and self._scene.restorable else None
        spoken = mentions.key(name) if mentions and text.count("\n") >= outline.MIN_LINES else ""
        about = (source.kind, source.path, source.partial, source.looks_for, self._scene.restorable)
        its_key = block_key("form", repr(about), spoken, key.hex())
        form = self._remembered(its_key)
        listing = self._listing(text, key, partial=source.partial) if is_file else None
        if form is None:
            note = note_for(text) if self._scene.restorable else None
            spoken_of = mentions if spoken else None
            form = best_form(text, source, self._scene.count, note, listing, spoken_of) or _NO_FORM
            self._remember(its_key, form)
        if not form.shown:
            self._seen.setdefault(key, source.label)
        if listing is not None and (form.lossless or form.shown):
            self._standing.add(source.path, source.label, listing, key.hex(), folded=not form.lossless)
            self._stand(source, listing, form, key)
        return None if form is _NO_FORM else form

    def _worth(self, text: str, said: str, kind: str) -> Form | None:
        before = self._scene.count(text)
        saved = before - self._scene.count(said)
        return Form(said, kind, lossless=False, saved=saved) if worth_it(before, saved) else None

    def _listing(self, text: str, key: bytes, *, partial: bool) -> Listing:
        its_key = block_key("listing", str(partial), key.hex())
        found = self._cache.get(its_key)
        if isinstance(found, Listing):
            return found
        listing = listing_of(text, partial=partial)
        self._cache.put(its_key, listing, 2 * len(text) + 60 * len(listing.lines))
        return listing

    def _places(self, text: str, key: bytes) -> Places:
        its_key = block_key("places", key.hex())
        found = self._cache.get(its_key)
        if isinstance(found, Places):
            return found
        places = places_in(text)
        self._cache.put(its_key, places, 100 * len(places) + 40 * sum(map(len, places.values())))
        return places

    def _remembered(self, key: bytes) -> Form | None:
        found = self._cache.get(key)
        return found if isinstance(found, Form) else None

    def _remember(self, key: bytes, form: Form) -> None:
        self._cache.put(key, form, 200 + 2 * len(form.text) + 2 * len(form.original))
