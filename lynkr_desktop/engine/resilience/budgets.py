"""Budgets: what a session, a project, a day and an access key may use.

What is spent is what the records say. A budget is read from them when a request needs it first, and added
to in memory from then on; while requests are in flight, what they may cost is reserved. A request may begin
while anything is left beside the reservations: budgets are overrun by what costs more than its estimate.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import logging
import shlex
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path, PurePath
from typing import NamedTuple, NoReturn

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.config.budgets import BudgetOptions, LimitOptions
from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.resilience.budget_file import BudgetFile, Grant
from lynkr_desktop.engine.resilience.guarded_sessions import of_key
from lynkr_desktop.engine.routing.workspace import workspace_of
from lynkr_desktop.engine.security.caller import UNLIMITED, DailyBudget
from lynkr_desktop.engine.telemetry import budget_rows
from lynkr_desktop.engine.telemetry.budget_rows import Sums
from lynkr_desktop.engine.telemetry.database import RecordsError
from lynkr_desktop.engine.telemetry.spans import start_of_day
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.engine.wire.canonical import Usage
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.budgets import BudgetScope, BudgetStatus
from lynkr_desktop.tasks import Tasks

log = logging.getLogger(__name__)

MOST_ACCOUNTS = 4096
MOST_LISTED = 100
RESERVED_OUTPUT = 4096
"""Tokens of an answer that are reserved at most."""

_RETRY_S = 5.0
_SHOWN = 8
_FOREVER = 253_402_300_800.0


class Period(NamedTuple):
    """A stretch of time for which a budget holds; `renews` is None where it never begins anew."""

    label: str
    since: float
    until: float

    @property
    def renews(self) -> float | None:
        """When the next one begins."""
        return None if self.until == _FOREVER else self.until


_ALWAYS = Period("", 0.0, _FOREVER)
Key = tuple[BudgetScope, str, str]
"""Scope, name and the label of the period."""


class Account(Struct, eq=False, kw_only=True):
    """What is spent and reserved of one budget."""

    scope: BudgetScope
    name: str
    period: Period
    sums: Sums = Sums()
    grant: Grant = Grant()
    in_flight: int = 0
    reserved_tokens: float = 0.0
    reserved_dollars: float = 0.0
    share: float = 0.0
    """That is spent, as it was when a request ended last."""
    told: float = 0.0
    known: bool = False
    loading: asyncio.Task[None] | None = None
    try_again: float = 0.0

    @property
    def key(self) -> Key:
        """Its name among all."""
        return self.scope, self.name, self.period.label


class Hold(Struct, eq=False):
    """What a request in flight has reserved, and of which accounts."""

    accounts: list[tuple[Account, LimitOptions]]
    in_dollars: bool = False
    """Whether one of them has a limit in dollars."""
    tokens: float = 0.0
    dollars: float = 0.0
    reserved: bool = False


class Budgets:
    """All budgets.

    Args:
        file: keeps what people added or reset.
        records: the records with every request that has ended.
        price: what usage costs at the target of a request; None where that is not known.
        on_change: told of a budget that is nearly or wholly spent.
        key_budget: the limits of an access key, by its name.
        clock: the time in Unix seconds.
    """

    def __init__(
        self,
        file: Path,
        records: Callable[[], Records],
        price: Callable[[Exchange, Usage], float | None],
        on_change: Callable[[BudgetStatus], None],
        key_budget: Callable[[str], DailyBudget] = lambda _name: UNLIMITED,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = BudgetOptions()
        self.refused: dict[BudgetScope, int] = dict.fromkeys(("session", "project", "day", "key"), 0)
        self._file = BudgetFile(file)
        self._records = records
        self._price = price
        self._on_change = on_change
        self._key_budget = key_budget
        self._clock = clock
        self._accounts: OrderedDict[Key, Account] = OrderedDict()
        self._tasks = Tasks()
        self._changing = asyncio.Lock()
        self._day = self._month = Period("", 0.0, 0.0)
        self.enabled = False

    def load(self) -> None:
        """Reads what people added or reset."""
        self._file.load()

    def take(self, options: BudgetOptions) -> None:
        """Goes by these options from now on."""
        if options.projects != self.options.projects:
            # Other folders may share a budget now: it is read anew, but for those that requests hold.
            for key in [key for key, each in self._accounts.items() if each.scope == "project"]:
                if not self._accounts[key].in_flight:
                    del self._accounts[key]
        self.options = options
        limits = (options.session, options.project, options.day, options.key, *options.projects.values())
        self.enabled = any(map(_bounds, limits))
        for account in self._accounts.values():
            self._weigh(account, self._limit_of(account))

    def read_again(self) -> None:
        """Reads every budget anew when it is needed next: another engine wrote to the records."""
        for account in self._accounts.values():
            account.known = False

    async def close(self) -> None:
        """Ends what still reads."""
        await self._tasks.close()

    # ------------------------------------------------------------ requests

    async def open(self, exchange: Exchange, workspace: str | None) -> None:
        """Finds the budgets of a request; where the records have to be read for one, waits for that."""
        if not (self.enabled or exchange.caller.limited):
            return
        hold = Hold([])
        for scope, name, limit in self._names(exchange, workspace):
            account = self._account(scope, name, exchange.at)
            if not account.known:
                await self._known(account)
            hold.accounts.append((account, limit))
            hold.in_dollars = hold.in_dollars or limit.dollars is not None
        exchange.hold = hold

    def reserve(self, exchange: Exchange) -> None:
        """Reserves what a request may cost at its target, in place of what it has reserved so far.

        Raises:
            WireError: 402 where a budget is spent, 429 where what is in flight may spend the rest of it.
        """
        hold = exchange.hold
        if hold is None or not hold.accounts:
            return
        self._release(hold)
        usage = _estimate(exchange)
        tokens = usage.input_tokens + usage.output_tokens
        if exchange.free:
            counts = any(self._counts_free(account) for account, _ in hold.accounts)
            hold.tokens, hold.dollars = (tokens if counts else 0), 0.0
        else:
            hold.tokens, hold.dollars = tokens, 0.0
            if hold.in_dollars:
                cost = self._price(exchange, usage)
                if cost is None and self.options.unknown_price == "refuse":
                    self._refuse_unpriced(exchange, hold)
                hold.dollars = self._worst(usage) if cost is None else cost
        for account, limit in hold.accounts:
            self._check(account, limit, exchange)
        for account, _ in hold.accounts:
            account.in_flight += 1
            account.reserved_tokens += hold.tokens
            account.reserved_dollars += hold.dollars
        hold.reserved = True

    def settle(self, exchange: Exchange) -> None:
        """Takes what a request has cost in the end in the place of what it reserved."""
        hold, exchange.hold = exchange.hold, None
        if hold is None:
            return
        self._release(hold)
        usage = exchange.usage
        if usage is None:
            used = Sums(dollars=exchange.cost or 0.0)
        else:
            used = budget_rows.of_request(usage.input_tokens, usage.output_tokens, exchange.cost)
        for account, limit in hold.accounts:
            account.sums = account.sums.plus(used)
            self._tell(account, limit)

    def _release(self, hold: Hold) -> None:
        if not hold.reserved:
            return
        hold.reserved = False
        for account, _ in hold.accounts:
            account.in_flight -= 1
            account.reserved_tokens -= hold.tokens
            account.reserved_dollars -= hold.dollars
            if not account.in_flight:  # and no fraction of a cent is left of additions
                account.reserved_tokens = account.reserved_dollars = 0.0

    def _check(self, account: Account, limit: LimitOptions, exchange: Exchange) -> None:
        free = exchange.free
        tokens, dollars = self._spent(account)
        tokens_limit, dollars_limit = _limits(account, limit)
        if (
            tokens_limit is not None
            and tokens + account.reserved_tokens >= tokens_limit
            and (not free or self._counts_free(account))
        ):
            said = f"{tokens:,.0f} of {tokens_limit:,} tokens are used"
            if tokens >= tokens_limit:
                self._refuse(exchange, account, limit, said, f"--tokens {max(1, tokens_limit):d}")
            self._hold_back(account, said)
        if dollars_limit is not None and dollars + account.reserved_dollars >= dollars_limit and not free:
            said = f"{_dollars(dollars)} of {_dollars(dollars_limit)} is spent"
            if dollars >= dollars_limit:
                self._refuse(exchange, account, limit, said, f"--dollars {max(1.0, dollars_limit):g}")
            self._hold_back(account, said)

    def _refuse(
        self, exchange: Exchange, account: Account, limit: LimitOptions, said: str, more: str
    ) -> NoReturn:
        self.refused[account.scope] += 1
        self._tell(account, limit)
        name = f" {shlex.quote(account.name)}" if account.name else ""
        limited = account.scope == "key" and exchange.caller.limited
        own = f" `lynkr access set{name}` changes what the key may use each day." if limited else ""
        raise WireError(
            f"The budget of {_called(account)} is used up: {said}. {_renewal(account.period)} To go on, "
            f"run `lynkr budgets raise {account.scope}{name} {more}` or `lynkr budgets reset "
            f"{account.scope}{name}`.{own}",
            status=_status_for(exchange),
            kind="budget",
        )

    def _hold_back(self, account: Account, said: str) -> NoReturn:
        self.refused[account.scope] += 1
        raise WireError(
            f"What is left of the budget of {_called(account)} may be needed by the requests in flight "
            f"({said}, {account.in_flight} in flight). Ask again when they have ended.",
            status=429,
            kind="rate_limit",
            retry_after=2,
        )

    def _refuse_unpriced(self, exchange: Exchange, hold: Hold) -> NoReturn:
        account = next(each for each, limit in hold.accounts if limit.dollars is not None)
        self.refused[account.scope] += 1
        assert exchange.target is not None
        raise WireError(
            f"The price of {exchange.target.name} is not known, and the budget of {_called(account)} is in "
            "dollars. Ask a model with a known price, or set budgets.unknown_price to count.",
            status=_status_for(exchange),
            kind="budget",
        )

    # ------------------------------------------------------------ accounts

    def _names(
        self, exchange: Exchange, workspace: str | None
    ) -> list[tuple[BudgetScope, str, LimitOptions]]:
        options = self.options
        found: list[tuple[BudgetScope, str, LimitOptions]] = []
        if _bounds(options.session) and (session := _session_of(exchange)):
            found.append(("session", session, options.session))
        if (options.projects or _bounds(options.project)) and (folder := _folder_of(exchange, workspace)):
            name = self._project_of(folder)
            limit = options.projects.get(name, options.project)
            if _bounds(limit):
                found.append(("project", name, limit))
        if _bounds(limit := self._limit_of_key(exchange.caller.budget)):
            found.append(("key", exchange.caller.name, limit))
        if _bounds(options.day):
            found.append(("day", "", options.day))
        return found

    def _project_of(self, folder: str) -> str:
        """The folder whose budget a folder shares: the nearest that is listed, else its own."""
        path = PurePath(folder)
        around = (str(each) for each in (path, *path.parents))
        return next((each for each in around if each in self.options.projects), folder)

    def _period(self, scope: BudgetScope, at: float) -> Period:
        """That of the calendar at a time: a clock that is set back finds what was spent under that date."""
        if scope == "session":
            return _ALWAYS
        if not self._day.since <= at < self._day.until:
            day = date.fromtimestamp(at)
            first = day.replace(day=1)
            following = (first + timedelta(days=32)).replace(day=1)
            self._day = Period(f"{day}", start_of_day(day), start_of_day(day + timedelta(days=1)))
            self._month = Period(f"{day:%Y-%m}", start_of_day(first), start_of_day(following))
        return self._month if scope == "project" else self._day

    def _account(self, scope: BudgetScope, name: str, at: float) -> Account:
        period = self._period(scope, at)
        key = (scope, name, period.label)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(
                scope=scope, name=name, period=period, grant=self._file.of(key)
            )
            self._forget_some()
        else:
            self._accounts.move_to_end(key)
        return account

    def _forget_some(self) -> None:
        """Lets go of those that were not used for longest; the records know what was spent of them."""
        spare = len(self._accounts) - MOST_ACCOUNTS
        if spare > 0:
            idle = (key for key, each in self._accounts.items() if not each.in_flight and not each.loading)
            for key in [key for key, _ in zip(idle, range(spare), strict=False)]:
                del self._accounts[key]

    async def _known(self, account: Account) -> None:
        if account.loading is None:
            if time.monotonic() < account.try_again:
                return
            account.loading = self._tasks.spawn(self._read(account), "what is spent of a budget")
        await asyncio.shield(account.loading)

    async def _read(self, account: Account) -> None:
        before = account.sums
        try:
            found = await self._records().read(lambda connection: self._find(connection, account))
        except RecordsError as error:
            log.warning("what is spent of the budget of %s is not known: %s", _called(account), error)
            account.try_again = time.monotonic() + _RETRY_S
        else:
            # What ended while the records were read may count twice: never not at all.
            account.sums = found.plus(account.sums.minus(before))
            account.known = True
            self._weigh(account, self._limit_of(account))
        finally:
            account.loading = None

    def _find(self, connection: sqlite3.Connection, account: Account) -> Sums:
        name, period = account.name, account.period
        if account.scope == "project":
            folders = budget_rows.folders(connection, period.since, period.until)
            name = json.dumps([each for each in folders if self._project_of(each) == account.name])
        return budget_rows.spent(connection, account.scope, name, period.since, period.until)

    def _limit_of(self, account: Account) -> LimitOptions:
        options = self.options
        if account.scope == "project":
            return options.projects.get(account.name, options.project)
        if account.scope == "key":
            return self._limit_of_key(self._key_budget(account.name))
        return options.session if account.scope == "session" else options.day

    def _limit_of_key(self, own: DailyBudget) -> LimitOptions:
        """A key's own limits; where it has none, those of the configuration."""
        general = self.options.key
        if own is UNLIMITED or own == UNLIMITED:
            return general
        return LimitOptions.model_construct(
            tokens=general.tokens if own.tokens is None else own.tokens,
            dollars=general.dollars if own.dollars is None else own.dollars,
        )

    def _counts_free(self, account: Account) -> bool:
        """Whether tokens that cost nothing count: a key's own limit is on what its holder uses at all."""
        if self.options.count_local_tokens:
            return True
        return account.scope == "key" and self._key_budget(account.name).tokens is not None

    def _worst(self, usage: Usage) -> float:
        price = self.options.worst_price
        return (usage.input_tokens * price.input + usage.output_tokens * price.output) / 1e6

    def _spent(self, account: Account) -> tuple[float, float]:
        """Tokens and dollars that count."""
        sums, price = account.sums, self.options.worst_price
        if any(account.grant.forgiven):
            sums = sums.minus(account.grant.forgiven)
        tokens = sums.tokens + (sums.free_tokens if self._counts_free(account) else 0)
        worst = (sums.unpriced_input * price.input + sums.unpriced_output * price.output) / 1e6
        return tokens, sums.dollars + worst

    def _share(self, account: Account, limit: LimitOptions) -> float:
        tokens, dollars = self._spent(account)
        tokens_limit, dollars_limit = _limits(account, limit)
        of_tokens = 0.0 if tokens_limit is None else tokens / tokens_limit if tokens_limit else 1.0
        of_dollars = 0.0 if dollars_limit is None else dollars / dollars_limit if dollars_limit else 1.0
        return max(of_tokens, of_dollars)

    def _level(self, share: float) -> float:
        return 1.0 if share >= 1 else self.options.warn_at if share >= self.options.warn_at else 0.0

    def _tell(self, account: Account, limit: LimitOptions) -> None:
        """Tells people once when a budget is nearly spent, and once when it is."""
        before = account.told
        self._weigh(account, limit)
        if account.told > before:
            self._on_change(self._status(account))

    def _weigh(self, account: Account, limit: LimitOptions) -> None:
        account.share = self._share(account, limit)
        account.told = self._level(account.share)

    # ------------------------------------------------------------ people

    def statuses(self) -> tuple[BudgetStatus, ...]:
        """The budgets in force that were used since the start, the fullest first, `MOST_LISTED` at most."""
        return self._fullest(self._current(), MOST_LISTED)

    def fullest(self) -> tuple[BudgetStatus, ...]:
        """Some of which budgets.warn_at is spent, or more, for those who look at everything."""
        return self._fullest((account for account in self._current() if account.told), _SHOWN)

    def shares(self) -> dict[str, float]:
        """The share that is spent of the fullest budget of each scope."""
        found: dict[str, float] = dict.fromkeys(self.refused, 0.0)
        for account in self._current():
            found[account.scope] = max(found[account.scope], account.share)
        return found

    def _current(self) -> Iterator[Account]:
        now = self._clock()
        for account in self._accounts.values():
            if account.period.since <= now < account.period.until:
                yield account

    def _fullest(self, accounts: Iterable[Account], most: int) -> tuple[BudgetStatus, ...]:
        # They may be thousands, and to say how one stands takes microseconds.
        found = heapq.nlargest(most, accounts, key=lambda account: account.share)
        statuses = [self._status(account) for account in found if _bounds(self._limit_of(account))]
        return tuple(sorted(statuses, key=lambda status: status.share, reverse=True))

    def _status(self, account: Account) -> BudgetStatus:
        limit = self._limit_of(account)
        tokens, dollars = self._spent(account)
        tokens_limit, dollars_limit = _limits(account, limit)
        return BudgetStatus(
            scope=account.scope,
            name=account.name,
            tokens=round(tokens),
            tokens_limit=tokens_limit,
            dollars=dollars,
            dollars_limit=dollars_limit,
            share=self._share(account, limit),
            unpriced=round(account.sums.unpriced),
            in_flight=account.in_flight,
            renews=account.period.renews,
        )

    async def reset(self, scope: BudgetScope, name: str) -> BudgetStatus:
        """What was spent of a budget counts no more. Raises `WireError` 404 or 503."""
        account = self._named(scope, name)
        async with self._changing:
            forgiven = await self._ready(account)
            # Requests that end while this is kept count afterwards.
            return await self._change(account, msgspec.structs.replace(account.grant, forgiven=forgiven))

    async def extend(self, scope: BudgetScope, name: str, tokens: int, dollars: float) -> BudgetStatus:
        """Adds to the limits of a budget until it renews. Raises `WireError` 400, 404 or 503."""
        if not (0 <= tokens <= 10**12 and 0 <= dollars <= 1e9) or not (tokens or dollars):
            message = "Say how many tokens or dollars to add: numbers above 0, a billion dollars at most."
            raise WireError(message, status=400, kind="invalid_request")
        account = self._named(scope, name)
        async with self._changing:
            await self._ready(account)
            grant = account.grant
            return await self._change(
                account, Grant(grant.tokens + tokens, grant.dollars + dollars, grant.forgiven)
            )

    def _named(self, scope: BudgetScope, name: str) -> Account:
        name = self._project_of(name) if scope == "project" else "" if scope == "day" else name
        account = self._account(scope, name, self._clock())
        if not _bounds(self._limit_of(account)):
            message = f"The configuration sets no budget for {_called(account)}. Set it under budgets."
            raise WireError(message, status=404, kind="not_found")
        return account

    async def _ready(self, account: Account) -> Sums:
        """What is spent of a budget, as the records have it."""
        if not account.known:
            await self._known(account)
        sums = account.sums
        # What the records do not hold yet must not be forgiven: it would be free if it were lost.
        await self._records().flush()
        if not account.known:
            message = "The records cannot be read now, so nothing was changed. The log says why."
            raise WireError(message, status=503, kind="unavailable")
        return sums

    async def _change(self, account: Account, grant: Grant) -> BudgetStatus:
        try:
            await asyncio.to_thread(self._file.keep, account.key, grant, self._clock())
        except OSError as error:
            message = f"It cannot be kept, so nothing was changed: {error}."
            raise WireError(message, status=503, kind="unavailable") from error
        account.grant = grant
        self._weigh(account, self._limit_of(account))
        return self._status(account)


