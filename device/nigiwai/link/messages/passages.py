# SPDX-License-Identifier: Apache-2.0
"""Numbers of passages: live sums, closed intervals, the balance of a period."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from nigiwai.door.records import MAX_GATES, Flag, Name
from nigiwai.link.messages.base import Day, Envelope, Epoch, Number, Part, Stamp, Total

MAX_SPANS = 64


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
