"""AWS credentials and signatures, by botocore, which is loaded at its first use and in a thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ABSENT_FOR = 60.0
"""Seconds after which credentials that were not there are looked for again."""

# At its most talkative it writes what it signs, session tokens among it.
logging.getLogger("botocore").setLevel(logging.WARNING)

_METADATA_TIMEOUT = 1
"""Seconds for the metadata service of EC2, which is asked last and answers on machines of AWS only."""


@dataclass(frozen=True, slots=True)
class AwsFacts:
    """What this machine knows of AWS.

    Attributes:
        region: the configured one, empty when there is none.
        credentials: of botocore; None when there are none.
        problem: why there are none, where something is configured and does not work.
    """

    region: str = ""
    credentials: Any = field(default=None, repr=False)
    problem: str = ""


class AwsAccess:
    """Finds region and credentials as every AWS tool does, and signs requests.

    The environment comes first, then the profile in the shared configuration files (with its single sign-on,
    roles and processes), then what containers and EC2 give.

    Args:
        environ: the environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._facts: AwsFacts | None = None
        self._found_at = 0.0
        self._one_at_a_time = asyncio.Lock()

    @property
    def region(self) -> str:
        """The region that the environment names; empty when it names none."""
        return self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION") or ""

    async def facts(self) -> AwsFacts:
        """Region and credentials, looked up in a thread at first."""
        async with self._one_at_a_time:
            facts = self._facts
            stale = time.monotonic() - self._found_at > ABSENT_FOR
            if facts is None or (facts.credentials is None and stale):
                facts = self._facts = await asyncio.to_thread(_look, self._environ, self.region)
                self._found_at = time.monotonic()
        return facts

    def forget(self) -> None:
        """Lets the next call look again: the credentials were refused, or have changed."""
        self._facts = None

    async def sign(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, region: str
    ) -> dict[str, str]:
        """The headers of a signed request to Bedrock (Signature Version 4).

        Args:
            method: GET or POST.
            url: with its path exactly as it will be sent.
            headers: those that shall be signed too.
            body: empty for a GET.
            region: the region of the service.

        Raises:
            AwsProblem: there are no credentials, or they have expired and cannot be renewed.
        """
        facts = await self.facts()
        if facts.credentials is None:
            raise AwsProblem(facts.problem or "there are no AWS credentials")
        # Credentials of roles and single sign-on are renewed over the network when they are about to expire.
        return await asyncio.to_thread(_sign, facts.credentials, method, url, dict(headers), body, region)


class AwsProblem(Exception):
    """Why there are no usable credentials; fit to be shown, without any secret."""


def _look(environ: Mapping[str, str], region: str) -> AwsFacts:
    from botocore.credentials import Credentials
    from botocore.exceptions import BotoCoreError, ClientError

    key, secret = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
    token = environ.get("AWS_SESSION_TOKEN") or None
    if key and secret and region:
        return AwsFacts(region, Credentials(key, secret, token))
    try:
        session = _session(environ)
        region = region or session.get_config_variable("region") or ""
        if key and secret:
            return AwsFacts(region, Credentials(key, secret, token))
        return AwsFacts(region, session.get_credentials())
    except (BotoCoreError, ClientError) as error:
        return AwsFacts(region, problem=_told(error))


def _session(environ: Mapping[str, str]) -> Any:
    from botocore.session import Session

    session = Session(profile=environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE"))
    session.set_config_variable("metadata_service_timeout", _METADATA_TIMEOUT)
    session.set_config_variable("metadata_service_num_attempts", 1)
    for variable, option in (
        ("AWS_CONFIG_FILE", "config_file"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials_file"),
    ):
        if path := environ.get(variable):
            session.set_config_variable(option, path)
    return session


def _sign(
    credentials: Any, method: str, url: str, headers: dict[str, str], body: bytes, region: str
) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        frozen = credentials.get_frozen_credentials()
    except (BotoCoreError, ClientError) as error:
        raise AwsProblem(_told(error)) from error
    request = AWSRequest(method, url, headers, body)
    SigV4Auth(frozen, "bedrock", region).add_auth(request)
    return dict(request.headers.items())


def _told(error: Exception) -> str:
    """What a person can do about it. Only messages that hold nothing but names are repeated."""
    from botocore import exceptions

    if isinstance(error, exceptions.ProfileNotFound | exceptions.PartialCredentialsError):
        return str(error).rstrip(".")
    expired = (
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
        exceptions.UnauthorizedSSOTokenError,
        exceptions.SSOTokenLoadError,
    )
    if isinstance(error, expired):
        return "the single sign-on of AWS has expired; sign in with `aws sso login`"
    return (
        f"the AWS credentials could not be loaded ({type(error).__name__}); try `aws sts get-caller-identity`"
    )
