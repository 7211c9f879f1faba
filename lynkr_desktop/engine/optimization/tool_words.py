"""Words of names, descriptions and asks, and which tools they point at."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+")
_WHOLE = re.compile(r"[^\W_]{1,60}")
_KEY = re.compile(r"\b[A-Z][A-Z0-9]{1,9}-[1-9]\d{1,6}\b")
"""Of a ticket, as most trackers write it."""

_READ = 600
"""Characters of a description that are looked at, and words of parameters."""

_ASK = 6_000


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_STOP = _set(
    "the a an and or for with that this from are was were not but you your can could would should "
    "please have has had all any its it is be in on at to of by as if so do i me my we our us into "
    "when what which why how who out off up got let make made use used using now then than also just "
    "some more only there here they them about one two does did will may must been being no yes via "
    "per each every other over under such these those after before"
)
_GENERIC = _set(
    "get list create update delete add set run search find read write new remove fetch show query "
    "file test code name id tool user data value type text item info check start stop make change "
    "open close send call manage return result function page string number url path line project"
)
"""Words that say little of what a tool is for."""

_ENGLISH = _set("the a an and is are of to with for this that in on my our it when should please what how")
_FOREIGN = (
    _set(
        "der die das und nicht ist ein eine einen dem den mit für auf les des est une dans pour avec sur "
        "le la et un el los las por con una para que il lo gli di che per nel della não uma com os em het "
        "een van niet met op voor nie jest się na z do och att det som på för ett ve bir için bu ile"
    )
    - _ENGLISH
    - {"do", "met", "on"}
)

_SAME: dict[str, tuple[str, ...]] = {
    "pr": ("pull", "request"),
    "mr": ("merge", "request"),
    "ticket": ("issue",),
    "bug": ("issue",),
    "story": ("issue",),
    "epic": ("issue",),
    "repo": ("repository",),
    "db": ("database", "sql", "table"),
    "database": ("sql", "table", "schema"),
    "sql": ("database", "query"),
    "table": ("database", "sql"),
    "column": ("table", "database", "sql"),
    "migration": ("database", "schema"),
    "browser": ("navigate", "screenshot", "click"),
    "website": ("navigate", "browser", "web"),
    "webpage": ("navigate", "browser", "web"),
    "screenshot": ("browser",),
    "visual": ("screenshot",),
    "visually": ("screenshot",),
    "login": ("browser",),
    "web": ("search", "internet"),
    "online": ("web",),
    "internet": ("web",),
    "doc": ("documentation",),
    "documentation": ("doc",),
    "mail": ("email", "gmail"),
    "email": ("mail", "gmail"),
    "meeting": ("calendar", "event"),
    "appointment": ("calendar", "event"),
    "calendar": ("event",),
    "chat": ("message", "slack"),
    "notify": ("message", "notification"),
    "announce": ("message", "post"),
    "dm": ("message",),
    "post": ("message",),
    "channel": ("slack",),
    "crash": ("error", "sentry"),
    "alert": ("incident", "monitor"),
    "outage": ("incident",),
    "metric": ("dashboard", "prometheus"),
    "k8s": ("kubernetes", "pod"),
    "kubernetes": ("kubectl", "pod"),
    "pod": ("kubernetes",),
    "deploy": ("deployment",),
    "invoice": ("billing", "payment"),
    "payment": ("charge", "stripe", "invoice"),
    "refund": ("payment",),
    "wiki": ("page", "confluence"),
    "design": ("figma",),
    "mockup": ("figma", "design"),
    "spreadsheet": ("sheet",),
    "ci": ("workflow", "pipeline", "build"),
    "pipeline": ("workflow",),
    "action": ("workflow",),
    "bucket": ("s3", "storage"),
    "function": ("lambda",),
    "customer": ("contact", "account"),
}

_SURE, _LIKELY = 6.0, 3.5


def split_name(name: str) -> list[str]:
    """The words of an identifier, in lower case: `getFile`, `get_file`, `HTTPGet2`."""
    return [word.lower() for word in _WORD.findall(name[:300])]


def _pieces(text: str) -> list[str]:
    """The words of a text, in lower case; those that are made of several also whole, as `GitHub`."""
    pieces: list[str] = []
    for word in _WHOLE.findall(text):
        parts = _WORD.findall(word)
        pieces += [part.lower() for part in parts]
        if len(parts) > 1:
            pieces.append(word.lower())
    return pieces


def stem(word: str) -> str:
    """A word without the commonest English endings, the same for those that mean the same."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    for end in ("ing", "ed"):
        if len(word) > len(end) + 3 and word.endswith(end):
            word = word[: -len(end)]
            return (
                word[:-1]
                if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls"
                else word.rstrip("e")
            )
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word.rstrip("e") if len(word) > 3 else word


