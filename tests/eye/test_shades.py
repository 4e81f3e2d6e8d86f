# SPDX-License-Identifier: Apache-2.0
"""Pictures a few levels darker or brighter count the same.

A decoder on another processor turns YUV into BGR with other roundings (FFmpeg on arm64 a level brighter than on x86):
no count may hang on that. The emulated processor itself: tests/system/test_arm64.py.
"""

from dataclasses import replace

import numpy as np
import pytest

from nigiwai.eye.types import Frame
from nigiwai.lab.count import Counted, count, open_recording
from nigiwai.lab.matching import Event
from nigiwai.settings import load
from tests.conftest import PROOF, ROOT

DEMO = ROOT / "models/demo"
SHIFTS = (-2, -1, 1, 2, 3, 4) if PROOF else (-2, 1, 4)


class Shifted:
    """The bundled clip with every pixel so many levels brighter; what would pass 0 or 255 stays there."""

    def __init__(self, levels: int) -> None:
        self._clip, self._levels = open_recording(str(DEMO / "entrance.mp4"), None), levels
        self.length_s, self.seconds, self.close = self._clip.length_s, self._clip.seconds, self._clip.close

    def read(self, timeout_s: float) -> Frame | None:
        frame = self._clip.read(timeout_s)
        if frame is None or self._levels == 0:
            return frame
        image = np.clip(frame.image.astype(np.int16) + self._levels, 0, 255).astype(np.uint8)
        return replace(frame, image=image)


def counted(levels: int) -> Counted:
    settings = load(DEMO / "entrance.gates.toml")
    found = Counted(tuple(gate.name for gate in settings.gate))
    clip, events = Shifted(levels), list[Event]()
    for _ in count(clip, settings, found, events.append):
        pass
    clip.close()
    return found


@pytest.fixture(scope="module")
def unshifted() -> Counted:
    return counted(0)


@pytest.mark.parametrize("levels", SHIFTS)
def test_a_few_levels_more_or_less_change_no_count(unshifted: Counted, levels: int) -> None:
    shifted = counted(levels)
    assert unshifted.events, "a clip without events would agree whatever was done to it"
    assert shifted.frames == unshifted.frames
    assert shifted.sums == unshifted.sums
