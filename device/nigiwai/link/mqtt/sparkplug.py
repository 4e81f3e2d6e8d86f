# SPDX-License-Identifier: Apache-2.0
"""Sparkplug B's words: what a payload is, and which metrics this device has. Pure.

The bytes are Google's protobuf library's; the message is described here as Eclipse Sparkplug 3.0.0, section 6.4.1,
gives it, as far as it is used: metrics of numbers, truths and text. Data types are those of section 6.4.16.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

from nigiwai.errors import SettingsError
from nigiwai.link.messages import Counts, Health, Subject, Totals

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
BIRTH_NUMBER = "bdSeq"

Value = int | float | bool | str | None


class Type(IntEnum):
    """Sparkplug's data types that occur here."""

    INT64 = 4
    UINT64 = 8
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


_FIELD = {
    Type.INT64: "long_value",
    Type.UINT64: "long_value",
    Type.DOUBLE: "double_value",
    Type.BOOLEAN: "boolean_value",
    Type.STRING: "string_value",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One named value; `historical` where it is of the past and must not be shown as the present."""

    name: str
    type: Type
    value: Value
    at_ms: int
    historical: bool = False


@dataclass(frozen=True, slots=True)
class Ids:
    """Whose topics: the group is the site, the edge node is the device."""

    group: str
    node: str

    def topic(self, kind: str) -> str:
        """The topic of NBIRTH, NDATA, NDEATH or NCMD."""
        return f"{NAMESPACE}/{self.group}/{kind}/{self.node}"


@cache
def _payload_type() -> Any:
    """The class of a payload. Raises SettingsError where the library is not installed."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise SettingsError(
            "sparkplug.enabled = true: the library protobuf is missing; pip install 'nigiwai[sparkplug]', or set false"
        ) from None
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="nigiwai/sparkplug_b.proto", package="nigiwai.sparkplug")
    payload = file.message_type.add(name="Payload")
    metric = payload.nested_type.add(name="Metric")
    for name, number, of in (
        ("name", 1, kind.TYPE_STRING),
        ("alias", 2, kind.TYPE_UINT64),
        ("timestamp", 3, kind.TYPE_UINT64),
        ("datatype", 4, kind.TYPE_UINT32),
        ("is_historical", 5, kind.TYPE_BOOL),
        ("is_null", 7, kind.TYPE_BOOL),
        ("long_value", 11, kind.TYPE_UINT64),
        ("double_value", 13, kind.TYPE_DOUBLE),
        ("boolean_value", 14, kind.TYPE_BOOL),
        ("string_value", 15, kind.TYPE_STRING),
    ):
        metric.field.add(name=name, number=number, type=of, label=kind.LABEL_OPTIONAL)
    payload.field.add(name="timestamp", number=1, type=kind.TYPE_UINT64, label=kind.LABEL_OPTIONAL)
    payload.field.add(
        name="metrics",
        number=2,
        type=kind.TYPE_MESSAGE,
        label=kind.LABEL_REPEATED,
        type_name=".nigiwai.sparkplug.Payload.Metric",
    )
    payload.field.add(name="seq", number=3, type=kind.TYPE_UINT64, label=kind.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nigiwai.sparkplug.Payload"))


def check_library() -> None:
    """Raises SettingsError where the protobuf library is missing."""
    _payload_type()


def encode(metrics: Iterable[Metric], at_ms: int, sequence: int | None) -> bytes:
    """A payload; `sequence` is None for a death certificate, which has none."""
    payload = _payload_type()(timestamp=at_ms)
    if sequence is not None:
        payload.seq = sequence
    for metric in metrics:
        made = payload.metrics.add(name=metric.name, timestamp=metric.at_ms, datatype=int(metric.type))
        if metric.historical:
            made.is_historical = True
        if metric.value is None:
            made.is_null = True
        else:
            setattr(made, _FIELD[metric.type], metric.value)
    return bytes(payload.SerializeToString())


def rebirth_asked(payload: bytes) -> bool:
    """Whether a command asks for a new birth certificate. False for what cannot be read."""
    from google.protobuf.message import DecodeError

    try:
        read = _payload_type().FromString(payload)
    except DecodeError:
        return False
    return any(m.name == REBIRTH and m.boolean_value for m in read.metrics)


def readable(payload: bytes) -> str:
    """What a payload says, as text: JSON with the names of the specification, a metric a line."""
    read = _payload_type().FromString(payload)
    head: dict[str, Value] = {"timestamp": read.timestamp}
    if read.HasField("seq"):
        head["seq"] = read.seq
    metrics = ",\n".join(_json(_told(metric)) for metric in read.metrics)
    return f'{_json(head)[:-1]},"metrics":[\n{metrics}\n]}}'


def _told(metric: Any) -> dict[str, Value]:
    kind = Type(metric.datatype)
    value = None if metric.is_null else getattr(metric, _FIELD[kind])
    told: dict[str, Value] = {
        "name": metric.name,
        "timestamp": metric.timestamp,
        "datatype": kind.name.lower(),
        "value": value,
    }
    return {**told, "is_historical": True} if metric.is_historical else told


def _json(value: Mapping[str, Value]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def birth_number(number: int, at_ms: int) -> Metric:
    """Ties a birth certificate to its death certificate."""
    return Metric(BIRTH_NUMBER, Type.INT64, number, at_ms)


def state_metrics(totals: Totals, health: Health, at_ms: int) -> list[Metric]:
    """The present: sums per gate, people inside, lights and health."""
    found: list[tuple[str, Type, Value]] = [("Occupancy", Type.UINT64, totals.occupancy.now)]
    for gate, passed in totals.total.items():
        today = totals.today.get(gate)
        found += [(f"Gates/{gate}/In", Type.UINT64, passed.entered), (f"Gates/{gate}/Out", Type.UINT64, passed.left)]
        found += [(f"Gates/{gate}/In Today", Type.UINT64, today.entered if today else 0)]
        found += [(f"Gates/{gate}/Out Today", Type.UINT64, today.left if today else 0)]
    lights = {subject: getattr(health, subject.value) for subject in Subject}
    found += [(f"Lights/{subject.value.capitalize()}", Type.STRING, str(light)) for subject, light in lights.items()]
    found += [
        ("Health/Frame Rate", Type.DOUBLE, health.fps),
        ("Health/Temperature", Type.DOUBLE, health.temperature_c),
        ("Health/Unsent Records", Type.UINT64, health.queue),
    ]
    return [Metric(name, kind, value, at_ms) for name, kind, value in found]


def interval_metrics(counts: Counts, end_ms: int) -> list[Metric]:
    """One closed interval, at its end; historical where it is sent late."""
    found: list[tuple[str, Type, Value]] = [
        ("Interval/Record", Type.UINT64, counts.record),
        ("Interval/Blind Seconds", Type.DOUBLE, counts.blind_s),
    ]
    for gate, passed in counts.gates.items():
        found += [
            (f"Interval/{gate}/In", Type.UINT64, passed.entered),
            (f"Interval/{gate}/Out", Type.UINT64, passed.left),
        ]
    return [Metric(name, kind, value, end_ms, counts.late) for name, kind, value in found]


def interval_names(gates: Iterable[str], at_ms: int) -> list[Metric]:
    """The interval's metrics without a value yet: a birth certificate names all that will come."""
    names: Mapping[str, Type] = {
        "Interval/Record": Type.UINT64,
        "Interval/Blind Seconds": Type.DOUBLE,
        **{f"Interval/{gate}/{way}": Type.UINT64 for gate in gates for way in ("In", "Out")},
    }
    return [Metric(name, kind, None, at_ms) for name, kind in names.items()]
