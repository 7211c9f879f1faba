"""Writes docs/configuration.md from the declared options.

Run `python -m lynkr_desktop.engine.config.docs > docs/configuration.md` after a change of the schema.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from enum import StrEnum
from importlib.resources import files
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lynkr_desktop.engine.config.base import Options
from lynkr_desktop.engine.config.introspect import DeclaredOption, declared, marked, members_of
from lynkr_desktop.engine.config.schema import Config, RoutingOptions
from lynkr_desktop.engine.config.telemetry import off_or_duration
from lynkr_desktop.engine.config.units import format_bytes, format_duration, parse_bytes

_INTRO = """\
# Configuration

<!-- Written by `python -m lynkr_desktop.engine.config.docs`; change the schema, not this file. -->

Lynkr needs no configuration: without a file it uses Ollama if it answers, else the built-in model. To change
something, write a YAML file; what you leave out keeps its default.

## Where the file is

The first of these that applies:

1. `--config FILE` after any `lynkr` command
2. the environment variable `LYNKR_CONFIG`
3. `lynkr-routing.yaml` in the home folder that `--home DIR` or `LYNKR_HOME` names
4. `lynkr-routing.yaml` in the platform's configuration folder:

| system | file |
| --- | --- |
| Linux | `~/.config/lynkr/lynkr-routing.yaml` |
| macOS | `~/Library/Application Support/lynkr/lynkr-routing.yaml` |
| Windows | `%LOCALAPPDATA%\\lynkr\\lynkr-routing.yaml` |

The file is read again when it is saved and on `POST /v1/admin/reload`. Requests in flight finish with the old
options. A file with a mistake changes nothing; `lynkr status` shows the line and what is wrong there.

## How values are written

- A duration is a number of seconds or text such as `250ms`, `30s`, `5m`, `1h30m`, `2d`.
- A size is a number of bytes or text such as `512KB`, `32MB`, `1GB` (powers of 1024).
- A model is `provider/model`, for instance `ollama/qwen2.5-coder:7b`.
- Misspelt options are errors, with a suggestion. A key with nothing after it keeps its default.
- Provider keys do not belong in this file: they come from the OS keyring or the environment.

Options marked *accepted; not active yet* may be in the file and have no effect in this version.
"""

_MINIMAL = """\
## A small example

```yaml
routing:
  tiers:
    simple:
      providers: [ollama/auto]
      max_complexity: 0.4
    complex:
      providers: [openrouter/anthropic/claude-sonnet-4.5, ollama/auto]
      max_complexity: 1.0

providers:
  lmstudio:
    kind: openai_compatible
    base_url: http://127.0.0.1:1234/v1
```
"""


def render_markdown() -> str:
    """The whole document, with a final newline."""
    template = (files("lynkr_desktop.engine.config") / "template.yaml").read_text("utf-8").strip()
    parts = [
        _INTRO,
        _MINIMAL,
        f"## A full example\n\n```yaml\n{template}\n```\n",
        "## Options\n",
        *_sections(),
    ]
    return "\n".join(parts)


def _sections() -> Iterator[str]:
    for name, section in Config.model_fields.items():
        lines = [f"### {name}", "", section.description or "", ""]
        if name == "routing":
            lines += [RoutingOptions.model_fields["tiers"].description or "", ""]
        lines += ["| option | type | default | |", "| --- | --- | --- | --- |"]
        for option in _with_members():
            if option.name.split(".")[0] == name:
                lines.append(f"| {' | '.join(_row(option.name, option.field))} |")
        yield "\n".join([*lines, ""])


def _with_members() -> Iterator[DeclaredOption]:
    """Every option, and below a list of groups those of its members."""
    for option in declared():
        yield option
        if (member := members_of(option.field.annotation)) is not None:
            yield from declared(member, f"{option.name}.<n>.")


def _row(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    help_ = (field.description or "").replace("|", "\\|")
    if marked(field, "planned"):
        help_ += " *Accepted; not active yet.*"
    return f"`{name}`", _type(field), _default(field), help_


def _type(field: FieldInfo) -> str:
    """The type in words, with its limits."""
    words = _words(field.annotation, field.metadata)
    limits = {type(item): item for item in field.metadata}
    low = getattr(limits.get(Ge), "ge", None)
    above = getattr(limits.get(Gt), "gt", None)
    high = getattr(limits.get(Le), "le", getattr(limits.get(Lt), "lt", None))
    if low is not None and high is not None:
        return f"{words}, {low} to {high}"
    if low:
        return f"{words}, at least {low}"
    if above is not None and high is not None:
        return f"{words}, more than {above}, at most {high}"
    if above is not None:
        return f"{words}, more than {above}"
    return words


_KINDS: dict[Any, str] = {parse_bytes: "size", off_or_duration: "`off` or a duration"}


def _words(annotation: Any, metadata: list[Any] | None = None) -> str:
    for item in metadata or ():
        if isinstance(item, BeforeValidator):
            return _KINDS.get(item.func, "duration")
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0], list(arguments[1:]))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {_words(arguments[0]).replace(' or ', ', ')}"
    if origin is dict:
        return f"mapping of {_words(arguments[0])} to {_words(arguments[1])}"
    if origin in (Union, types.UnionType):
        return " or ".join(_words(part) for part in arguments if part is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f"`{value}`" for value in annotation)
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return "options"
    return {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}[annotation]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None and any(getattr(item, "func", None) is off_or_duration for item in field.metadata):
        return "`off`"
    if value is PydanticUndefined or value is None or value in ((), {}):
        return ""
    for item in field.metadata:
        if isinstance(item, BeforeValidator):
            return f"`{format_bytes(value) if item.func is parse_bytes else format_duration(value)}`"
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    return str(value)


if __name__ == "__main__":
    sys.stdout.write(render_markdown())
