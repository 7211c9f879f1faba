"""The options of the endpoints over which a provider is spread, and of what each of them takes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from lynkr_desktop.engine.config.base import Options

MOST_ENDPOINTS = 32

_MOST_CONCURRENT = 100_000
_MOST_A_MINUTE = 10**9


def _names_a_host(value: str) -> str:
    """The pattern sees to its beginning alone."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ValueError("must be a URL with a host and, where there is one, a port up to 65535")
    return value


Url = Annotated[str, Field(pattern="^https?://"), AfterValidator(_names_a_host)]


class RateOptions(Options):
    """What one endpoint is sent at most. Not a group of its own: part of those below."""

    max_concurrent: int | None = Field(
        None,
        ge=1,
        le=_MOST_CONCURRENT,
        description="Requests that one endpoint answers at once; further ones wait their turn. No limit if "
        "left out, but for what the endpoint itself turns out to refuse.",
    )
    requests_per_minute: int | None = Field(
        None,
        ge=1,
        le=_MOST_A_MINUTE,
        description="Requests that one endpoint gets in any minute; further ones wait. If left out, only "
        "what its rate-limit headers tell counts.",
    )
    tokens_per_minute: int | None = Field(
        None,
        ge=1,
        le=_MOST_A_MINUTE,
        description="Tokens of prompts and answers that go to one endpoint in a minute, as estimated; "
        "further requests wait. If left out, only what its rate-limit headers tell counts.",
    )


class EndpointOptions(RateOptions):
    """providers.<name>.endpoints.<n>"""

    base_url: Url | None = Field(None, description="Where this endpoint answers.")
    key: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        max_length=64,
        description="The name under which its key is kept: `lynkr keys set NAME` stores it. Left out, it is "
        "the provider's key.",
    )
    key_env: str | None = Field(
        None, description="Environment variable that holds its key where the OS keyring has none."
    )
    weight: float = Field(
        1.0, gt=0, le=1000, description="How much of the requests it gets beside the other endpoints."
    )
    region: str | None = Field(None, pattern="^[a-z0-9-]+$", description="bedrock: its AWS region.")
    project: str | None = Field(None, description="vertex: its project.")
    location: str | None = Field(None, description="vertex: its location.")
    api_version: str | None = Field(
        None, pattern=r"^(v1|\d{4}-\d{2}-\d{2}(-preview)?)$", description="azure: its version of the API."
    )
