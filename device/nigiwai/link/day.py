# SPDX-License-Identifier: Apache-2.0
"""The day's result for a venue without headquarters: the CSV and the print are made of it. Pure."""

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import Any

from nigiwai.link.intervals import NS_PER_S
from nigiwai.link.report import QUARTER_NS, Tally
from nigiwai.link.store.hand import Noted
from nigiwai.link.zone import stamp, stamp_s
from nigiwai.settings import Settings


def day_report(
    settings: Settings,
    zone: tzinfo,
    now_ns: int,
    tally: Tally,
    noted: Sequence[Noted],
    check: dict[str, Any] | None,
    blind: Sequence[tuple[int, int]] = (),
) -> dict[str, Any]:
    """Sums, quarter hours and what staff noted. Staff's own passages stand apart and are subtracted from nothing.

    blind: start and length, in nanoseconds, of what was not seen; such quarter hours are told even without a passage.
    """
    unseen = _by_quarter(blind, tally.midnight_ns)
    return {
        "site": settings.device.site,
        "device": settings.device.name,
        "day": tally.day,
        "at": stamp_s(now_ns, zone),
        "in": sum(entered for entered, _ in tally.today.values()),
        "out": sum(left for _, left in tally.today.values()),
        "inside": tally.inside,
        "inside_low": tally.checked[0],
        "inside_high": tally.checked[1],
        "blind_s": round(sum(unseen.values()) / NS_PER_S),
        "gates": sorted(tally.today),
        "quarters": [
            {
                "start": stamp(tally.midnight_ns + index * QUARTER_NS, zone),
                "gates": {name: list(pair) for name, pair in tally.quarters.get(index, {}).items()},
                "blind_s": round(unseen.get(index, 0) / NS_PER_S),
            }
            for index in sorted(_with_passages(tally) | set(unseen))
        ],
        "staff": _staff(noted),
        "noted": [{"at": stamp_s(n.at_ns, zone)[11:16], "kind": n.kind, "body": n.body} for n in noted],
        "check": check,
    }


def _with_passages(tally: Tally) -> set[int]:
    found = tally.quarters.items()
    return {index for index, gates in found if any(entered or left for entered, left in gates.values())}


def _by_quarter(blind: Iterable[tuple[int, int]], midnight_ns: int) -> dict[int, int]:
    """Nanoseconds not seen by quarter hour; the records of an interval lie within one."""
    found: dict[int, int] = {}
    for start_ns, length_ns in blind:
        index = (start_ns - midnight_ns) // QUARTER_NS
        found[index] = found.get(index, 0) + length_ns
    return found


def _staff(noted: Sequence[Noted]) -> dict[str, int]:
    passages = [n.body for n in noted if n.kind == "staff_passages"]
    return {"in": sum(p["entered"] for p in passages), "out": sum(p["left"] for p in passages)}
