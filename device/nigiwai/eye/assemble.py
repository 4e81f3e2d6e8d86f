# SPDX-License-Identifier: Apache-2.0
"""Puts the stages together as the settings say; the service, `count` and `bench` all take their pipeline from here."""

import cv2

from nigiwai.errors import SettingsError
from nigiwai.eye.detector import Detector
from nigiwai.eye.gates import Gates
from nigiwai.eye.ground import measured
from nigiwai.eye.lookout import Lookout
from nigiwai.eye.manifest import Entry, find_model, find_trait_model, from_above
from nigiwai.eye.pipeline import Pipeline
from nigiwai.eye.stopwatch import Stopwatch
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.tracker_config import TrackerConfig
from nigiwai.eye.trait_model import TraitModel
from nigiwai.paths import model_folders
from nigiwai.settings import Model, Settings


def open_detector(settings: Settings, watch: Stopwatch | None = None) -> Detector:
    """The detector that the settings name; the board's cores are its own. Raises ModelError."""
    # Shrinking a picture takes a fraction of a millisecond: waking other threads for it costs more than it saves.
    cv2.setNumThreads(1)
    model = settings.model
    known = find_model(model.name, model_folders(model.folder))
    return Detector.open(known.entry, known.folder, _told_size(known.entry, model), model.threads, watch)


def open_trait_model(settings: Settings) -> TraitModel | None:
    """The model that looks at people, as the settings name it; None where heights alone speak. Raises ModelError."""
    if not settings.traits.model:
        return None
    return TraitModel.open(*find_trait_model(settings.traits.model, model_folders(settings.model.folder)))


def camera_fit(settings: Settings) -> tuple[int, int]:
    """Width and height of the largest picture that the detector can use of this camera. Raises ModelError."""
    entry = find_model(settings.model.name, model_folders(settings.model.folder)).entry
    camera = settings.camera
    return _told_size(entry, settings.model) or entry.size_for(camera.width_px / camera.height_px)


def _told_size(entry: Entry, model: Model) -> tuple[int, int] | None:
    if model.width_px is None and model.height_px is None:
        return None
    return entry.size(model.width_px, model.height_px)


def open_pipeline(
    settings: Settings,
    detector: Detector,
    watch: Stopwatch | None = None,
    *,
    every_frame: bool = False,
    lookout: Lookout | None = None,
) -> Pipeline:
    """Lookout, detector, tracker and gates; with `every_frame` the detector sees all of them, as a benchmark wants.

    lookout: one that knows the view already; a new one without.

    Raises SettingsError where there is no gate to count at.
    """
    if not settings.gate:
        raise SettingsError(
            'gate: none is set; draw one, such as [[gate]] name = "door", line = [[0.0, 0.75], [1.0, 0.75]],'
            " inside = [0.5, 0.4]"
        )
    tracker = Tracker(tracker_config(detector.entry, None if settings.view is None else settings.view.tilt_deg))
    looking = None if every_frame else lookout or Lookout(settings.gate)
    return Pipeline(
        detector, tracker, lambda size: Gates(settings.gate, size, measured(settings.view, size)), watch, looking
    )


def tracker_config(entry: Entry, tilt_deg: float | None) -> TrackerConfig:
    """The tracker's settings for this detector and a camera that looks so far down; None where nobody measured it."""
    config = TrackerConfig(high_score=entry.thresholds.high_at(tilt_deg))
    return config.from_above() if from_above(tilt_deg) else config
