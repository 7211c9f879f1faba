"""Names for addresses of pages."""

import re

_NOT_WORD = re.compile(r"[^a-z0-9]+")


def slugify(title: str) -> str:
    """`The Left Hand of Darkness` becomes `the-left-hand-of-darkness`."""
    return _NOT_WORD.sub("-", title.lower()).strip("-")


def with_number(slug: str, number: int) -> str:
    return slug if number < 2 else f"{slug}-{number}"
