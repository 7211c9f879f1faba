"""What the path of a file says: whether it is a test, whether it was copied in from elsewhere."""

from __future__ import annotations

import re
from functools import lru_cache

_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "__mocks__", "spec", "specs", "e2e"})
_VENDORED_FOLDERS = frozenset(
    {"vendored", "_vendor", "_vendored", "third_party", "thirdparty", "third-party"}
)
"""Beside those of package managers, which the walk never enters."""

_TEST_NAME = re.compile(
    r"""(
        test_[^/]*\.pyi? | [^/]+_tests?\.pyi? | conftest\.py    # pytest and unittest
        | [^/]+_test\.go                                        # go test
        | [^/]+\.(test|spec|e2e|cy)\.[cm]?[jt]sx?               # Jest, Vitest, Jasmine, Cypress
        | [^/]*(Test|Tests|TestCase|IT)\.java | Test[A-Z][^/]*\.java
        | [^/]*Tests?\.cs
        | tests?\.rs | [^/]+_tests?\.rs
    )\Z""",
    re.VERBOSE,
)
_TEST_PROJECT = re.compile(r"(?:^|[.\-_])(?:unit|integration)?tests?\Z", re.IGNORECASE)


@lru_cache(maxsize=65536)
def is_test(path: str) -> bool:
    """Whether a file is a test, by the conventions of its language. `path` is relative to the workspace."""
    *folders, name = path.split("/")
    if name.endswith(".java") and "/src/main/" in f"/{path}":
        return False
    if _TEST_NAME.match(name):
        return True
    if not _TEST_FOLDERS.isdisjoint(folders):
        return True
    return name.endswith(".cs") and any(_TEST_PROJECT.search(folder) for folder in folders)


@lru_cache(maxsize=65536)
def is_vendored(path: str) -> bool:
    """Whether a file stands in a folder that holds copies of other projects."""
    return not _VENDORED_FOLDERS.isdisjoint(path.split("/")[:-1])
