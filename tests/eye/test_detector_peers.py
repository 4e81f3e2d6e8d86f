# SPDX-License-Identifier: Apache-2.0
"""Public detectors through their manifest entries alone, on real recordings: the entries and decoders hold."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest

from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.detector import Detector
from nigiwai.eye.manifest import find_model
from nigiwai.eye.types import Detections, Frame
from tests.conftest import ROOT, SHARED

PEERS = ["yolox-nano", "nanodet-plus-m", "picodet-s"]
CORRIDOR = "caviar-one-leave-shop-corridor"
MIN_HEIGHT_PX = 36
"""The published labels below this height are too coarse to judge a box by."""


@cache
def open_peer(name: str) -> Detector:
    folder = SHARED / "data" / "models"
    known = find_model(name, [ROOT / "models"])
    if not (folder / known.entry.file).is_file():
        pytest.skip(f"{folder / known.entry.file} is missing: no reference models here")
    return Detector.open(known.entry, folder)


class Labelled(NamedTuple):
    """One frame of the corridor and the boxes (N, 4) of the people in it."""

    frame: Frame
    xyxy: np.ndarray


@pytest.fixture(scope="module")
def corridor(footage: Path) -> list[Labelled]:
    """Every 30th frame of a shop corridor with the published boxes of at least MIN_HEIGHT_PX."""
    recording, out = Recording(footage / f"{CORRIDOR}.mpg"), []
    tracks = ElementTree.parse(footage / f"{CORRIDOR}.tracks.xml").getroot()  # noqa: S314 - a file of the data set
    boxes = {int(f.get("number", -1)): [dict(b.attrib) for b in f.iter("box")] for f in tracks.iter("frame")}
    for number in range(295):
        frame = recording.read(1.0)
        if number % 30 == 0 and frame is not None:
            rows = [_xyxy(b) for b in boxes[number] if float(b["h"]) >= MIN_HEIGHT_PX]
            out.append(Labelled(Frame(frame.image.copy(), frame.at), np.array(rows, np.float32).reshape(-1, 4)))
    return out


def _xyxy(box: dict[str, str]) -> list[float]:
    x, y, w, h = (float(box[k]) for k in ("xc", "yc", "w", "h"))
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def best_iou(xyxy: np.ndarray, found: Detections, least: float) -> float:
    """The overlap of a box with the detection that fits it best, of those with at least that score."""
    rows = found.xyxy[found.score >= least]
    if not len(rows):
        return 0.0
    inter = np.prod(np.clip(np.minimum(rows[:, 2:], xyxy[2:]) - np.maximum(rows[:, :2], xyxy[:2]), 0, None), axis=1)
    area = np.prod(rows[:, 2:] - rows[:, :2], axis=1) + np.prod(xyxy[2:] - xyxy[:2]) - inter
    return float((inter / area).max())


@pytest.mark.footage
@pytest.mark.parametrize("name", PEERS)
def test_the_people_in_a_corridor_are_found_where_they_are(corridor: list[Labelled], name: str) -> None:
    """Seven in eight people, and their boxes fit: a wrong stride, offset or colour order loses both."""
    detector = open_peer(name)
    overlaps = [
        best_iou(xyxy, found, least=0.2)
        for labelled in corridor
        for found in [detector.detect(labelled.frame)]
        for xyxy in labelled.xyxy
    ]
    assert len(overlaps) > 30
    assert np.mean(np.array(overlaps) > 0.5) >= 0.85
    assert np.median(overlaps) >= 0.75


@pytest.mark.footage
@pytest.mark.parametrize("name", PEERS)
def test_an_empty_picture_is_empty(name: str) -> None:
    found = open_peer(name).detect(Frame(np.full((288, 384, 3), 114, np.uint8), 0))  # type: ignore[arg-type]
    assert (found.score < 0.3).all()


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_is_not_here_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    known = find_model(name, [ROOT / "models"])
    with pytest.raises(Exception, match=re.escape(f"nigiwai models add {name} --from FILE")):
        Detector.open(known.entry, tmp_path)
