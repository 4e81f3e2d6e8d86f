# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - imports wait until the extra is known to be there
"""Training input: what is broken is named and counted, what is whole arrives in pixels."""

import io
import json
import random
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="the recipe needs OpenCV")
pytest.importorskip("onnx", reason="the recipe needs the extra `train`")

from models.evaluation.reference import Found
from models.training.augment import DECAY, TRUNK, compose, empty_window
from models.training.cache import build_set, load_set, save_labels
from models.training.errors import DataError, Skipped
from models.training.kept import FOLDER, keep, take
from models.training.prepare import cut
from models.training.shards import decode_image, parse_scene, parse_yolo, read_animation, read_shard
from models.training.teacher import fuse, relabel, teach


def jpeg(width: int = 64, height: int = 48) -> bytes:
    image = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1])


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 0.5 0.5 0.2", "not `0 xc yc w h`"),
        ("1 0.5 0.5 0.2 0.2", "not `0 xc yc w h`"),
        ("0 0.5 0.5 1.2 0.2", "outside 0..1"),
        ("0 -0.1 0.5 0.2 0.2", "outside 0..1"),
        ("0 0.5 0.5 0.0 0.2", "outside 0..1"),
        ("0 nan 0.5 0.2 0.2", "outside 0..1"),
        ("0 half 0.5 0.2 0.2", "not numbers"),
    ],
)
def test_bad_labels_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        parse_yolo(text, "a")


def test_empty_labels_are_nobody() -> None:
    assert parse_yolo("\n", "a").shape == (0, 4)


def test_a_shard_yields_the_good_pairs_and_counts_the_others(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "s.tar",
        {
            "1.jpg": jpeg(), "1.txt": b"0 0.5 0.5 0.5 1.0",
            "2.jpg": b"no picture", "2.txt": b"",
            "3.jpg": jpeg(), "3.txt": b"0 0.5 0.5 0.5 1.5",
            "4.jpg": jpeg(),
        },
    )  # fmt: skip
    skipped = Skipped()

    (good,) = read_shard(path, skipped)

    assert good.xyxy.tolist() == [[16, 0, 48, 48]]  # half of 64 wide, all of 48 high
    assert dict(skipped.items) == {
        "s.tar:2": "the image does not decode",
        "s.tar:3": "label outside 0..1",
        "s.tar:4": "image without label or label without image",
    }
    assert "1 x label outside 0..1 (first: s.tar:3)" in skipped.summary()


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    whole = tar(tmp_path / "whole.tar", {"1.jpg": jpeg(), "1.txt": b""}).read_bytes()
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(whole[:700])

    with pytest.raises(DataError, match=r"damaged\.tar"):
        list(read_shard(damaged, Skipped()))


def scene(**changes: object) -> str:
    people = [
        {"box": [1, 2, 21, 42], "visible": 1.0},
        {"box": [30, 2, 40, 42], "visible": 0.1},
        {"box": [50, 2, 50, 42], "visible": 1.0},
    ]
    return json.dumps({"width": 64, "height": 48, "people": people} | changes)


def test_rendered_people_who_are_hardly_seen_are_ignored_and_empty_boxes_dropped(tmp_path: Path) -> None:
    (item,) = read_shard(tar(tmp_path / "r.tar", {"1.jpg": jpeg(), "1.json": scene().encode()}), Skipped())

    assert item.xyxy.tolist() == [[1, 2, 21, 42], [30, 2, 40, 42]]
    assert item.ignore.tolist() == [False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"people": [{"box": [1, 2, 99, 42], "visible": 1.0}]},
        {"people": [{"box": [1, 2, 9, 42], "visible": 2.0}]},
        {"people": [{"box": [1, 2, 9, 42]}]},
        {"people": 3},
    ],
)
def test_malformed_scene_truth_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DataError, match="scene"):
        parse_scene(scene(**changes), "a")


def test_what_is_no_picture_and_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gif").write_bytes(b"GIF89a")

    with pytest.raises(DataError, match="does not decode"):
        decode_image(b"", "a")
    with pytest.raises(DataError, match="no frame"):
        list(read_animation(tmp_path / "x.gif"))


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    members: dict[str, bytes] = {}
    for k in range(3):
        members |= {f"{k}.jpg": jpeg(), f"{k}.txt": b"0 0.5 0.5 0.5 0.5\n" * k}
    build_set(tmp_path, "train", read_shard(tar(tmp_path / "t.tar", members), Skipped()), 100)
    return tmp_path


def test_the_cache_gives_back_each_images_boxes(cached: Path) -> None:
    data = load_set(cached, "train")

    assert data.images.shape == (3, 48, 64, 3)
    assert [len(b) for b in data.xyxy] == [0, 1, 2]
    with pytest.raises(DataError, match="no usable cache"):
        load_set(cached, "other")


def test_a_source_without_images_or_of_mixed_sizes_is_refused(tmp_path: Path) -> None:
    mixed = tar(tmp_path / "m.tar", {"1.jpg": jpeg(), "1.txt": b"", "2.jpg": jpeg(32, 32), "2.txt": b""})

    with pytest.raises(DataError, match="no usable image"):
        build_set(tmp_path, "none", [], 10)
    with pytest.raises(DataError, match="the source began with"):
        build_set(tmp_path, "mixed", read_shard(mixed, Skipped()), 10)


