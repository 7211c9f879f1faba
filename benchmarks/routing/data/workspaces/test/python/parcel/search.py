"""Finding packages by words."""

from parcel.engine import Engine
from parcel.manifest import Manifest


def search(engine: Engine, words: list[str]) -> list[Manifest]:
    best: dict[str, Manifest] = {}
    for name in sorted({m.name for m in engine.database.every()} | set(engine._index)):
        if not all(word.lower() in name for word in words):
            continue
        for manifest in engine.available(name):
            if name not in best or best[name].version < manifest.version:
                best[name] = manifest
    return list(best.values())
