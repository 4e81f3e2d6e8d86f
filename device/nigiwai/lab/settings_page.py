# SPDX-License-Identifier: Apache-2.0
"""docs/settings.md from the settings' own types, so that the page cannot lie."""

from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nigiwai.settings import Settings

_HEAD = """\
# Settings

One TOML file, `/etc/nigiwai/nigiwai.toml` unless `--settings FILE` says otherwise. Every key has a default: an empty
file is valid, but without a `[[gate]]` nobody is counted. Mistakes are told all together, with the key, the value and
what is allowed; `nigiwai check` says whether the rest of the machine agrees.

```toml
[device]
site = "sumida"
name = "hall-east"

[camera]
source = "pi"

[[gate]]
name = "door"
line = [[0.0, 0.75], [1.0, 0.75]]
inside = [0.5, 0.4]

[mqtt]
host = "broker.example"
```

This page is made by `make docs` from `device/nigiwai/settings.py`.
"""


def settings_page() -> str:
    """The whole page, Markdown."""
    return _HEAD + "".join(_section(name, field) for name, field in Settings.model_fields.items())


def _section(name: str, field: FieldInfo) -> str:
    model, repeated = _model(field.annotation)
    heading = f"[[{name}]]" if repeated else f"[{name}]"
    rows = "".join(_row(key, inner) for key, inner in model.model_fields.items())
    table = f"| key | allowed | default | |\n|---|---|---|---|\n{rows}"
    return f"\n## {heading}\n\n{(model.__doc__ or '').strip()}\n\n{table}"


def _model(annotation: Any) -> tuple[type[BaseModel], bool]:
    """The section's type, and whether it may come more than once."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    options = get_args(annotation)
    inner = next(a for a in options if a is not Ellipsis)
    return _model(inner)[0], NoneType not in options


def _row(key: str, field: FieldInfo) -> str:
    default = "needed" if field.is_required() else _toml(field.get_default())
    return f"| `{key}` | {_allowed(field.annotation, field.metadata)} | {default} | {field.description} |\n"


def _allowed(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(_toml(v) for v in get_args(annotation))
    return f"{_kind(annotation)}{_bounds(metadata or _inner_metadata(annotation))}"


def _inner_metadata(annotation: Any) -> list[Any]:
    """Bounds that stand inside an optional type."""
    found = (m for a in get_args(annotation) for m in getattr(a, "__metadata__", ()))
    return [b for m in found for b in getattr(m, "metadata", [m])]


def _kind(annotation: Any) -> str:
    names: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    options = [a for a in get_args(annotation) if a is not NoneType]
    if annotation in names:
        return names[annotation]
    if len(options) == 1:
        inner = options[0]
        return names.get(inner) or names.get(get_args(inner)[0] if get_args(inner) else None, "list")
    return "list"


def _bounds(metadata: list[Any]) -> str:
    low = next((m.ge for m in metadata if isinstance(m, Ge)), None)
    high = next((m.le for m in metadata if isinstance(m, Le)), None)
    if low is not None and high is not None:
        return f", {low} to {high}"
    few = next((m.min_length for m in metadata if isinstance(m, MinLen)), None)
    many = next((m.max_length for m in metadata if isinstance(m, MaxLen)), None)
    if many is not None:
        return f", {few} to {many} of them" if few else f", at most {many}"
    return ""


def _toml(value: Any) -> str:
    """The value as it would stand in the file; a dash for none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{v}"' for v in value) + "]`"
    return f"`{value}`" if isinstance(value, int | float) else f'`"{value}"`'
