# SPDX-License-Identifier: Apache-2.0
"""The table that simulated people are looked at by: who counts, and that known effects are found again."""

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.traits.looks import AGES, Person, people_of, table_of
from nigiwai.eye.growth import SHOES_CM, usual_m
from nigiwai.eye.types import Detections, Frame


def test_known_effects_are_found_again() -> None:
    """Odds of 2 - age / 10 for children and -1 for others, 3 less a metre, persons of sd 1, looks of sd 0.5."""
    rng, people = np.random.default_rng(3), []
    for age in [*range(1, 20), 25, 35, 45, 55, 65, 75]:
        for _ in range(120):
            off, person = rng.normal(0, 0.08), rng.normal()
            mean = 2 - age / 10 if age <= 12 else -1.0
            odds = mean - 3 * off + person + rng.normal(0, 0.5, 3)
            people.append(Person(age, usual_m(age) + off, odds.tolist()))

    table = table_of(people)

    five, forty = AGES.index(5), AGES.index(45)
    assert table["mean"][five] == pytest.approx(1.5, abs=0.3)
    assert table["mean"][forty] == pytest.approx(-1.0, abs=0.3)
    assert table["per_m"][five] == pytest.approx(-3.0, abs=1.2)
    assert table["person_sd"][five] == pytest.approx(1.0, abs=0.2)
    assert table["look_sd"][five] == pytest.approx(0.5, abs=0.1)
    assert {len(column) for column in table.values()} == {len(AGES)}


class Found:
    """A detector that reports the same boxes of every picture."""

    entry = SimpleNamespace(thresholds=SimpleNamespace(high=0.5))

    def __init__(self, boxes: list[tuple[float, float, float, float]], scores: list[float]) -> None:
        xyxy = np.array(boxes, np.float32).reshape(-1, 4)
        self._seen = Detections(xyxy, np.array(scores, np.float32), np.zeros(len(boxes), np.uint8))

    def detect(self, frame: Frame) -> Detections:
        return self._seen


class Even:
    """A model to which everybody is a child with a chance of 1/4."""

    size, most = (48, 96), 2

    def look(self, windows: list[NDArray[np.uint8]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        assert len(windows) <= self.most
        return np.full((len(windows), 4), np.log(0.25)), np.full((len(windows), 2), np.log(0.5))


def shard(folder: Path, tilt_deg: float = 30.0) -> Path:
    """Two pictures of one scene: somebody in the open, and somebody at the edge."""
    people = [
        {"id": 1, "age": 7, "stature_m": 1.2, "box": [100, 60, 140, 160]},
        {"id": 2, "age": 40, "stature_m": 1.7, "box": [0, 60, 40, 160]},
    ]
    camera = {"height_m": 3.0, "tilt_deg": tilt_deg, "hfov_deg": 70.0, "distortion": 0.1}
    truth = json.dumps({"width": 300, "height": 200, "camera": camera, "seed": 4, "people": people}).encode()
    picture = cv2.imencode(".jpg", np.full((200, 300, 3), 90, np.uint8))[1].tobytes()
    with tarfile.open(folder / "heldout-0000.tar", "w") as tar:
        for name, data in [(f"{k}{end}", d) for k in "01" for end, d in ((".jpg", picture), (".json", truth))]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return folder / "heldout-0000.tar"


def test_who_is_found_and_clearly_seen_is_looked_at_in_every_picture(tmp_path: Path) -> None:
    boxes = [(102, 58, 142, 161), (0, 60, 40, 160), (200, 60, 240, 160)]  # the child, one at the edge, nobody
    (person,) = people_of([shard(tmp_path)], Found(boxes, [0.9, 0.9, 0.9]), Even())  # type: ignore[arg-type]
    assert (person.age, person.metres) == (7, 1.2 + SHOES_CM / 100)
    assert person.odds == pytest.approx([np.log(1 / 3)] * 2)


@pytest.mark.parametrize(("tilt_deg", "score"), [(70.0, 0.9), (30.0, 0.4)])
def test_steep_views_and_doubtful_boxes_are_left_out(tmp_path: Path, tilt_deg: float, score: float) -> None:
    found = Found([(102, 58, 142, 161)], [score])
    assert people_of([shard(tmp_path, tilt_deg)], found, Even()) == []  # type: ignore[arg-type]
