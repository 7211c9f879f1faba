"""Which models Bedrock offers, told by its control plane: one service beside the one that answers.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html and
API_ListInferenceProfiles.html there.
"""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct
from msgspec.json import decode

from lynkr_desktop.engine.providers.base import ModelInfo

FOUNDATION_MODELS = "/foundation-models?byOutputModality=TEXT"
_GEOGRAPHIES = {"us": "us", "eu": "eu", "ap": "apac"}
PROFILES = "/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED"


def control_url(base_url: str) -> str:
    """Where the control plane answers, from where the models do."""
    return base_url.replace("//bedrock-runtime", "//bedrock", 1)


def offered_models(foundation: bytes, profiles: bytes) -> list[ModelInfo]:
    """Models that can be asked by their own ids, and the profiles that stand before others.

    Raises:
        DecodeError: a body is not what the API answers.
    """
    summaries = decode(foundation, type=_Models).model_summaries
    can_see = {entry.model_id for entry in summaries if "IMAGE" in entry.input_modalities}
    told = {entry.model_id for entry in summaries}
    ids = [
        entry.model_id
        for entry in summaries
        if "ON_DEMAND" in entry.inference_types_supported and entry.model_lifecycle.status != "LEGACY"
    ]
    for profile in decode(profiles, type=_Profiles).inference_profile_summaries:
        # A profile's id is that of its model behind a geography: us.amazon.nova-pro-v1:0.
        model = profile.inference_profile_id.partition(".")[2]
        if profile.status == "ACTIVE" and model in told:
            ids.append(profile.inference_profile_id)
            if model in can_see:
                can_see.add(profile.inference_profile_id)
    return [ModelInfo(name, capabilities=frozenset({"vision"} if name in can_see else ())) for name in ids]


def profile_path(profile: str) -> str:
    """Where the control plane tells of one profile."""
    return f"/inference-profiles/{quote(profile, safe='')}"


def model_behind(profile: bytes) -> str:
    """The id of the model that a profile asks, with the geography that it may ask it in; empty if unknown.

    Raises:
        DecodeError: the body is not what the API answers.
    """
    arns = [model.model_arn.split(":") for model in decode(profile, type=_Behind).models]
    regions = {parts[3] for parts in arns if len(parts) > 5}
    names = {
        parts[5].partition("/")[2] + "".join(f":{more}" for more in parts[6:])
        for parts in arns
        if len(parts) > 5
    }
    if len(names) != 1:
        return ""
    [name] = names
    if "" in regions:
        return f"global.{name}"
    geography = geography_of(regions.pop()) if len(regions) > 1 else ""
    return f"{geography}.{name}" if geography else name


def geography_of(region: str) -> str:
    """What the profiles of a region's part of the world begin with; empty if unknown."""
    return _GEOGRAPHIES.get(region.partition("-")[0], "")


class _Pointer(Struct, rename="camel"):
    model_arn: str = ""


class _Behind(Struct):
    models: tuple[_Pointer, ...] = ()


class _Lifecycle(Struct, frozen=True):
    status: str = ""


class _Model(Struct, rename="camel"):
    model_id: str
    input_modalities: tuple[str, ...] = ()
    inference_types_supported: tuple[str, ...] = ()
    model_lifecycle: _Lifecycle = _Lifecycle()


class _Models(Struct, rename="camel"):
    model_summaries: tuple[_Model, ...] = ()


class _Profile(Struct, rename="camel"):
    inference_profile_id: str
    status: str = ""


class _Profiles(Struct, rename="camel"):
    inference_profile_summaries: tuple[_Profile, ...] = ()