@pytest.mark.parametrize("recipe", [TRUNK, DECAY])
def test_composed_boxes_lie_on_the_canvas_and_repeat_with_the_seed(cached: Path, recipe) -> None:
    data = load_set(cached, "train")

    def draw(rng: random.Random):
        return data, rng.randrange(3)

    for seed in range(30):
        a, b = (compose(random.Random(seed), draw, 128, 64, recipe) for _ in range(2))  # noqa: S311
        assert a.image.shape == (64, 128, 3)
        assert np.array_equal(a.image, b.image)
        assert len(a.xyxy) == len(a.weight) == len(a.ignore)
        assert (a.xyxy >= 0).all()
        assert (a.xyxy <= [128, 64, 128, 64]).all()


def found(*rows: list[float]) -> Found:
    table = np.asarray(rows, np.float32).reshape(-1, 5)
    return Found(table[:, :4], table[:, 4])


def test_voters_on_one_person_are_fused_by_score() -> None:
    fused, share = fuse([found([0, 0, 10, 20, 0.9]), found([2, 0, 12, 20, 0.3]), found()])

    assert fused.xyxy.tolist() == [[0.5, 0, 10.5, 20]]  # 0.9 : 0.3
    assert fused.score.tolist() == pytest.approx([0.4])  # (0.9 + 0.3 + 0) / 3
    assert share.tolist() == pytest.approx([2 / 3])


def test_relabelling_keeps_pulls_adds_and_ignores() -> None:
    labels = np.array([[0, 0, 10, 20], [100, 0, 110, 20]], np.float32)
    fused = found([0, 0, 10, 22, 0.8], [200, 0, 210, 20, 0.9], [300, 0, 310, 20, 0.3])

    boxes, weight, ignore = relabel(labels, fused, np.array([1, 1, 1], np.float32))

    assert boxes.tolist() == [[0, 0, 10, 21], [100, 0, 110, 20], [200, 0, 210, 20], [300, 0, 310, 20]]
    assert weight.tolist() == pytest.approx([1.0, 0.3, 0.8, 0.8])
    assert ignore.tolist() == [False, False, False, True]


def test_a_teacher_labels_a_whole_set(cached: Path) -> None:
    class One:
        def detect(self, image, score_min=0.02, iou_max=0.6) -> Found:
            return found([1, 1, 9, 40, 0.9])

    taught = teach(load_set(cached, "train"), [One()])
    save_labels(cached / "train.teacher.npz", taught)

    first = load_set(cached, "train", "teacher")

    assert first.xyxy[0].tolist() == [[1, 1, 9, 40], [55, 1, 63, 40]]  # as seen, and as seen in the mirror
    assert first.ignore[0].tolist() == [True, True]  # half of the voters each: too few to call it a person


def test_empty_windows_touch_nobody(cached: Path) -> None:
    data = load_set(cached, "train")
    for seed in range(50):
        window = empty_window(random.Random(seed), data, 1, 1.5)  # noqa: S311
        x0, y0, x1, y1 = data.xyxy[1][0]

        assert window is None or window.x1 <= x0 or window.x0 >= x1 or window.y1 <= y0 or window.y0 >= y1


def test_a_panorama_gives_the_view_that_lies_ahead() -> None:
    """The middle of an equirectangular picture is yaw 0; a quarter to the right is yaw 90 degrees."""
    panorama = np.zeros((64, 128, 3), np.float32)
    panorama[28:36, 60:68] = 1.0

    ahead, right = (cut(panorama, yaw, 0.0, 0.5, (64, 32)) for yaw in (np.pi, np.pi / 2))

    assert ahead[16, 32, 0] == pytest.approx(1.0)
    assert right.max() == 0.0


def test_kept_labels_come_back_for_the_set_they_were_made_of_and_for_no_other(cached: Path, tmp_path: Path) -> None:
    own = load_set(cached, "train")
    rng = np.random.default_rng(5)
    low = [rng.uniform(0, 30, (3, 2)).astype(np.float32) for _ in range(len(own))]
    low[1] = low[1][:0]
    taught = replace(
        own,
        xyxy=[np.concatenate((a, a + 9.0), 1) for a in low],
        weight=[np.full(len(a), 0.6, np.float32) for a in low],
        ignore=[np.arange(len(a)) == 1 for a in low],
    )
    path = keep(own, taught, tmp_path / "labels")

    assert take(own, cached, tmp_path / "labels")
    back = load_set(cached, "train", "teacher")
    for a, b in zip(taught.xyxy, back.xyxy, strict=True):
        np.testing.assert_allclose(b, a, atol=1 / 32)
    assert [w.tolist() for w in back.weight] == [w.tolist() for w in taught.weight]
    assert [i.tolist() for i in back.ignore] == [i.tolist() for i in taught.ignore]

    other = replace(own, xyxy=[b + 1 for b in own.xyxy])
    assert not take(other, cached, tmp_path / "labels")
    assert not take(own, cached, tmp_path / "none")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="not kept labels"):
        take(own, cached, tmp_path / "labels")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.npz")), ids=lambda p: p.stem)
def test_labels_that_are_kept_are_whole(path: Path) -> None:
    with np.load(path) as kept:
        people = int(kept["count"].sum())
        assert len(kept["xyxy"]) == len(kept["weight"]) == len(kept["ignore"]) == people > 0
        assert (kept["xyxy"][:, 2:] >= kept["xyxy"][:, :2]).all()
        assert kept["weight"].max() <= 100
