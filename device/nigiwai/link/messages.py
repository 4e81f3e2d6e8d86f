# SPDX-License-Identifier: Apache-2.0
"""What MQTT carries, one frozen type per message. docs/schema/ is generated from this page (schema.py).

    retained     availability, info, totals, closing, health
    stream       counts                              numbered without gaps within an epoch
    stream       traits                              tables of who came, numbered
    passing      alert, request/<command>, response/<command>

No field is meant or sized for a picture, a track or a coordinate: everything is a number with a range, a member of a
closed list, a configured name, a time stamp, a digest, or one of the two fixed sentences of the privacy statement.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nigiwai.door.records import MAX_GATES, CameraKind, Flag, Hex64, Name, Version
from nigiwai.door.tables import MOST_BLOCKS
from nigiwai.door.traits import Band, Company, Sex
from nigiwai.door.zones import CLASSES

SCHEMA = "nigiwai/1"
ROOT = "nigiwai/v1"
MAX_SPANS = 64
MAX_RESEND = 1_440
"""Records one `resend` request may ask for: a day of one-minute intervals."""

PRIVACY = (
    "Frames are processed in memory and overwritten; no image, track or position of a person is stored or sent."
    " Only numbers of passages leave this device; of ages and groups only tables about k people or more."
)

Stamp = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?(Z|[+-][0-9]{2}:[0-9]{2})$"
    ),
]
"""RFC 3339 with offset, whole seconds unless milliseconds are needed."""

Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Epoch = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
Total = Annotated[int, Field(ge=0, le=2**53)]
Number = Annotated[int, Field(ge=1, le=2**53)]
Transaction = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Message(BaseModel):
    """A frozen message that refuses unknown fields; `schema` and `type` say what it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def to_json(self) -> bytes:
        """The payload as it is sent."""
        return self.model_dump_json(by_alias=True).encode()


class Part(Message):
    """A piece of a message."""


class Passed(Part):
    """How many passed one gate, inwards and outwards."""

    entered: Total = Field(0, alias="in", description="Passages inwards.")
    left: Total = Field(0, alias="out", description="Passages outwards.")


PerGate = Annotated[dict[Name, Passed], Field(max_length=4 * MAX_GATES)]
"""By gate; gates that were renamed keep their sums, hence more than may be set at once."""


class Mark(StrEnum):
    """What is to be known about an interval's numbers. An empty list is a good interval."""

    COVERED = Flag.COVERED.value
    DARK = Flag.DARK.value
    BLOWN_OUT = Flag.BLOWN_OUT.value
    BLURRED = Flag.BLURRED.value
    MOVED = Flag.MOVED.value
    FROZEN = Flag.FROZEN.value
    SLOW = Flag.SLOW.value
    CAMERA_LOST = Flag.CAMERA_LOST.value
    GATE_AT_EDGE = Flag.GATE_AT_EDGE.value
    UNCONFIRMED = Flag.UNCONFIRMED.value
    MERGED = Flag.MERGED.value
    UNSEEN = "unseen"
    COARSE = "coarse"
    AMENDED = "amended"
    RESTAMPED = "restamped"


class ClockState(StrEnum):
    """How far start and end can be believed.

    `synchronised`: set by a time server. `system`: the device's own clock, not checked. `corrected`: placed or placed
    anew when the clock was set later. `unknown`: never known; the true time lies between start and end.
    """

    SYNCHRONISED = "synchronised"
    SYSTEM = "system"
    CORRECTED = "corrected"
    UNKNOWN = "unknown"


class Envelope(Message):
    """What every message begins with."""

    version: Literal["nigiwai/1"] = Field("nigiwai/1", alias="schema", description="This contract's version.")
    site: Name
    device: Name


class Availability(Envelope):
    """Whether the device speaks: `online`, `offline` (the broker says so, by will) or `stopped` (on purpose)."""

    type: Literal["availability"] = "availability"
    state: Literal["online", "offline", "stopped"]


Percent = Annotated[float, Field(ge=-100.0, le=10_000.0)]


class Checked(Part):
    """The last accuracy check by staff who tapped: the count's error in percent with its 95 % interval, +2 is two too
    many of a hundred, and whether that lies within the limit (`open`: nobody can tell yet).
    """

    at: Stamp
    gate: Name
    passages: Annotated[int, Field(ge=0, le=4_000)]
    verdict: Literal["pass", "fail", "open"]
    limit: Percent
    error: Percent
    low: Percent
    high: Percent


