"""docs/telemetry.md and the Grafana dashboard speak of the metrics that there are, and of no others."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from lynkr_desktop.engine.telemetry.metrics import Metrics
from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.lanes import LaneStatus
from lynkr_desktop.protocol.tiers import Tier
from tests.support.engine import ROOT

_ROW = re.compile(r"\| `(lynkr_\w+)` \| (\w+) \| ([\w, ]*)\| (.+) \|")
_NAME = re.compile(r"\blynkr_\w+")
_PANELS = {"row", "stat", "timeseries", "piechart", "bargauge"}


def families() -> list[Metric]:
    """What a scrape gives after a request."""
    metrics = Metrics("1.2.3")
    metrics.watch_records(lambda: 0, lambda: 0)
    metrics.watch_cache(lambda: 0, lambda: 0)
    metrics.watch_pressure(lambda: 0.0, lambda: 0, {"loop": 0})
    metrics.watch_lanes(lambda: (LaneStatus(name="openai"),))
    metrics.queued("openai", 0.1)
    metrics.watch_budgets(lambda: {"day": 0.5}, {"day": 1})
    metrics.watch_breakers(lambda: [BreakerStatus(name="openai/gpt", state="open")])
    row = RequestRow(
        id="r", at=0.0, client="c", protocol="p", tier=Tier.SIMPLE, provider="ollama", model="m", ttft_ms=3.0
    )
    metrics.observe(row)
    return list(text_string_to_metric_families(metrics.render()[0].decode()))


def labels_of(family: Metric) -> set[str]:
    return {name for sample in family.samples for name in sample.labels} - {"le"}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    text = (ROOT / "resources" / "grafana" / "lynkr.json").read_text("utf-8")
    decoded: dict[str, Any] = json.loads(text)
    return decoded


def test_every_metric_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text("utf-8")
    documented = {
        name: (kind, {label.strip() for label in labels.split(",") if label.strip()})
        for name, kind, labels, _ in _ROW.findall(text)
    }
    there = {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, labels_of(family))
        for family in families()
    }
    assert documented == there
    assert set(_NAME.findall(text)) <= set(there)


def test_the_dashboard_has_the_form_that_grafana_documents(dashboard: dict[str, Any]) -> None:
    assert dashboard["id"] is None
    assert dashboard["schemaVersion"] >= 36
    assert dashboard["title"]
    assert re.fullmatch(r"[\w-]{1,40}", dashboard["uid"])
    assert set(dashboard["time"]) == {"from", "to"}
    variables = {variable["name"]: variable["type"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource": "datasource", "provider": "query"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["type"] in _PANELS
        assert panel["title"]
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["fieldConfig"]["defaults"]["unit"]
            references = [target["refId"] for target in panel["targets"]]
            assert references
            assert len(references) == len(set(references))


def test_the_dashboard_asks_for_metrics_and_labels_that_there_are(dashboard: dict[str, Any]) -> None:
    samples = {
        sample.name: {*sample.labels, *labels_of(family)}
        for family in families()
        for sample in family.samples
    }
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    expressions += [note["expr"] for note in dashboard["annotations"]["list"] if "expr" in note]
    expressions += [
        variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable
    ]
    asked: set[str] = set()
    for expression in expressions:
        names = _NAME.findall(expression)
        assert names, expression
        assert set(names) <= set(samples), expression
        asked |= set(names)
        known = set.union(*(samples[name] for name in names))
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert {label.strip() for label in group.split(",")} <= known, expression
        for name, selector in re.findall(r"(lynkr_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)\s*[=!]~?\"?", selector)) <= samples[name], expression
    families_asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    there = {family.name + ("_total" if family.type == "counter" else "") for family in families()}
    assert families_asked == there  # nothing that there is goes unseen
