# SPDX-License-Identifier: Apache-2.0
"""Writes a table as TOML: the kinds of values that settings have, and no others. Pure."""

import json
from typing import Any


def to_toml(table: dict[str, Any], path: str = "") -> str:
    """The TOML text of nested tables, lists of tables and plain values. Raises TypeError for any other value."""
    plain = {k: v for k, v in table.items() if not _is_table(v)}
    text = "".join(f"{key} = {_value(value)}\n" for key, value in plain.items())
    for key, value in table.items():
        if isinstance(value, dict):
            text += f"\n[{path}{key}]\n" + to_toml(value, f"{path}{key}.")
        elif _is_table(value):
            text += "".join(f"\n[[{path}{key}]]\n" + to_toml(item, f"{path}{key}.") for item in value)
    return text


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    raise TypeError(f"{type(value).__name__} has no place in settings")
