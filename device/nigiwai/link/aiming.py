# SPDX-License-Identifier: Apache-2.0
"""Aiming and the gates in force, as link knows them. A Scene is held for the page only: no log, file or topic sees it.

Gates that staff drew are an overlay over the settings file, kept in the ledger with a version, and told to each eye
that comes. A drawing that began from an older version is refused: somebody else has drawn meanwhile.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from nigiwai.door.field import AIM_S, Advice, Coverage, GateShape, GatesTaken, Order, Reported, Scene, SetGates
from nigiwai.door.field import AimOff as TellOff
from nigiwai.door.field import AimOn as TellOn
from nigiwai.errors import DoorError, SettingsError
from nigiwai.link.ledger import Ledger
from nigiwai.link.status.deeds import AimOff, AimOn, Deed, SaveGates
from nigiwai.link.status.desk import Answer
from nigiwai.settings import Gate, Settings, parse

NOTE = "gates"
FRESH_S = 5.0


class Aiming:
    """What is seen while somebody aims, and the drawn gates."""

    def __init__(self, settings: Settings, ledger: Ledger, tell_eye: Callable[[Order], bool]) -> None:
        self._settings, self._ledger, self._tell = settings, ledger, tell_eye
        noted = json.loads(ledger.read_note(NOTE) or "{}")
        self._version: int = noted.get("version", 0)
        self._gates = _parsed(noted["gates"]) if noted.get("gates") else settings.gate
        self._before: tuple[Gate, ...] = settings.gate
        self._outcome = ""
        self._until_s = 0.0
        self._forget()

    def _forget(self) -> None:
        self._scene: Scene | None = None
        self._scene_s = 0.0
        self._coverage: Coverage | None = None
        self._advice: Advice | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The gates in force."""
        return tuple(g.name for g in self._gates)

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
            case SaveGates():
                return self._save(deed)
            case _:
                pass
        return Answer(body=self._standing())

    def _save(self, deed: SaveGates) -> Answer:
        if deed.version != self._version:
            return Answer("conflict", self._standing())
        try:
            gates = _parsed([g.model_dump(mode="json") for g in deed.gates])
            order = _order(self._version + 1, gates)
        except SettingsError as e:
            return Answer("bad_gate", {"why": str(e).removeprefix("page: ")[:200]})
        try:
            told = self._tell(order)
        except DoorError:
            return Answer("bad_gate", {"why": "too many points"})
        if not told:
            return Answer("eye_away")
        self._version, self._before, self._gates = self._version + 1, self._gates, gates
        self._keep()
        return Answer(body=self._standing())

    def _keep(self) -> None:
        gates = [{"name": g.name, "line": g.line, "inside": g.inside} for g in self._gates]
        self._ledger.write_note(NOTE, json.dumps({"version": self._version, "gates": gates}))

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
            case _:
                pass

    def _answered(self, told: GatesTaken) -> None:
        """Eye refused what was drawn last: what was in force before is in force still."""
        self._outcome = told.outcome
        if told.outcome != "taken" and told.version == self._version:
            self._gates, self._version = self._before, self._version + 1
            self._keep()

    def eye_came(self) -> None:
        """A new eye knows the settings file only."""
        self._until_s = 0.0
        self._forget()
        if self._gates != self._settings.gate:
            self._tell(_order(self._version, self._gates))

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
            "version": self._version,
            "outcome": self._outcome,
            "gates": [{"name": g.name, "line": g.line, "inside": g.inside} for g in self._gates],
        }


def _parsed(gates: list[dict[str, Any]]) -> tuple[Gate, ...]:
    """The gates as the settings take them. Raises SettingsError."""
    return parse({"gate": gates}, where="page").gate


def _order(version: int, gates: tuple[Gate, ...]) -> SetGates:
    return SetGates(
        version=version,
        gates=tuple(
            GateShape(
                name=g.name, line=tuple((_p(x), _p(y)) for x, y in g.line), inside=(_p(g.inside[0]), _p(g.inside[1]))
            )
            for g in gates
        ),
    )


def _p(share: float) -> int:
    return round(share * 1_000)
