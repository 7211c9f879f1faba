"""The OpenAPI document says what is served, and the copy in docs/ is that document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from aiohttp import hdrs

from lynkr_desktop.engine.endpoints.admin import Admin
from lynkr_desktop.engine.endpoints.openapi import document
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.paths import resolve_paths
from tests.support.engine import engine_in_process

ROOT = Path(__file__).parent.parent.parent


def made() -> dict[str, Any]:
    text = json.dumps(document(Admin(Engine(resolve_paths("unused"), environ={})).calls()))
    read: dict[str, Any] = json.loads(text)
    return read


def test_the_copy_in_docs_is_up_to_date() -> None:
    kept = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    assert kept == made(), "run: make docs"


async def test_every_path_that_is_served_is_in_it_and_no_other(tmp_path: Path) -> None:
    from lynkr_desktop.engine.server import build_app

    async with engine_in_process(tmp_path / "home", {}) as lynkr:
        served = {
            (route.method, re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical))
            for route in build_app(lynkr.engine).router.routes()
            if route.resource is not None and route.method not in (hdrs.METH_ANY, hdrs.METH_HEAD)
        }
        async with lynkr.http.get(f"{lynkr.url}/v1/admin/openapi.json") as response:
            told = await response.json()
    assert told == made()
    documented = {(method.upper(), path) for path, calls in told["paths"].items() for method in calls}
    assert documented == served


def test_every_call_of_the_control_api_is_described() -> None:
    read = made()
    references = set(re.findall(r"#/components/schemas/([\w.-]+)", json.dumps(read)))
    assert references <= set(read["components"]["schemas"])
    ids = []
    for path, calls in read["paths"].items():
        for method, call in calls.items():
            ids.append(call["operationId"])
            assert len(call["summary"]) > 5, (method, path)
            named = {item["name"] for item in call.get("parameters", ()) if item["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            if call["tags"] == ["Control"]:
                assert "ControlError" in json.dumps(call["responses"]["default"])
    assert len(ids) == len(set(ids))
    assert read["paths"]["/v1/admin/health"]["get"]["security"] == []
    put = read["paths"]["/v1/admin/keys/{provider}"]["put"]
    assert put["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/KeyPut")
