# SPDX-License-Identifier: Apache-2.0
"""One record, one encoding: compact JSON in the fields' own order.

A reader decodes, validates, encodes again and compares: a record whose bytes differ from its canonical form is refused.
So white space, key order, escapes and spellings of numbers carry nothing.
"""

from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from nigiwai.door.field import Order, Reported
from nigiwai.door.records import MAX_PACKET_BYTES, Ack, Bin, Hello, Record, Vitals
from nigiwai.door.tables import EventOver, TableTaken, TraitTable
from nigiwai.door.zones import ZoneStats
from nigiwai.errors import DoorError

_T = TypeVar("_T", bound=Record)

FromEye = Hello | Bin | Vitals | ZoneStats | TraitTable | Reported
ToEye = Ack | TableTaken | EventOver | Order

_FROM_EYE: TypeAdapter[FromEye] = TypeAdapter(Annotated[FromEye, Field(discriminator="kind")])
_TO_EYE: TypeAdapter[ToEye] = TypeAdapter(Annotated[ToEye, Field(discriminator="kind")])


def encode(record: Record) -> bytes:
    """The record's only encoding. Raises DoorError if it is longer than the door allows."""
    packet = record.model_dump_json().encode("ascii")
    if len(packet) > MAX_PACKET_BYTES:
        raise DoorError(f"record of {len(packet)} bytes; the door allows {MAX_PACKET_BYTES}")
    return packet


def decode_from_eye(packet: bytes) -> FromEye:
    """The record that link reads. Raises DoorError, which never quotes the packet."""
    return _decode(packet, _FROM_EYE)


def decode_to_eye(packet: bytes) -> ToEye:
    """The record that eye reads. Raises DoorError."""
    return _decode(packet, _TO_EYE)


def _decode(packet: bytes, adapter: TypeAdapter[_T]) -> _T:
    if len(packet) > MAX_PACKET_BYTES:
        raise DoorError(f"packet of {len(packet)} bytes; the door allows {MAX_PACKET_BYTES}")
    try:
        record = adapter.validate_json(packet)
    except ValidationError as e:
        keys = sorted({".".join(str(p) for p in err["loc"]) for err in e.errors()})
        raise DoorError(f"malformed record at {', '.join(keys[:4]) or '(whole)'}") from None
    if encode(record) != packet:
        raise DoorError(f"record of kind {record.__class__.__name__} not in its canonical encoding")
    return record
