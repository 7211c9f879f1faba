"""What shared use needs: the access keys count, and the audit log is as it was written."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from lynkr_desktop.doctor.check import Found, note, ok, problem

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look


def access_keys(look: Look) -> Found:
    """Whether the file of access keys can be used, and is nobody else's to change."""
    from lynkr_desktop.engine.security.access import AccessFault, keys_in

    path = look.paths.access
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ok("There is none beside the machine's own token.")
    except OSError as error:
        return problem(
            f"{path} cannot be read ({error.strerror}).", "Run this as the user that Lynkr runs as."
        )
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
        return problem(
            f"Other users could read or change {path} (mode {stat.S_IMODE(mode):03o}).",
            f"Look at `lynkr access list` for keys that you do not know, then close it: chmod 600 {path}",
        )
    try:
        keys = keys_in(path)
    except AccessFault as error:
        return problem(str(error), "Put the file in order, or move it away and add the keys anew.")
    expired = [key.name for key in keys if key.expired]
    if expired:
        return note(
            f"Of {len(keys)} access keys these have expired: {', '.join(expired)}.",
            "Renew one: lynkr access rotate NAME --expires 30d; or remove it: lynkr access remove NAME",
        )
    return ok("There is 1 access key." if len(keys) == 1 else f"There are {len(keys)} access keys.")


def audit_log(look: Look) -> Found:
    """Whether the audit log is as it was written."""
    from lynkr_desktop.engine.security.audit import AuditFailure, AuditLog

    try:
        check = AuditLog(look.paths.home).check()
    except AuditFailure as error:
        return problem(str(error), "Run this as the user that Lynkr runs as.")
    if check.faults:
        return problem(
            f"It is not as it was written: {check.faults[0].message}",
            "`lynkr audit verify` names every place. Find out who changed it, or which disk lost something.",
        )
    return ok(f"Its {check.entries:,} entries are as they were written." if check.entries else "It is empty.")
