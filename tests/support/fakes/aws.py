"""What AWS services have in common: event-stream frames, signed requests, and service models.

The frames are written here by hand, so that botocore's parser in the product meets somebody else's work.
Source: https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html (prelude, headers, checksums).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
import zlib
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

Json = dict[str, Any]

_STRING = 7
"""The type of a header whose value is a string."""


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message: total length, headers' length, their CRC, headers, payload, CRC of it all."""
    packed = b"".join(
        struct.pack(">B", len(name))
        + name.encode()
        + struct.pack(">BH", _STRING, len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", 12 + len(packed) + len(payload) + 4, len(packed))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, body: Json) -> bytes:
    """An event; the service pads each, so that their lengths tell nothing."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, _compact({**body, "p": "abcdefghijklmnop"[: 3 + len(body)]}))


def exception(kind: str, message: str, **fields: Any) -> bytes:
    """An exception within a stream, such as `throttlingException`; nothing follows it."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, _compact({"message": message, **fields}))


def _compact(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


# ---------------------------------------------------------------- signatures


def signature_fault(
    method: str, url: str, headers: dict[str, str], body: bytes, credentials: Credentials, service: str
) -> str:
    """Why the service would refuse the signature; empty for a good one.

    Args:
        url: with the path as it came over the wire.
        headers: by their names in lower case.
    """
    authorization = headers.get("authorization", "")
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)"
        r"/aws4_request, SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})",
        authorization,
    )
    if found is None:
        return "Missing Authentication Token"
    if found["key"] != credentials.access_key:
        return "The security token included in the request is invalid."
    if credentials.token and headers.get("x-amz-security-token") != credentials.token:
        return "The security token included in the request is invalid."
    if found["service"] != service:
        return f"Credential should be scoped to correct service: '{service}'."
    names = found["names"].split(";")
    if "host" not in names or "x-amz-date" not in names:
        return "'Host' or 'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."
    signer = SigV4Auth(credentials, service, found["region"])
    request = AWSRequest(method, url, {name: headers[name] for name in names}, body)
    request.context["timestamp"] = headers["x-amz-date"]
    wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    if wanted != found["signature"]:
        return "The request signature we calculated does not match the signature you provided."
    return ""


def origin_form(url: str, target: str) -> str:
    """The URL of a request from the server's origin and the request target."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{target}"


# ---------------------------------------------------------------- service models


@cache
def operation_input(service: str, operation: str) -> Shape:
    """The shape of an operation's input, as the service publishes it."""
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    shape: Shape = model.operation_model(operation).input_shape
    return shape


def shape_fault(value: Any, shape: Shape, path: str = "") -> str:
    """The first thing in a JSON body that its shape does not allow; empty for a good one."""
    limits = shape.metadata
    where = path or "The body"
    match shape.type_name:
        case "structure" if limits.get("document"):
            return ""
        case "structure":
            return _structure_fault(value, shape, path)
        case "list":
            if not isinstance(value, list):
                return f"{where} must be a list"
            if len(value) < limits.get("min", 0) or len(value) > limits.get("max", len(value)):
                return f"{where} has {len(value)} members"
            faults = (shape_fault(entry, shape.member, f"{path}.{n}") for n, entry in enumerate(value))
            return next((fault for fault in faults if fault), "")
        case "map":
            if not isinstance(value, dict) or len(value) > limits.get("max", len(value)):
                return f"{where} must be a map"
            faults = (
                shape_fault(key, shape.key, f"{path}.{key}")
                or shape_fault(entry, shape.value, f"{path}.{key}")
                for key, entry in value.items()
            )
            return next((fault for fault in faults if fault), "")
        case "blob":
            try:
                return "" if base64.b64decode(value, validate=True) else f"{where} is empty"
            except (TypeError, ValueError, binascii.Error):
                return f"{where} is not base64"
        case "boolean":
            return "" if isinstance(value, bool) else f"{where} must be a boolean"
        case "integer" | "long" | "float" | "double":
            whole = shape.type_name in ("integer", "long")
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                return f"{where} must be a number"
            low, high = limits.get("min", value), limits.get("max", value)
            return "" if low <= value <= high else f"{where} must be within {low} and {high}"
        case "string":
            return _string_fault(value, limits, where)
    return ""


def _structure_fault(value: Any, shape: Shape, path: str) -> str:
    where = path or "The body"
    if not isinstance(value, dict):
        return f"{where} must be an object"
    inside = {
        name: member for name, member in shape.members.items() if not member.serialization.get("location")
    }
    if unknown := set(value) - set(inside):
        return f"{where} has the unknown fields {sorted(unknown)}"
    for name in shape.required_members:
        if name in inside and name not in value:
            return f"{where} lacks {name}"
    if shape.metadata.get("union") and len(value) != 1:
        return f"{where} must have exactly one of its members, not {sorted(value)}"
    faults = (shape_fault(entry, inside[name], f"{path}.{name}".strip(".")) for name, entry in value.items())
    return next((fault for fault in faults if fault), "")


def _string_fault(value: Any, limits: Json, where: str) -> str:
    if not isinstance(value, str):
        return f"{where} must be a string"
    if len(value) < limits.get("min", 0) or len(value) > limits.get("max", len(value)):
        return f"{where} has {len(value)} characters"
    if "enum" in limits and value not in limits["enum"]:
        return f"{where} must be one of {limits['enum']}"
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        return f"{where} does not match {limits['pattern']}"
    return ""
