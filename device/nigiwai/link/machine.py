# SPDX-License-Identifier: Apache-2.0
"""Reads how this machine is: memory, disk, temperature, power. None for what it does not tell."""

import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MIB = 1_048_576
_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Bits of the Raspberry Pi firmware: 0 undervoltage now, 1 frequency capped, 2 throttled now, 3 soft temperature limit
(Raspberry Pi documentation, vcgencmd get_throttled).
"""
_UNDERVOLTAGE = 0b0001
_SLOWED = 0b1110


def memory_mib() -> float:
    """Resident memory of this process."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return round(int(fields[1]) * _PAGE_BYTES / _MIB, 1)


def disk_free_mib(folder: Path) -> int | None:
    """Free space where `folder` lies."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize // _MIB


def temperature_c(path: Path = _THERMAL) -> float | None:
    """The processor's temperature."""
    text = _maybe_read(path)
    return round(int(text) / 1_000, 1) if text is not None and text.lstrip("-").isdigit() else None


def power(path: Path = _THROTTLED) -> tuple[bool | None, bool | None]:
    """Undervoltage, and slowed down by heat or power, now."""
    text = _maybe_read(path)
    try:
        bits = int(text or "", 16)
    except ValueError:
        return None, None
    return bool(bits & _UNDERVOLTAGE), bool(bits & _SLOWED)


def _maybe_read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
