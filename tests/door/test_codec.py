# SPDX-License-Identifier: Apache-2.0
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.door.allowance import RATES
from nigiwai.door.codec import decode_from_eye, decode_to_eye, encode
from nigiwai.door.field import Reported
from nigiwai.door.records import MAX_GATES, MAX_PACKET_BYTES, Ack, Bin, CameraKind, Flag, GateCount, Hello, Vitals
from nigiwai.door.tables import EventOver, TableTaken, TraitTable
from nigiwai.door.zones import ZoneStats
from nigiwai.errors import DoorError

RUN = "0" * 31 + "1"


def a_bin(sequence: int = 1, **changes: object) -> Bin:
    fields: dict[str, object] = {
        "run": RUN,
        "first_sequence": sequence,
        "sequence": sequence,
        "start_ms": 5000 * sequence,
        "length_ms": 5000,
        "blind_ms": 0,
        "gates": (GateCount(gate="door", entered=1, left=0),),
        "flags": (),
    }
    return Bin.model_validate(fields | changes)


def test_a_record_survives_the_door() -> None:
    assert decode_from_eye(encode(a_bin())) == a_bin()
    ack = Ack(run=RUN, sequence=7)
    assert decode_to_eye(encode(ack)) == ack


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.replace(b":", b": ", 1),  # white space
        lambda p: p.replace(b'"entered":1', b'"entered":1.0'),  # another spelling of a number
        lambda p: p.replace(b'"entered":1', b'"entered":true'),
        lambda p: p.replace(b"door", b"d\\u006for"),  # escapes
        lambda p: p.replace(b'"kind":"bin",', b"")[:-1] + b',"kind":"bin"}',  # key order
        lambda p: p[:-1] + b',"image":"aGVsbG8="}',  # a field more
        lambda p: p.replace(b'"entered":1', b'"entered":10001'),  # out of range
        lambda p: p.replace(b"door", b"Not A Name"),
        lambda p: p + b"\x00",
        lambda p: p[:-5],
        lambda p: p.ljust(MAX_PACKET_BYTES + 1),
        lambda _: b"\xff\xd8\xff\xe0JFIF",
        lambda _: b"",
    ],
)
def test_anything_but_the_canonical_form_is_refused(change: object) -> None:
    with pytest.raises(DoorError) as refused:
        decode_from_eye(change(encode(a_bin())))  # type: ignore[operator]
    assert "aGVsbG8" not in str(refused.value)


def test_eye_takes_only_what_link_may_say() -> None:
    with pytest.raises(DoorError):
        decode_to_eye(encode(a_bin()))


@given(st.binary(max_size=MAX_PACKET_BYTES + 10))
def test_no_bytes_crash_the_reader(packet: bytes) -> None:
    with pytest.raises(DoorError):
        decode_from_eye(packet)


def test_the_largest_records_fit() -> None:
    gates = tuple(GateCount(gate=f"{i}".ljust(32, "x"), entered=10_000, left=10_000) for i in range(MAX_GATES))
    largest = a_bin(
        2**31, first_sequence=2**31, start_ms=2**47, length_ms=86_400_000, blind_ms=86_400_000, gates=gates,
        flags=tuple(Flag),
    )  # fmt: skip
    assert len(encode(largest)) <= MAX_PACKET_BYTES


def test_every_kind_of_record_has_a_rate() -> None:
    assert set(RATES) == {
        r.model_fields["kind"].default for r in (Hello, Bin, Vitals, TraitTable, ZoneStats, *get_args(Reported))
    }


def test_no_record_has_a_field_for_text_or_fractions() -> None:
    """Names, digests, versions and closed lists are the only strings, and each is short and patterned."""
    for record in (Hello, Bin, Vitals, Ack, GateCount, TraitTable, TableTaken, EventOver, ZoneStats):
        for name, prop in record.model_json_schema()["properties"].items():
            assert prop.get("type") != "number", name
            if prop.get("type") == "string" and not {"const", "enum"} & prop.keys():
                assert prop["pattern"].startswith("^"), name


def a_hello() -> Hello:
    return Hello(
        run=RUN,
        boot="b" * 32,
        version="0.1.0",
        model="nigiwai-person",
        model_sha256="a" * 64,
        settings_sha256="c" * 64,
        camera=CameraKind.RECORDING,
    )


def test_hello_survives_the_door() -> None:
    assert decode_from_eye(encode(a_hello())) == a_hello()
