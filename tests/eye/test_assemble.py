# SPDX-License-Identifier: Apache-2.0
"""What is set up once for the whole process when the stages are put together."""

from pathlib import Path

import cv2

from nigiwai.eye.assemble import open_detector
from nigiwai.settings import Model, Settings
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
