# SPDX-License-Identifier: Apache-2.0
"""The site's wall clock: time stamps with their offset, and where its days begin. Nanoseconds of UTC in, text out."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from nigiwai.link.intervals import NS_PER_S

JAPAN = timezone(timedelta(hours=9), "Asia/Tokyo")
"""Japan has had no summer time since 1951; stands in where the system has no time zone data."""


def load_zone(name: str) -> tzinfo:
    """The time zone of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError):
        return JAPAN if name == "Asia/Tokyo" else UTC


def local(time_ns: int, zone: tzinfo) -> datetime:
    """That moment on the site's clock, whole seconds."""
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).astimezone(zone)


def stamp_s(time_ns: int, zone: tzinfo) -> str:
    """RFC 3339 with offset, in whole seconds."""
    return local(time_ns, zone).isoformat(timespec="seconds")


def stamp(time_ns: int, zone: tzinfo) -> str:
    """RFC 3339 with offset; milliseconds only where the moment is not a whole second."""
    text = stamp_s(time_ns, zone)
    ms = time_ns % NS_PER_S // 1_000_000
    return f"{text[:19]}.{ms:03d}{text[19:]}" if ms else text


def day(time_ns: int, zone: tzinfo) -> str:
    """The site's date."""
    return local(time_ns, zone).date().isoformat()


def midnight_ns(time_ns: int, zone: tzinfo) -> int:
    """Where the site's day began."""
    begun = local(time_ns, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return int(begun.timestamp()) * NS_PER_S


def reset_ns(time_ns: int, zone: tzinfo, at: str) -> int:
    """The last moment, up to this one, at which the site's clock showed `at`, such as "04:00"."""
    hour, minute = (int(part) for part in at.split(":"))
    now = local(time_ns, zone)
    found = now.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    if found > now:
        found = (found - timedelta(days=1)).replace(fold=0)
    return int(found.timestamp()) * NS_PER_S