class Info(Envelope):
    """What the device is. Retained; sent at each connection and when something of it changes."""

    type: Literal["info"] = "info"
    software: Version
    interval_s: Annotated[int, Field(ge=1, le=86_400)]
    gates: Annotated[tuple[Name, ...], Field(max_length=MAX_GATES)]
    zones: Annotated[tuple[Name, ...], Field(max_length=MAX_GATES)] = ()
    settings_sha256: Hex64
    camera: CameraKind | None = Field(description="Null until eye has said hello.")
    model: Name | None
    model_sha256: Hex64 | None
    epoch: Epoch
    previous_epoch: Epoch | None = Field(None, description="The epoch before, whose records end at previous_last.")
    previous_last: Annotated[int, Field(ge=0, le=2**53)] | None = None
    k: Annotated[int, Field(ge=1, le=1_000)] = Field(10, description="No trait cell about fewer people is released.")
    check: Checked | None = Field(
        None, description="How exact the count is; holds for all that follows. Null: unknown."
    )
    privacy: Annotated[str, StringConstraints(max_length=240)] = PRIVACY


class Occupancy(Part):
    """People inside by the count: `began` at `since`, and in minus out from there on, never below zero.

    low, high: the 95 % interval. basis: `check`, by the last accuracy check at this entrance; `assumed`, by an error of
    10 % each way, because nobody has checked yet.
    """

    now: Total
    low: Total | None = None
    high: Total | None = None
    basis: Literal["check", "assumed"] | None = None
    since: Stamp | None = Field(None, description="The last reset, start of an event, or setting by hand.")
    began: Total = 0


class Totals(Envelope):
    """Live sums, open intervals included. Retained; at most every 5 s when something changed."""

    type: Literal["totals"] = "totals"
    epoch: Epoch
    at: Stamp
    day: Day
    today: PerGate
    total: PerGate
    occupancy: Occupancy


class Closing(Envelope):
    """The balance of the last period that is over: began + entered - left = remaining. Retained.

    Once everybody has gone home `remaining` is what the count cannot explain; negative: more left than are known to
    have come. Holds for the passages known at `at`; what is placed there later is in `counts` alone.
    """

    type: Literal["closing"] = "closing"
    at: Stamp
    since: Stamp | None = Field(description="Null for a period that was closed by an earlier version.")
    why: Literal["schedule", "event"] = Field(description="`occupancy.reset_at` came, or an event ended.")
    began: Total
    entered: Total
    left: Total
    remaining: Annotated[int, Field(ge=-(2**53), le=2**53)]


class Counts(Envelope):
    """One closed interval. `total` is the sum of `gates` over all records up to this one that no record replaces."""

    type: Literal["counts"] = "counts"
    epoch: Epoch
    record: Number
    start: Stamp | None = Field(description="Null only where even the earliest possible time is unknown.")
    end: Stamp
    gates: PerGate
    total: PerGate
    blind_s: Annotated[float, Field(ge=0.0, le=1e11, description="Seconds of the interval that nobody watched.")]
    flags: Annotated[tuple[Mark, ...], Field(max_length=len(Mark))] = ()
    clock: ClockState
    late: bool = Field(False, description="Sent from the store, not when the interval closed.")
    replaces: Annotated[tuple[tuple[Number, Number], ...], Field(max_length=MAX_SPANS)] = Field(
        (), description="Spans [first, last] of earlier records of this epoch that no longer count."
    )


class TraitBlock(Part):
    """`people` passages by people in one of these companies, of one of these sexes and bands; which, is not told."""

    company: Annotated[tuple[Company, ...], Field(min_length=1, max_length=len(Company))]
    sex: Annotated[tuple[Sex, ...], Field(min_length=1, max_length=len(Sex))]
    band: Annotated[tuple[Band, ...], Field(min_length=1, max_length=len(Band))]
    people: Annotated[int, Field(ge=5, le=1_000_000)]


Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class Estimate(Part):
    """The share of a table's people of whom something is true, corrected for the classifier's known errors.

    `said`: of how many it was said. low, high: the 95 % interval. basis: where the errors were measured; `simulation`
    is no evidence of accuracy at a real entrance.
    """

    said: Total
    share: Unit
    low: Unit
    high: Unit
    basis: Literal["simulation", "audit"]


