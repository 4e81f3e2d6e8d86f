# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a table that somebody wrote by hand: the key, the value, what is allowed, the nearest key. Pure."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def told(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """Every mistake of a table that was to become a `root`, each in one line."""
    return [_explain(mistake, root) for mistake in _causes(error.errors())]


def nearest(written: str, keys: Iterable[str]) -> str:
    """What may have been meant by a key that is not among `keys`."""
    known = sorted(keys)
    near = difflib.get_close_matches(written, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


def _causes(errors: Sequence[Any]) -> list[Any]:
    """The mistakes without those that only follow: a line is not "too short" because one of its points is wrong."""
    paths = [error["loc"] for error in errors]

    def follows(error: Any) -> bool:
        loc = error["loc"]
        return error["type"] == "too_short" and any(len(p) > len(loc) and p[: len(loc)] == loc for p in paths)

    return [error for error in errors if not follows(error)]


def _explain(error: Any, root: type[BaseModel]) -> str:
    """One mistake: the key's path, the value, what is allowed, and the nearest key."""
    loc = [str(part) for part in error["loc"]]
    key = ".".join(loc) or "(top level)"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; {nearest(loc[-1], _section_at(root, loc[:-1]).model_fields)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: is missing; {_describe(root, loc)}"
    if error["type"] == "value_error":
        return f"{key}: {message}"
    if error["type"] == "string_pattern_mismatch":
        return f"{key} = {error['input']!r}: is not written as it must be. {_describe(root, loc)}"
    if error["type"] in ("too_short", "too_long"):
        least, most = error["ctx"].get("min_length"), error["ctx"].get("max_length")
        allowed = f"at least {least}" if error["type"] == "too_short" else f"at most {most}"
        return f"{key}: has {error['ctx']['actual_length']} entries; {allowed} are allowed"
    return f"{key} = {error['input']!r}: {message[0].lower()}{message[1:]}"


def _section_at(root: type[BaseModel], loc: list[str]) -> type[BaseModel]:
    """The table that the path leads to."""
    section = root
    for part in loc:
        field = section.model_fields.get(part)
        inner = field and inner_section(field.annotation)
        section = inner or section
    return section


def inner_section(annotation: Any) -> type[BaseModel] | None:
    """The table that a field's annotation holds, alone, in a list or as one of several; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((s for a in get_args(annotation) if (s := inner_section(a))), None)


def _describe(root: type[BaseModel], loc: list[str]) -> str:
    """What the key is for; of a list's entry, what the list is for."""
    fields = _section_at(root, loc[:-1]).model_fields
    named = [fields[part].description for part in reversed(loc) if part in fields]
    return (named and named[0]) or "give it a value"
