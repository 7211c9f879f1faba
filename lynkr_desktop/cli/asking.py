"""What commands take from a person: arguments that are checked, and a yes before something is changed."""

from __future__ import annotations

import argparse
import sys

MOST_LISTED = 1000


def confirmed(question: str, unasked: str, declined: str = "") -> bool:
    """Whether a person says yes.

    Args:
        question: what is asked.
        unasked: what is said where nobody sits at a terminal, which counts as a no.
        declined: what is said to another answer; empty for nothing.
    """
    if not sys.stdin.isatty():
        print(unasked, file=sys.stderr)
        return False
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    if declined:
        print(declined)
    return False


def valid_text(text: str) -> str:
    """Text that can be looked up; what a shell passes on may be no Unicode."""
    return text.encode("utf-8", "replace").decode()


def limit(text: str) -> int:
    """How many to list. Raises `argparse.ArgumentTypeError`."""
    if not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_LISTED:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_LISTED} is needed")
    return int(text)
