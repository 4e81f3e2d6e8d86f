# SPDX-License-Identifier: Apache-2.0
"""Choosing a file and size for a board."""

import itertools
from pathlib import Path

import pytest

from nigiwai.errors import ModelError
from nigiwai.eye.manifest import MANIFEST
from nigiwai.lab.choose import FRAMES, ROUNDS, Timing, candidates_of, choose, recommend, scale
from tests.eye.networks import brightness_model, models_folder

WIDE, TALL = (416, 256), (384, 288)


def t(model: str, size: tuple[int, int], ms: float) -> Timing:
    return Timing(model, size, ms, ms * 1.2)


@pytest.mark.parametrize(
    ("timings", "frame", "fps", "best"),
    [
        # A fast board: the sharpest for 16:9 is 416x256 (0.325 of a pixel), for 4:3 384x288 (0.296).
        ([t("int8", WIDE, 5), t("int8", (320, 192), 3), t("int8", TALL, 6)], (1280, 720), 15, ("int8", WIDE)),
        ([t("int8", WIDE, 5), t("int8", (320, 192), 3), t("int8", TALL, 6)], (1296, 972), 15, ("int8", TALL)),
        # A slow one: 46.7 ms of 66.7 are the limit at 15 a second.
        ([t("int8", WIDE, 47), t("int8", (320, 192), 30)], (1280, 720), 15, ("int8", (320, 192))),
        ([t("int8", WIDE, 47), t("int8", (320, 192), 30)], (1280, 720), 10, ("int8", WIDE)),
        # The first file stays unless the other is clearly faster.
        ([t("int8", WIDE, 10), t("fp32", WIDE, 9.5)], (1280, 720), 15, ("int8", WIDE)),
        ([t("int8", WIDE, 10), t("fp32", WIDE, 6)], (1280, 720), 15, ("fp32", WIDE)),
        # A board on which INT8 is slow: only the other keeps up.
        ([t("int8", WIDE, 80), t("fp32", WIDE, 40)], (1280, 720), 15, ("fp32", WIDE)),
    ],
)
def test_recommendation(timings: list[Timing], frame: tuple[int, int], fps: int, best: tuple[str, object]) -> None:
    choice = recommend(timings, frame, fps)
    assert (choice.best.model, choice.best.size) == best
    assert choice.fits


def test_none_keeps_up() -> None:
    choice = recommend([t("int8", WIDE, 900), t("int8", (320, 192), 400)], (1280, 720), 15)
    assert (choice.best.size, choice.fits) == ((320, 192), False)
    assert "None keeps up with 15 pictures a second; lower camera.fps" in choice.as_table()


def test_the_table_ends_with_lines_for_the_settings() -> None:
    table = recommend([t("int8", WIDE, 5), t("fp32", WIDE, 9)], (1280, 720), 15).as_table()
    assert "416x256        5.00        6.00  <-" in table
    assert table.endswith('[model]\nname = "int8"\nwidth_px = 416\nheight_px = 256')


def test_scale() -> None:
    assert scale((1280, 720), WIDE) == pytest.approx(0.325)
    assert scale((1280, 720), TALL) == pytest.approx(0.3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """tiny and tiny-fp32 of one family, its third file absent; and a stranger."""
    folder = models_folder(tmp_path, brightness_model(), family='"tiny"')
    path = folder / MANIFEST
    one = path.read_text().removeprefix("version = 1")
    for name, family, file in (
        ("tiny-fp32", "tiny", "tiny.onnx"),
        ("tiny-fp16", "tiny", "gone.onnx"),
        ("x", "", "tiny.onnx"),
    ):
        entry = one.replace('name = "tiny"', f'name = "{name}"').replace('family = "tiny"', f'family = "{family}"')
        path.write_text(path.read_text() + "\n" + entry.replace('file = "tiny.onnx"', f'file = "{file}"'))
    return folder


def test_candidates_are_the_family_that_is_here_the_named_first(folder: Path) -> None:
    assert [k.entry.name for k in candidates_of("tiny", [folder])] == ["tiny", "tiny-fp32"]
    assert [k.entry.name for k in candidates_of("tiny-fp32", [folder])] == ["tiny-fp32", "tiny"]
    assert [k.entry.name for k in candidates_of("x", [folder])] == ["x"]


def test_no_file_is_here(folder: Path) -> None:
    (folder / "tiny.onnx").unlink()
    with pytest.raises(ModelError, match=r"tiny\.onnx: not here, nor another file of 'tiny'"):
        candidates_of("tiny", [folder])


def test_every_candidate_is_timed_at_every_size_in_turns(folder: Path) -> None:
    ticks = itertools.count(0, 1_000_000)
    choice = choose("tiny", [folder], (64, 48), 15, 1, lambda: next(ticks))
    assert {(x.model, x.size) for x in choice.timings} == {
        (model, size) for model in ("tiny", "tiny-fp32") for size in ((128, 64), (64, 64))
    }
    assert all(x.median_ms == 1.0 for x in choice.timings)
    assert next(ticks) / 1_000_000 >= 2 * ROUNDS * FRAMES * len(choice.timings)
