# SPDX-License-Identifier: Apache-2.0
"""The networks' output read, against hand computation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nigiwai.eye import decode as d
from nigiwai.eye.manifest import Entry, Input, Thresholds

SIZE = (416, 256)


def entry(kind: str, classes: int = 1, person: int = 0, low: float = 0.1) -> Entry:
    return Entry(
        name="x", file="x.onnx", sha256="0" * 64, licence="-", source="-", decode=kind, classes=classes, person=person,
        input=Input(sizes=(SIZE,)), thresholds=Thresholds(low=low, high=0.9, nms_iou=0.6),
    )  # fmt: skip


def blank(kind: str, classes: int = 1, score: float = 0.0) -> list[np.ndarray]:
    """Outputs in which nothing is seen."""
    outputs = [np.zeros(shape, np.float32) for shape in d.DECODERS[kind].shapes(SIZE, classes)]
    if kind == "nigiwai":
        for output in outputs:
            output[:, 0] = -50.0
    return outputs


def certain(bins: list[float]) -> np.ndarray:
    """Distance logits (4, 8) whose expectations are those bins: halves fall evenly on two neighbours."""
    logits = np.full((4, d.BINS), -50.0, np.float32)
    for side, value in enumerate(bins):
        logits[side, math.floor(value)] = logits[side, math.ceil(value)] = 50.0
    return logits


def test_nigiwai_by_hand() -> None:
    """Stride 16, column 5, row 3: centre (88, 56). 1, 2, 3.5 and 7 strides: 16, 32, 56, 112 px. Logit 2: 0.8808."""
    outputs = blank("nigiwai")
    outputs[1][0, 0, 3, 5] = 2.0
    outputs[1][0, 1:, 3, 5] = certain([1, 2, 3.5, 7]).reshape(-1)
    found = d.decode(outputs, SIZE, entry("nigiwai"))
    assert found.xyxy.tolist() == [[72.0, 24.0, 144.0, 168.0]]
    assert found.score == pytest.approx([0.8808], abs=1e-4)
    assert found.kind.tolist() == [0]
    assert (found.xyxy.dtype, found.score.dtype, found.kind.dtype) == (np.float32, np.float32, np.uint8)


def test_nigiwai_expectation_of_a_spread_distribution() -> None:
    """All bins equal: 3.5 strides to every side; at stride 8, column 0, row 0 the centre is (4, 4)."""
    outputs = blank("nigiwai")
    outputs[0][0, 0, 0, 0] = 0.0
    assert d.decode(outputs, SIZE, entry("nigiwai")).xyxy.tolist() == [[-24.0, -24.0, 32.0, 32.0]]


@pytest.mark.parametrize(("size", "cells"), [((416, 256), (52, 32)), ((320, 240), (40, 30)), ((320, 192), (40, 24))])
def test_nigiwai_shapes(size: tuple[int, int], cells: tuple[int, int]) -> None:
    shapes = d.DECODERS["nigiwai"].shapes(size, 1)
    assert shapes[0] == (1, 33, cells[1], cells[0])
    assert shapes[2] == (1, 33, math.ceil(size[1] / 32), math.ceil(size[0] / 32))


def test_yolox_by_hand() -> None:
    """Cell (2, 1) of stride 16, row 52 * 32 + 1 * 26 + 2: centre ((2 + .5) 16, (1 + .25) 16) = (40, 20), 32 x 64 px."""
    outputs = blank("yolox", 80)
    outputs[0][0, 52 * 32 + 26 + 2, :6] = [0.5, 0.25, math.log(2), math.log(4), 0.8, 0.5]
    found = d.decode(outputs, SIZE, entry("yolox", 80))
    assert found.xyxy == pytest.approx(np.array([[24.0, -12.0, 56.0, 52.0]]), abs=1e-4)
    assert found.score == pytest.approx([0.4])


def test_yolox_other_classes_are_not_looked_at() -> None:
    outputs = blank("yolox", 80)
    outputs[0][0, 7, 4:] = [0.9, 0.05, *[0.9] * 79]
    assert len(d.decode(outputs, SIZE, entry("yolox", 80))) == 0
    assert len(d.decode(outputs, SIZE, entry("yolox", 80, person=3))) == 1


def test_nanodet_by_hand() -> None:
    """Stride 8, column 10, row 2, distances from the cell's corner (80, 16): 8, 16, 24, 32 px."""
    outputs = blank("nanodet", 80)
    row = outputs[0][0, 2 * 52 + 10]
    row[0], row[80:] = 0.7, certain([1, 2, 3, 4]).reshape(-1)
    found = d.decode(outputs, SIZE, entry("nanodet", 80))
    assert found.xyxy.tolist() == [[72.0, 0.0, 104.0, 48.0]]
    assert found.score == pytest.approx([0.7])


