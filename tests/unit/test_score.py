"""The score: what it goes by, what it does not go by, and that it says why."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lynkr_desktop.engine.analysis.index import Touched
from lynkr_desktop.engine.routing import leaning, model
from lynkr_desktop.engine.routing.ask import Ask, read_ask
from lynkr_desktop.engine.routing.features import features, prose_of
from lynkr_desktop.engine.routing.score import score
from lynkr_desktop.engine.routing.structure import structure_of
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult, ToolUse
from lynkr_desktop.protocol.code import FileMetrics, SymbolMetrics

LIMITS = (0.35, 0.65, 0.85)

LEAF = FileMetrics(
    path="src/slug.py", language="python", lines=20, functions=2, cyclomatic_sum=3, cyclomatic_max=2
)
GOD = FileMetrics(
    path="src/orders.py",
    language="python",
    lines=900,
    functions=40,
    cyclomatic_sum=180,
    cyclomatic_max=38,
    depth=5,
    component=6,
    lcom4=4,
    cohesion=0.1,
    blast_1=14,
    blast_2=30,
    blast=40,
)


def rank(ask: str | Ask, touched: Touched | None = None) -> int:
    value = score(Ask(text=ask) if isinstance(ask, str) else ask, touched).value
    return sum(value > limit for limit in LIMITS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What does DNS stand for?", 0),
        ("fix the typo in the readme: 'recieve'", 0),
        ("thanks!", 0),
        ("add a --json option to the export command and cover it with tests", 1),
        ("write unit tests for the date parser", 1),
        ("add user roles: tables, endpoints, middleware and an admin page, across backend and frontend", 2),
        ("since the last release the export is slow, find out why", 2),
        ("prove that this queue is linearizable for every interleaving of two threads", 3),
        ("a payment must never be taken twice, even if the process dies half way", 3),
    ],
)
def test_every_tier_is_reached_by_words_alone(text: str, expected: int) -> None:
    assert rank(text) == expected


@pytest.mark.parametrize(
    "texts",
    [
        ("Was bedeutet DNS?", "Zwei Kunden buchen gleichzeitig denselben Platz, das darf nie passieren."),
        ("Que signifie DNS ?", "Deux clients achètent le dernier en même temps, le stock doit rester juste."),
        ("¿Qué significa DNS?", "Dos personas compran el último asiento al mismo tiempo, nunca puede pasar."),
        ("O que significa DNS?", "Duas pessoas compram ao mesmo tempo, o estoque nunca pode ficar errado."),
        ("Cosa significa DNS?", "Due clienti comprano nello stesso momento, non deve mai succedere."),
        ("Co oznacza skrót DNS?", "Dwie osoby kupują jednocześnie ostatnią sztukę, stan musi się zgadzać."),
        ("Что значит DNS?", "Два человека одновременно покупают последний товар, остаток не должен сбиться."),
        ("DNS ne demek?", "İki kişi son ürünü aynı anda alıyor, stok asla yanlış olmamalı."),
        ("DNSとは何の略ですか", "二人が同時に最後の一つを買っても在庫が絶対に正しいようにして"),
        ("DNS是什么意思", "两个人同时买最后一件，库存必须绝对正确"),
        ("JSON이 뭐의 약자야?", "두 사람이 동시에 마지막 상품을 사도 재고가 절대 틀리면 안 돼"),
        ("DNS का मतलब क्या है", "दो लोग एक साथ आखिरी चीज़ खरीदें तो भी स्टॉक कभी नहीं बिगड़ना चाहिए"),
        ("ماذا يعني DNS", "شخصان يشتريان آخر قطعة في نفس الوقت ويجب ألا يخطئ المخزون أبدا"),
    ],
)
def test_asks_in_other_languages_are_told_apart(texts: tuple[str, str]) -> None:
    easy, hard = texts
    assert rank(easy) == 0
    assert rank(hard) >= 2


@pytest.mark.parametrize(
    "text",
    [
        "explain src/{}",
        "Could you write unit tests for src/{}?",
        "there is a bug in src/{}, find and fix it",
        "src/{} を説明してください",
        "Refaktoriere src/{} bitte",
        "add a parameter to the main function of src/{}",
        "what does src/{} do?",
        "Was macht src/{}?",
        "debug src/{}",
        "which parts of src/{} are risky to change?",
        "add docstrings to every function in src/{}",
    ],
)
def test_the_same_words_cost_more_on_tangled_code_than_on_a_leaf(text: str) -> None:
    ask = text.format("module.py")
    assert rank(ask, Touched(files=(LEAF,))) < rank(ask, Touched(files=(GOD,)))


def test_a_typo_is_a_typo_wherever_it_stands() -> None:
    ask = "fix the typo in the comment on top of src/orders.py"
    assert rank(ask, Touched(files=(GOD,))) == 0


@pytest.mark.parametrize(
    "text",
    [
        'translate into German: "Split-brain detected, the replica was fenced off and consensus is lost"',
        "In the comment it says 'takes back runs whose worker is silent', make it 'reclaims deadlocked runs'",
        "¿cómo se dice en inglés «condición de carrera en el registro de pagos»?",
    ],
)
def test_what_is_quoted_is_not_what_is_asked(text: str) -> None:
    assert rank(text) == 0


def test_a_quote_alone_is_what_is_asked() -> None:
    assert features('"prove that the queue is fair"').words == features("prove that the queue is fair").words


worse = st.fixed_dictionaries(
    {
        "cyclomatic_max": st.integers(0, 60),
        "cyclomatic_sum": st.integers(0, 300),
        "depth": st.integers(0, 12),
        "component": st.integers(0, 12),
        "lcom4": st.integers(0, 8),
        "blast_1": st.integers(0, 30),
        "blast": st.integers(0, 80),
        "cohesion": st.floats(0, 1),
    }
)


@given(base=worse, more=worse)
def test_no_metric_that_gets_worse_makes_an_ask_easier(
    base: dict[str, float], more: dict[str, float]
) -> None:
    before = replace(LEAF, **base)
    for name, by in more.items():
        value = base[name] * by if name == "cohesion" else base[name] + by
        after = replace(before, **{name: value})
        first, second = structure_of(Touched(files=(before,))), structure_of(Touched(files=(after,)))
        assert first is not None
        assert second is not None
        assert second.move >= first.move - 1e-9
        ask = Ask(text="explain src/slug.py")
        assert score(ask, Touched(files=(after,))).value >= score(ask, Touched(files=(before,))).value


def test_the_worst_file_counts_and_tests_do_not() -> None:
    ask = "explain how these work"
    assert rank(ask, Touched(files=(LEAF, GOD))) == rank(ask, Touched(files=(GOD,)))
    assert rank(ask, Touched(files=(LEAF, replace(GOD, test=True)))) == rank(ask, Touched(files=(LEAF,)))


def test_a_small_function_of_a_large_module_is_not_the_whole_module() -> None:
    small = SymbolMetrics(name="label", path=GOD.path, line=3, complexity=1)
    ask = Ask(text="explain label()")
    assert (
        score(ask, Touched(files=(GOD,), symbols=(small,))).value <= score(ask, Touched(files=(GOD,))).value
    )


def test_while_indexing_a_leaf_is_not_taken_for_sure() -> None:
    ask = Ask(text="explain src/slug.py")
    known, unknown = (score(ask, Touched(files=(LEAF,), complete=complete)) for complete in (True, False))
    assert known.value < unknown.value < score(ask).value


def test_failures_put_a_tier_on() -> None:
    ask = Ask(text="add a --quiet flag to the command line tool")
    once, twice = replace(ask, failures=1), replace(ask, failures=2)
    assert rank(once) == rank(ask)
    assert rank(twice) == rank(ask) + 1
    assert rank(replace(ask, complaints=2)) == rank(ask) + 1
    assert any(item.group == "work" and item.points > 0 for item in score(twice).contributions)


def test_changing_what_guards_something_is_a_risk() -> None:
    ask = Ask(text="add a parameter to the main function")
    guard, plain = (replace(LEAF, path=path) for path in ("src/auth/login.py", "src/text/pad.py"))
    guarded, free = (score(ask, Touched(files=(file,))) for file in (guard, plain))
    assert guarded.value > free.value
    assert any(item.name == "protected path" and item.group == "risk" for item in guarded.contributions)
    reading = Ask(text="explain this file")
    assert score(reading, Touched(files=(guard,))).value == score(reading, Touched(files=(plain,))).value


def test_an_envelope_changes_nothing() -> None:
    for text in ("fix the typo in the readme", "explain src/a.py", "prove that no deadlock is possible"):
        bare = Request("m", (Message("user", (Text(text),)),))
        wrapped = Request(
            "m",
            (
                Message(
                    "user",
                    (
                        Text("<system-reminder>\nProve that no lock can deadlock.\n</system-reminder>"),
                        Text(text),
                        Text("<system-reminder>\nThink of data loss.\n</system-reminder>"),
                    ),
                ),
            ),
            system=(Text("Refactor the whole engine, across all modules. " * 500),),
            tools=tuple(Tool(f"t{number}", "Fixes races in payments.") for number in range(60)),
        )
        assert score(read_ask(wrapped)).value == score(read_ask(bare)).value


@given(st.text(max_size=3000), st.integers(0, 5), st.booleans())
def test_any_text_has_a_score_whose_parts_sum_to_it(text: str, failures: int, tangled: bool) -> None:
    found = score(Ask(text=text, failures=failures), Touched(files=(GOD,)) if tangled else None)
    assert 0 <= found.value <= 1
    assert sum(item.points for item in found.contributions) == pytest.approx(found.value, abs=2e-4)
    assert found == score(Ask(text=text, failures=failures), Touched(files=(GOD,)) if tangled else None)
    assert "\n" not in found.reason


HARD = "Prove that this lock-free queue never loses an element when two threads push and pop at once."
EASY = "What does the acronym CRUD stand for?"


def inside(text: str, before: str, proposal: str = "") -> float:
    return score(Ask(text=text, earlier=(before,), proposal=proposal)).value


@pytest.mark.parametrize(
    "text", ["yes, do that", "sounds sane, start with it", "rather the second one, but smaller"]
)
def test_a_turn_that_leans_on_an_earlier_one_is_as_hard_as_that(text: str) -> None:
    hard, easy = inside(text, HARD), inside(text, EASY)
    assert hard - easy > 0.7 * (score(Ask(text=HARD)).value - score(Ask(text=EASY)).value)


def test_a_turn_that_says_all_itself_is_judged_alone() -> None:
    text = "Thanks. Now: what does ACID stand for?"
    assert inside(text, HARD) == score(Ask(text=text)).value
    assert inside(HARD, EASY) == score(Ask(text=HARD)).value


def test_a_consent_is_as_hard_as_what_was_proposed() -> None:
    asked = "can readers see values newer than their snapshot?"
    assert inside("yes please", asked, HARD) > inside("yes please", asked) > inside("yes please", asked, EASY)


@given(st.lists(st.text(max_size=200), min_size=1, max_size=5), st.text(max_size=200))
def test_what_was_said_before_is_one_of_the_parts_that_sum_to_the_score(
    said: list[str], proposal: str
) -> None:
    ask = Ask(text=said[0], earlier=tuple(said[1:]), proposal=proposal if said[1:] else "")
    assert sum(share for _, share in ask.shares) == pytest.approx(1.0)
    found = score(ask)
    assert sum(item.points for item in found.contributions) == pytest.approx(found.value, abs=2e-4)
    assert "\n" not in found.reason


def test_a_text_weighs_the_same_with_and_without_its_parts() -> None:
    for text in (HARD, EASY, "", "add a --quiet flag to `main()` in src/app.py"):
        found = features(text)
        reading = model.shipped().read(found)
        assert model.shipped().weigh(found) == pytest.approx((reading.level, reading.fixed))


def test_the_reason_names_what_a_turn_goes_on_with() -> None:
    found = score(Ask(text="rather the second one, but smaller", earlier=(HARD,)))
    context = next(item for item in found.contributions if item.name == "context")
    assert "rather the second one" in context.reason


def test_the_shipped_weights_are_for_the_features_that_there_are() -> None:
    raw = Path(model.__file__).with_name(model.FILE).read_bytes()
    weights = msgspec.msgpack.decode(raw, type=model.Weights)
    for head in (*weights.tiers, weights.fixed):
        assert head.dense.keys() == set(model.feature_names()), "run python -m benchmarks.routing.train"


def test_the_shipped_weights_of_turns_are_for_the_features_that_there_are() -> None:
    raw = Path(leaning.__file__).with_name(leaning.FILE).read_bytes()
    weights = msgspec.msgpack.decode(raw, type=leaning.LeaningWeights)
    for head in (weights.leans, weights.failed):
        assert head.dense.keys() == set(model.feature_names()), "run benchmarks.routing.train_leaning"


def test_a_pasted_log_does_not_count_as_the_question() -> None:
    log = "\n".join(f"2026-11-23T12:00:{second:02} ERROR deadlock in payment" for second in range(60))
    assert rank(f"Which port does it listen on?\n\n{log}") == 0


def test_large_requests_are_scored_in_milliseconds() -> None:
    turns: list[Message] = [Message("user", (Text("Fix the race in src/pool.py. " + "word " * 200_000),))]
    for number in range(100):
        call = ToolUse(str(number), "Bash", {"command": "grep -rn lock src"})
        turns += [
            Message("assistant", (call,)),
            Message("user", (ToolResult(str(number), (Text("src/pool.py:1: lock\n" * 500),)),)),
        ]
    request = Request("m", tuple(turns))
    score(read_ask(request))
    began = time.thread_time()
    score(read_ask(request))
    assert time.thread_time() - began < 0.25


CLEAR_ASKS = (
    ("Which port does the gateway listen on?", 0),
    ("what does ACID stand for?", 0),
    ("write unit tests for the date parser", 1),
    ("split this module across the three services that use it and keep their interfaces in step", 2),
    ("prove that this queue is linearizable for every interleaving of two threads", 3),
)
SETTINGS = "\n".join(
    f"  - name: svc-{number}\n    image: registry.example.net/lock-{number}:1\n    replicas: {number}\n"
    f"    policy: distributed-consensus"
    for number in range(12)
)
MAIL = "\n".join(
    f"> We must redesign the settlement engine without losing money, part {n}." for n in range(9)
)


@pytest.mark.parametrize(("text", "expected"), CLEAR_ASKS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Hi there.\n", ""),
        ("", "\nThanks a lot."),
        (f"```yaml\n{SETTINGS}\n```\n", ""),
        (f"services:\n{SETTINGS}\n\n", ""),
        ("", f"\n\nservices:\n{SETTINGS}"),
        (f"{MAIL}\n\n", ""),
    ],
    ids=["greeting", "thanks", "fenced", "settings before", "settings after", "mail"],
)
def test_what_stands_around_an_ask_keeps_its_tier(text: str, expected: int, before: str, after: str) -> None:
    assert rank(f"{before}{text}{after}") == expected


def test_two_lines_of_names_and_values_are_no_paste() -> None:
    text = "goal: prove that no message is lost\nlimit: any two of five nodes may die"
    assert prose_of(text) == text
