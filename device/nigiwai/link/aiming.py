# SPDX-License-Identifier: Apache-2.0
"""Aiming, and gates and zones in force, as link knows them. A Scene is held for the page only: no log, file or topic
sees it.

Gates and zones that staff drew are an overlay over the settings file, kept in the ledger with a version, and told to
each eye that comes. A drawing that began from an older version is refused: somebody else has drawn meanwhile.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from nigiwai.door.field import (
    AIM_S,
    Advice,
    Coverage,
    GateShape,
    GatesTaken,
    Gauge,
    Order,
    Reported,
    Scene,
    SetGates,
    Tried,
    ZoneShape,
)
from nigiwai.door.field import AimOff as TellOff
from nigiwai.door.field import AimOn as TellOn
from nigiwai.door.field import TryGates as TellTry
from nigiwai.errors import DoorError, SettingsError
from nigiwai.link.ledger import Ledger
from nigiwai.link.status.deeds import AimOff, AimOn, Deed, DrawnGate, DrawnZone, SaveGates, TryGates
from nigiwai.link.status.desk import Answer
from nigiwai.settings import Gate, Settings, Zone, parse

NOTE = "gates"
FRESH_S = 5.0
Drawn = tuple[tuple[Gate, ...], tuple[Zone, ...]]


class Aiming:
    """What is seen while somebody aims, and the drawn gates."""

    def __init__(self, settings: Settings, ledger: Ledger, tell_eye: Callable[[Order], bool]) -> None:
        self._settings, self._ledger, self._tell = settings, ledger, tell_eye
        noted = json.loads(ledger.read_note(NOTE) or "{}")
        self._version: int = noted.get("version", 0)
        self._by_file: Drawn = (settings.gate, settings.zone)
        self._drawn = self._noted(noted)
        self._before = self._by_file
        self._outcome = ""
        self._until_s = 0.0
        self._forget()

    def _forget(self) -> None:
        self._scene: Scene | None = None
        self._scene_s = 0.0
        self._coverage: Coverage | None = None
        self._advice: Advice | None = None
        self._gauge: Gauge | None = None
        self._tried: Tried | None = None
        self._on_trial: tuple[str, ...] = ()

    def _noted(self, noted: dict[str, Any]) -> Drawn:
        """What was drawn before; a ledger from before zones could be drawn has gates only."""
        gates, zones = self._by_file
        if not noted.get("gates"):
            return gates, zones
        kept = noted["zones"] if "zones" in noted else [z.model_dump(mode="json") for z in zones]
        return _parsed(noted["gates"], kept)

    @property
    def version(self) -> int:
        """Grows with everything that is drawn."""
        return self._version

    @property
    def names(self) -> tuple[str, ...]:
        """The gates in force."""
        return tuple(g.name for g in self._drawn[0])

    @property
    def zone_names(self) -> tuple[str, ...]:
        """The zones in force."""
        return tuple(z.name for z in self._drawn[1])

    @property
    def in_force(self) -> Settings:
        """The settings with what was drawn over them."""
        return self._settings.model_copy(update={"gate": self._drawn[0], "zone": self._drawn[1]})

    def do(self, deed: Deed, _now_ns: int) -> Answer:
        """Carries out one of aiming's deeds."""
        match deed:
            case AimOn():
                if not self._tell(TellOn()):
                    return Answer("eye_away")
                if time.monotonic() >= self._until_s:
                    self._forget()
                    self._until_s = time.monotonic() + AIM_S
            case AimOff():
                self._tell(TellOff())
                self._until_s = 0.0
                self._forget()
            case TryGates():
                return self._try(deed)
            case SaveGates():
                return self._save(deed)
            case _:
                pass
        return Answer(body=self._standing())

    def _try(self, deed: TryGates) -> Answer:
        """Gates on trial; they change nothing and are kept nowhere."""
        if time.monotonic() >= self._until_s:
            return Answer("not_aiming")
        try:
            gates = _parsed(_plain(deed.gates), [])[0] if deed.gates else ()
            told = self._tell(TellTry(gates=_gate_shapes(gates)))
        except (SettingsError, DoorError) as e:
            return _refused(e)
        self._tried, self._on_trial = None, tuple(g.name for g in gates)
        return Answer(body=self._standing()) if told else Answer("eye_away")

    def _save(self, deed: SaveGates) -> Answer:
        if deed.version != self._version:
            return Answer("conflict", self._standing())
        zones = self._drawn[1] if deed.zones is None else deed.zones
        try:
            drawn = _parsed(_plain(deed.gates), _plain(zones))
            told = self._tell(_order(self._version + 1, drawn))
        except (SettingsError, DoorError) as e:
            return _refused(e)
        if not told:
            return Answer("eye_away")
        self._version, self._before, self._drawn = self._version + 1, self._drawn, drawn
        self._keep()
        return Answer(body=self._standing())

    def _keep(self) -> None:
        gates, zones = (_plain(shapes) for shapes in self._drawn)
        self._ledger.write_note(NOTE, json.dumps({"version": self._version, "gates": gates, "zones": zones}))

    def take(self, told: Reported) -> None:
        """What eye sees or answers; while nobody aims, nothing of it is kept."""
        match told:
            case GatesTaken():
                self._answered(told)
            case Scene() if time.monotonic() < self._until_s:
                self._scene, self._scene_s = told, time.monotonic()
                self._until_s = min(self._until_s, time.monotonic() + told.left_s + 1.0)
            case Coverage() if time.monotonic() < self._until_s:
                self._coverage = told
            case Advice() if time.monotonic() < self._until_s:
                self._advice = told
            case Gauge() if time.monotonic() < self._until_s:
                self._gauge = told
            case Tried() if time.monotonic() < self._until_s and len(told.passed) == len(self._on_trial):
                self._tried = told
            case _:
                pass

    def _answered(self, told: GatesTaken) -> None:
        """Eye refused what was drawn last: what was in force before is in force still."""
        self._outcome = told.outcome
        if told.outcome != "taken" and told.version == self._version:
            self._drawn, self._version = self._before, self._version + 1
            self._keep()

    def eye_came(self) -> None:
        """A new eye knows the settings file only."""
        self._until_s = 0.0
        self._forget()
        if self._drawn != self._by_file:
            self._tell(_order(self._version, self._drawn))

    def _standing(self) -> dict[str, Any]:
        now_s = time.monotonic()
        on = now_s < self._until_s
        fresh = on and self._scene is not None and now_s - self._scene_s < FRESH_S
        return {
            "on": on,
            "left_s": max(0, int(self._until_s - now_s)),
            "people": [[b.left, b.top, b.right, b.bottom] for b in self._scene.people] if fresh and self._scene else [],
            "seen": fresh,
            "coverage": self._coverage.cells if on and self._coverage else "",
            "advice": [a.model_dump(mode="json") for a in self._advice.advised] if on and self._advice else [],
            "gauge": _gauge(self._gauge, self.names) if on and self._gauge else None,
            "version": self._version,
            "outcome": self._outcome,
            "gates": _plain(self._drawn[0]),
            "zones": _plain(self._drawn[1]),
            "tried": dict(zip(self._on_trial, self._tried.passed, strict=True)) if on and self._tried else None,
        }


