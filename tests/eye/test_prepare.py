# SPDX-License-Identifier: Apache-2.0
"""Frames into the network's input and boxes back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nigiwai.errors import ModelError
from nigiwai.eye.manifest import Input
from nigiwai.eye.prepare import Preparer, halvings, place, to_frame


def spec(size: tuple[int, int] = (416, 256), **how: Any) -> Input:
    return Input(sizes=(size,), **({"dtype": "uint8"} | how))


def picture(width: int, height: int, bgr: tuple[int, int, int] = (10, 20, 30)) -> np.ndarray:
    return np.full((height, width, 3), bgr, np.uint8)


@pytest.mark.parametrize(
    ("frame", "how", "expected"),
    [
        # 16:9 into 416x256: 416/1280 = 0.325 limits, 720 * 0.325 = 234 rows, the rest below is padding.
        ((1280, 720), {}, (0, 0, 416, 234, 0.325, 0.325)),
        ((1280, 720), {"anchor": "centre"}, (0, 11, 416, 234, 0.325, 0.325)),
        # On end: 256/720 limits, 404 * 256/720 = 143.6 columns, so 144 and its own scale across.
        ((404, 720), {}, (0, 0, 144, 256, 144 / 404, 256 / 720)),
        ((404, 720), {"anchor": "centre"}, (136, 0, 144, 256, 144 / 404, 256 / 720)),
        # Smaller frames grow.
        ((208, 128), {}, (0, 0, 416, 256, 2.0, 2.0)),
        ((416, 256), {}, (0, 0, 416, 256, 1.0, 1.0)),
        ((1280, 720), {"fit": "stretch"}, (0, 0, 416, 256, 0.325, 256 / 720)),
        ((416, 256), {"fit": "exact"}, (0, 0, 416, 256, 1.0, 1.0)),
        # A sliver keeps a row.
        ((4000, 2), {}, (0, 0, 416, 1, 0.104, 0.5)),
    ],
)
def test_where_a_frame_goes(frame: tuple[int, int], how: dict[str, str], expected: tuple[float, ...]) -> None:
    assert place(frame, (416, 256), spec(**how)) == pytest.approx(expected)


def test_an_exact_model_refuses_other_frames() -> None:
    with pytest.raises(ModelError, match=r"frame of 640x360: this model takes 416x256 only; set the camera"):
        Preparer(spec(fit="exact"), (416, 256)).prepare(picture(640, 360))


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    st.sampled_from(["letterbox", "stretch"]),
    st.sampled_from(["top-left", "centre"]),
)
def test_boxes_come_back_to_the_frame(frame: tuple[int, int], fit: str, anchor: str) -> None:
    """The corners of the picture within the input are the corners of the frame."""
    where = place(frame, (416, 256), spec(fit=fit, anchor=anchor))
    inner = np.array([[where.left, where.top, where.left + where.width, where.top + where.height]], np.float32)
    assert to_frame(inner, where) == pytest.approx(np.array([[0, 0, *frame]]), abs=0.01)
    assert 0 <= where.left <= where.left + where.width <= 416
    assert 0 <= where.top <= where.top + where.height <= 256


def test_no_boxes_come_back() -> None:
    assert to_frame(np.zeros((0, 4), np.float32), place((640, 360), (416, 256), spec())).shape == (0, 4)


def test_channels_and_padding() -> None:
    tensor, _ = Preparer(spec(pad=114), (416, 256)).prepare(picture(640, 360))
    assert tensor.shape == (1, 3, 256, 416)
    assert tensor.dtype == np.uint8
    for channel, value in enumerate((10, 20, 30)):
        assert (tensor[0, channel, :234] == value).all()
        assert (tensor[0, channel, 234:] == 114).all()


def test_a_model_of_the_camera_s_bytes_gets_them_as_they_lie() -> None:
    """Scaled and filled up where it must be, the frame itself where it fits, a copy of one with gaps between rows."""
    preparer = Preparer(spec(layout="nhwc", pad=114), (416, 256))
    tensor, _ = preparer.prepare(picture(640, 360))
    assert tensor.shape == (1, 256, 416, 3)
    assert tensor.flags.c_contiguous
    assert (tensor[0, :234] == (10, 20, 30)).all()
    assert (tensor[0, 234:] == 114).all()

    fitting = picture(416, 256)
    assert np.shares_memory(preparer.prepare(fitting)[0], fitting)

    gapped = np.random.default_rng(0).integers(0, 256, (256, 420, 3)).astype(np.uint8)[:, :416]
    tensor, _ = preparer.prepare(gapped)
    assert tensor.flags.c_contiguous
    assert (tensor[0] == gapped).all()


def test_both_layouts_show_the_same() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (360, 640, 3)).astype(np.uint8)
    planes, where = Preparer(spec(), (416, 256)).prepare(frame)
    rows, there = Preparer(spec(layout="nhwc"), (416, 256)).prepare(frame)
    assert (rows[0] == planes[0].transpose(1, 2, 0)).all()
    assert there == where


def test_rgb_models_get_red_first() -> None:
    tensor, _ = Preparer(spec(colour="rgb"), (416, 256)).prepare(picture(416, 256))
    assert tensor[0, :, 0, 0].tolist() == [30, 20, 10]


def test_mean_and_std() -> None:
    """(value - mean) / std per channel, in the input's own order of colours."""
    how = {"dtype": "float32", "mean": (5.0, 10.0, 15.0), "std": (5.0, 10.0, 2.0)}
    tensor, _ = Preparer(spec(**how), (416, 256)).prepare(picture(416, 256))
    assert tensor.dtype == np.float32
    assert tensor[0, :, 100, 100].tolist() == [1.0, 1.0, 7.5]


