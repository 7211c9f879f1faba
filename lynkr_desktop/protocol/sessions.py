"""Sessions of agents as a person sees them: what they spent, whether they may go on, and why not."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

LoopCause = Literal["failed_actions", "same_action", "alternating", "iterations"]
"""What the loop guard saw."""

SessionCause = LoopCause | Literal["", "person"]
"""Why a session does not run: a loop, or a person who paused or ended it; empty while it runs."""

SessionState = Literal["running", "paused", "ended"]
"""Whether its requests are answered. An ended one stays so until it is removed."""

SessionAct = Literal["pause", "resume", "reset", "end", "remove"]

MOST_SHOWN = 20
"""Sessions in the engine's status."""


class SessionPause(Struct, frozen=True, kw_only=True):
    """A session that does not run.

    Attributes:
        id: the client's own name for it, else one made of its beginning.
        client: which program asks.
        title: the first line of what was asked last.
        state: paused or ended.
        cause: what did it.
        detail: the cause in words, such as `15 actions failed in a row`.
        action: the newest action of a loop, in one line.
        since: when, in seconds since 1970.
    """

    id: str
    client: str = ""
    title: str = ""
    state: SessionState = "paused"
    cause: SessionCause = "person"
    detail: str = ""
    action: str = ""
    since: float = 0.0


class SessionRow(Struct, frozen=True, kw_only=True):
    """A session of an agent.

    Attributes:
        id: the client's own name for it, else one made of its beginning.
        client: which program asks.
        title: the first line of what was asked last.
        project: the folder that it is about, empty where none is known.
        key: name of the access key of its requests, empty for the machine's own token.
        requests: how many it made.
        errors: those that were not answered well.
        input_tokens: of its prompts.
        output_tokens: of its answers.
        cost: US dollars, of the requests whose price is known.
        unpriced: requests whose price is not known.
        first_at: of its first request, in seconds since 1970.
        last_at: of its newest.
        state: whether it runs.
        cause: why it does not.
        detail: the cause in words.
        action: the newest action of a loop.
        since: when it was paused or ended, None while it runs.
    """

    id: str
    client: str = ""
    title: str = ""
    project: str = ""
    key: str = ""
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    state: SessionState = "running"
    cause: SessionCause = ""
    detail: str = ""
    action: str = ""
    since: float | None = None


class SessionPage(Struct, frozen=True):
    """The sessions that were heard of last: those that do not run first, then the newest."""

    sessions: tuple[SessionRow, ...]
