# SPDX-License-Identifier: Apache-2.0
"""What a taken-over eye could push through the door, added up from the records' own bounds and their allowances.

An upper bound: every field of every record filled at will, every allowance used up. The kernel's limit on a packet
bounds each record as well.
"""

import math
import re
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

from nigiwai.door import codec, field
from nigiwai.door.allowance import RATES
from nigiwai.door.records import MAX_PACKET_BYTES
from tests.conftest import ROOT

AIMING = frozenset({"scene", "coverage", "advice", "gauge", "tried"})
"""Sent only while somebody aims: ten minutes at a time, thirty a day."""

AIMING_HOURS_A_DAY = 0.5


def _bits(node: dict[str, Any], root: dict[str, Any]) -> float:
    """The binary logarithm of how many values a JSON Schema node allows."""
    if "$ref" in node:
        return _bits(root["$defs"][node["$ref"].rsplit("/", 1)[1]], root)
    if "const" in node or node.get("type") == "null":
        return 0.0
    if "enum" in node:
        return math.log2(len(node["enum"]))
    if "anyOf" in node:
        return math.log2(sum(2 ** min(500.0, _bits(each, root)) for each in node["anyOf"]))
    if node["type"] == "array":
        items = node.get("prefixItems") or [node["items"]] * node["maxItems"]
        return sum(_bits(item, root) for item in items) + math.log2(len(items) + 1)
    if node["type"] == "object":
        return sum(_bits(inner, root) for inner in node["properties"].values())
    return _value_bits(node)


def _value_bits(node: dict[str, Any]) -> float:
    match node["type"]:
        case "integer":
            return math.log2(node["maximum"] - node["minimum"] + 1)
        case "boolean":
            return 1.0
        case "string":
            return _text_bits(node["pattern"])
    raise AssertionError(f"a type that nobody has thought about: {node}")


def _text_bits(pattern: str) -> float:
    """Characters of the longest text times what each may be."""
    longest = sum(int(n) for n in re.findall(r"\{(?:\d+,)?(\d+)\}", pattern)) + pattern.count("[") - pattern.count("{")
    classes = re.findall(r"\[([^\]]+)\]", pattern)
    return longest * math.log2(max(len(re.findall(r"[a-z0-9_-]", _spelled(c))) for c in classes))


def _spelled(characters: str) -> str:
    for short, long in {"a-z": "abcdefghijklmnopqrstuvwxyz", "a-f": "abcdef", "0-9": "0123456789"}.items():
        characters = characters.replace(short, long)
    return characters


def _record_bits(kind: type[BaseModel]) -> float:
    schema = TypeAdapter(kind).json_schema()
    return min(_bits(schema, schema), MAX_PACKET_BYTES * 8.0)


def _bits_an_hour() -> dict[str, float]:
    kinds = _kinds(codec.FromEye)
    return {name: _record_bits(kind) * RATES[name][1] * 3_600 for name, kind in kinds.items()}


def _kinds(union: Any) -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    for each in get_args(union) or (union,):
        if isinstance(each, type) and issubclass(each, BaseModel):
            found[each.model_fields["kind"].default] = each
        else:
            found |= _kinds(each)
    return found


def _stated(what: str) -> int:
    """The figure that docs/privacy.md states."""
    text = " ".join((ROOT / "docs" / "privacy.md").read_text(encoding="utf-8").split())
    found = re.search(rf"{what}: at most ([0-9.]+) million bits an hour", text)
    assert found, what
    return round(float(found[1]) * 1e6)


def test_every_kind_of_record_has_its_allowance() -> None:
    assert set(_kinds(codec.FromEye)) == set(RATES)
    assert AIMING.issubset(field.RATES)


def test_the_door_carries_no_more_than_the_document_states() -> None:
    counting = sum(bits for name, bits in _bits_an_hour().items() if name not in AIMING)

    assert 0.5 * _stated("the door while it counts") < counting <= _stated("the door while it counts")


def test_the_aiming_mode_is_stated_apart() -> None:
    aiming = sum(bits for name, bits in _bits_an_hour().items() if name in AIMING)

    assert 0.5 * _stated("while somebody aims, besides") < aiming <= _stated("while somebody aims, besides")


def test_no_record_is_longer_than_a_packet() -> None:
    for name, kind in _kinds(codec.FromEye).items():
        assert _record_bits(kind) <= MAX_PACKET_BYTES * 8, name
