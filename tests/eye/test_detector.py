# SPDX-License-Identifier: Apache-2.0
"""The detector end to end on a network with known answers, and every wrong file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from nigiwai.clock import BootNs
from nigiwai.errors import ModelError
from nigiwai.eye.detector import Detector
from nigiwai.eye.manifest import find_model
from nigiwai.eye.stopwatch import Laps
from nigiwai.eye.types import Frame
from tests.eye.networks import brightness_model, models_folder


@pytest.fixture(scope="module")
def weights() -> bytes:
    return brightness_model()


def open_tiny(tmp_path: Path, weights: bytes, size: tuple[int, int] | None = None, **changes: str) -> Detector:
    known = find_model("tiny", [models_folder(tmp_path, weights, **changes)])
    return Detector.open(known.entry, known.folder, size, threads=1)


def frame(width: int, height: int, *bright: tuple[int, int, int, int]) -> Frame:
    """A black picture with white rectangles x, y, width, height."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, w, h in bright:
        image[y : y + h, x : x + w] = 255
    return Frame(image, BootNs(0))


def test_a_bright_cell_is_a_person(tmp_path: Path, weights: bytes) -> None:
    """Cell (5, 3) of stride 8: centre (44, 28), two strides to every side: 28, 12, 60, 44. Logit 25.5 - 12.8."""
    found = open_tiny(tmp_path, weights).detect(frame(128, 64, (40, 24, 8, 8)))
    assert found.xyxy == pytest.approx(np.array([[28, 12, 60, 44]]), abs=0.01)
    assert found.score == pytest.approx([1.0], abs=1e-4)


def test_boxes_are_in_the_frames_pixels(tmp_path: Path, weights: bytes) -> None:
    """A frame of twice the size in both directions: everything twice as large, and cut at the padding nowhere."""
    found = open_tiny(tmp_path, weights).detect(frame(256, 128, (80, 48, 16, 16)))
    assert found.xyxy == pytest.approx(np.array([[56, 24, 120, 88]]), abs=0.01)


def test_the_best_comes_first(tmp_path: Path, weights: bytes) -> None:
    picture = frame(128, 64, (8, 8, 8, 8), (96, 40, 8, 8))
    picture.image[8:16, 8:16] = 140
    found = open_tiny(tmp_path, weights).detect(picture)
    assert len(found) == 2
    assert found.score[0] > found.score[1]
    assert found.xyxy[0, 0] > found.xyxy[1, 0]


def test_the_input_size_suits_the_frames_unless_told(tmp_path: Path, weights: bytes) -> None:
    """The boxes stay in the frame's pixels when a camera changes from wide to square, and the network runs at both."""
    known = find_model("tiny", [models_folder(tmp_path, weights)])
    free = Detector.open(known.entry, known.folder, threads=1)
    told = Detector.open(known.entry, known.folder, (128, 64), threads=1)
    for picture, size in (
        (frame(256, 128, (80, 48, 16, 16)), (128, 64)),
        (frame(128, 128, (80, 48, 16, 16)), (64, 64)),
    ):
        assert free.detect(picture).xyxy == pytest.approx(np.array([[56, 24, 120, 88]]), abs=0.01)
        assert free.size == size
        assert told.detect(picture).xyxy == pytest.approx(np.array([[56, 24, 120, 88]]), abs=0.01)
        assert told.size == (128, 64)


def test_nobody(tmp_path: Path, weights: bytes) -> None:
    assert len(open_tiny(tmp_path, weights).detect(frame(128, 64))) == 0


def test_other_sizes_and_a_change_of_the_frames_size(tmp_path: Path, weights: bytes) -> None:
    detector = open_tiny(tmp_path, weights, size=(64, 64))
    assert detector.size == (64, 64)
    for scale in (1, 2, 1):
        found = detector.detect(frame(64 * scale, 64 * scale, (24 * scale, 24 * scale, 8 * scale, 8 * scale)))
        assert found.xyxy == pytest.approx(np.array([[12, 12, 44, 44]]) * scale, abs=0.01)


def test_stages_are_timed(tmp_path: Path, weights: bytes) -> None:
    clock = iter(range(0, 10_000_000_000, 1_000_000))
    watch = Laps(lambda: next(clock))
    known = find_model("tiny", [models_folder(tmp_path, weights)])
    detector = Detector.open(known.entry, known.folder, watch=watch)
    for _ in range(3):
        detector.detect(frame(128, 64))
    assert {stage: list(times) for stage, times in watch.times_ms.items()} == {
        "prepare": [1.0] * 3,
        "infer": [1.0] * 3,
        "decode": [1.0] * 3,
    }


# Bad input


def test_another_file_of_that_name(tmp_path: Path, weights: bytes) -> None:
    with pytest.raises(ModelError, match=r"tiny\.onnx: not the file of 'tiny'.*expected 000"):
        open_tiny(tmp_path, weights, sha256='"' + "0" * 64 + '"')


def test_no_network_in_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"tiny\.onnx: ONNX Runtime [\d.]+ cannot run this file: "):
        open_tiny(tmp_path, b"not a network")
    assert capfd.readouterr() == ("", "")


def test_a_network_from_the_future(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"tiny\.onnx: ONNX Runtime [\d.]+ cannot run this file: Unsupported model IR version: 127"
    ):
        open_tiny(tmp_path, brightness_model().replace(b"\x08\x09", b"\x08\x7f", 1))


def test_floats_where_the_manifest_says_bytes(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tiny\.onnx: takes tensor\(float\).*'tiny' says uint8 \[1, 3, 64, 128\]"):
        open_tiny(tmp_path, brightness_model(dtype=TensorProto.FLOAT))


def test_another_number_of_outputs(tmp_path: Path, weights: bytes) -> None:
    with pytest.raises(ModelError, match=r"gives outputs 1x33x8x16, 1x33x4x8, 1x33x2x4, but decode = 'yolox'"):
        open_tiny(tmp_path, weights, decode='"yolox"')


def test_another_number_of_channels(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gives outputs 1x37x8x16.*needs 1x33x8x16.*correct the manifest"):
        open_tiny(tmp_path, brightness_model(channels=37))


def test_a_size_that_is_not_in_the_manifest(tmp_path: Path, weights: bytes) -> None:
    with pytest.raises(ModelError, match=r"tiny has no such input size; it has 128x64, 64x64"):
        open_tiny(tmp_path, weights, size=(96, 96))


def test_models_are_data(tmp_path: Path, weights: bytes) -> None:
    """Nothing of an entry's name or file is known to the code: the same weights under another name do the same."""
    renamed = models_folder(tmp_path, weights, name='"elsewhere-7"', file='"e.onnx"')
    (renamed / "e.onnx").write_bytes(weights)
    known: Any = find_model("elsewhere-7", [renamed])
    assert len(Detector.open(known.entry, known.folder, threads=1).detect(frame(128, 64, (40, 24, 8, 8)))) == 1
