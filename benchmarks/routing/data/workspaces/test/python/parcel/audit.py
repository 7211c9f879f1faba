"""Whether what is installed is still as it was installed."""

from __future__ import annotations

from dataclasses import dataclass

from parcel.engine import Engine


@dataclass(frozen=True)
class Finding:
    package: str
    path: str
    what: str


def audit(engine: Engine) -> list[Finding]:
    findings: list[Finding] = []
    for path, owner in sorted(engine.database._files.items()):
        target = engine.options.root / path
        if not target.exists() and not target.is_symlink():
            findings.append(Finding(owner, path, "missing"))
        elif target.is_file() and target.stat().st_mode & 0o002:
            findings.append(Finding(owner, path, "writable by everybody"))
    for manifest in engine.database.every():
        for dependency in manifest.depends:
            other = engine.database.installed(dependency.name)
            if other is None and not dependency.optional:
                findings.append(Finding(manifest.name, dependency.name, "dependency missing"))
            elif other is not None and not dependency.constraint.allows(other.version):
                findings.append(Finding(manifest.name, dependency.name, "dependency too old or too new"))
    return findings
