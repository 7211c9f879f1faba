"""`lynkr sessions`: the sessions of agents, which of them are paused and why, and what a person does then."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from lynkr_desktop.cli.asking import limit, valid_text
from lynkr_desktop.cli.ending import OK, print_json

if TYPE_CHECKING:
    from lynkr_desktop.cli.client import ControlClient
    from lynkr_desktop.protocol.sessions import SessionRow

_SESSIONS = "/v1/admin/sessions"
_LISTED = 20
_TITLE = 48

_ACTS = {
    "pause": ("refuse a session's requests until it is resumed", "{id} is paused."),
    "resume": ("let a session go on; the loop guard counts anew", "{id} goes on."),
    "reset": (
        "let a session go on as a new one: the tier that it was kept at is forgotten too",
        "{id} goes on as a new session.",
    ),
    "end": ("refuse a session's requests until it is removed", "{id} is ended."),
    "remove": ("forget that a session was paused or ended", "{id} runs as any other session."),
}


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "sessions",
        parents=[common],
        help="the sessions of agents: list, show, pause, resume, reset, end",
        description="The sessions of agents. One that goes round in circles is paused by itself, says so in "
        "the agent, and goes on when you resume it. Needs a running proxy.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.set_defaults(run=run_list, limit=_LISTED)
    actions = parser.add_subparsers(metavar="[ACTION]")
    inherited = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    inherited.add_argument(
        "--home", metavar="DIR", help="keep everything below this folder (or set LYNKR_HOME)"
    )
    inherited.add_argument("--config", metavar="FILE", help="configuration file (or set LYNKR_CONFIG)")
    inherited.add_argument("--json", action="store_true", help="as JSON, for scripts")

    def action(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, parents=[inherited], help=text)
        added.set_defaults(run=run, act=name)
        return added

    listing = action("list", run_list, "the sessions of late; those that do not run come first")
    listing.add_argument("--limit", type=limit, metavar="N", help=f"how many (default: {_LISTED})")
    listing.set_defaults(limit=_LISTED)
    action("show", run_show, "one session").add_argument("id", type=valid_text, help=_ID)
    for name, (text, _) in _ACTS.items():
        action(name, run_act, text).add_argument("id", type=valid_text, help=_ID)


_ID = "from `lynkr sessions list`; its beginning is enough where only one begins so"


def run_list(args: argparse.Namespace) -> int:
    """Prints the sessions."""
    from lynkr_desktop.cli.client import with_engine
    from lynkr_desktop.protocol.sessions import SessionPage

    def listed(client: ControlClient) -> int:
        page = client.get(_SESSIONS, SessionPage, limit=str(min(args.limit, 500)))
        if args.json:
            return print_json(page)
        print(describe_list(page.sessions))
        return OK

    return with_engine(args, listed)


def run_show(args: argparse.Namespace) -> int:
    """Prints one session."""
    from lynkr_desktop.cli.client import with_engine

    def show(client: ControlClient) -> int:
        row = _found(client, args.id)
        if args.json:
            return print_json(row)
        print(describe(row))
        return OK

    return with_engine(args, show)


def run_act(args: argparse.Namespace) -> int:
    """Pauses, resumes, resets, ends or removes a session."""
    from lynkr_desktop.cli.client import with_engine
    from lynkr_desktop.protocol.sessions import SessionRow

    def act(client: ControlClient) -> int:
        path = f"{_SESSIONS}/{quote(_found(client, args.id).id, safe='')}"
        method, path = ("DELETE", path) if args.act == "remove" else ("POST", f"{path}/{args.act}")
        row = client.send(method, path, SessionRow)
        if args.json:
            return print_json(row)
        print(_ACTS[args.act][1].format(id=row.id))
        return OK

    return with_engine(args, act)


def describe_list(rows: tuple[SessionRow, ...]) -> str:
    """A line for each session, and below it why it does not run."""
    from lynkr_desktop.cli.text import count, table

    if not rows:
        return "No sessions yet. A session is a conversation of an agent."
    now = time.time()
    head = ("SESSION", "AGENT", "STATE", "REQUESTS", "TOKENS", "COST", "LAST", "TITLE")
    cells = [
        (
            row.id,
            row.client or "-",
            row.state,
            f"{row.requests:,}",
            count(row.input_tokens + row.output_tokens),
            _cost(row),
            _ago(now - row.last_at),
            row.title if len(row.title) <= _TITLE else row.title[: _TITLE - 1] + "…",
        )
        for row in rows
    ]
    parts = [table([head, *cells], right=(3, 4, 5, 6))]
    parts += [_why(row) for row in rows if row.state != "running"]
    return "\n".join([parts[0], *([""] if len(parts) > 1 else []), *parts[1:]])


def describe(row: SessionRow) -> str:
    """All that is known of a session."""
    from lynkr_desktop.cli.text import printable, table

    rows = [
        ("Session", row.id),
        ("Agent", row.client or "-"),
        ("Title", row.title or "-"),
        ("Project", row.project or "-"),
        ("State", row.state),
    ]
    if row.state != "running":
        since = f", {_ago(time.time() - row.since)} ago" if row.since else ""
        rows.append(("Because", f"{row.detail}{since}"))
        if row.action:
            rows.append(("Last action", row.action))
    failed = f", {row.errors:,} failed" if row.errors else ""
    rows += [
        ("Requests", f"{row.requests:,}{failed}"),
        ("Tokens", f"{row.input_tokens:,} in, {row.output_tokens:,} out"),
        ("Cost", _cost(row)),
        ("Last request", f"{_ago(time.time() - row.last_at)} ago"),
    ]
    text = table(rows)
    return f"{text}\n\n{printable(_what_to_do(row))}" if row.state != "running" else text


def _why(row: SessionRow) -> str:
    from lynkr_desktop.cli.text import printable

    action = f" (last: {row.action})" if row.action else ""
    return printable(f"{row.id}: {row.detail}{action}. {_what_to_do(row)}")


def _what_to_do(row: SessionRow) -> str:
    if row.state == "ended":
        return f"Let it run again with `lynkr sessions remove {row.id}`."
    return f"Let it go on with `lynkr sessions resume {row.id}`."


def _cost(row: SessionRow) -> str:
    from lynkr_desktop.cli.text import dollars

    if not row.unpriced:
        return dollars(row.cost)
    return "unknown" if row.unpriced == row.requests else f"{dollars(row.cost)} + unknown"


def _ago(seconds: float) -> str:
    from lynkr_desktop.cli.text import span

    return span(seconds)


def _found(client: ControlClient, wanted: str) -> SessionRow:
    """The session with an id, or the only one whose id begins so. Raises `ControlFailure`."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.protocol.sessions import SessionPage

    rows = client.get(_SESSIONS, SessionPage, limit="500").sessions
    exact = [row for row in rows if row.id == wanted]
    found = exact or [row for row in rows if wanted and row.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    shown = wanted[:80]
    if not found:
        raise ControlFailure(f"There is no session {shown} of late. `lynkr sessions list` shows them.")
    raise ControlFailure(f"{len(found)} sessions begin with {shown}. Give more of the id.")
