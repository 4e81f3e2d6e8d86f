# SPDX-License-Identifier: Apache-2.0
"""The two clocks of the house, read at the rim and handed inwards as values.

Eye knows boot time only. Link also knows UTC, and whether the kernel calls it synchronised.
"""

import time
from pathlib import Path
from typing import NewType

BootNs = NewType("BootNs", int)
"""Nanoseconds since this boot, suspend included (CLOCK_BOOTTIME); meaningless without the boot's id."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_ns() -> BootNs:
    """Nanoseconds since boot."""
    return BootNs(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def monotonic_to_boot_ns(monotonic_ns: int) -> BootNs:
    """The boot time of a CLOCK_MONOTONIC stamp, as V4L2 and libcamera give them; they differ by time suspended."""
    offset = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    return BootNs(monotonic_ns + offset)


def boot_id() -> str:
    """The id of this boot as 32 hexadecimal digits."""
    return _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
