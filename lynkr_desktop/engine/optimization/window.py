"""The stage `sliding_window_history`: a conversation that outgrows its model's window loses its oldest, least
needed parts to handles.

What goes is found by replaying how the conversation grew: whenever it came to exceed the window it was cut
down at once to a part of it, and what was cut stayed cut. So the stage needs no memory, and between two cuts
each turn sends the same bytes as the one before, which a provider's prompt cache serves. What goes:

1. results of tools, first the oldest that have least to do with the newest ask, each for a line;
2. then whole turns of the model with their results, a run of them for a few lines that name their calls, and
   results that matter more;
3. only where that is not enough: parts of recent results, of those of the last turn, and of earlier asks.

The system prompt, tools, the words of the last turn, and pairs of call and result stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from msgspec.structs import replace

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.marks import arguments, contents_cost
from lynkr_desktop.engine.optimization.relevance import Terms
from lynkr_desktop.engine.optimization.repeats import without_repeats
from lynkr_desktop.engine.optimization.stage import RESTORE_TOOL, Scene, Stage
from lynkr_desktop.engine.optimization.turns import (
    LINE,
    TURN,
    History,
    Place,
    Unit,
    rebuilt,
)
from lynkr_desktop.engine.wire.canonical import Block, Request, Text, ToolResult, ToolUse

_EXACT = 0.92
"""Part of the window that is filled: the tokenizers of other vendors find more tokens than the one here."""

_ANSWER = 8_192
"""Tokens that are left for an answer whose length the client does not bound."""

_STEPS, _LEAST_STEP = 64, 64
"""Into how many steps a window is parted, and tokens of the smallest."""

_AIM = 0.6
"""Part of the room that a cut leaves filled. A smaller one cuts less often, and deeper."""

_HARD_AIM = 0.85
"""The same for cuts that take what should better stay."""

_CONTENTS = 0.06
"""Part of the room in which the turns that went are told call by call."""

_RECENT = 0.3
"""Part of the room that the newest turns may keep to themselves."""

_ERROR, _PART, _ASK = 300, 400, 150
"""Tokens that stay of an old result that tells of an error, of a recent result, and of an earlier ask."""

_ASKS = 8
"""Newest asks by which is judged what is needed."""

_NEEDED = 0.5
"""Part of an ask that a result names which goes only after turns did."""

_FAILED = 0.25
"""By how much a turn in which something failed is needed more: as part of the age of the whole."""

_READ = 2_000
"""Characters of each block by which a turn is judged."""


class WindowStage(Stage):
    """Fits a conversation into `Scene.window`."""

    name = "sliding_window_history"

    def idle(self, request: Request, window: int | None) -> bool:
        """Where it is not known what fits."""
        return window is None

    def apply(self, request: Request, scene: Scene) -> Request:
        """The request as it fits, or as near to it as is allowed; unchanged where the window is not known."""
        if scene.window is None or len(request.messages) < 1:
            return request
        room = _room(request, scene, scene.window)
        history = History(request.messages)
        if history.total <= room or room <= 0:
            return request
        if not scene.restorable:
            return without_repeats(request, scene)
        cuts = _Cuts(history, room, scene)
        cuts.replay()
        if not cuts.shorter and not cuts.gone:
            return request
        messages = rebuilt(history, scene, cuts.shorter, frozenset(cuts.gone), cuts.contents)
        scene.did.append(cuts.told(scene.window))
        return replace(request, messages=messages)


def _room(request: Request, scene: Scene, window: int) -> int:
    """Tokens that the messages may take together."""
    answer = max(0, request.max_tokens or min(_ANSWER, window // 4))
    if answer > window // 2:
        # Who asks for that much does not know this window: the answer will be shorter.
        answer = window // 4
    fixed = tokens.of_request(replace(request, messages=()))
    if scene.restorable:
        fixed += tokens.of_tool(RESTORE_TOOL)
    # In steps, so that a tool more does not move every cut.
    step = max(_LEAST_STEP, window // _STEPS)
    return int((window - answer) * _EXACT) - -(-fixed // step) * step


class _Cuts:
    """What was cut from a conversation while it grew.

    Attributes:
        shorter: results and asks of which only so many tokens stay.
        gone: units that went whole, but for what a person says in them.
        contents: tokens in which it may be told which calls went with them.
    """

    def __init__(self, history: History, room: int, scene: Scene) -> None:
        self.shorter: dict[Place, int] = {}
        self.gone: set[int] = set()
        self.contents = int(_CONTENTS * room)
        self._history = history
        self._room = room
        self._scene = scene
        self._costs = [TURN + sum(costs) for costs in history.costs]
        """Of each message, without what was cut."""
        self._marks = 0
        """Runs of turns that are gone, each with a line in its place."""
        self._calls = 0
        """Calls in them."""
        self._standing: list[int] = []
        """Units that are not gone, of the messages that were looked at."""
        self._asked: list[int] = []
        """Messages with something of a person, likewise."""

    def told(self, window: int) -> str:
        """What was cut, in words."""
        turns = sum(len(self._history.units[number].span) for number in self.gone)
        parts = len(self.shorter)
        return f"left out {parts} results or parts of texts and {turns} turns, to fit {window:,} tokens"

    def replay(self) -> None:
        """Lets the conversation grow message by message, and cuts whenever it has become too large."""
        history = self._history
        used, bound, seen = 0, self._room, 0
        last = len(history.messages) - 1
        for number, message in enumerate(history.messages):
            used += self._costs[number]
            # Requests end with a user's turn. What could not be made to fit is not tried again at once.
            if (used > bound and message.role == "user") or (number == last and used > self._room):
                self._scene.check_time()
                self._standing += dict.fromkeys(history.unit_of[seen : number + 1])
                self._asked += filter(history.persons, range(seen, number + 1))
                seen = number + 1
                self._cut(number)
                used = self._used(number)
                bound = max(self._room, used + used // 4)

    def _cut(self, end: int) -> None:
        """Cuts what stands before and in message `end`."""
        recent = self._recent(end)
        asked = islice(reversed(self._asked), _ASKS)
        terms = Terms(map(self._history.said, asked))
        aim = _AIM * self._room
        results = self._ranked_results(recent, end, terms)
        self._shorten([item for share, item in results if share < _NEEDED], self._used(end) - aim)
        if (over := self._used(end) - aim) > 0:
            self._drop(self._ranked_units(recent, end, terms), over)
            self._shorten([item for _, item in results], self._used(end) - aim)
        if self._used(end) > self._room:
            aim = _HARD_AIM * self._room
            self._shorten(self._results(recent, end), self._used(end) - aim)
            self._shorten(self._last_results(end, self._used(end) - aim), self._used(end) - aim)
            self._shorten(self._old_asks(end), self._used(end) - aim)

    # ------------------------------------------------------------ what is there

    def _recent(self, end: int) -> int:
        """The first of the newest messages, which stay whole as long as others can go."""
        first = self._unit(end).first
        room = _RECENT * self._room - sum(self._costs[first : end + 1])
        while first > 0:
            unit = self._unit(first - 1)
            cost = sum(self._costs[unit.first : unit.last + 1])
            # The model's turn before the last one stays in any case.
            if cost > room and first < end:
                break
            room -= cost
            first = unit.first
        return first

    def _unit(self, number: int) -> Unit:
        return self._history.units[self._history.unit_of[number]]

    def _used(self, end: int) -> int:
        """Tokens of all messages up to `end`, without what was cut."""
        return sum(self._costs[: end + 1]) + self._marked()

    def _marked(self) -> int:
        """Tokens of what stands for the turns that are gone."""
        return LINE * self._marks + contents_cost(self._calls, self.contents)

    def _cost(self, place: Place) -> int:
        """Tokens of a block as it stands."""
        cost = self._history.costs[place[0]][place[1]]
        budget = self.shorter.get(place)
        return cost if budget is None else min(cost, self._short_cost(place, budget))

    def _short_cost(self, place: Place, budget: int) -> int:
        """Tokens of a block that was shortened: images in it stay."""
        block = self._block(place)
        media = 0
        if isinstance(block, ToolResult):
            media = sum(tokens.of_block(part) for part in block.content if not isinstance(part, Text))
        return budget + LINE + media

    def _block(self, place: Place) -> Block:
        return self._history.messages[place[0]].content[place[1]]

    # ------------------------------------------------------------ what may go

    def _results(self, first: int, end: int, part: int = _PART) -> Iterator[tuple[Place, int]]:
        """Results, and texts of harnesses, with the tokens that stay of each."""
        history = self._history
        for number in chain.from_iterable(history.units[unit].span for unit in self._standing):
            message = history.messages[number]
            if not max(first, history.head) <= number < end or message.role != "user":
                continue
            for at, block in enumerate(message.content):
                if isinstance(block, ToolResult):
                    yield (number, at), _ERROR if block.is_error and not part else part
                elif isinstance(block, Text) and not history.persons(number):
                    yield (number, at), part

    def _ranked_results(self, recent: int, end: int, terms: Terms) -> list[tuple[float, tuple[Place, int]]]:
        """Results before the recent turns, the ones that are needed least first, each with its share of what
        is asked."""
        found = [item for item in self._results(0, recent, 0) if self._cost(item[0]) > 2 * LINE]
        texts = {place: _text_of(self._block(place)) for place, _ in found}
        newest = {text: place for place, text in texts.items()}
        for place, _ in self._results(recent, end + 1):
            newest[_text_of(self._block(place))] = place

        def share(place: Place) -> float:
            if newest[texts[place]] != place:
                return -1.0
            calls = self._history.messages[place[0] - 1].content
            asked = [_text_of(block) for block in calls if isinstance(block, ToolUse)]
            return terms.share("\n".join([*asked, texts[place]]))

        shares = [(share(item[0]), item) for item in found]
        return sorted(shares, key=lambda shared: (shared[1][0][0] / end + shared[0], shared[1]))

    def _ranked_units(self, recent: int, end: int, terms: Terms) -> list[int]:
        """Units before the recent turns that may go whole, the ones that are needed least first."""
        newest = self._newest(end)
        # The line that stands for turns would stand beside the ask else.
        beside = {self._history.unit_of[at] for at in (newest - 1, newest + 1) if 0 <= at <= end}
        found = [
            number
            for number in self._standing
            if self._history.units[number].last < recent
            and number not in beside
            and self._may_go(self._history.units[number])
        ]

        def rank(number: int) -> tuple[float, int]:
            unit = self._history.units[number]
            blocks = [block for at in unit.span for block in self._history.messages[at].content]
            share = terms.share("\n".join(_text_of(block)[:_READ] for block in blocks))
            failed = any(isinstance(block, ToolResult) and block.is_error for block in blocks)
            return unit.first / end + share + _FAILED * failed, number

        return sorted(found, key=rank)

    def _may_go(self, unit: Unit) -> bool:
        """Whether there is something in a unit that may go: not in one that is all a person's."""
        first = unit.first
        return unit.loose and not (
            self._history.messages[first].role == "user" and self._history.persons(first)
        )

    def _last_results(self, end: int, over: float) -> Iterable[tuple[Place, int]]:
        """The results of the last turn, each with its share of what must go from it."""
        content = self._history.messages[end].content
        places = [(end, at) for at, block in enumerate(content) if isinstance(block, ToolResult)]
        large = {place: cost for place in places if (cost := self._cost(place)) > _PART + LINE}
        left = 1 - (over + LINE * len(large)) / max(1, sum(large.values()))
        for place, cost in large.items():
            yield place, max(_PART, int(cost * left))

    def _old_asks(self, end: int) -> Iterator[tuple[Place, int]]:
        """Texts of persons, and of harnesses beside them, before the last turn; the first turns come last.

        The newest ask stays as it is: it is what the model works on.
        """
        history = self._history
        head = min(history.head, end)
        newest = self._newest(end)
        for number in (*(n for n in self._asked if head <= n < end), *range(head)):
            if number == newest:
                continue
            for at, block in enumerate(history.messages[number].content):
                if isinstance(block, Text):
                    yield (number, at), _ASK

    def _newest(self, end: int) -> int:
        """The message with the newest words of a person; -2 where there are none."""
        said = (number for number in reversed(self._asked) if number <= end and self._history.said(number))
        return next(said, -2)

    # ------------------------------------------------------------ cutting

    def _shorten(self, places: Iterable[tuple[Place, int]], over: float) -> None:
        """Shortens one after the other until `over` tokens less are used."""
        for place, budget in places:
            if over <= 0:
                break
            if self._went(place):
                continue
            saved = self._cost(place) - self._short_cost(place, budget)
            if saved > LINE:
                self.shorter[place] = budget
                self._costs[place[0]] -= saved
                over -= saved

    def _went(self, place: Place) -> bool:
        """Whether a block went with its turn."""
        if self._history.unit_of[place[0]] not in self.gone:
            return False
        return isinstance(self._block(place), ToolResult) or not self._history.persons(place[0])

    def _drop(self, units: Iterable[int], over: float) -> None:
        """Drops one after the other until `over` tokens less are used."""
        before: dict[int, list[int]] = {}
        for number in units:
            if over <= 0:
                break
            span = self._history.units[number].span
            before[number] = [self._costs[at] for at in span]
            opened, marked = self._opens(number + 1), self._marked()
            self.gone.add(number)
            self._marks += self._opens(number) + self._opens(number + 1) - opened
            self._calls += self._history.calls(number)
            for at in span:
                self._costs[at] = self._kept_cost(at)
            over -= sum(before[number]) - sum(self._costs[at] for at in span) + marked - self._marked()
        for run in self._runs(sorted(before)):
            if run[0] - 1 in self.gone or run[-1] + 1 in self.gone:
                continue
            # A run that is shorter than what stands in its place may as well stay.
            spans = [at for number in run for at in self._history.units[number].span]
            costs = [cost for number in run for cost in before[number]]
            calls = sum(map(self._history.calls, run))
            if sum(costs) - sum(self._costs[at] for at in spans) <= LINE + contents_cost(
                calls, self.contents
            ):
                self.gone.difference_update(run)
                self._marks -= 1
                self._calls -= calls
                for at, cost in zip(spans, costs, strict=True):
                    self._costs[at] = cost
        self._standing = [number for number in self._standing if number not in self.gone]

    def _runs(self, numbers: list[int]) -> list[list[int]]:
        """Units that are gone, by the runs that they are in."""
        runs: list[list[int]] = []
        for number in numbers:
            if self._opens(number) or not runs or runs[-1][-1] != number - 1:
                runs.append([])
            runs[-1].append(number)
        return runs

    def _kept_cost(self, number: int) -> int:
        """Tokens of what a person says in a message whose turn goes."""
        if not self._history.persons(number):
            return 0
        content = self._history.messages[number].content
        kept = (at for at, block in enumerate(content) if not isinstance(block, ToolResult))
        return TURN + sum(self._cost((number, at)) for at in kept)

    def _opens(self, number: int) -> bool:
        """Whether a run of turns that are gone begins with this unit."""
        if number not in self.gone:
            return False
        return number - 1 not in self.gone or self._history.persons(self._history.units[number - 1].last)


def _text_of(block: Block) -> str:
    match block:
        case Text():
            return block.text
        case ToolResult():
            return block.text
        case ToolUse():
            return f"{block.name} {arguments(block)}"
    return ""
