"""Counting tokens: the same as by the vocabulary, in pieces that let other threads run."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.distill.listing import blank_tokens, listing_of, narrow

LINES = st.lists(
    st.sampled_from(
        (
            "",
            "  ",
            "def f(x):",
            "    return 1",
            "/usr/bin/env",
            "日本語 のテキスト",
            "\t- a\r",
            "{",
            "   ",
            "\t",
            "'s ",
            "99999",
            "é\u0301 🙂",
        )
    ),
    min_size=1,
    max_size=30,
)


def whole(text: str) -> int:
    return tokens._table().count(text)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:bpe_openai")
def test_the_package_itself_counts_the_same() -> None:
    import bpe_openai

    package = bpe_openai.get_encoding("cl100k_base")
    text = Path(tokens.__file__).read_text(encoding="utf-8") * 20
    for part in (text, text[:1_000], "日本語 のテキスト " * 50):
        assert tokens.count(part) == len(package.encode_ordinary(part))


def test_known_texts() -> None:
    assert tokens.count("hello world") == 2
    assert tokens.count("") == 0
    assert tokens.count("lone \ud800 surrogates, more than forty characters of them") > 10


@settings(max_examples=30, deadline=None)
@given(LINES, st.integers(500, 3_000))
def test_a_long_text_counts_as_it_would_in_one_piece(lines: list[str], times: int) -> None:
    text = "\n".join([*lines, "a word"] * times)[:120_000]
    assert tokens.count(text) == whole(text)


@settings(max_examples=60, deadline=None)
@given(
    LINES,
    st.integers(1, 400),
    st.integers(1, 99_990),
    st.integers(0, 8),
    st.sampled_from(("", "<file>\n", "x\n\n")),
)
def test_blanks_before_numbers_are_told_without_counting(
    lines: list[str], times: int, first: int, width: int, head: str
) -> None:
    whole_lines = enumerate((line for line in lines * times if "\n" not in line), first)
    text = head + "\n".join(f"{number:{width}}\t{line}" for number, line in whole_lines)
    listing = listing_of(text, partial=False)
    short = narrow(text, listing)
    if short is None or short == text:
        return
    blanks = blank_tokens(text, listing, short)
    assert blanks is not None
    assert whole(short) == whole(text) - blanks
    tokens.take(short, fewer=blanks, than=text)
    assert tokens.count(short) == whole(short)


def test_other_differences_are_counted() -> None:
    for form in ("{:4}\u2192{}", "{:04}\t{}", "{:30}\t{}", "L{}: {}"):
        text = "\n".join(form.format(number, "a word") for number in range(1, 40))
        listing = listing_of(text, partial=False)
        short = narrow(text, listing)
        assert short is None or blank_tokens(text, listing, short) is None


def test_a_text_without_lines_is_counted_in_pieces() -> None:
    text = "the same again " * 20_000
    assert abs(tokens.count(text) - whole(text)) < 100
    assert tokens.count("\n" * 100_000) > 0


def test_pieces_are_the_text() -> None:
    for text in ("a" * 50_000, "line\n" * 10_000, "\n\n \n" * 20_000):
        pieces = list(tokens._pieces(text))
        assert "".join(pieces) == text
        assert max(map(len, pieces)) <= tokens._PIECE


def test_nobody_sees_a_warning_when_the_vocabulary_is_read() -> None:
    code = (
        "from lynkr_desktop.engine.optimization import tokens; assert tokens.count('hello world') == 2;"
        "import bpe_openai; assert len(bpe_openai.get_encoding('cl100k_base').encode('a b')) == 2"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code.split(";import")[0]],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    both = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert both.returncode == 0, both.stderr


def test_threads_may_count_first_at_the_same_time() -> None:
    code = (
        "import threading; from lynkr_desktop.engine.optimization import tokens; found = [];"
        "run = lambda: found.append(tokens.count('hello world'));"
        "threads = [threading.Thread(target=run) for _ in range(8)];"
        "[one.start() for one in threads]; [one.join() for one in threads]; assert found == [2] * 8, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