def test_picodet_by_hand() -> None:
    """Stride 64 (the fourth pair), 7 x 4 cells, column 6, row 3, centre (416, 224): one stride to every side."""
    outputs = blank("picodet", 80)
    assert outputs[3].shape == (1, 28, 80)
    outputs[3][0, 27, 0] = 0.6
    outputs[7][0, 27] = certain([1, 1, 1, 1]).reshape(-1)
    found = d.decode(outputs, SIZE, entry("picodet", 80))
    assert found.xyxy.tolist() == [[352.0, 160.0, 480.0, 288.0]]
    assert found.score == pytest.approx([0.6])


@pytest.mark.parametrize("kind", sorted(d.DECODERS))
def test_nobody(kind: str) -> None:
    found = d.decode(blank(kind, 80), SIZE, entry(kind, 80))
    assert (found.xyxy.shape, found.score.shape, found.kind.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize("kind", sorted(d.DECODERS))
def test_everybody_everywhere_is_bounded(kind: str) -> None:
    """A network gone mad, every cell certain: bounded work and at most MAX_DETECTIONS boxes."""
    outputs = [np.full_like(o, 0.99) for o in blank(kind, 80)]
    assert 0 < len(d.decode(outputs, SIZE, entry(kind, 80))) <= d.MAX_DETECTIONS


@pytest.mark.parametrize(
    ("xyxy", "score", "iou", "kept"),
    [
        ([], [], 0.5, []),
        ([[0, 0, 10, 10]], [0.3], 0.5, [0]),
        # 10x10 against itself moved by 2: 80 / 120 = 0.667
        ([[0, 0, 10, 10], [2, 0, 12, 10]], [0.5, 0.9], 0.6, [1]),
        ([[0, 0, 10, 10], [2, 0, 12, 10]], [0.5, 0.9], 0.7, [1, 0]),
        # Touching sides do not overlap.
        ([[0, 0, 10, 10], [10, 0, 20, 10]], [0.9, 0.5], 0.01, [0, 1]),
        # The middle one goes because of the best; the third, which only the middle one overlapped, stays.
        ([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], [0.9, 0.8, 0.7], 0.4, [0, 2]),
        # Equal scores: the earlier stays.
        ([[0, 0, 10, 10], [0, 0, 10, 10]], [0.5, 0.5], 0.5, [0]),
        # A box of no area hides nobody.
        ([[5, 5, 5, 5], [0, 0, 10, 10]], [0.9, 0.5], 0.5, [0, 1]),
    ],
)
def test_suppress(xyxy: list[list[float]], score: list[float], iou: float, kept: list[int]) -> None:
    boxes = np.array(xyxy, np.float32).reshape(-1, 4)
    assert d.suppress(boxes, np.array(score, np.float32), iou).tolist() == kept


def plain_suppress(xyxy: np.ndarray, score: np.ndarray, iou: float) -> list[int]:
    """The textbook loop."""
    kept: list[int] = []
    for i in sorted(range(len(score)), key=lambda i: (-score[i], i)):
        if all(d.pairwise_iou(xyxy[[i, j]])[0, 1] <= iou for j in kept):
            kept.append(i)
    return kept


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(0, 30), st.just(4)), elements=st.integers(0, 40)),
    st.sampled_from([0.3, 0.5, 0.6]),
)
def test_suppress_is_the_textbook_loop(corners: np.ndarray, iou: float) -> None:
    xyxy = np.concatenate([corners[:, :2], corners[:, :2] + 1 + corners[:, 2:]], axis=1)
    score = (corners.sum(axis=1) % 7 / 7).astype(np.float32)
    assert d.suppress(xyxy, score, iou).tolist() == plain_suppress(xyxy, score, iou)
