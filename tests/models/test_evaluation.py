# SPDX-License-Identifier: Apache-2.0

"""The evaluation counts as it says it does: precision, recall, ignored people, wobble, reference decoding."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, SHARED

pytest.importorskip("onnx", reason="the evaluation needs the extra `train`")
pytest.importorskip("cv2", reason="the evaluation needs OpenCV")

import onnx
from onnx import TensorProto, helper, numpy_helper

from models.evaluation.failures import verdicts
from models.evaluation.metrics import Picture, average_precision, judge, precision_recall
from models.evaluation.reference import DECODERS, Found, Reference, expectation, grid
from models.evaluation.report import Judged, halves
from models.evaluation.sets import caviar_boxes, load_all, scene_notes
from models.evaluation.times import multiply_adds, times
from models.evaluation.tracked import Tracked
from models.evaluation.wobble import (
    errors_against,
    floor_points,
    foot_of,
    link,
    residuals,
    summary,
    truth_paths,
    wobble_against,
)
from models.training.boxes import iou, nms
from models.training.errors import DataError, ModelFileError, Skipped
from nigiwai.eye.manifest import Thresholds

PERSON = [0.0, 0.0, 10.0, 20.0]
OTHER = [50.0, 0.0, 60.0, 20.0]


def picture(boxes: list[list[float]], scores: list[float], people: list[list[float]], ignore: list[bool]) -> Picture:
    def array(rows: list[list[float]]) -> np.ndarray:
        return np.asarray(rows, np.float32).reshape(-1, 4)

    return Picture(array(boxes), np.asarray(scores, np.float32), array(people), np.asarray(ignore, bool))


@pytest.mark.parametrize(
    ("boxes", "scores", "people", "ignore", "expected"),
    [
        ([], [], [], [], 0.0),  # nobody there, nothing found: no area
        ([], [], [PERSON], [False], 0.0),
        ([PERSON], [0.9], [PERSON], [False], 1.0),
        ([PERSON], [0.9], [PERSON, OTHER], [False, False], 0.5),  # recall stops at 1 / 2
        ([PERSON, OTHER], [0.9, 0.8], [OTHER], [False], 0.5),  # wrong first: precision 1 / 2 at recall 1
        ([PERSON, PERSON], [0.9, 0.8], [PERSON], [False], 1.0),  # the second is false, but recall is full by then
        ([PERSON, OTHER], [0.9, 0.8], [PERSON, OTHER], [True, False], 1.0),  # the ignored one costs nothing
    ],
)
def test_average_precision_by_hand(boxes, scores, people, ignore, expected) -> None:
    verdict = judge([picture(boxes, scores, people, ignore)], 0.5)

    assert average_precision(verdict) == pytest.approx(expected)


def test_precision_and_recall_at_a_threshold() -> None:
    verdict = judge([picture([PERSON, OTHER], [0.9, 0.3], [PERSON, [90, 90, 99, 99]], [False, False])], 0.5)

    assert precision_recall(verdict, 0.2) == (0.5, 0.5)
    assert precision_recall(verdict, 0.5) == (1.0, 0.5)
    assert precision_recall(verdict, 0.95) == (1.0, 0.0)


def test_boxes_overlap_and_suppression() -> None:
    a = np.array([PERSON, [5, 0, 15, 20], OTHER], np.float32)

    assert iou(a[:1], a)[0] == pytest.approx([1.0, 1 / 3, 0.0])  # 100 of 300 shared
    assert nms(a, np.array([0.5, 0.9, 0.1], np.float32), 0.3).tolist() == [1, 2]
    assert nms(a[:0], np.zeros(0, np.float32), 0.5).tolist() == []


def test_expectation_is_the_mean_of_the_bins() -> None:
    bins = np.full((1, 32), -100.0, np.float32)
    bins[0, [2, 8, 16 + 7, 24 + 3]] = 100.0  # left 2, top 0, right 7, bottom 3

    assert expectation(bins)[0] == pytest.approx([2, 0, 7, 3])


def test_grid_runs_row_by_row_and_counts_cut_cells() -> None:
    points, steps = grid((64,), 96, 64, 0.5)

    assert points.tolist() == [[32, 32], [96, 32]]
    assert steps.tolist() == [64, 64]


def walk(foot_noise_px: float, frames: int = 60) -> list[Found]:
    rng = np.random.default_rng(0)
    found = []
    for k in range(frames):
        dx, dy = rng.normal(0, foot_noise_px, 2) if foot_noise_px else (0, 0)
        x, y = 10 + 2 * k + dx, 20 + k + dy
        found.append(Found(np.array([[x, y, x + 40, y + 100]], np.float32), np.array([0.9], np.float32)))
    return found


@pytest.mark.parametrize(("noise_px", "low", "high"), [(0.0, 0.0, 1e-4), (2.0, 0.02, 0.03)])
def test_wobble_sees_noise_and_not_the_walk(noise_px: float, low: float, high: float) -> None:
    """2 px of noise in x and y on a person of 100 px is 2.8 %, less the share that the parabola takes."""
    (path,) = link(walk(noise_px), 0.5)
    rms = float(np.sqrt(np.mean(residuals(foot_of(path), path[:, 3] - path[:, 1], 13) ** 2)))

    assert low <= rms <= high


def test_wobble_against_truth_forgives_a_steady_error_and_ends_at_gaps() -> None:
    truth = [{7: f.xyxy[0]} for f in walk(0.0, 40)]
    found = [Found(f.xyxy + 3, f.score) for f in walk(0.0, 40)]
    found[20] = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    first, second = errors_against(found, truth, 0.5)

    assert (len(first), len(second)) == (20, 19)
    assert first[0].tolist() == [3, 3, 100]
    assert float(residuals(first[:, :2], first[:, 2], 13).max()) < 1e-4


CLIP_TRACKS = ROOT / "models" / "demo" / "entrance.tracks.jsonl"


def test_people_stand_more_evenly_than_the_lower_edges_of_their_true_boxes_go() -> None:
    floor, boxes = floor_points(CLIP_TRACKS, (640, 360)), truth_paths(CLIP_TRACKS)
    runs: dict[int, list[list[float]]] = {}
    for n, (points, people) in enumerate(zip(floor, boxes, strict=True)):
        for number, box in people.items():
            runs.setdefault(number, []).append([n, *points[number], *foot_of(box[None])[0], box[3] - box[1]])
    whole = [np.array(run, np.float32) for run in runs.values()]
    walks = [w for run in whole for w in np.split(run, np.flatnonzero(np.diff(run[:, 0]) > 1) + 1) if len(w) >= 15]

    standing, edges = (summary([residuals(w[:, k : k + 2], w[:, 5], 15) for w in walks]).rms for k in (1, 3))

    assert len(walks) > 10
    assert standing < 0.005 < 0.03 < edges
    near = [float(np.abs(w[:, 3] - w[:, 1]).mean() / w[:, 5].mean()) for w in walks]
    assert max(near) < 0.15  # the same people, and in pixels


def test_tracks_are_held_against_where_people_stand() -> None:
    floor, boxes = floor_points(CLIP_TRACKS, (640, 360)), truth_paths(CLIP_TRACKS)
    stood = [
        [(*box[:3], floor[n][number][1] + 2) for number, box in people.items()] for n, people in enumerate(boxes[:60])
    ]
    found = iter(Found(np.array(rows, np.float32).reshape(-1, 4), np.ones(len(rows), np.float32)) for rows in stood)

    told = wobble_against(
        lambda _: next(found), [np.zeros((360, 640, 3), np.uint8)] * 60, CLIP_TRACKS, 15.0, 0.5, standing=True
    )

    assert told.frames > 30
    assert told.rms < 0.03  # what is left is the middle of the box beside the axis of the body


def test_tracks_that_no_renderer_wrote_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.tracks.jsonl"
    path.write_text('{"frame": 0}\n')

    with pytest.raises(DataError, match=r"x\.tracks\.jsonl: not the tracks of a rendered clip"):
        floor_points(path, (640, 360))


def convolution(path: Path, kind: int) -> Path:
    """A model file of one 3x3 convolution from 3 to 4 channels with stride 2."""
    weights = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")
    cast = helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT)
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    image = helper.make_tensor_value_info("image", kind, [1, 3, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, "a", "b"])
    graph = helper.make_graph([cast, node], "one", [image], [y], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_work_is_counted_and_times_are_compared(tmp_path) -> None:
    files = [
        convolution(tmp_path / name, kind)
        for name, kind in (
            ("own.int8.onnx", TensorProto.UINT8),
            ("own.fp32.onnx", TensorProto.UINT8),
            ("yolox-nano-416.onnx", TensorProto.FLOAT),
        )
    ]

    rows = times(files, threads=1, rounds=2)

    # 160 x 96 outputs of 4 channels, 27 multiply-adds each
    assert multiply_adds(files[0], (320, 192)) == 160 * 96 * 4 * 27
    assert [(r["model"], r["input"]) for r in rows] == [
        ("own.int8", "320x192"),
        ("own.int8", "416x256"),
        ("own.fp32", "320x192"),
        ("own.fp32", "416x256"),
        ("yolox-nano-416", "416x416"),
    ]
    assert rows[-1]["of yolox-nano-416"] == 1.0
    assert rows[0]["of own FP32"] == pytest.approx(rows[0]["ms"] / rows[2]["ms"])


def test_recall_of_the_half_seen_children_and_people_from_above() -> None:
    def judged(found: list[list[float]], seen: list[float], child: list[bool], steep: bool) -> Judged:
        people = [PERSON, OTHER]
        one = picture(found, [0.9] * len(found), people, [False, False])
        height = np.array([0.5, 0.5], np.float32)
        return Judged(one, height, np.array(seen, np.float32), np.array(child), np.array([steep, steep]))

    rows = [
        judged([PERSON], [1.0, 0.6], [False, True], steep=False),  # the child is missed
        judged([PERSON, OTHER], [0.9, 0.3], [True, False], steep=True),  # the other one is too hidden to be asked for
    ]

    assert halves(rows, 0.5) == {"recall half seen": 2 / 3, "of children": 1 / 2, "from above": 1.0}


def test_notes_belong_to_the_pictures_of_a_shard(tmp_path) -> None:
    good = {
        "camera": {"tilt_deg": 70.0},
        "people": [{"box": [0, 0, 9, 9], "age": 5}, {"box": [0, 0, 0.5, 9], "age": 9}],
    }
    with tarfile.open(tmp_path / "heldout-0.tar", "w") as tar:
        for name, text in (("000000.json", json.dumps(good)), ("000001.json", "{"), ("000002.txt", "0 1 1 1 1")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))

    notes = scene_notes(tmp_path / "heldout-0.tar")

    assert list(notes) == ["heldout-0.tar:000000"]
    assert notes["heldout-0.tar:000000"].tilt_deg == 70.0
    assert notes["heldout-0.tar:000000"].ages.tolist() == [5.0]


def test_malformed_tracks_are_refused(tmp_path) -> None:
    (tmp_path / "t.jsonl").write_text('{"people": [{"id": 1}]}')

    with pytest.raises(DataError, match=r"t\.jsonl"):
        truth_paths(tmp_path / "t.jsonl")


def test_unknown_reference_and_broken_model_files_are_refused(tmp_path) -> None:
    unknown, broken = tmp_path / "other.onnx", tmp_path / "yolox-nano-416.onnx"
    broken.write_bytes(b"not a model")

    with pytest.raises(ModelFileError, match="unknown reference"):
        Reference(unknown)
    with pytest.raises(ModelFileError, match="not a readable ONNX"):
        Reference(broken)


def test_broken_tracks_are_named_and_missing_sets_counted(tmp_path) -> None:
    (tmp_path / "x.xml").write_text("<dataset><frame")
    skipped = Skipped()

    assert load_all(tmp_path, None, skipped) == []
    assert {name for name, _ in skipped.items} == {"valid", "corridor", "synthetic"}
    with pytest.raises(DataError, match=r"x\.xml"):
        caviar_boxes(tmp_path / "x.xml")


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_reference_models_find_nobody_on_grey(name: str) -> None:
    path = SHARED / "data" / "models" / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is missing: no reference models here")

    found = Reference(path, threads=1).detect(np.full((96, 160, 3), 114, np.uint8), score_min=0.3)

    assert found.xyxy.shape == (0, 4)


def test_failures_are_told_apart() -> None:
    third, hidden, nobody = [100.0, 0.0, 110.0, 20.0], [200.0, 0.0, 210.0, 20.0], [300.0, 0.0, 310.0, 20.0]
    one = picture([PERSON, nobody, OTHER], [0.9, 0.8, 0.2], [PERSON, OTHER, third, hidden], [False, False, False, True])
    seen = np.array([1.0, 0.9, 0.3, 0.1], np.float32)
    judged = Judged(one, np.full(4, 0.5, np.float32), seen, seen < 0, seen < 0)

    found = verdicts(judged, 0.4)

    assert found.found.tolist() == [PERSON]
    assert found.missed.tolist() == [OTHER]  # of the third less than half is seen, the hidden one is not asked for
    assert found.false.tolist() == [nobody]
    assert found.mistakes == 2


def test_tracks_tremble_less_than_the_boxes_they_are_made_of() -> None:
    """3 px of noise on everybody's edges of 100 px: the tracker leaves less than half of it at the foot."""
    rng = np.random.default_rng(1)
    noisy = [np.array([[200 + 2 * k, 80, 240 + 2 * k, 180]]) + rng.normal(0, 3, (1, 4)) for k in range(120)]
    boxes = iter([Found(b.astype(np.float32), np.array([0.9], np.float32)) for b in noisy])
    followed = Tracked(lambda _: next(boxes), 12.0, Thresholds(low=0.3, high=0.55))

    seen = [followed.detect(np.zeros((360, 640, 3), np.uint8)) for _ in noisy]

    def spread(frames: list[Found]) -> float:
        (path,) = [p for p in link(frames, 0.5) if len(p) > 60]
        return float(np.sqrt(np.mean(residuals(foot_of(path), path[:, 3] - path[:, 1], 13)[30:] ** 2)))

    raw = [Found(b.astype(np.float32), np.array([0.9], np.float32)) for b in noisy]
    assert 0 < spread(seen) < 0.5 * spread(raw)
