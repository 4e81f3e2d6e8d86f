# SPDX-License-Identifier: Apache-2.0
"""What eye tells of the zones: how many people are there, how many queue, how long visits lasted. Only sums.

It is told every `EVERY_S` while link is there, and not kept: the classes of dwell time are sums since this run of eye
began, so whoever misses a record loses nothing by the next.
"""

from typing import Annotated, Literal

from pydantic import Field

from nigiwai.door.records import MAX_GATES, BootMs, Count, Name, Record

EVERY_S = 10.0
DWELL_EDGES_S = (5, 15, 30, 60, 120, 300, 600, 1_800)
"""Upper edges of the classes of dwell time; the last class is open."""

CLASSES = len(DWELL_EDGES_S) + 1
RATES: dict[str, tuple[float, float]] = {"zones": (2, 1 / EVERY_S)}

MOST_VISITS = 100_000
Visits = Annotated[int, Field(ge=0, le=MOST_VISITS)]


class ZoneSums(Record):
    """One zone: people in it and of them queueing, the most people at once since the last record, visits by length."""

    zone: Name
    people: Count
    queue: Count
    most: Count
    dwell: Annotated[tuple[Visits, ...], Field(min_length=CLASSES, max_length=CLASSES)]


class ZoneStats(Record):
    """All zones at one time."""

    kind: Literal["zones"] = "zones"
    at_ms: BootMs
    zones: Annotated[tuple[ZoneSums, ...], Field(max_length=MAX_GATES)]
