# SPDX-License-Identifier: Apache-2.0
"""The side of eye that estimates who came: after the counting of each frame, never in its way.

    picture, tracks, crossings -> Passers (stature, looks, company) -> Tally -> TraitTable for the door
                              `-> state: what must outlive a restart, as bytes

Somebody who was counted and whose traits were not settled when eye was killed is in the next table as `unknown`.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.door.tables import TraitTable
from nigiwai.door.traits import Band, Company, Sex
from nigiwai.eye.ground import Ground, given
from nigiwai.eye.likeness import Fusion
from nigiwai.eye.noise import noised, open_noise
from nigiwai.eye.passers import Passers, Settled
from nigiwai.eye.portraits import Portraits
from nigiwai.eye.release import Person, coarsened, ladder
from nigiwai.eye.tally import Rule, Sheet, Table, Tally
from nigiwai.eye.trait_model import TraitModel
from nigiwai.eye.types import Crossing, Direction, Track
from nigiwai.eye.view import View
from nigiwai.settings import Settings

_MS = 1_000_000
_FORM = 1


def ground_of(settings: Settings) -> Callable[[tuple[int, int]], Ground] | None:
    """How a picture of some size is measured, or None: traits are off, or the view is not calibrated."""
    view = settings.view
    if not settings.traits.enabled or view is None:
        return None
    return lambda size: given(View(view.height_m, view.tilt_deg, view.fov_deg, size, view.distortion))


class Traits:
    """Who came, of one camera."""

    def __init__(
        self,
        run: str,
        k: int,
        ground: Callable[[tuple[int, int]], Ground],
        kept: bytes = b"",
        model: TraitModel | None = None,
        told: Collection[str] = (),
        epsilon: float | None = None,
    ) -> None:
        """kept: the state that an earlier run of this boot left; bytes that cannot be read are as none.

        model: looks at people; without it stature alone speaks. told: `sex`, `teen`, `senior` where switched on.
        epsilon: of the noise on the blocks' numbers; None for none. Raises SettingsError where that cannot be drawn.
        """
        self._epsilon_percent = None if epsilon is None else round(100 * epsilon)
        self._noise = None if self._epsilon_percent is None else open_noise(self._epsilon_percent / 100)
        self._run, self._make_ground = run, ground
        self._model, self._told = model, frozenset(told)
        stages = ladder(sex="sex" in self._told, teen="teen" in self._told, senior="senior" in self._told)
        self._rule = Rule(k=k, stages=stages)
        self._passers: Passers | None = None
        self._size = (0, 0)
        self._tally: Tally | None = None
        self._number = 0
        self._lost: Counter[Direction] = Counter()
        self.left_over: tuple[TraitTable, ...] = ()
        self.revision = 0
        """Grows when `state` has something new to say."""
        self.settled: list[Settled] = []
        """The passages of the last call whose traits were settled, for the accuracy check and nothing else."""
        self._adopt(kept)

    def see(
        self,
        tracks: Sequence[Track],
        crossings: Sequence[Crossing],
        numbers: Sequence[int],
        size: tuple[int, int],
        at: BootNs,
        image: NDArray[np.uint8] | None = None,
    ) -> list[TraitTable]:
        """Takes the results of one frame that the detector saw; returns the tables that closed.

        image: the frame's picture, for looking at people; nothing of it is kept.
        """
        passers = self._passers_for(size)
        self.revision += len(crossings)
        return self._add(passers.update(tracks, crossings, numbers, at, image), at)

    def tick(self, now: BootNs) -> list[TraitTable]:
        """Lets time pass without a frame."""
        settled = self._passers.settle(now) if self._passers else []
        return self._add(settled, now)

    def pause(self, now: BootNs) -> list[TraitTable]:
        """Settles everybody at the end of a run; the open tables stay open for the next one."""
        settled = self._passers.settle(now, everybody=True) if self._passers else []
        return self._add(settled, now, waiting=False)

    def end(self, now: BootNs) -> list[TraitTable]:
        """Closes the open tables at the end of an event."""
        closed = self.pause(now)
        self.revision += 1
        return closed + [self._record(t) for t in (self._tally.end(now // _MS) if self._tally else [])]

    def state(self, tables: Sequence[TraitTable]) -> bytes:
        """What the next run needs; `tables` are those that link has not committed."""
        waiting = Counter(p.direction.value for p in self._passers.waiting) if self._passers else Counter[str]()
        sheets = self._tally.sheets if self._tally else {}
        return json.dumps(
            {
                "form": _FORM,
                "sheets": {d.value: _sheet_as_json(s) for d, s in sheets.items()},
                "waiting": dict(waiting),
                "tables": [t.model_dump(mode="json") for t in tables],
            },
            separators=(",", ":"),
        ).encode()

    def _passers_for(self, size: tuple[int, int]) -> Passers:
        if self._passers is None or size != self._size:
            for settled in self._passers.settle(BootNs(0), everybody=True) if self._passers else []:
                self._lost[settled.direction] += 1
            self._passers, self._size = self._new_passers(size), size
        return self._passers

    def _new_passers(self, size: tuple[int, int]) -> Passers:
        ground = self._make_ground(size)
        if self._model is None:
            return Passers(ground)
        return Passers(ground, Portraits(self._model, ground.view), Fusion.of(self._model.entry), self._told)

    def _add(self, settled: Sequence[Settled], now: BootNs, *, waiting: bool = True) -> list[TraitTable]:
        """Into the tally, in the order of the passages; its time is that of the oldest who still waits."""
        self.settled = list(settled)
        tally = self._tally_from(settled[0].at if settled else now)
        closed: list[Table] = []
        for passage in settled:
            person = coarsened(passage.person, self._rule.stages)
            closed += tally.add(passage.direction, person, passage.at // _MS)
        first = self._passers.waiting[:1] if self._passers and waiting else ()
        closed += tally.advance((first[0].at if first else now) // _MS)
        self.revision += len(settled) + len(closed)
        return [self._record(t) for t in closed]

    def _tally_from(self, start: BootNs) -> Tally:
        if self._tally is None:
            self._tally = Tally(self._rule, start // _MS)
        for direction, people in self._lost.items():
            self._tally.sheets[direction].counts[Person()] += people
        self._lost.clear()
        return self._tally

    def _record(self, table: Table) -> TraitTable:
        self._number += 1
        blocks = table.blocks if self._noise is None else noised(table.blocks, self._rule.k, self._noise)
        return TraitTable(
            run=self._run,
            number=self._number,
            direction=table.direction.value,
            start_ms=table.start_ms,
            end_ms=table.end_ms,
            k=self._rule.k,
            people=table.people,
            blocks=tuple((b.companies, b.sexes, b.bands, b.people) for b in blocks),
            epsilon_percent=self._epsilon_percent,
        )

    def _adopt(self, kept: bytes) -> None:
        """Goes on where the run before was; a state of another form or a damaged one is left alone."""
        try:
            state = json.loads(kept) if kept else {}
            if state.get("form") != _FORM:
                return
            sheets = {Direction(d): _sheet_of(s, self._rule) for d, s in state["sheets"].items()}
            lost = Counter({Direction(d): int(n) for d, n in state["waiting"].items()})
            tables = tuple(TraitTable.model_validate_json(json.dumps(t)) for t in state["tables"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        self._tally = Tally(self._rule, 0, sheets) if len(sheets) == len(Direction) else None
        self._lost, self.left_over = lost, tables


def _sheet_as_json(sheet: Sheet) -> dict[str, Any]:
    counts = [[*person, n] for person, n in sheet.counts.items()]
    return {"start_ms": sheet.start_ms, "due_ms": sheet.due_ms, "counts": counts}


def _sheet_of(table: dict[str, Any], rule: Rule) -> Sheet:
    counts: Counter[Person] = Counter()
    for company, sex, band, n in table["counts"]:
        counts[coarsened(Person(Company(company), Sex(sex), Band(band)), rule.stages)] += int(n)
    return Sheet(int(table["start_ms"]), int(table["due_ms"]), counts)
