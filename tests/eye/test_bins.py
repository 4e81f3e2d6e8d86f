# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.clock import BootNs
from nigiwai.door.records import Bin, Flag
from nigiwai.eye.bins import BinBuilder
from nigiwai.eye.types import Crossing, Direction

RUN = "a" * 32
S = 1_000_000_000


def builder(start_s: float = 0.0) -> BinBuilder:
    return BinBuilder(RUN, ["door"], BootNs(int(start_s * S)))


def frames(b: BinBuilder, times_s: Iterable[float], flags: Iterable[Flag] = ()) -> list[Bin]:
    flags = list(flags)
    return [closed for t in times_s for closed in b.update(BootNs(int(t * S)), (), flags)]


def crossing(direction: Direction, t: float = 0.0) -> Crossing:
    return Crossing("door", direction, BootNs(int(t * S)))


def test_a_bin_that_was_watched_all_the_time_has_no_blind_time() -> None:
    bins = frames(builder(), [i / 10 for i in range(101)])
    assert [(b.sequence, b.start_ms, b.length_ms, b.blind_ms) for b in bins] == [(1, 0, 5000, 0), (2, 5000, 5000, 0)]


@pytest.mark.parametrize(
    ("times_s", "blind_ms"),
    [
        ([0, 1, 2, 3, 4, 5], 0),  # one second apart is just near enough
        ([0, 1, 3, 4, 5], 2000),  # two seconds unseen
        ([2, 3, 4, 5], 2000),  # the camera started late
        ([0, 5], 5000),
        ([0, 1, 1, 0.5, 2, 3, 4, 5], 0),  # repeated and backward stamps
        ([0, 0.9, 4.6, 5.2], 3700),  # the last 0.4 s of the bin are covered by a frame after it
    ],
)
def test_time_that_no_frame_proves_is_blind(times_s: list[float], blind_ms: int) -> None:
    assert [b.blind_ms for b in frames(builder(), times_s)] == [blind_ms]


def test_a_covered_camera_delivers_frames_and_sees_nothing() -> None:
    b = builder()
    frames(b, [0, 0.5, 1.0])
    frames(b, [1.5, 2.0, 2.5], [Flag.COVERED])
    (closed,) = frames(b, [3.0, 3.5, 4.0, 4.5, 5.0])
    assert (closed.blind_ms, closed.flags) == (2000, (Flag.COVERED,))


def test_bins_close_without_frames() -> None:
    closed = builder().tick(BootNs(12 * S))
    assert [(b.blind_ms, b.start_ms) for b in closed] == [(5000, 0), (5000, 5000)]


def test_crossings_count_in_the_bin_that_is_open_when_they_are_decided() -> None:
    b = builder()
    b.update(BootNs(4 * S), [crossing(Direction.IN)], ())
    (first,) = b.update(BootNs(int(5.2 * S)), [crossing(Direction.OUT, t=4.8), crossing(Direction.IN)], ())
    (second,) = b.finish(BootNs(6 * S))
    assert (first.gates[0].entered, first.gates[0].left) == (1, 0)
    assert (second.gates[0].entered, second.gates[0].left, second.length_ms) == (1, 1, 1000)


def test_a_gate_without_passages_is_there_with_zeros() -> None:
    (closed,) = BinBuilder(RUN, ["a", "b"], BootNs(0)).tick(BootNs(5 * S))
    assert [(g.gate, g.entered, g.left) for g in closed.gates] == [("a", 0, 0), ("b", 0, 0)]


@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from(["in", "out", None])), max_size=60))
def test_every_crossing_is_in_exactly_one_bin_and_no_time_is_lost(steps: list[tuple[float, str | None]]) -> None:
    b = builder()
    bins: list[Bin] = []
    t = 0.0
    for gap, direction in steps:
        t += gap
        crossings = [crossing(Direction(direction), t)] if direction else []
        bins += b.update(BootNs(int(t * S)), crossings, ())
    bins += b.finish(BootNs(int(t * S)))
    assert sum(x.gates[0].entered for x in bins) == sum(d == "in" for _, d in steps)
    assert sum(x.gates[0].left for x in bins) == sum(d == "out" for _, d in steps)
    assert [x.sequence for x in bins] == list(range(1, len(bins) + 1))
    assert all(y.start_ms == x.start_ms + x.length_ms for x, y in pairwise(bins))
    assert all(0 <= x.blind_ms <= x.length_ms for x in bins)
