"""telemetry.otlp, and what else of telemetry is more than a number."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from lynkr_desktop.engine.config.base import SECRET, OptionError, Options
from lynkr_desktop.engine.config.units import parse_duration

_EXPORTER = "opentelemetry.exporter.otlp.proto.http"


def off_or_duration(value: Any) -> float | None:
    """Reads a duration, or `off`, which YAML takes for false; None is off. Raises `ValueError`."""
    if value is None or value is False or value == "off":
        return None
    return parse_duration(value)


OffOrDuration = Annotated[float | None, BeforeValidator(off_or_duration)]
"""Seconds, None for `off`."""


class OtlpOptions(Options):
    """telemetry.otlp"""

    endpoint: str | None = Field(
        None,
        pattern="^https?://[^/]+",
        description="Where spans are sent by OTLP over HTTP, one for each request, such as "
        "`http://127.0.0.1:4318`; `/v1/traces` is added where there is no path. Left out, none are made. "
        "Needs `pip install 'lynkr-desktop[otel]'`.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="Sent along, such as a key of the receiver.",
        json_schema_extra=SECRET,
    )

    @model_validator(mode="after")
    def _can_be_sent(self) -> OtlpOptions:
        if self.endpoint is not None and not _has_otel():
            raise OptionError(
                ("endpoint",),
                "needs OpenTelemetry's SDK, which is not installed. Install it where Lynkr is: "
                "pip install 'lynkr-desktop[otel]'",
            )
        return self


def _has_otel() -> bool:
    try:
        return find_spec("opentelemetry.sdk") is not None and find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:
        return False
