"""What every group of options is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, field_validator, model_validator

from lynkr_desktop.engine.config.units import parse_bytes, parse_duration

Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds; written as a number or as `250ms`, `30s`, `5m`, `1h30m`, `2d`."""

Size = Annotated[int, BeforeValidator(parse_bytes)]
"""Bytes; written as a number or as `512KB`, `32MB`, `1GB` (powers of 1024)."""

PLANNED: dict[str, Any] = {"planned": True}
SECRET: dict[str, Any] = {"secret": True}
"""Marks an option whose value must never appear in a message, a log or an answer."""


class OptionError(ValueError):
    """A rule across several options is broken.

    Args:
        loc: the option at fault, from where the rule stands downwards.
        message: what is wrong with it.
        choices: names of which one was probably meant by `written`.
        written: what stands there instead.
    """

    def __init__(
        self, loc: tuple[str | int, ...], message: str, *, choices: tuple[str, ...] = (), written: str = ""
    ) -> None:
        super().__init__(message)
        self.loc = loc
        self.choices = choices
        self.written = written


class Options(BaseModel):
    """A group of options: immutable, and closed, so that a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_default(cls, data: Any) -> Any:
        """A key with nothing after it (all its lines are commented out, say) keeps its default."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads `yes` and `on` as true, which pydantic would take for the number 1."""
        field = cls.model_fields.get(info.field_name or "")
        if isinstance(value, bool) and field is not None and field.annotation in (int, float):
            raise ValueError(f"a number is needed, not {'yes' if value else 'no'}")
        return value
