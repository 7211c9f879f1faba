"""Source code of one language in a few lines, and what the extractor reads of it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import ClassFacts, FileFacts, Language


@dataclass(frozen=True)
class Source:
    """Reads source of a language. `suffix` is that of the file's name, where it is not the usual one."""

    language: Language
    usual: str

    def read(self, source: str, suffix: str = "") -> FileFacts:
        """Everything, with the indentation of the test taken away."""
        return extract(textwrap.dedent(source).encode(), self.language, suffix or self.usual)

    def complexities(self, source: str, suffix: str = "") -> dict[str, int]:
        """Of each function."""
        return {function.name: function.complexity for function in self.read(source, suffix).functions}

    def classes(self, source: str, suffix: str = "") -> dict[str, ClassFacts]:
        """The classes by their names."""
        return {each.name: each for each in self.read(source, suffix).classes}

    def references(self, source: str, suffix: str = "") -> set[tuple[str, str, str]]:
        """Qualifier, name, and the function that it stands in, empty for the top level."""
        facts = self.read(source, suffix)
        return {
            (each.qualifier, each.name, facts.functions[each.function].name if each.function >= 0 else "")
            for each in facts.references
        }


@st.composite
def broken(draw: st.DrawFn, source: bytes) -> bytes:
    """Source of which a part is gone, with some bytes in its place."""
    start, end = sorted(draw(st.tuples(*(st.integers(0, len(source)),) * 2)))
    return source[:start] + draw(st.binary(max_size=8)) + source[end:]


def assert_sound(facts: FileFacts) -> None:
    """What must hold of the facts of any bytes."""
    positions = range(-1, len(facts.functions))
    assert all(function.complexity >= 1 for function in facts.functions)
    assert all(reference.name and reference.function in positions for reference in facts.references)
    assert all(function.line <= function.end_line <= facts.lines for function in facts.functions)
