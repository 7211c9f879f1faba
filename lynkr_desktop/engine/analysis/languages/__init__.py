"""The languages that are analysed, a module each."""

from __future__ import annotations

from lynkr_desktop.engine.analysis.facts import Language
from lynkr_desktop.engine.analysis.languages.csharp import CSHARP
from lynkr_desktop.engine.analysis.languages.go import GO
from lynkr_desktop.engine.analysis.languages.java import JAVA
from lynkr_desktop.engine.analysis.languages.python import PYTHON
from lynkr_desktop.engine.analysis.languages.rust import RUST
from lynkr_desktop.engine.analysis.languages.spec import LanguageSpec
from lynkr_desktop.engine.analysis.languages.typescript import TYPESCRIPT

_SPECS: dict[Language, LanguageSpec] = {
    spec.language: spec for spec in (PYTHON, TYPESCRIPT, GO, RUST, JAVA, CSHARP)
}


def spec_of(language: Language) -> LanguageSpec:
    """What the extractor has to know of a language."""
    return _SPECS[language]
