# SPDX-License-Identifier: Apache-2.0
"""The accuracy check as link knows it: taps go to eye, sums come back, the result is stamped on later reports."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any

from nigiwai.door.field import MOST_TAPS, CheckOff, CheckOn, CheckResult, Matched, Order, Reported, Tap, Untap
from nigiwai.link.accuracy import ASSUMED, Estimate, Seen, Watched, error_of, inside_bounds, judge, needed, shrinking
from nigiwai.link.auditing import AUDIT, added, audited_so_far
from nigiwai.link.ledger import Ledger
from nigiwai.link.report import Tally
from nigiwai.link.status.deeds import Deed, EndCheck, ReadCheck, StartCheck, TakeBack, Tapped
from nigiwai.link.status.desk import Answer
from nigiwai.link.store.hand import Noted
from nigiwai.link.zone import stamp_s
from nigiwai.settings import Settings

KIND = "check"
LOST_NS = 12_000_000_000
"""Eye tells how a check stands every few seconds; silent for so long, it knows of none."""


@dataclass
class _Running:
    number: int
    gate: str
    minutes: int
    begun_ns: int
    heard_ns: int
    taps: dict[tuple[int, int], int] = field(default_factory=dict)
    ended_ms: int | None = None
    discard: bool = False
    result: CheckResult | None = None

    def tap_number(self, sheet: int, tap: int) -> int:
        """Eye's number of a phone's tap, the same for a repetition: two phones, and one that was loaded anew, each
        count from one.
        """
        return self.taps.setdefault((sheet, tap), len(self.taps) + 1)


class Checking:
    """At most one check at a time."""

    def __init__(self, settings: Settings, ledger: Ledger, zone: tzinfo, tell_eye: Callable[[Order], bool]) -> None:
        self._settings, self._ledger, self._zone, self._tell = settings, ledger, zone, tell_eye
        self._running: _Running | None = None
        self._number = 0
        self._lost = False
        self._last = ledger.latest_hand(KIND)

    def do(self, deed: Deed, boot_ms: int, now_ns: int) -> Answer:
        """Carries out one of the check's deeds."""
        match deed:
            case StartCheck():
                return self._start(deed, boot_ms, now_ns)
            case Tapped():
                return self._tap(deed, boot_ms)
            case TakeBack() if self._running is not None:
                if (number := self._running.taps.get((deed.sheet, deed.tap))) is not None:
                    self._tell(Untap(check=self._running.number, tap=number))
            case EndCheck() if self._running is not None:
                if self._running.ended_ms is None:
                    self._running.ended_ms = boot_ms
                self._running.discard = deed.discard
                self._tell(CheckOff(check=self._running.number, discard=deed.discard))
            case ReadCheck():
                pass
            case _:
                return Answer("no_check")
        return Answer(body=self._standing(now_ns))

    def _start(self, deed: StartCheck, boot_ms: int, now_ns: int) -> Answer:
        if self._running is not None and now_ns - self._running.heard_ns < LOST_NS:
            return Answer("conflict")
        self._number = max(self._number + 1, boot_ms % 2**30)  # eye may remember one of a link before
        if not self._tell(CheckOn(check=self._number, gate=deed.gate, minutes=deed.minutes)):
            return Answer("eye_away")
        self._running, self._lost = _Running(self._number, deed.gate, deed.minutes, now_ns, now_ns), False
        return Answer(body=self._standing(now_ns))

    def _tap(self, deed: Tapped, boot_ms: int) -> Answer:
        running = self._running
        at_ms = max(0, boot_ms - deed.age_ms)
        # What another phone saw before the end may still come while eye waits for the last crossings.
        if running is None or (running.ended_ms is not None and at_ms > running.ended_ms):
            return Answer("no_check")
        number = running.tap_number(deed.sheet, deed.tap)
        if number > MOST_TAPS:
            return Answer("too_many_taps")
        told = self._tell(
            Tap(check=running.number, tap=number, direction=deed.direction, at_ms=at_ms, child=deed.child)
        )
        return Answer(body={"taken": deed.tap}) if told else Answer("eye_away")

    def take(self, told: Reported, now_ns: int) -> None:
        """How eye says that the check stands."""
        running = self._running
        if not isinstance(told, CheckResult) or running is None or told.check != running.number:
            return
        running.result, running.heard_ns = told, now_ns
        if told.final:
            self._running = None
            if not running.discard:
                self._last = Noted(now_ns, KIND, self._judged(told))
                self._ledger.write_hand(self._last)
                if told.audited is not None:
                    sums = added(self._ledger.latest_hand(AUDIT), told.audited)
                    self._ledger.write_hand(Noted(now_ns, AUDIT, sums))

    def eye_came(self) -> None:
        """A new eye has no taps: a check that was going on is lost, and said to be."""
        self._lost = self._running is not None
        self._running = None

    def _judged(self, result: CheckResult) -> dict[str, Any]:
        """A result with its error and verdict, as it is kept."""
        entered, left = _seen(result.entered), _seen(result.left)
        both = entered + left
        limit = self._settings.page.check_limit_percent / 100
        error = error_of(both)
        return {
            "gate": result.gate,
            "length_s": result.length_s,
            "entered": _told(entered),
            "left": _told(left),
            "both": _told(both),
            "children": result.audited.children if result.audited else 0,
            "limit": self._settings.page.check_limit_percent,
            "verdict": judge(error, both.taps, limit).value,
            "error": _percent(error),
            "needed": needed(both, limit),
            "shrinking": [[n, round(100 * width, 1)] for n, width in shrinking(both)],
        }

    def _standing(self, now_ns: int) -> dict[str, Any]:
        running = self._running
        if running is not None and now_ns - running.heard_ns > LOST_NS:
            self._running, self._lost, running = None, True, None
        begun: dict[str, Any] | None = None
        if running is not None:
            length_s = (now_ns - running.begun_ns) // 1_000_000_000
            so_far = self._judged(running.result) if running.result else None
            begun = {
                "number": running.number,
                "gate": running.gate,
                "left_s": max(0, 60 * running.minutes - length_s),
                "ending": running.ended_ms is not None,
                "so_far": so_far,
            }
        return {
            "running": begun,
            "lost": self._lost,
            "last": self.stamp(),
            "audited": audited_so_far(self._ledger.latest_hand(AUDIT)),
            "limit": self._settings.page.check_limit_percent,
            "fewest": needed(Seen(0, 0, 0), self._settings.page.check_limit_percent / 100),
        }

    @property
    def checked_ns(self) -> int | None:
        """When the last check ended."""
        return None if self._last is None else self._last.at_ns

    def stamp(self) -> dict[str, Any] | None:
        """The last result, as every later report carries it."""
        if self._last is None:
            return None
        return {"at": stamp_s(self._last.at_ns, self._zone), **self._last.body}

    def bounded(self, tally: Tally, now_ns: int) -> Tally:
        """With the people inside at least and at most: by the last check, or by assumption before there is one."""
        known = tally.since
        blind_ns = sum(length for _, length in self._ledger.blind_since(known.at_ns))
        watched = Watched(max(0, now_ns - known.at_ns) / 3.6e12, blind_ns / 3.6e12)
        low, high = inside_bounds(tally.inside, *known.passed, *self._errors(), watched)
        return replace(tally, low=low, high=high, basis="assumed" if self._last is None else "check")

    def _errors(self) -> tuple[Estimate, Estimate]:
        """Of entering and of leaving."""
        if self._last is None:
            return ASSUMED, ASSUMED
        body = self._last.body
        return _direction(body["entered"], body["both"]), _direction(body["left"], body["both"])


def _direction(told: dict[str, int], both: dict[str, int]) -> Estimate:
    """The error of one direction; where that was hardly seen, of both together."""
    seen = told if told["taps"] >= 10 else both
    return error_of(Seen(seen["taps"], seen["counted"], seen["matched"]))


def _seen(matched: Matched) -> Seen:
    return Seen(matched.taps, matched.counted, matched.matched)


def _told(seen: Seen) -> dict[str, int]:
    return {
        "taps": seen.taps,
        "counted": seen.counted,
        "matched": seen.matched,
        "missed": seen.missed,
        "false": seen.false,
    }


def _percent(error: Estimate) -> dict[str, float]:
    return {"percent": round(100 * error.mid, 1), "low": round(100 * error.low, 1), "high": round(100 * error.high, 1)}
