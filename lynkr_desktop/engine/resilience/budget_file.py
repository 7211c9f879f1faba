"""What people took out of budgets by resetting them, in a file that survives the process."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.resilience.budget_sums import Days
from lynkr_desktop.engine.security.private_file import clear_leftovers, read_private, write_private
from lynkr_desktop.protocol.budgets import BudgetScope

log = logging.getLogger(__name__)

Forgiven = dict[BudgetScope, dict[str, Days]]
"""The sums at the reset, by scope and name."""

_LARGEST_FILE = 32 * 1024**2


class _File(Struct):
    resets: Forgiven = {}


def read(path: Path) -> Forgiven:
    """What the file holds. A damaged one counts as empty, which frees nothing, and that is logged."""
    clear_leftovers(path)
    try:
        return msgspec.json.decode(read_private(path, _LARGEST_FILE), type=_File).resets
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.warning("%s cannot be read, so budgets that were reset count from before: %s", path, error)
        return {}


def write(path: Path, forgiven: Forgiven) -> None:
    """Replaces the file whole; it is on the disk when this returns. Raises `OSError`."""
    write_private(path, msgspec.json.encode(_File(forgiven)))
