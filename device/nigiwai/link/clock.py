# SPDX-License-Identifier: Apache-2.0
"""How boot time is placed on the wall clock.

A Raspberry Pi has no battery clock: after a start its system time may be wrong by hours or years until a time server
was reached. Eye counts in boot time, which is never wrong; link places it with one offset for each boot. Once a time
server has set the clock its offset is kept, and somebody who sets the clock by hand later changes nothing.
"""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass

from nigiwai import clock
from nigiwai.link.messages import ClockState

STEP_NS = 1_000_000_000
"""A clock that moves by less was slewed or read between two ticks; by more, somebody was wrong about the time."""

JITTER_NS = 50_000_000
"""Below this the offset is left as it was: the two clocks are not read at the very same moment."""

_TIMEX_BYTES = 256
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment."""

    boot: str
    boot_ns: int
    utc_ns: int
    synchronised: bool


Clock = Callable[[], Reading]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a boot lies: UTC is boot time plus `offset_ns`."""

    offset_ns: int
    state: ClockState

    def utc_ns(self, boot_ns: int) -> int:
        """The wall-clock time of a moment of that boot."""
        return boot_ns + self.offset_ns


def updated(place: Place | None, reading: Reading, *, trust_system: bool) -> Place | None:
    """What is believed after `reading`; None while nothing may be believed."""
    offset = reading.utc_ns - reading.boot_ns
    if place is not None and abs(offset - place.offset_ns) < JITTER_NS:
        offset = place.offset_ns
    if reading.synchronised:
        return Place(offset, ClockState.SYNCHRONISED)
    if place is not None and place.state is ClockState.SYNCHRONISED:
        return place
    return Place(offset, ClockState.SYSTEM) if trust_system else None


def stepped(before: Place, after: Place) -> bool:
    """Whether what was placed by `before` was placed wrongly."""
    return abs(after.offset_ns - before.offset_ns) > STEP_NS


def read_clock() -> Reading:
    """This machine's clocks now."""
    return Reading(clock.boot_id(), clock.boot_ns(), time.time_ns(), kernel_synchronised())


def kernel_synchronised() -> bool:
    """Whether the kernel calls its clock set by a time server (adjtimex(2)); chrony and timesyncd both tell it so."""
    libc = ctypes.CDLL(None)
    return bool(0 <= libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) < _TIME_ERROR)