def _gauge(told: Gauge, names: Sequence[str]) -> dict[str, Any]:
    """For the page. Widths are of the gates in force; until eye has those, there are none."""
    widths = [{"gate": name, **w.model_dump()} for name, w in zip(names, told.widths, strict=False)]
    return {"state": told.state, "looks": told.looks, "widths": widths if len(names) == len(told.widths) else []}


def _plain(shapes: Sequence[Gate | Zone | DrawnGate | DrawnZone]) -> list[dict[str, Any]]:
    """Names and points, as the page, the ledger and the settings know them."""
    return [shape.model_dump(mode="json") for shape in shapes]


def _parsed(gates: list[dict[str, Any]], zones: list[dict[str, Any]]) -> Drawn:
    """Gates and zones as the settings take them. Raises SettingsError."""
    settings = parse({"gate": gates, "zone": zones}, where="page")
    return settings.gate, settings.zone


def _refused(error: SettingsError | DoorError) -> Answer:
    """What the settings would not take, or what does not go through the door in one piece."""
    if isinstance(error, DoorError):
        return Answer("too_many_points")
    why = str(error).removeprefix("page: ")
    return Answer("bad_zone" if why.startswith("zone") else "bad_gate", {"why": why[:200]})


def _order(version: int, drawn: Drawn) -> SetGates:
    zones = tuple(ZoneShape(name=z.name, corners=tuple((_p(x), _p(y)) for x, y in z.corners)) for z in drawn[1])
    return SetGates(version=version, gates=_gate_shapes(drawn[0]), zones=zones)


def _gate_shapes(gates: Sequence[Gate]) -> tuple[GateShape, ...]:
    return tuple(
        GateShape(name=g.name, line=tuple((_p(x), _p(y)) for x, y in g.line), inside=(_p(g.inside[0]), _p(g.inside[1])))
        for g in gates
    )


def _p(share: float) -> int:
    return round(share * 1_000)
