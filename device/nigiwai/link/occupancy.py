# SPDX-License-Identifier: Apache-2.0
"""People inside: set by hand, begun anew by schedule, and closed with a balance.

The number begins at zero at `occupancy.reset_at` each day and is a sum over the passages placed since then, so a clock
that is set later moves passages and number alike. What staff or headquarters set holds until the next reset. At every
reset, and at the end of an event, the closing balance is noted: entered, left, and who by the count is still inside.
Once everybody has gone home those are what the count cannot explain.
"""

import json
from collections.abc import Callable
from datetime import tzinfo
from typing import Any, Literal

from nigiwai.link.ledger import Ledger
from nigiwai.link.report import Mark, Tallier, Tally
from nigiwai.link.store.audit import Entry
from nigiwai.link.store.hand import Noted
from nigiwai.link.zone import reset_ns

CLOSING = "closing"
_MARK = "occupancy"
_PERIOD = "occupancy_period"


class Occupancy:
    """The mark from which people inside are counted, and the period that it belongs to."""

    def __init__(self, ledger: Ledger, tally: Callable[[], Tally]) -> None:
        """tally: the day so far, reckoned with `mark`."""
        self._ledger, self._tally = ledger, tally
        self.mark = _read_mark(ledger.read_note(_MARK))
        self.closed = ledger.latest_hand(CLOSING)
        """The last closing balance."""

    def set_inside(self, inside: int, now_ns: int) -> bool:
        """People inside are this many now; kept over a restart."""
        tally = self._tally()
        self.mark = Mark(tally.period_ns, inside, tally.period, now_ns)
        noted = {"period": tally.period_ns, "at": now_ns, "inside": inside, "gates": tally.period}
        self._ledger.write_note(_MARK, json.dumps(noted))
        return True

    def close(self, now_ns: int) -> None:
        """Notes the balance at the end of an event."""
        self._note(balance(self._tally(), "event"), now_ns)

    def step(self, zone: tzinfo, reset_at: str, names: tuple[str, ...], now_ns: int) -> bool:
        """Closes the period before where another has begun; whether it did."""
        begun, note = reset_ns(now_ns, zone, reset_at), self._ledger.read_note(_PERIOD)
        if note is not None and int(note) == begun:
            return False
        self._ledger.write_note(_PERIOD, str(begun))
        if note is None or int(note) > begun:
            return False  # the first period there is, or a clock that was set back
        before = Tallier(zone, names, reset_at).tally(self._ledger, begun - 1, self.mark, until_ns=begun)
        found = balance(before, "schedule")
        self._ledger.audit(Entry(now_ns, "schedule", "reset_occupancy", "", json.dumps(found), "ok"))
        if found["entered"] or found["left"] or found["began"]:
            self._note(found, begun)
        return True

    def _note(self, found: dict[str, Any], at_ns: int) -> None:
        self.closed = Noted(at_ns, CLOSING, found)
        self._ledger.write_hand(self.closed)


def balance(tally: Tally, why: Literal["event", "schedule"]) -> dict[str, Any]:
    """Began + entered - left = remaining, which may be negative: more left than are known to have come."""
    known = tally.since
    entered, left = known.passed
    numbers = {"began": known.began, "entered": entered, "left": left, "remaining": known.remaining}
    return {"why": why, "since_ns": known.at_ns, **numbers}


def _read_mark(note: str | None) -> Mark | None:
    """The mark as it was noted; None where there is none, or one of an earlier version that held for a day."""
    noted = {} if note is None else json.loads(note)
    if "period" not in noted:
        return None
    return Mark(noted["period"], noted["inside"], {n: (e, o) for n, (e, o) in noted["gates"].items()}, noted["at"])
