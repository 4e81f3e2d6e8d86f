# SPDX-License-Identifier: Apache-2.0
"""What link asks of eye on the staff's behalf: checks, aiming, other gates. Link may be hostile: it is judged here.

Pure but for what it is told: the time is an argument, and what is to be sent is returned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from nigiwai.clock import BootNs
from nigiwai.door.field import (
    AimOff,
    AimOn,
    CheckOff,
    CheckOn,
    GateShape,
    GatesTaken,
    NoticeHung,
    Order,
    Reported,
    SetGates,
    Tap,
    TryGates,
    Untap,
    ZoneShape,
)
from nigiwai.eye.aim import Aim
from nigiwai.eye.audit import Audit
from nigiwai.eye.check import Check
from nigiwai.eye.gauge import Gauger
from nigiwai.eye.trial import Trial
from nigiwai.eye.types import Crossing, Track
from nigiwai.settings import Gate, Zone

CHANGES_AN_HOUR = 20
HOUR_NS = 3_600_000_000_000
RESULT_NS = 2_500_000_000
LEAST_AUDITED = 10
"""Fewer people are never told, whatever the settings say: taps and tables may be of the same passages."""

_START = BootNs(0)


@dataclass
class Orders:
    """The staff's side of eye. `gates` and `zones` are those in force; `changed` is set where they are others than
    before. `notice_hung`: link has said that the notice hangs.
    """

    gates: tuple[Gate, ...]
    detector_px: int
    zones: tuple[Zone, ...] = ()
    changed: bool = False
    notice_hung: bool = False
    k: int = LEAST_AUDITED
    gauger: Gauger = field(default_factory=Gauger)
    _aim: Aim = field(default_factory=Aim)
    _trial: Trial | None = None
    _check: Check | None = None
    _discard: bool = False
    _audit: Audit = field(init=False)
    _result_at: BootNs = _START
    _changes: list[BootNs] = field(default_factory=list)
    _answers: list[Reported] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._audit = Audit(max(self.k, LEAST_AUDITED))

    def take(self, order: Order, now: BootNs) -> None:
        """Carries out what was asked."""
        match order:
            case CheckOn():
                if any(g.name == order.gate for g in self.gates):
                    self._check, self._result_at, self._discard = Check(order, now), now, False
            case Tap() | Untap() | CheckOff():
                self._go_on_checking(order, now)
            case AimOn():
                self._aim.start(now)
            case AimOff():
                self._aim.stop(now)
            case TryGates():
                self._try_gates(order, now)
            case SetGates():
                self._set_gates(order, now)
            case NoticeHung():
                self.notice_hung = True

    def aiming(self, now: BootNs) -> bool:
        """Whether somebody aims: then every frame is looked at, wherever people walk."""
        return self._aim.is_on(now)

    def _try_gates(self, order: TryGates, now: BootNs) -> None:
        gates = _gates_of(order.gates)
        self._trial = Trial(gates, now) if gates and self._aim.is_on(now) else None

    def _go_on_checking(self, order: Tap | Untap | CheckOff, now: BootNs) -> None:
        check = self._check
        if check is None or check.order.check != order.check:
            return
        match order:
            case Tap():
                check.tap(order)
            case Untap():
                check.take_back(order.tap)
            case CheckOff():
                check.stop(now)
                self._discard = order.discard

    def _set_gates(self, order: SetGates, now: BootNs) -> None:
        self._changes = [t for t in self._changes if now - t < HOUR_NS]
        gates, zones = _gates_of(order.gates), _zones_of(order.zones)
        if gates is None or zones is None:
            outcome = "refused"
        elif (gates, zones) == (self.gates, self.zones):
            outcome = "taken"
        elif len(self._changes) >= CHANGES_AN_HOUR:
            outcome = "too_often"
        else:
            outcome = "taken"
            self.gates, self.zones, self.changed = gates, zones, True
            self._changes.append(now)
        self._answers.append(GatesTaken.model_validate({"version": order.version, "outcome": outcome}))

    def see(
        self,
        crossings: Sequence[Crossing],
        tracks: Sequence[Track],
        size: tuple[int, int],
        at: BootNs,
        *,
        looked: bool = True,
    ) -> None:
        """Takes one frame's results; `looked`: the detector saw it."""
        if self._check is not None:
            self._check.cross(crossings)
        self._aim.see(tracks, size, at)
        if looked:
            self.gauger.see(tracks, size, at)
        if self._trial is not None and looked:
            self._trial.see(tracks, size, at)

    def settled(self, crossing: Crossing, *, child: bool) -> None:
        """Takes what was said of the person of a crossing."""
        if self._check is not None:
            self._check.settled(crossing, child=child)

    def due(self, now: BootNs) -> list[Reported]:
        """What is to be told to link now."""
        due, self._answers = self._answers, []
        due += self._aim.due(self.gates, self.detector_px, now, self.gauger)
        if not self._aim.is_on(now):
            self._trial = None
        elif self._trial is not None and (tried := self._trial.due(now)) is not None:
            due.append(tried)
        check = self._check
        if check is not None and (now >= self._result_at or check.is_final(now)):
            result = check.result(now)
            if result.final and not self._discard:
                result = result.model_copy(update={"audited": self._audit.add(check.answers(now))})
            due.append(result)
            self._result_at = BootNs(now + RESULT_NS)
            if result.final:
                self._check = None
        return due


Points = tuple[tuple[float, float], ...]


def _gates_of(shapes: Sequence[GateShape]) -> tuple[Gate, ...] | None:
    """The gates as the settings would take them; None where they would not."""
    try:
        gates = tuple(Gate(name=g.name, line=_shares(g.line), inside=_shares((g.inside,))[0]) for g in shapes)
    except ValidationError:
        return None
    return gates if len({g.name for g in gates}) == len(gates) else None


def _zones_of(shapes: Sequence[ZoneShape]) -> tuple[Zone, ...] | None:
    """The zones as the settings would take them; None where they would not."""
    try:
        zones = tuple(Zone(name=z.name, corners=_shares(z.corners)) for z in shapes)
    except ValidationError:
        return None
    return zones if len({z.name for z in zones}) == len(zones) else None


def _shares(points: Sequence[tuple[int, int]]) -> Points:
    return tuple((x / 1_000, y / 1_000) for x, y in points)
