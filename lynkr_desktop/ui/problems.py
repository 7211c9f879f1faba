"""What can keep the engine from serving, in words: what happened, what it means, what to do."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.budgets import BudgetScope, BudgetStatus
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.control_client import ControlFailure
from lynkr_desktop.ui.engine_model import Problem, Remedy
from lynkr_desktop.ui.engine_process import StartFailure

_SHOWN = 5
"""Models or budgets that are named at once."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("Problems", text)


def failed_to_start(failure: StartFailure, delay: float | None) -> Problem:
    """The engine said that it cannot start. `delay` is None when nothing changes without a person."""
    if failure.code == "port_in_use":
        return _port_in_use(failure)
    if failure.code == "config":
        return Problem(
            title=_tr("The configuration cannot be used"),
            text=_tr("{why} Mend the file, then start again.").format(why=_sentence(failure.message)),
            details=_details(failure),
            remedy=Remedy("start"),
        )
    text = _sentence(failure.message)
    if delay is not None:
        text += " " + _next_try(delay)
    return Problem(
        title=_tr("The engine cannot start"), text=text, details=_details(failure), remedy=Remedy("start")
    )


def crashed(code: int | None, delay: float) -> Problem:
    """The engine ended unasked."""
    cause = (
        ""
        if code is None
        else _tr(" (signal {n})").format(n=-code)
        if code < 0
        else _tr(" (exit code {n})").format(n=code)
    )
    return Problem(
        title=_tr("The engine stopped unexpectedly") + cause,
        text=_tr("Requests in flight were cut off; what was recorded is kept.") + " " + _next_try(delay),
        details=_tr("engine exit{cause}").format(cause=cause),
    )


def not_answering(pid: int, port: int) -> Problem:
    """The process lives and its port is silent."""
    return Problem(
        title=_tr("The engine does not answer"),
        text=_tr(
            "Process {pid} is there, but port {port} is silent. Wait if the computer is busy, or restart it."
        ).format(pid=pid, port=port),
        remedy=Remedy("restart"),
    )


def refused(failure: ControlFailure) -> Problem:
    """The engine answers, but not to us."""
    return Problem(
        title=_tr("The engine refuses this window"),
        text=_tr("{why} If its token was changed, restart it.").format(why=_sentence(failure.message)),
        details=f"{failure.code}: {failure.message}",
        remedy=Remedy("restart"),
    )


def held_back(breakers: Sequence[BreakerStatus]) -> tuple[str, str]:
    """Title and text of what the window shows while models are not asked; `breakers` are those models'."""
    if len(breakers) == 1:
        title = _tr("{model} is not asked for now").format(model=breakers[0].name)
        lines = [breakers[0].reason]
    else:
        title = _tr("{n} models are not asked for now").format(n=len(breakers))
        lines = [f"{breaker.name}: {breaker.reason}" for breaker in breakers[:_SHOWN]]
    times = [breaker.next_probe for breaker in breakers if breaker.next_probe is not None]
    if times:
        again = _tr("The next try is the first request after {time}; `lynkr breakers reset` tries at once.")
        lines.append(again.format(time=fmt.clock(min(times))))
    else:
        lines.append(_tr("A request is trying it now."))
    return title, "\n".join(lines)


def used_up(budgets: Sequence[BudgetStatus]) -> tuple[str, str]:
    """Title and text of what the window shows while requests are refused for these budgets."""
    if len(budgets) == 1:
        title = _tr("A budget is used up")
    else:
        title = _tr("{n} budgets are used up").format(n=len(budgets))
    lines = [_spent(budget) for budget in budgets[:_SHOWN]]
    lines.append(_tr("Requests that cost something are refused. `lynkr budgets` says how to go on."))
    return title, "\n".join(lines)


def _scope(scope: BudgetScope) -> str:
    match scope:
        case "session":
            return _tr("Session")
        case "project":
            return _tr("Project")
        case "day":
            return _tr("Today")
        case "key":
            return _tr("Access key")


def _spent(budget: BudgetStatus) -> str:
    name = f"{_scope(budget.scope)} {budget.name}".strip()
    if budget.dollars_limit is not None and budget.dollars >= budget.dollars_limit:
        spent = _tr("${spent:,.2f} of ${limit:,.2f}").format(spent=budget.dollars, limit=budget.dollars_limit)
    else:
        spent = _tr("{spent:,} of {limit:,} tokens").format(
            spent=budget.tokens, limit=budget.tokens_limit or 0
        )
    if budget.renews is None:
        return _tr("{name}: {spent}; it does not renew by itself.").format(name=name, spent=spent)
    return _tr("{name}: {spent}, until {time}.").format(
        name=name, spent=spent, time=time.strftime("%Y-%m-%d %H:%M", time.localtime(budget.renews))
    )


def _port_in_use(failure: StartFailure) -> Problem:
    port = failure.port or 0
    holder = failure.holder or _tr("another program")
    held = _tr("It is held by {holder}, so the engine cannot listen there.").format(holder=holder)
    remedy = Remedy("port", failure.suggested_port) if failure.suggested_port else Remedy("start")
    return Problem(
        title=_tr("Port {port} is taken").format(port=port),
        text=held + " " + _tr("Use another port, or end that program and start again."),
        details=_details(failure),
        remedy=remedy,
    )


def _next_try(delay: float) -> str:
    if delay < 1:
        return _tr("It is being started again.")
    return _tr("The next try is in {time}.").format(time=fmt.duration(delay))


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", ":", "?")) else text + "."


def _details(failure: StartFailure) -> str:
    return "\n".join(part for part in (f"{failure.code}: {failure.message}", failure.details) if part)
