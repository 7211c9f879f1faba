"""The package manager itself: planning, fetching, installing, removing, rolling back."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from parcel import archive, hooks
from parcel.database import Database, Locked
from parcel.lockfile import Lockfile
from parcel.manifest import Dependency, Manifest, parse_dependency
from parcel.resolver import Resolver, Unsolvable
from parcel.settings import Options
from parcel.sources.base import Source, SourceError
from parcel.sources.folder import FolderSource
from parcel.sources.http import HttpSource
from parcel.text.humanize import plural, size

log = logging.getLogger(__name__)


class TransactionFailed(RuntimeError):
    """Nothing was changed, or everything was put back; `left` lists what could not be."""

    def __init__(self, message: str, left: list[str]) -> None:
        super().__init__(message)
        self.left = left


@dataclass
class Step:
    kind: str
    manifest: Manifest
    old: Manifest | None = None
    data: bytes | None = None


@dataclass
class Plan:
    steps: list[Step] = field(default_factory=list)
    download: int = 0
    grows: int = 0

    def summary(self) -> str:
        counts: dict[str, int] = {}
        for step in self.steps:
            counts[step.kind] = counts.get(step.kind, 0) + 1
        parts = [plural(n, kind) for kind, n in sorted(counts.items())]
        return ", ".join(parts) + f"; {size(self.download)} to fetch" if parts else "nothing to do"


class Engine:
    def __init__(self, options: Options, listener: Callable[[str, str], None] | None = None) -> None:
        self.options = options
        self._listener = listener
        self.database = Database(options.root / "var/lib/parcel", self)
        self.sources: list[Source] = []
        for entry in options.sources:
            if entry.startswith(("http://", "https://")):
                self.sources.append(HttpSource(entry, entry, timeout=options.timeout))
            elif entry.startswith("file://"):
                self.sources.append(FolderSource(Path(entry.removeprefix("file://"))))
            else:
                self.sources.append(FolderSource(Path(entry)))
        self._index: dict[str, list[tuple[Manifest, Source]]] = {}
        self._loaded = False

    def notify(self, what: str, name: str) -> None:
        log.debug("%s %s", what, name)
        if self._listener is not None:
            self._listener(what, name)

    def _load(self) -> None:
        if self._loaded:
            return
        failed = 0
        for source in sorted(self.sources, key=lambda s: -s.priority):
            try:
                for manifest in source.manifests():
                    if manifest.arch not in (self.options.arch, "any"):
                        continue
                    entries = self._index.setdefault(manifest.name, [])
                    if any(m.version == manifest.version for m, _ in entries):
                        continue
                    entries.append((manifest, source))
                    for alias in manifest.provides:
                        self._index.setdefault(alias, []).append((manifest, source))
            except SourceError as error:
                failed += 1
                if not error.transient and self.options.strict:
                    raise
                log.warning("%s is left out: %s", source.name, error)
        if failed and failed == len(self.sources):
            raise SourceError("no source could be read", transient=True)
        self._loaded = True

    def available(self, name: str) -> list[Manifest]:
        self._load()
        return [manifest for manifest, _ in self._index.get(name, ())]

    def plan_install(self, wishes: Iterable[str], lockfile: Lockfile | None = None) -> Plan:
        wanted: list[Dependency] = [parse_dependency(w) for w in wishes]
        if lockfile is not None:
            pinned = {d.name for d in wanted}
            for dependency in lockfile.dependencies():
                if dependency.name not in pinned:
                    wanted.append(dependency)
        if not self.options.upgrade:
            for manifest in self.database.every():
                if all(manifest.name != d.name for d in wanted):
                    wanted.append(parse_dependency(f"{manifest.name}>={manifest.version}"))
        try:
            chosen = Resolver(self).resolve(wanted)
        except Unsolvable:
            if self.options.upgrade or not self.options.allow_downgrade:
                raise
            chosen = Resolver(self).resolve([d for d in wanted if d.constraint.operator != ">="])
        plan = Plan()
        for manifest in chosen:
            old = self.database.installed(manifest.name)
            if old is None:
                plan.steps.append(Step("install", manifest))
                plan.grows += manifest.size
            elif old.version == manifest.version:
                if self.options.reinstall and any(manifest.name == d.name for d in wanted):
                    plan.steps.append(Step("reinstall", manifest, old))
                else:
                    continue
            elif old.version < manifest.version:
                plan.steps.append(Step("upgrade", manifest, old))
                plan.grows += manifest.size - old.size
            else:
                if not self.options.allow_downgrade:
                    raise TransactionFailed(f"{manifest.name} would go back to {manifest.version}", [])
                plan.steps.append(Step("downgrade", manifest, old))
                plan.grows += manifest.size - old.size
            plan.download += manifest.size
        for name in self._orphans(chosen) if self.options.autoremove else ():
            old = self.database.installed(name)
            if old is not None:
                plan.steps.append(Step("remove", old))
                plan.grows -= old.size
        return plan

    def plan_remove(self, names: Iterable[str]) -> Plan:
        plan = Plan()
        doomed = set(names)
        changed = True
        while changed:
            changed = False
            for manifest in self.database.every():
                if manifest.name in doomed:
                    continue
                for dependency in manifest.depends:
                    if dependency.name in doomed and not dependency.optional:
                        if not self.options.cascade:
                            raise TransactionFailed(f"{manifest.name} needs {dependency.name}", [])
                        doomed.add(manifest.name)
                        changed = True
                        break
        for name in sorted(doomed):
            old = self.database.installed(name)
            if old is None:
                if self.options.strict:
                    raise TransactionFailed(f"{name} is not installed", [])
                continue
            plan.steps.append(Step("remove", old))
            plan.grows -= old.size
        return plan

    def _orphans(self, chosen: list[Manifest]) -> list[str]:
        needed: set[str] = {m.name for m in chosen}
        for manifest in chosen:
            needed.update(d.name for d in manifest.depends)
        return [m.name for m in self.database.every() if m.name not in needed and self.database.held(m.name) is None]

    def _fetch(self, plan: Plan) -> None:
        wanted = [s for s in plan.steps if s.kind != "remove"]
        with ThreadPoolExecutor(max_workers=self.options.parallel) as pool:
            jobs = {pool.submit(self._fetch_one, step.manifest): step for step in wanted}
            for job in as_completed(jobs):
                jobs[job].data = job.result()
                self.notify("fetched", jobs[job].manifest.name)

    def _fetch_one(self, manifest: Manifest) -> bytes:
        cached = self.options.cache / f"{manifest.digest}.parcel"
        if cached.exists():
            data = cached.read_bytes()
            try:
                archive.verify(manifest, data)
                return data
            except archive.BadArchive:
                cached.unlink()
        errors: list[str] = []
        for candidate, source in self._index.get(manifest.name, ()):
            if candidate.version != manifest.version:
                continue
            try:
                data = source.fetch(candidate)
                archive.verify(candidate, data)
            except (SourceError, archive.BadArchive) as error:
                errors.append(f"{source.name}: {error}")
                continue
            cached.parent.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(data)
            return data
        raise SourceError("; ".join(errors) or f"nobody has {manifest.name}")

    def commit(self, plan: Plan) -> None:
        """Do what the plan says, whole or not at all."""
        if plan.grows > 0 and shutil.disk_usage(self.options.root).free < plan.grows * 1.1:
            raise TransactionFailed(f"{size(plan.grows)} do not fit", [])
        self._fetch(plan)
        if self.options.dry_run:
            return
        done: list[tuple[Step, list[tuple[str, bytes | None]]]] = []
        try:
            with self.database.lock():
                for step in plan.steps:
                    saved: list[tuple[str, bytes | None]] = []
                    done.append((step, saved))
                    if step.kind == "remove":
                        hooks.run(self, step.manifest, "pre-remove")
                        for path in self.database.forget(step.manifest.name):
                            target = self.options.root / path
                            if target.is_symlink() or not target.exists():
                                target.unlink(missing_ok=True)
                                continue
                            if target.is_dir():
                                continue
                            saved.append((path, target.read_bytes()))
                            if self._is_config(path) and self.options.keep_config:
                                continue
                            target.unlink()
                        hooks.run(self, step.manifest, "post-remove")
                    else:
                        self._install(step, saved)
                    self.notify(step.kind, step.manifest.name)
        except Locked:
            raise
        except Exception as error:
            left = self._roll_back(done)
            raise TransactionFailed(f"{error}", left) from error

    def _install(self, step: Step, saved: list[tuple[str, bytes | None]]) -> None:
        if step.data is None:
            raise TransactionFailed(f"{step.manifest.name} was not fetched", [])
        hooks.run(self, step.manifest, "pre-install")
        files: list[str] = []
        for name, info, content in archive.members(step.data):
            owner = self.database.owner(name)
            if owner not in (None, step.manifest.name) and not info.isdir():
                if step.old is None or owner not in {d.name for d in step.manifest.conflicts}:
                    if not self.options.force:
                        raise TransactionFailed(f"{name} belongs to {owner}", [])
            target = self.options.root / name
            if target.is_file() and not target.is_symlink():
                saved.append((name, target.read_bytes()))
                if self._is_config(name) and self.options.keep_config and target.read_bytes() != content:
                    target = target.with_name(target.name + ".parcel-new")
                    archive.place(self.options.root, str(target.relative_to(self.options.root)), info, content)
                    files.append(name)
                    continue
            elif not info.isdir():
                saved.append((name, None))
            archive.place(self.options.root, name, info, content)
            files.append(name)
        self.database.record(step.manifest, files, self._text(step.manifest))
        hooks.run(self, step.manifest, "post-install")

    def _roll_back(self, done: list[tuple[Step, list[tuple[str, bytes | None]]]]) -> list[str]:
        left: list[str] = []
        for step, saved in reversed(done):
            for name, content in reversed(saved):
                target = self.options.root / name
                try:
                    if content is None:
                        target.unlink(missing_ok=True)
                    else:
                        target.write_bytes(content)
                except OSError:
                    left.append(name)
            if step.kind == "install":
                self.database.forget(step.manifest.name)
            elif step.old is not None:
                self.database.record(step.old, [n for n, _ in saved], self._text(step.old))
        return left

    def _is_config(self, path: str) -> bool:
        return path.startswith("etc/") and not path.endswith((".default", ".sample"))

    def _text(self, manifest: Manifest) -> str:
        lines = [f"name: {manifest.name}", f"version: {manifest.version}", f"arch: {manifest.arch}"]
        lines += [f"size: {manifest.size}", f"sha256: {manifest.digest}"]
        if manifest.provides:
            lines.append("provides: " + ", ".join(manifest.provides))
        for stage, script in manifest.scripts.items():
            lines.append(f"script-{stage}: {script}")
        return "\n".join(lines) + "\n"