class Traits(Envelope):
    """Who passed in one direction: one table, whose blocks hold everybody once and each at least `k` people."""

    type: Literal["traits"] = "traits"
    epoch: Epoch
    table: Number = Field(description="With the epoch, names the table for ever; numbers may be left out.")
    direction: Literal["in", "out"]
    start: Stamp | None = Field(description="Null where the time was never known.")
    end: Stamp | None
    k: Annotated[int, Field(ge=5, le=1_000)]
    people: Annotated[int, Field(ge=1, le=1_000_000)]
    withheld: bool = Field(description="There were too few people, or the time was too short, to tell blocks.")
    blocks: Annotated[tuple[TraitBlock, ...], Field(max_length=MOST_BLOCKS)]
    experimental: Annotated[tuple[Literal["sex", "teen", "senior"], ...], Field(max_length=3)] = Field(
        (), description="What is told although nothing shows yet that it is right about real people; off by default."
    )
    epsilon: Annotated[float, Field(ge=0.05, le=10.0)] | None = Field(
        None, description="Of the noise on the blocks' numbers (differential privacy); null where they have none."
    )
    children: Estimate | None = Field(
        None, description="Aged 12 or less; null where the blocks do not tell them apart."
    )
    families: Estimate | None = Field(None, description="In company of both a child and an adult; null likewise.")


class ZoneNow(Part):
    """One zone: people in it, of them queueing, the most at once since the last message, and visits by length.

    `visits`: of up to 5, 15, 30, 60, 120, 300, 600, 1800 s and longer, all since `run` began.
    """

    zone: Name
    people: Total
    queue: Total
    most: Total
    visits: Annotated[tuple[Total, ...], Field(min_length=CLASSES, max_length=CLASSES)]


class Zones(Envelope):
    """The zones now. Retained; once a minute while there are any."""

    type: Literal["zones"] = "zones"
    at: Stamp
    run: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")] = Field(
        description="Changes when eye starts again, whose visits count from zero."
    )
    zones: Annotated[tuple[ZoneNow, ...], Field(max_length=MAX_GATES)]


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


class Request(Message):
    """What every request carries. `transaction` is the asker's own and is answered; one is taken only once."""

    version: Literal["nigiwai/1"] = Field("nigiwai/1", alias="schema")
    transaction: Transaction


class Resend(Request):
    """Send records first..last of an epoch again; they come as `counts` with `late`."""

    type: Literal["resend"] = "resend"
    epoch: Epoch
    first: Number
    last: Number


class SetOccupancy(Request):
    """People inside are this many now."""

    type: Literal["set_occupancy"] = "set_occupancy"
    inside: Annotated[int, Field(ge=0, le=1_000_000)]


class Event(Request):
    """An event starts or ends here; the people inside begin at zero when it starts."""

    type: Literal["event"] = "event"
    action: Literal["start", "end"]


class Identify(Request):
    """Blink, so that somebody standing there finds the device."""

    type: Literal["identify"] = "identify"


class Restart(Request):
    """End the process; systemd starts it again."""

    type: Literal["restart"] = "restart"


class Response(Envelope):
    """The answer to a request that could be read."""

    type: Literal["response"] = "response"
    command: Literal["resend", "set_occupancy", "event", "identify", "restart"]
    transaction: Transaction
    status: Literal["ok", "error"]
    error: Literal[
        "none", "not_enabled", "too_often", "seen_before", "retained", "range", "unknown_epoch", "failed"
    ] = "none"
    sending: Annotated[int, Field(ge=0, le=MAX_RESEND)] = Field(0, description="Records that will be sent again.")
    gone: Annotated[int, Field(ge=0, le=MAX_RESEND)] = Field(
        0, description="Records of the span that are no longer kept, or were replaced."
    )


REQUESTS: dict[str, type[Request]] = {
    "resend": Resend,
    "set_occupancy": SetOccupancy,
    "event": Event,
    "identify": Identify,
    "restart": Restart,
}
SENT: tuple[type[Envelope], ...] = (Availability, Info, Totals, Closing, Counts, Traits, Zones, Health, Alert, Response)
