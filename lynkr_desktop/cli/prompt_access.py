"""Where `lynkr show` looks: the running engine, else the records that one has left."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import quote

from lynkr_desktop.cli.client import ControlFailure, connect
from lynkr_desktop.engine.config.loader import ConfigError, load_config
from lynkr_desktop.engine.telemetry import decisions, queries
from lynkr_desktop.engine.telemetry.database import RecordsError, database_path, open_for_reading
from lynkr_desktop.engine.telemetry.prompt_store import prompts_path, read_prompts
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import RequestList, RequestRow
from lynkr_desktop.protocol.optimization import PromptView
from lynkr_desktop.running import find_engine

_REQUESTS = "/v1/admin/requests"
LAST = "last"


def find_prompt(paths: Paths, request_id: str) -> tuple[RequestRow, PromptView]:
    """A request by its id, or the last one, and what was done to its prompt.

    Raises:
        ControlFailure: there is no such request, or nothing can be read.
    """
    runtime = find_engine(paths)
    if runtime is None:
        return _from_file(paths, request_id)
    client = connect(paths, runtime)
    if request_id == LAST:
        row = _first(client.get(_REQUESTS, RequestList, limit="1").requests)
    else:
        row = client.get(f"{_REQUESTS}/{quote(request_id, safe='')}", RequestRow)
    return row, client.get(f"{_REQUESTS}/{quote(row.id, safe='')}/prompt", PromptView)


def _from_file(paths: Paths, request_id: str) -> tuple[RequestRow, PromptView]:
    try:
        config = load_config(paths.config).config
        records = database_path(config.telemetry.storage, paths.home)
        with closing(open_for_reading(records)) as connection:
            if request_id == LAST:
                row = _first(tuple(queries.recent(connection, 1)))
            else:
                row = _first(tuple(filter(None, [queries.get(connection, request_id)])))
            decision = decisions.get(connection, row.id)
        stored = read_prompts(prompts_path(records), (row.id,)).get(row.id)
    except (ConfigError, RecordsError) as error:
        raise ControlFailure(str(error)) from error
    receipts = decision.receipts if decision is not None else ()
    return row, PromptView(id=row.id, receipts=receipts) if stored is None else stored.view(row.id, receipts)


def _first(rows: tuple[RequestRow, ...]) -> RequestRow:
    if not rows:
        raise ControlFailure("There is no such request. `lynkr usage` lists what was recorded.")
    return rows[0]
