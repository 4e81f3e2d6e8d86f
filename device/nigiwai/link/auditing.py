# SPDX-License-Identifier: Apache-2.0
"""What this site's own accuracy checks have found about children: sums of eye's batches, and the confusion they give.

The checks come from staff, who tap child or other (eye/audit.py). Once there are LEAST of each, the published shares of
children are corrected by what was found here, and no longer by what simulation says.
"""

from typing import Any

from nigiwai.door.field import Audited
from nigiwai.link.correction import LEAST_CONTRAST, Confusion, Rate
from nigiwai.link.store.hand import Noted

AUDIT = "audit"
LEAST = 50
"""Children, and others, that must have been tapped: with fewer, the simulation's rates are the better guess."""

_NONE = {"children": 0, "children_low": 0, "children_high": 0, "others": 0, "others_low": 0, "others_high": 0}


def added(before: Noted | None, batch: Audited) -> dict[str, Any]:
    """The sums after another batch: people, and between which numbers those lie who were said to be children."""
    sums = dict(_NONE if before is None else before.body)
    for name, people, said in (
        ("children", batch.children, batch.children_said),
        ("others", batch.others, batch.others_said),
    ):
        low = said * batch.k
        sums[name] += people
        sums[f"{name}_low"] += low
        sums[f"{name}_high"] += min(people, low + batch.k - 1)
    return sums


def audited_so_far(sums: Noted | None) -> dict[str, int]:
    """For the staff: how many children and others were tapped and counted so far, and how many of each it takes."""
    body = _NONE if sums is None else sums.body
    return {"children": body["children"], "others": body["others"], "least": LEAST}


def confusion_of(audited: Noted) -> Confusion | None:
    """The confusion that the sums give; None where they are of too few, or tell children and others not apart."""
    sums = audited.body
    if min(sums["children"], sums["others"]) < LEAST:
        return None
    hit, false = (_rate(sums, name) for name in ("children", "others"))
    return Confusion(hit, false) if hit.share - false.share >= LEAST_CONTRAST else None


def _rate(sums: dict[str, Any], name: str) -> Rate:
    people, low, high = sums[name], sums[f"{name}_low"], sums[f"{name}_high"]
    return Rate((low + high) / 2 / people, people, rounded=(high - low) / 2 / people)
