# SPDX-License-Identifier: Apache-2.0
"""What is set up once for the whole process when the stages are put together."""

from pathlib import Path

import cv2
import pytest

from nigiwai.eye import assemble
from nigiwai.eye.assemble import open_detector, open_pipeline
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.tracker_config import TrackerConfig
from nigiwai.settings import Gate, Model, Settings, View
from tests.eye.networks import brightness_model, models_folder


def test_the_cores_belong_to_the_detector(tmp_path: Path) -> None:
    """OpenCV would use them all for pictures that it shrinks in a fraction of a millisecond."""
    before = cv2.getNumThreads()
    folder = models_folder(tmp_path / "models", brightness_model())
    try:
        cv2.setNumThreads(4)
        open_detector(Settings(model=Model(name="tiny", threads=1, folder=folder)))
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(("tilt_deg", "begins"), [(None, 0.55), (35.0, 0.55), (90.0, 0.4)])
def test_a_camera_known_to_look_straight_down_begins_people_earlier(
    monkeypatch: pytest.MonkeyPatch, tilt_deg: float | None, begins: float
) -> None:
    """From there people score less: of 282 rendered ones 84 were counted with the score that suits other views."""
    made: list[TrackerConfig] = []

    def kept(config: TrackerConfig) -> Tracker:
        made.append(config)
        return Tracker(config)

    monkeypatch.setattr(assemble, "Tracker", kept)
    view = None if tilt_deg is None else View(height_m=3.0, tilt_deg=tilt_deg, fov_deg=95.0)
    gate = Gate(name="door", line=((0.2, 0.5), (0.8, 0.5)), inside=(0.5, 0.8))
    settings = Settings(gate=(gate,), view=view)

    open_pipeline(settings, open_detector(settings))

    assert [config.high_score for config in made] == [begins]
    assert [config == config.from_above() for config in made] == [begins == 0.4]  # and follows them as seen from there