def test_float_without_mean_is_the_plain_value() -> None:
    tensor, _ = Preparer(spec(dtype="float32"), (416, 256)).prepare(picture(416, 256))
    assert tensor[0, :, 0, 0].tolist() == [10.0, 20.0, 30.0]


@pytest.mark.parametrize("size", [(416, 256), (416, 234), (640, 360), (1280, 720), (320, 240), (641, 361)])
def test_a_half_white_frame_is_half_white_in_place(size: tuple[int, int]) -> None:
    """Whatever the way of scaling, the edge between black and white stays where it is, to a pixel."""
    frame = picture(*size, bgr=(0, 0, 0))
    frame[:, size[0] // 2 :] = 255
    tensor, where = Preparer(spec(pad=0), (416, 256)).prepare(frame)
    row = tensor[0, 0, where.height // 2, : where.width]
    assert np.flatnonzero(row > 127)[0] == pytest.approx(where.width / 2, abs=1)


@pytest.mark.parametrize(
    ("frame", "to", "sizes"),
    [
        ((1280, 720), (416, 234), [(640, 360)]),
        ((1920, 1080), (416, 234), [(960, 540), (480, 270)]),
        ((768, 432), (416, 234), []),
        ((832, 512), (416, 256), [(416, 256)]),
        ((2561, 1440), (416, 234), []),  # an odd width cannot be halved
    ],
)
def test_halvings(frame: tuple[int, int], to: tuple[int, int], sizes: list[tuple[int, int]]) -> None:
    assert halvings(frame, to) == sizes


def test_fine_stripes_do_not_shine_through() -> None:
    """Stripes of one pixel at 1280 wide are grey at 416 and not a new pattern."""
    frame = picture(1280, 720, bgr=(0, 0, 0))
    frame[:, ::2] = 254
    tensor, where = Preparer(spec(), (416, 256)).prepare(frame)
    assert np.abs(tensor[0, :, : where.height].astype(int) - 127).max() <= 1


def test_the_memory_is_the_same_every_time_and_nothing_is_left_of_the_last_frame() -> None:
    preparer = Preparer(spec(pad=0), (416, 256))
    first, _ = preparer.prepare(picture(640, 360, bgr=(255, 255, 255)))
    second, where = preparer.prepare(picture(360, 640, bgr=(1, 1, 1)))
    assert np.shares_memory(first, second)
    assert set(np.unique(second)) == {0, 1}
    assert (second[0, :, :, where.width :] == 0).all()


def test_a_frame_with_gaps_between_its_rows() -> None:
    """The Pi's picture is a cut-out of a padded one."""
    padded = np.zeros((256, 448, 3), np.uint8)
    padded[:, :416] = (10, 20, 30)
    padded[:, 416:] = 99
    tensor, _ = Preparer(spec(), (416, 256)).prepare(padded[:, :416])
    assert tensor[0, :, 200, 415].tolist() == [10, 20, 30]
    assert 99 not in tensor