def _stems(words: Iterable[str]) -> frozenset[str]:
    return frozenset(
        stem(word) for word in words if word not in _STOP and (len(word) > 1 or not word.isascii())
    )


def terms(text: str) -> frozenset[str]:
    """The stems of what a text is about, identifiers split."""
    text = text[:_ASK]
    return _stems(_pieces(text)) | (_TICKET if _KEY.search(text) else frozenset())


_GENERIC_STEMS = _stems(_GENERIC)
_TICKET = _stems(("ticket", "issue", "jira", "linear"))
_SAME_STEMS = {stem(word): frozenset(map(stem, others)) for word, others in _SAME.items()}


def unsure(ask: str) -> bool:
    """Whether it cannot be told from an ask which tools it needs: it says too little, or is not English."""
    text = ask[:_ASK]
    letters = sum(map(str.isalpha, text))
    if sum(char.isalpha() and not char.isascii() for char in text) > letters * 0.2:
        return True
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", text)]
    foreign, english = sum(map(_FOREIGN.__contains__, words)), sum(map(_ENGLISH.__contains__, words))
    return foreign > english or len(terms(text)) < 3


class Entry:
    """What is known of one tool.

    Args:
        name: without its server.
        server: the words of its server.
        description: of the tool.
        parameters: their names.
    """

    __slots__ = ("rest", "server", "strong")

    def __init__(self, name: str, server: Iterable[str], description: str, parameters: Iterable[str]) -> None:
        self.strong = _stems(split_name(name))
        self.server = _stems(server)
        named = [word for parameter in list(parameters)[:40] for word in split_name(parameter[:60])]
        self.rest = _stems((*_pieces(description[:_READ]), *named)) - self.strong - self.server


class Index:
    """Finds tools by words.

    Args:
        entries: one per tool.
        tick: called between tools; may raise.
    """

    def __init__(self, entries: Sequence[Entry], tick: Callable[[], None] = lambda: None) -> None:
        self._entries = entries
        seen: Counter[str] = Counter()
        for entry in entries:
            tick()
            seen.update(entry.strong | entry.server | entry.rest)
        self._rare = {
            word: math.log1p(len(entries) / times) * (0.35 if word in _GENERIC_STEMS else 1.0)
            for word, times in seen.items()
        }

    def scores(self, text: str) -> list[float]:
        """How much each tool has to do with a text."""
        asked = dict.fromkeys(terms(text), 1.0)
        for word in tuple(asked):
            for other in _SAME_STEMS.get(word, ()):
                asked.setdefault(other, 0.6)
        # Of many words some are in any description by chance.
        chance = min(1.0, 24 / max(1, len(asked)))
        weights = {word: weight * self._rare[word] for word, weight in asked.items() if word in self._rare}
        scores: list[float] = []
        for entry in self._entries:
            score = 0.0
            for word, weight in weights.items():
                if word in entry.strong or word in entry.server:
                    score += 3 * weight
                elif word in entry.rest:
                    score += weight * chance
            scores.append(score)
        return scores

    def relevant(self, text: str) -> list[int]:
        """The places of the tools that a text asks for, in order; those in doubt are among them."""
        scores = self.scores(text)
        best = max(scores, default=0.0)
        bar = max(_LIKELY, min(_SURE, best * 0.4))
        return [place for place, score in enumerate(scores) if score >= bar]

    def meant(self, text: str) -> list[int]:
        """The places of the tools whose name, or whose server's, has a telling word of a text."""
        scores = self.scores(text)
        asked = terms(text)
        asked = asked.union(*(_SAME_STEMS.get(word, ()) for word in asked)) - _GENERIC_STEMS
        return [
            place
            for place, entry in enumerate(self._entries)
            if scores[place] >= _SURE and not asked.isdisjoint(entry.strong | entry.server)
        ]

    def best(self, text: str, most: int) -> list[int]:
        """The places of the tools that fit a query best, best first."""
        ranked = sorted(((-score, place) for place, score in enumerate(self.scores(text)) if score > 0))
        return [place for _, place in ranked[:most]]
