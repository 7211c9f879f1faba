"""Which packages to install so that every wish and every dependency holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parcel.manifest import Dependency, Manifest

if TYPE_CHECKING:
    from parcel.engine import Engine


class Unsolvable(Exception):
    """No set of packages satisfies the request. `chain` says why, the last reason first."""

    def __init__(self, chain: list[str]) -> None:
        super().__init__("; ".join(chain))
        self.chain = chain


@dataclass
class State:
    chosen: dict[str, Manifest] = field(default_factory=dict)
    demands: dict[str, list[tuple[str, Dependency]]] = field(default_factory=dict)
    trail: list[str] = field(default_factory=list)

    def copy(self) -> State:
        return State(dict(self.chosen), {k: list(v) for k, v in self.demands.items()}, list(self.trail))


class Resolver:
    """Depth-first search with backjumping over candidates, newest first."""

    def __init__(self, engine: Engine, limit: int = 20_000) -> None:
        self._engine = engine
        self._limit = limit
        self._steps = 0
        self._dead: dict[tuple[str, str], str] = {}

    def resolve(self, wishes: Iterable[Dependency]) -> list[Manifest]:
        state = State()
        for wish in wishes:
            state.demands.setdefault(wish.name, []).append(("you", wish))
        solved = self._search(state)
        if solved is None:
            raise Unsolvable([f"{name} {version}: {why}" for (name, version), why in self._dead.items()])
        return list(self._ordered(solved))

    def _candidates(self, state: State, name: str) -> list[Manifest]:
        found = []
        for manifest in self._engine.available(name):
            if all(d.constraint.allows(manifest.version) for _, d in state.demands.get(name, ())):
                found.append(manifest)
        held = self._engine.database.held(name)
        if held is not None:
            found = [m for m in found if m.version == held]
        installed = self._engine.database.installed(name)
        found.sort(key=lambda m: (installed is not None and m.version == installed.version, m.version), reverse=True)
        return found

    def _conflict(self, state: State, manifest: Manifest) -> str | None:
        for other in state.chosen.values():
            for dependency in manifest.conflicts:
                if dependency.name in (other.name, *other.provides) and dependency.constraint.allows(other.version):
                    return other.name
            for dependency in other.conflicts:
                if dependency.name in (manifest.name, *manifest.provides) and dependency.constraint.allows(manifest.version):
                    return other.name
        return None

    def _search(self, state: State) -> State | None:
        self._steps += 1
        if self._steps > self._limit:
            raise Unsolvable([f"gave up after {self._limit} steps"])
        open_names = [n for n in state.demands if n not in state.chosen and not self._provided(state, n)]
        if not open_names:
            return state
        name = min(open_names, key=lambda n: len(self._candidates(state, n)))
        for manifest in self._candidates(state, name):
            clash = self._conflict(state, manifest)
            if clash is not None:
                self._dead[(manifest.name, str(manifest.version))] = f"conflicts with {clash}"
                continue
            trial = state.copy()
            trial.chosen[manifest.name] = manifest
            trial.trail.append(manifest.name)
            broken = False
            for dependency in manifest.depends:
                if dependency.optional and not self._engine.options.with_optional:
                    continue
                trial.demands.setdefault(dependency.name, []).append((manifest.name, dependency))
                already = trial.chosen.get(dependency.name)
                if already is not None and not dependency.constraint.allows(already.version):
                    self._dead[(manifest.name, str(manifest.version))] = f"needs another {dependency.name}"
                    broken = True
                    break
            if broken:
                continue
            solved = self._search(trial)
            if solved is not None:
                return solved
        return None

    def _provided(self, state: State, name: str) -> bool:
        return any(name in manifest.provides for manifest in state.chosen.values())

    def _ordered(self, state: State) -> Iterator[Manifest]:
        seen: set[str] = set()

        def visit(name: str) -> Iterator[Manifest]:
            if name in seen or name not in state.chosen:
                return
            seen.add(name)
            for dependency in state.chosen[name].depends:
                yield from visit(dependency.name)
            yield state.chosen[name]

        for name in state.trail:
            yield from visit(name)
