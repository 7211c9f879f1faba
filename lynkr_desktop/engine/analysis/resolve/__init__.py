"""What names refer to: imports, calls and bases of a file -> other files of the workspace. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lynkr_desktop.engine.analysis.facts import FileFacts, Language
from lynkr_desktop.engine.analysis.resolve.csharp import CSharpResolver
from lynkr_desktop.engine.analysis.resolve.go import GoResolver
from lynkr_desktop.engine.analysis.resolve.java import JavaResolver
from lynkr_desktop.engine.analysis.resolve.python import PythonResolver
from lynkr_desktop.engine.analysis.resolve.rust import RustResolver
from lynkr_desktop.engine.analysis.resolve.scope import Resolver
from lynkr_desktop.engine.analysis.resolve.typescript import TypeScriptResolver

_RESOLVERS: dict[Language, Callable[[Mapping[str, FileFacts], Mapping[str, bytes]], Resolver]] = {
    "python": PythonResolver,
    "typescript": TypeScriptResolver,
    "rust": RustResolver,
    "go": GoResolver,
    "java": JavaResolver,
    "csharp": CSharpResolver,
}


def resolver_for(
    language: Language, files: Mapping[str, FileFacts], settings: Mapping[str, bytes]
) -> Resolver:
    """The rules of a language.

    Args:
        files: the files of that language, by path.
        settings: the contents of files that say how imports are resolved, by path; malformed ones count as
            none.
    """
    return _RESOLVERS[language](files, settings)
