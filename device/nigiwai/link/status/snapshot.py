# SPDX-License-Identifier: Apache-2.0
"""What the page shows at one moment, as the JSON that /api/now and /api/events give. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from nigiwai import __version__
from nigiwai.door.records import Vitals
from nigiwai.enrol.trouble import REMEDIES, Trouble
from nigiwai.link.intervals import NS_PER_S, Gates
from nigiwai.link.lights import Lights
from nigiwai.link.messages import Cause, Light, Subject
from nigiwai.link.report import QUARTER_NS, Tally
from nigiwai.link.zone import day, midnight_ns, stamp, stamp_s
from nigiwai.settings import Settings


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the page is made of. `age_s`: since the last bin was stored; None before the first."""

    settings: Settings
    zone: tzinfo
    now_ns: int
    tally: Tally
    lights: Lights
    vitals: Vitals | None
    age_s: float | None
    queue: int
    uptime_s: int
    temperature_c: float | None = None
    disk_free_mib: int | None = None
    check: Mapping[str, Any] | None = None
    event: bool = False
    troubles: tuple[Trouble, ...] = ()


def snapshot(seen: Snapshot) -> dict[str, Any]:
    """The page's JSON."""
    gates = [{"name": n, "in": e, "out": o} for n, (e, o) in sorted(seen.tally.today.items())]
    return {
        "site": seen.settings.device.site,
        "device": seen.settings.device.name,
        "at": stamp_s(seen.now_ns, seen.zone),
        "day": seen.tally.day,
        "in": sum(g["in"] for g in gates),
        "out": sum(g["out"] for g in gates),
        "inside": seen.tally.inside,
        "inside_low": seen.tally.checked[0],
        "inside_high": seen.tally.checked[1],
        "check": _check(seen.check),
        "event": seen.event,
        "gates": gates,
        "troubles": [{"code": t, "ja": REMEDIES[t][0], "en": REMEDIES[t][1]} for t in _troubles(seen)],
        "lights": [{"subject": s, "light": light, "cause": cause} for s, (light, cause) in seen.lights.items()],
        "quarters": _quarters(seen),
        "bin_age_s": None if seen.age_s is None else round(seen.age_s, 1),
        "fps": seen.vitals.fps_milli / 1_000 if seen.vitals else None,
        "latency_ms": seen.vitals.latency_median_ms if seen.vitals else None,
        "queue": seen.queue,
        "uptime_s": seen.uptime_s,
        "since": stamp((seen.now_ns // NS_PER_S - seen.uptime_s) * NS_PER_S, seen.zone),
        "temperature_c": seen.temperature_c,
        "disk_free_mib": seen.disk_free_mib,
        "software": __version__,
    }


def without_ledger(settings: Settings, zone: tzinfo, now_ns: int, cause: Cause) -> dict[str, Any]:
    """The page's JSON while the ledger cannot be opened: no numbers are known."""
    gates: Gates = dict.fromkeys((g.name for g in settings.gate), (0, 0))
    tally = Tally(day(now_ns, zone), midnight_ns(now_ns, zone), gates, gates, {}, 0)
    lights = dict.fromkeys(Subject, (Light.UNKNOWN, Cause.NONE))
    lights[Subject.STORAGE] = (Light.BAD, cause)
    return snapshot(Snapshot(settings, zone, now_ns, tally, lights, None, None, 0, 0))


def _troubles(seen: Snapshot) -> tuple[Trouble, ...]:
    """What stands on the label's list and holds now."""
    card = seen.lights.get(Subject.STORAGE) == (Light.BAD, Cause.STORAGE_FAILED)
    return tuple(dict.fromkeys((*([Trouble.CARD] if card else []), *seen.troubles)))


def _check(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What everybody may know of the last accuracy check."""
    return None if check is None else {key: check[key] for key in ("at", "verdict", "error", "limit")}


def _quarters(seen: Snapshot) -> list[dict[str, Any]]:
    """In and out by quarter hour since midnight, those with passages only."""
    return [
        {
            "start": stamp(seen.tally.midnight_ns + index * QUARTER_NS, seen.zone),
            "in": sum(entered for entered, _ in gates.values()),
            "out": sum(left for _, left in gates.values()),
        }
        for index, gates in sorted(seen.tally.quarters.items())
        if any(entered or left for entered, left in gates.values())
    ]
