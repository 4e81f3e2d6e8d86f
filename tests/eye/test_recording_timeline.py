# SPDX-License-Identifier: Apache-2.0
"""A recording's clock: every way in which containers' stamps have been seen to go wrong."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nigiwai.eye.cameras.timeline import READ_AHEAD, Thinner, Timeline


def times(stamps_ms: list[float], rate: float = 25.0) -> list[float]:
    """The times of all frames, as a recording asks for them: READ_AHEAD frames late."""
    timeline, out = Timeline(rate), []
    for i, stamp in enumerate(stamps_ms):
        timeline.add(stamp)
        if i >= READ_AHEAD:
            out.append(timeline.next())
    while len(out) < len(stamps_ms):
        out.append(timeline.next())
    return [round(t, 6) for t in out]


@pytest.mark.parametrize(
    ("stamps_ms", "expected_s"),
    [
        ([], []),
        ([0], [0.0]),
        ([0, 40, 80], [0.0, 0.04, 0.08]),
        # Unequal steps are kept: 12 fps, a pause of 10 s, 25 fps.
        ([0, 83, 10_083, 10_123], [0.0, 0.083, 10.083, 10.123]),
        # A recording that begins late keeps its own clock.
        ([5_000, 5_040], [5.0, 5.04]),
        # Right stamps on wrong frames (a raw H.264 stream boxed later): sorted.
        ([83, 0, 167, 417, 333, 500, 250, 583], [0.0, 0.083, 0.167, 0.25, 0.333, 0.417, 0.5, 0.583]),
        # MPEG program streams: the last frame has none. One step after the one before.
        ([0, 80, 120, 160, 200, 240, 0], [0.0, 0.08, 0.12, 0.16, 0.2, 0.24, 0.28]),
        # A raw stream has none at all: the rate, 25 frames a second, stands in.
        ([0, 0, 0, 0, 0, 0], [0.0, 0.04, 0.08, 0.12, 0.16, 0.2]),
        # Two recordings joined: the second goes on one step after the first.
        ([0, 40, 80, 120, 160, 60_000, 60_040, 0, 40, 80], [0, 0.04, 0.08, 0.12, 0.16, 60, 60.04, 60.08, 60.12, 60.16]),
    ],
)
def test_times_follow_the_container_and_grow(stamps_ms: list[float], expected_s: list[float]) -> None:
    assert times(stamps_ms) == pytest.approx(expected_s, abs=0.0005)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf"), 90_000.0])
def test_a_rate_that_cannot_be_is_not_believed(rate: float) -> None:
    assert times([0, 0, 0], rate) == pytest.approx([0.0, 0.04, 0.08])


def test_half_of_the_stamps_missing_shifts_nothing() -> None:
    stamps = [float(i * 40 if i % 2 == 0 else 0) for i in range(50)]
    assert times(stamps) == pytest.approx([i * 0.04 for i in range(50)], abs=0.001)


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(float("nan")), st.just(0.0)), max_size=60))
def test_times_grow_whatever_the_stamps(stamps_ms: list[float]) -> None:
    out = times(stamps_ms)
    assert len(out) == len(stamps_ms)
    assert all(a < b for a, b in pairwise(out))


def chosen(fps: float | None, times_s: list[float]) -> list[float]:
    thinner = Thinner(fps)
    return [t for t in times_s if thinner.wants(t)]


@pytest.mark.parametrize(
    ("fps", "times_s", "expected"),
    [
        (None, [0.0, 0.01, 0.02], [0.0, 0.01, 0.02]),
        (5.0, [0.0, 0.1, 0.2, 0.3, 0.4], [0.0, 0.2, 0.4]),
        # Stamps rounded to milliseconds: 0.333 is due at 1/3.
        (3.0, [0.0, 0.333, 0.667, 1.0], [0.0, 0.333, 0.667, 1.0]),
        # Faster than the recording: every frame.
        (60.0, [0.0, 0.1, 0.2], [0.0, 0.1, 0.2]),
        # After a pause the pace begins anew instead of catching up.
        (5.0, [0.0, 10.0, 10.1, 10.2], [0.0, 10.0, 10.2]),
        (5.0, [], []),
    ],
)
def test_thinning_goes_by_time(fps: float | None, times_s: list[float], expected: list[float]) -> None:
    assert chosen(fps, times_s) == expected


def test_thinning_keeps_its_pace_between_frames() -> None:
    """12 frames a second thinned to 5: five of any second, though no frame lies exactly on the fifth."""
    kept = chosen(5.0, [i / 12 for i in range(12 * 60)])
    assert len(kept) == 5 * 60
