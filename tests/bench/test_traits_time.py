# SPDX-License-Identifier: Apache-2.0
"""What it costs to estimate who came, beside counting them, with ten people in view."""

import sys
import time

import numpy as np
import pytest

from nigiwai.clock import BootNs
from nigiwai.eye.assemble import open_detector, open_trait_model
from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.gates import Gates
from nigiwai.eye.ground import given
from nigiwai.eye.passers import Passers
from nigiwai.eye.pipeline import Pipeline
from nigiwai.eye.portraits import Portraits
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.types import Detections, Frame
from nigiwai.lab.crowd import Crowd
from nigiwai.lab.simulate import OBLIQUE, Faults, Watcher, sample
from nigiwai.lab.trial import gate_of
from nigiwai.lab.visitors import Party, walk_in_groups
from nigiwai.paths import demo_dir
from nigiwai.settings import Settings

SECONDS = 25.0
MOST_SHARE = 0.25
"""What fails here; aimed at is 0.15, and docs/accuracy.md tells what was measured where (`python -m
tests.bench.test_traits_time`). A limit as near as that would fail by what else the machine does."""


class WithPeople:
    """The shipped detector at work on a picture, whose answer is replaced by that of a simulated crowd."""

    def __init__(self) -> None:
        self._detector = open_detector(Settings())
        self.people = Detections.empty()

    def detect(self, frame: Frame) -> Detections:
        self._detector.detect(frame)
        return self.people


@pytest.mark.slow
def test_traits_take_at_most_a_quarter_on_top_of_counting() -> None:
    """Processor time of the process, pictures of 640 x 384; the least of three runs: other work disturbs caches."""
    runs = [measured() for _ in range(3)]
    share, in_view = min(runs)
    assert in_view >= 10
    assert share <= MOST_SHARE, f"{share:.1%} on top of counting with {in_view:.1f} in view"


def measured() -> tuple[float, float]:
    """The share on top of counting, and how many were in view."""
    party = Party(Crowd(flow=0.37, door_m=2.5, inward=0.7), 3)
    watcher, detector, model = Watcher(OBLIQUE, Faults(), 4), WithPeople(), open_trait_model(Settings())
    assert model is not None
    picture = Recording(demo_dir() / "entrance.mp4").read(5.0)
    assert picture is not None
    image = np.zeros((OBLIQUE.size[1], OBLIQUE.size[0], 3), np.uint8)
    image[:360] = picture.image[:360, :640]
    pipeline = Pipeline(detector, Tracker(), lambda size: Gates([gate_of(OBLIQUE, 2.5)], size))
    passers = Passers(given(OBLIQUE), Portraits(model, OBLIQUE))
    counting, estimating, in_view = 0.0, 0.0, []
    for moment in sample(walk_in_groups(party, SECONDS), 8.0, 0.0, 5):
        frame = Frame(image, BootNs(round((100 + moment.t) * 1e9)))
        detector.people = watcher.see(moment)
        begun = time.process_time()
        crossings = pipeline.update(frame)
        counted = time.process_time()
        passers.update(pipeline.tracks, crossings, pipeline.passers, frame.at, image)
        if moment.t > 6.0:  # the first seconds are thin
            counting += counted - begun
            estimating += time.process_time() - counted
            in_view.append(len(pipeline.tracks))
    return estimating / counting, float(np.mean(in_view))


if __name__ == "__main__":
    sys.stdout.write(" ".join(f"{measured()[0]:.3f}" for _ in range(8)) + "\n")
