# SPDX-License-Identifier: Apache-2.0
"""How the device is: lights with their causes, losses, and what changed."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from nigiwai.link.messages.base import Envelope, Epoch, Part, Stamp, Total


class Light(StrEnum):
    """One health light."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a light is not `ok`."""

    NONE = "none"
    EYE_AWAY = "eye_away"
    CAMERA_LOST = "camera_lost"
    COVERED = "covered"
    DARK = "dark"
    BLOWN_OUT = "blown_out"
    BLURRED = "blurred"
    MOVED = "moved"
    FROZEN = "frozen"
    SLOW = "slow"
    GATE_AT_EDGE = "gate_at_edge"
    BROKER_AWAY = "broker_away"
    BROKER_REFUSES = "broker_refuses"
    BROKER_OFF = "broker_off"
    CERTIFICATE_OVER = "certificate_over"
    CERTIFICATE_ENDS = "certificate_ends"
    CERTIFICATE_EARLY = "certificate_early"
    SITE_CERTIFICATE = "site_certificate"
    CLOCK_UNSET = "clock_unset"
    CLOCK_UNCHECKED = "clock_unchecked"
    STORAGE_FULL = "storage_full"
    STORAGE_FAILED = "storage_failed"
    STORAGE_LOW = "storage_low"
    STORAGE_SALVAGED = "storage_salvaged"
    HOT = "hot"
    UNDERVOLTAGE = "undervoltage"
    THROTTLED = "throttled"


class Subject(StrEnum):
    """What a light is about."""

    CAMERA = "camera"
    BROKER = "broker"
    CLOCK = "clock"
    STORAGE = "storage"
    POWER = "power"


class Losses(Part):
    """What could not be kept since the ledger was begun. Zero everywhere is the normal case."""

    bins: Total = Field(0, description="Bins that eye counted and link never received.")
    merged: Total = Field(0, description="Undelivered records whose detail was merged into coarser ones.")
    expired: Total = Field(0, description="Delivered records removed before their time for want of space.")
    salvaged: Total = Field(0, description="Records lost with a damaged file.")


class Health(Envelope):
    """How the device is. Retained; every five minutes, and at once when a light changes. Null: not known here."""

    type: Literal["health"] = "health"
    at: Stamp
    camera: Light
    broker: Light
    clock: Light
    storage: Light
    power: Light
    cause: dict[Subject, Cause] = Field(default_factory=dict, description="Why, for each light that is not ok.")
    fps: Annotated[float, Field(ge=0.0, le=1_000.0)] | None
    latency_median_ms: Annotated[int, Field(ge=0, le=600_000)] | None
    latency_p95_ms: Annotated[int, Field(ge=0, le=600_000)] | None
    frames_dropped: Total | None
    eye_memory_mib: Annotated[float, Field(ge=0.0, le=1e6)] | None
    link_memory_mib: Annotated[float, Field(ge=0.0, le=1e6)] | None
    disk_free_mib: Total | None
    temperature_c: Annotated[float, Field(ge=-100.0, le=200.0)] | None
    throttled: bool | None
    undervoltage: bool | None
    queue: Total = Field(description="Records not yet acknowledged by the broker.")
    last_record: Annotated[int, Field(ge=0, le=2**53)]
    epoch: Epoch
    uptime_s: Total
    refused_records: Total = Field(0, description="Malformed records that eye tried to send.")
    refused_requests: Total = 0
    losses: Losses = Losses()


class Alert(Envelope):
    """A light changed, either way."""

    type: Literal["alert"] = "alert"
    at: Stamp
    subject: Subject
    light: Light
    cause: Cause
