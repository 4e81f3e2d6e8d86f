# SPDX-License-Identifier: Apache-2.0
"""The day's result for a venue without headquarters: the CSV and the print are made of it. Pure."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from nigiwai.link.intervals import NS_PER_S
from nigiwai.link.report import QUARTER_NS, Tally
from nigiwai.link.store.hand import Noted
from nigiwai.link.zone import stamp
from nigiwai.settings import Settings


def day_report(
    settings: Settings,
    zone: tzinfo,
    now_ns: int,
    tally: Tally,
    noted: Sequence[Noted],
    check: dict[str, Any] | None,
) -> dict[str, Any]:
    """Sums, quarter hours and what staff noted. Staff's own passages stand apart and are subtracted from nothing."""
    return {
        "site": settings.device.site,
        "device": settings.device.name,
        "day": tally.day,
        "at": stamp(now_ns - now_ns % NS_PER_S, zone),
        "in": sum(entered for entered, _ in tally.today.values()),
        "out": sum(left for _, left in tally.today.values()),
        "inside": tally.inside,
        "inside_low": tally.low,
        "inside_high": tally.high,
        "gates": sorted(tally.today),
        "quarters": [
            {
                "start": stamp(tally.midnight_ns + index * QUARTER_NS, zone),
                "gates": {name: list(pair) for name, pair in gates.items()},
            }
            for index, gates in sorted(tally.quarters.items())
            if any(entered or left for entered, left in gates.values())
        ],
        "staff": _staff(noted),
        "noted": [
            {"at": stamp(n.at_ns - n.at_ns % NS_PER_S, zone)[11:16], "kind": n.kind, "text": _text(n), "body": n.body}
            for n in noted
        ],
        "check": check,
    }


def _staff(noted: Sequence[Noted]) -> dict[str, int]:
    passages = [n.body for n in noted if n.kind == "staff_passages"]
    return {"in": sum(p["entered"] for p in passages), "out": sum(p["left"] for p in passages)}


def _text(noted: Noted) -> str:
    """One line for the CSV."""
    body = noted.body
    match noted.kind:
        case "incident":
            return f"{body['topic']}: {body['text']}"
        case "set_inside":
            return str(body["inside"])
        case "event":
            return str(body["action"])
        case "staff_passages":
            return f"{body['gate']}: in {body['entered']}, out {body['left']}"
        case "check":
            return f"{body['verdict']} {body['error']['percent']:+.1f} %"
        case _:
            return " ".join(str(v) for v in body.values())
