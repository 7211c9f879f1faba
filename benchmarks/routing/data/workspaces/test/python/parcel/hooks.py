"""Scripts that packages run before and after."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from parcel.manifest import Manifest

if TYPE_CHECKING:
    from parcel.engine import Engine

STAGES = ("pre-install", "post-install", "pre-remove", "post-remove")


class HookFailed(RuntimeError):
    """A script ended with an error."""


def run(engine: Engine, manifest: Manifest, stage: str) -> None:
    script = manifest.scripts.get(stage)
    if script is None or engine.options.no_scripts:
        return
    environment = {"PATH": os.defpath, "PARCEL_ROOT": str(engine.options.root), "PARCEL_STAGE": stage}
    done = subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise HookFailed(f"{manifest.name}: {stage} ended with {done.returncode}: {done.stderr.strip()[:200]}")
