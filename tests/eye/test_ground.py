# SPDX-License-Identifier: Apache-2.0
"""Pixels to metres: known views give known lengths; estimated ones come near and say how near; some are refused."""

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nigiwai.eye.ground import LEAST_PEOPLE, PEOPLE_M, Ground, Refusal, describe, estimate, given
from nigiwai.eye.view import View

SIZE = (1280, 720)
Floats = NDArray[np.float64]


def people(view: View, n: int, seed: int, far: tuple[float, float] = (2.5, 9.0), wobble: float = 0.02) -> Floats:
    """Boxes (n, 4) of whole people who stand in the view at `far` metres, one in six of them a child."""
    rng = np.random.default_rng(seed)
    boxes: list[Floats] = []
    while len(boxes) < n:
        x, y = rng.uniform(-2, 2), rng.uniform(*far)
        tall = rng.uniform(1.0, 1.4) if rng.random() < 1 / 6 else rng.normal(PEOPLE_M + 0.05, 0.09)
        (u, foot), (_, head) = view.project(np.array([[x, y, 0.0], [x, y, tall]]))
        if 5 < head < foot < SIZE[1] - 5 and 60 < u < SIZE[0] - 60:
            high = foot - head
            noise = rng.normal(0, wobble * high, 2)
            boxes.append(np.array([u - 0.2 * high, head + noise[0], u + 0.2 * high, foot + noise[1]]))
    return np.array(boxes)


def test_a_straight_down_view_has_the_textbooks_scale() -> None:
    # 3 m high, 90 degrees wide: 6 m over 1280 px.
    view = View(3.0, 90.0, 90.0, SIZE)
    assert given(view).length_m([(0, 360), (1280, 360)]) == pytest.approx(6.0)
    assert given(view).px_per_m((640, 360), (0, 1)) == pytest.approx(1280 / 6)


@for_all(st.floats(2.2, 6), st.floats(5, 89), st.floats(-3, 3), st.floats(1, 8), st.floats(0, 1.9))
@settings(max_examples=100, deadline=None)
def test_projecting_to_the_floor_undoes_projecting(high: float, tilt: float, x: float, y: float, z: float) -> None:
    view = View(high, tilt, 70.0, SIZE)
    pixel = view.project(np.array([x, y, z]))
    if np.isfinite(pixel).all():
        assert view.to_floor(pixel, z) == pytest.approx([x, y], abs=1e-6)


@pytest.mark.parametrize(("high", "tilt"), [(2.6, 15), (3.0, 30), (4.0, 35), (5.0, 45)])
def test_a_camera_is_found_from_the_people_it_sees(high: float, tilt: float) -> None:
    view = View(high, tilt, 70.0, SIZE)
    found = estimate(people(view, 200, 1), SIZE, 70.0)
    assert isinstance(found, Ground), describe(found)
    assert abs(found.view.height_m - high) < 2.5 * found.height_sd_m
    assert abs(found.view.height_m - high) < 0.15 * high
    assert abs(found.view.tilt_deg - tilt) < 5
    assert "lengths on the floor are known to" in describe(found)


def test_statures_come_with_their_doubt() -> None:
    view = View(3.0, 30.0, 70.0, SIZE)
    (u, foot), (_, head) = view.project(np.array([[0.5, 4.0, 0.0], [0.5, 4.0, 1.2]]))
    tall, doubt = given(view).stature_m((u - 20, head, u + 20, foot))
    assert tall == pytest.approx(1.2, abs=0.01)
    assert 0.03 < doubt < 0.1


def chance(n: int) -> Floats:
    rng = np.random.default_rng(4)
    foot, high = rng.uniform(250, 700, n), rng.uniform(20, 230, n)
    return np.stack([np.full(n, 300.0), foot - high, np.full(n, 400.0), foot], 1)


def from_above(n: int) -> Floats:
    """Somebody below a camera that looks straight down: head and feet on one ray, whichever is further out."""
    rng = np.random.default_rng(5)
    spots = np.column_stack((rng.uniform(-1, 1, n), rng.uniform(-0.9, 0.9, n), np.zeros(n)))
    view = View(3.5, 90.0, 90.0, SIZE)
    ends = np.stack((view.project(spots), view.project(spots + np.array([0, 0, 1.65]))), 1)
    return np.column_stack((ends[:, :, 0].min(1) - 60, ends[:, :, 1].min(1) - 60, ends.max(1) + 60))


REFUSED = {
    "too few": (people(View(3, 30, 70, SIZE), LEAST_PEOPLE - 1, 2), "whole people were seen"),
    "one distance": (people(View(3, 30, 70, SIZE), 100, 3, far=(4.0, 4.1)), "at one distance"),
    "boxes of chance": (chance(120), ""),
    "straight down": (from_above(120), ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_view_that_cannot_be_measured_is_refused_in_words(name: str) -> None:
    boxes, why = REFUSED[name]
    found = estimate(boxes, SIZE, 70.0)
    assert isinstance(found, Refusal)
    assert why in found.why
    assert describe(found).startswith("this view cannot be measured: ")