def _bounds(limit: LimitOptions) -> bool:
    """Whether it limits anything. Models of pydantic are slow to compare."""
    return limit.tokens is not None or limit.dollars is not None


def _limits(account: Account, limit: LimitOptions) -> tuple[int | None, float | None]:
    """The limits with what a person added."""
    return (
        None if limit.tokens is None else limit.tokens + account.grant.tokens,
        None if limit.dollars is None else limit.dollars + account.grant.dollars,
    )


def _estimate(exchange: Exchange) -> Usage:
    """What a request may use: its prompt by its size, and an answer of bounded length."""
    request = exchange.request
    most = request.max_tokens if request is not None and request.max_tokens is not None else RESERVED_OUTPUT
    return Usage(input_tokens=exchange.prompt_tokens, output_tokens=max(0, min(most, RESERVED_OUTPUT)))


def _status_for(exchange: Exchange) -> int:
    """402, which SDKs and Claude Code show and do not repeat; 400 for Responses: Codex repeats a 402."""
    return 400 if exchange.codec.name == "openai_responses" else 402


def _session_of(exchange: Exchange) -> str:
    """The session as the records name it, of this access key alone; empty for what stands alone."""
    session = exchange.session or exchange.conversation
    return of_key(session, exchange.caller.name) if session else ""


def _folder_of(exchange: Exchange, workspace: str | None) -> str:
    decision, request = exchange.decision, exchange.request
    if decision is not None and decision.grounds is not None and decision.grounds.workspace:
        return decision.grounds.workspace
    if request is None:
        return ""
    configured = Path(workspace).expanduser() if workspace else None
    found = workspace_of(request, exchange.headers, configured)
    return found.folder if found is not None else ""


def _called(account: Account) -> str:
    match account.scope:
        case "day":
            return "the day"
        case "key":
            return f"the access key {account.name}" if account.name else "the machine's own token"
        case scope:
            return f"the {scope} {account.name}"


def _renewal(period: Period) -> str:
    if period.renews is None:
        return "It does not renew by itself."
    return f"It renews {time.strftime('%Y-%m-%d at %H:%M', time.localtime(period.renews))}."


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:,.4f}"
