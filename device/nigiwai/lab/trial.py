# SPDX-License-Identifier: Apache-2.0
"""One trial: simulated people, a simulated detector, the real tracker and gates, and how right the count was."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.eye.gates import Gates
from nigiwai.eye.manifest import from_above
from nigiwai.eye.tracker import Tracker, TrackerConfig
from nigiwai.eye.types import Detections
from nigiwai.eye.view import View
from nigiwai.lab.crowd import GATE, Crowd, Moment, Referee, walk
from nigiwai.lab.evaluate import Evaluation, evaluate
from nigiwai.lab.matching import Event
from nigiwai.lab.simulate import STANDING, Faults, Watcher, sample
from nigiwai.settings import Gate

S = 1_000_000_000
START_NS = 3_600 * S
DEFAULT = TrackerConfig()
END_S = 4.0
"""The last seconds are left out of the score: passages under way are cut off there, counted or not."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The conditions of a trial."""

    view: View
    crowd: Crowd
    fps: float
    faults: Faults = Faults()  # noqa: RUF009 - frozen
    jitter: float = 0.3
    measured: bool = False
    """Whether the settings tell how the camera hangs: people seen from steeply above are then followed as such."""


def gate_of(view: View, door_m: float) -> Gate:
    """The door in the picture of the view, as an operator would draw it: on the floor, a little wider than the door."""
    y = STANDING[view]
    half = door_m / 2 + 0.1
    floor = np.array([[-half, y, 0.0], [half, y, 0.0], [0.0, y + 0.8, 0.0]])
    left, right, inside = (np.clip(view.project(floor) / np.array(view.size), 0, 1)).tolist()
    return Gate(name=GATE, line=(tuple(left), tuple(right)), inside=tuple(inside))


def film(trial: Trial, seconds: float, seed: int) -> tuple[list[tuple[float, Detections]], list[Event]]:
    """What the detector reports over time, and the true passages."""
    referee = Referee()

    def watched() -> Iterator[Moment]:
        for moment in walk(trial.crowd, seconds, seed):
            referee.watch(moment)
            yield moment

    watcher = Watcher(trial.view, trial.faults, seed + 1_000_003)
    frames = [(m.t, watcher.see(m)) for m in sample(watched(), trial.fps, trial.jitter, seed)]
    return frames, referee.events


def count(
    frames: Iterable[tuple[float, Detections]], gate: Gate, size: tuple[int, int], config: TrackerConfig = DEFAULT
) -> list[Event]:
    """What tracker and gates make of it."""
    tracker, gates, events = Tracker(config), Gates([gate], size), []
    for t, detections in frames:
        at = BootNs(START_NS + round(t * S))
        crossings = gates.update(tracker.update(detections, at, size), at)
        events += [Event((c.at - START_NS) / S, c.gate, c.direction.value) for c in crossings]
    return events


def run(trial: Trial, seconds: float, seed: int) -> Evaluation:
    """The score of one trial."""
    frames, true = film(trial, seconds, seed)
    config = DEFAULT.from_above() if trial.measured and from_above(trial.view.tilt_deg) else DEFAULT
    counted = count(frames, gate_of(trial.view, trial.crowd.door_m), trial.view.size, config)
    whole = evaluate(counted, true, [GATE])
    late = {e for e in (*whole.extra, *whole.missed) if e.t > seconds - END_S}
    return evaluate([e for e in counted if e not in late], [e for e in true if e not in late], [GATE])
