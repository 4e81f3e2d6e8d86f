# SPDX-License-Identifier: Apache-2.0
"""What may pass the door, and nothing else.

Every field is a whole number with a range, a member of a closed list, a configured name, or a hexadecimal digest. There
is no free text and no float, so a record has exactly one encoding (codec.py) and its capacity can be stated in bits.

    from eye   Hello, Bin, Vitals
    to eye     Ack

What passes only while staff work at the device stands in field.py.

A bin is known by (run, sequence). Link answers each with an Ack after it has committed it; eye sends again what was not
acknowledged, and link acknowledges a bin that it already has without storing it twice.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

BIN_MS = 5_000
"""The length of one bin in milliseconds of boot time (architecture page)."""

MAX_GATES = 8
MAX_PACKET_BYTES = 2_048
"""No record is longer on the wire; the kernel refuses to split a seqpacket, so a longer one cannot be smuggled."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
"""A configured name: of a gate, a zone, a model. Lower case, so that it can stand in an MQTT topic and a file name."""

Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$")]
Count = Annotated[int, Field(ge=0, le=10_000)]
BootMs = Annotated[int, Field(ge=0, le=2**47)]
"""Milliseconds of boot time."""


class Record(BaseModel):
    """A frozen record that refuses unknown fields and does not convert types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Flag(StrEnum):
    """What was wrong with the view while a bin was counted. An empty list is a good bin."""

    COVERED = "covered"
    DARK = "dark"
    BLOWN_OUT = "blown_out"
    BLURRED = "blurred"
    MOVED = "moved"
    FROZEN = "frozen"
    SLOW = "slow"
    CAMERA_LOST = "camera_lost"
    GATE_AT_EDGE = "gate_at_edge"
    UNCONFIRMED = "unconfirmed"
    MERGED = "merged"


class CameraKind(StrEnum):
    """What kind of camera feeds eye; `recording` is a file, for demonstration and tests.

    `network` is a camera that reaches this device over a network: the weaker promise.
    """

    PI = "pi"
    V4L2 = "v4l2"
    RECORDING = "recording"
    NETWORK = "network"


class GateCount(Record):
    """How many passed one gate within a bin."""

    gate: Name
    entered: Count
    left: Count


class Hello(Record):
    """Who speaks, once per connection and before anything else."""

    kind: Literal["hello"] = "hello"
    run: Hex32
    boot: Hex32
    version: Version
    model: Name
    model_sha256: Hex64
    settings_sha256: Hex64
    camera: CameraKind


class Bin(Record):
    """How many passed each gate in `length_ms` of boot time from `start_ms`, and how well that was seen.

    `length_ms` is 5,000, less for the last bin of a run, or a multiple where a full buffer had to merge old bins.
    `blind_ms` is the part of it in which no usable frame was seen.
    """

    kind: Literal["bin"] = "bin"
    run: Hex32
    sequence: Annotated[int, Field(ge=1, le=2**31)]
    first_sequence: Annotated[int, Field(ge=1, le=2**31)]
    start_ms: BootMs
    length_ms: Annotated[int, Field(ge=1, le=86_400_000)]
    blind_ms: Annotated[int, Field(ge=0, le=86_400_000)]
    gates: Annotated[tuple[GateCount, ...], Field(max_length=MAX_GATES)]
    flags: Annotated[tuple[Flag, ...], Field(max_length=len(Flag))]


class Vitals(Record):
    """How eye is, at most once a second. Latencies are from a frame's capture to its count."""

    kind: Literal["vitals"] = "vitals"
    at_ms: BootMs
    frames: Annotated[int, Field(ge=0, le=2**40)]
    dropped: Annotated[int, Field(ge=0, le=2**40)]
    inferred: Annotated[int, Field(ge=0, le=2**40)]
    fps_milli: Annotated[int, Field(ge=0, le=1_000_000)]
    latency_median_ms: Annotated[int, Field(ge=0, le=600_000)]
    latency_p95_ms: Annotated[int, Field(ge=0, le=600_000)]
    memory_kib: Annotated[int, Field(ge=0, le=2**26)]
    unacknowledged: Annotated[int, Field(ge=0, le=100_000)]
    lost_bins: Annotated[int, Field(ge=0, le=2**31)]
    flags: Annotated[tuple[Flag, ...], Field(max_length=len(Flag))]


class Ack(Record):
    """Link has committed the bin (run, sequence)."""

    kind: Literal["ack"] = "ack"
    run: Hex32
    sequence: Annotated[int, Field(ge=1, le=2**31)]
