# SPDX-License-Identifier: Apache-2.0
"""Gates: walks as tables, then laws that hold for any walk."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nigiwai.clock import BootNs
from nigiwai.eye.gate_line import GateLine
from nigiwai.eye.gates import HYSTERESIS, TABLE, Gates, Side, Step
from nigiwai.eye.types import Crossing, Track
from nigiwai.geometry import Point, signed_distance
from nigiwai.settings import Gate

SIZE = (1000, 1000)
DOOR = Gate(name="door", line=((0.2, 0.5), (0.8, 0.5)), inside=(0.5, 0.2))
HEIGHT = 200.0
BAND = HYSTERESIS * HEIGHT  # 29.4 px
S = 1_000_000_000

Spot = tuple[float, float]


def track(foot: Spot, number: int = 1, seen: bool = True, age_s: float = 0.0, origin: Spot | None = None) -> Track:
    x, y = foot
    return Track(number, (x - 40, y - HEIGHT, x + 40, y), foot, age_s, seen, origin)


def walk(spots: list[Spot], gate: Gate = DOOR, step_s: float = 0.1, end: bool = False) -> list[tuple[str, float]]:
    """(direction, seconds) of each crossing of one person who is at spot i at i * step_s."""
    gates, crossings = Gates([gate], SIZE), []
    for i, spot in enumerate(spots):
        crossings += gates.update([track(spot)], BootNs(round(i * step_s * S)))
    if end:
        crossings += gates.update([], BootNs(round((len(spots) + 20) * step_s * S)))
    return [(c.direction.value, c.at / S) for c in crossings]


def up(*ys: float) -> list[Spot]:
    return [(500.0, y) for y in ys]


WALKS = {
    "straight in": (up(600, 550, 450, 400), ["in"]),
    "straight out": (up(400, 450, 550, 600), ["out"]),
    "in one step": (up(700, 300), ["in"]),
    "turns back before the line": (up(600, 520, 600), []),
    "turns back on the line": (up(600, 520, 490, 480, 510, 600), []),
    "turns back just beyond the band": (up(600, 500, 470, 520, 600), ["in", "out"]),
    "waits on the line, then goes in": (up(600, 510, *[490, 510] * 50, 495, 400), ["in"]),
    "waits on the line, then goes back": (up(600, 510, *[490, 510] * 50, 495, 600), []),
    "dithers on the line for ever": (up(*[500 + 25 * math.sin(i) for i in range(500)]), []),
    "along the line": ([(x, 500 + 20 * math.sin(x / 30)) for x in range(100, 900, 20)], []),
    "round the end": ([(100, 600), (100, 400), (500, 400)], []),
    "in through the gate, back round the end": ([(500, 600), (500, 400), (100, 400), (100, 600)], ["in"]),
    "in round the end, out through the gate": ([(100, 600), (100, 400), (500, 400), (500, 600)], ["out"]),
    "just beside the end is through": ([(180, 600), (180, 400)], ["in"]),
    "sideways in the band, then on": ([(100, 510), (500, 510), (500, 490), (500, 400)], ["in"]),
    "in and out again": (up(600, 400, 600), ["in", "out"]),
    "standing": (up(*[520] * 100), []),
    "found just over the line, walking in": (up(495, 487, 479, 471, 460, 444), ["in"]),
    "found just over the line, a few steps only": (up(495, 487, 479, 471, 460), []),
    "found just over the line, lingering": (up(*[485] * 20, 470, 450), []),
}


@pytest.mark.parametrize("name", WALKS)
def test_walks(name: str) -> None:
    spots, expected = WALKS[name]
    assert [direction for direction, _ in walk(spots)] == expected


@pytest.mark.parametrize(
    ("ended", "people"),
    [
        (430.0, 1),  # lost just beyond the line: the track went on under another number
        (200.0, 2),  # lost two steps further in: the next in a file of people, hidden until they are at the line
    ],
)
def test_who_appears_at_the_gate_is_taken_for_whoever_was_lost_there_and_for_nobody_else(
    ended: float, people: int
) -> None:
    gates, crossings, at = Gates([DOOR], SIZE), 0, 0
    ways = ((1, np.linspace(640, ended, 12)), (2, np.linspace(495, 300, 10)))
    for number, ys in ways:
        for y in ys.tolist():
            at += S // 10
            crossings += len(gates.update([track((500.0, y), number)], BootNs(at)))
    assert crossings == people


def test_a_crossing_is_dated_to_where_the_foot_met_the_line() -> None:
    # From y = 600 at 0.0 s to y = 400 at 1.0 s: y = 500 at 0.5 s.
    assert walk(up(600, 400), step_s=1.0) == [("in", pytest.approx(0.5, abs=1e-3))]


def test_somebody_last_seen_walking_over_the_line_went_through() -> None:
    assert [d for d, _ in walk(up(600, 550, 515, 490), end=True)] == ["in"]


def test_somebody_last_seen_waiting_on_the_line_did_not() -> None:
    assert walk(up(600, 550, *[505] * 30), end=True) == []


def test_a_flicker_that_slipped_over_the_line_did_not() -> None:
    # From 40 px outside to 5 px inside: less than PROVEN (50 px), as two raw boxes of a still person may be apart.
    assert walk(up(540, 495), end=True) == []


def test_the_way_before_a_track_was_certain_counts() -> None:
    gates = Gates([DOOR], SIZE)
    assert gates.update([track((500, 400), age_s=0.5, origin=(500, 600))], BootNs(S)) != ()


def test_who_may_be_no_person_is_judged_when_it_is_sure() -> None:
    def crossings(surely: list[bool], *ys: float) -> list[tuple[str, float]]:
        gates, found = Gates([DOOR], SIZE), []
        for i, (spot, sure) in enumerate(zip(up(*ys), surely, strict=True)):
            found += gates.update([track(spot)._replace(sure=sure)], BootNs(i * S))
        found += gates.update([], BootNs(60 * S))
        return [(c.direction.value, round(c.at / S, 3)) for c in found]

    way = (600.0, 400.0, 350.0, 300.0)
    assert crossings([False] * 4, *way) == []
    assert crossings([False, False, True, True], *way) == [("in", 0.5)]
    assert crossings([True, False, False, True], 600, 400, 600, 650) == []
    assert crossings([False, False], 600, 490) == []


def test_unseen_tracks_do_not_move() -> None:
    gates = Gates([DOOR], SIZE)
    gates.update([track((500, 600))], BootNs(S))
    assert gates.update([track((500, 400), seen=False)], BootNs(2 * S)) == ()
    assert len(gates.update([track((500, 400))], BootNs(3 * S))) == 1


def test_repeated_and_backward_times_change_nothing() -> None:
    gates = Gates([DOOR], SIZE)
    gates.update([track((500, 600))], BootNs(2 * S))
    assert gates.update([track((500, 400))], BootNs(2 * S)) == ()
    assert gates.update([track((500, 400))], BootNs(S)) == ()
    assert len(gates.update([track((500, 400))], BootNs(3 * S))) == 1


def test_a_gate_near_the_edge_counts_who_leaves_the_picture() -> None:
    gate = Gate(name="door", line=((0.0, 0.97), (1.0, 0.97)), inside=(0.5, 0.5))
    # 30 px of room below the line: the band shrinks to 15 px there.
    assert [d for d, _ in walk(up(800, 900, 960, 990), gate)] == ["out"]


def test_two_gates_count_one_walk_each() -> None:
    far = Gate(name="far", line=((0.2, 0.3), (0.8, 0.3)), inside=(0.5, 0.1))
    gates = Gates([DOOR, far], SIZE)
    events: list[Crossing] = []
    for i, y in enumerate((600, 400, 200)):
        events += gates.update([track((500, y))], BootNs(i * S))
    assert [(e.gate, e.direction.value) for e in events] == [("door", "in"), ("far", "in")]


def test_side_by_side_two_count_two() -> None:
    gates = Gates([DOOR], SIZE)
    pair = [[track((450, y), 1), track((550, y), 2)] for y in (600, 500, 400)]
    assert sum(len(gates.update(tracks, BootNs(i * S))) for i, tracks in enumerate(pair)) == 2


def test_no_gates_no_crossings() -> None:
    assert Gates([], SIZE).update([track((1, 1))], BootNs(1)) == ()


def test_the_table_is_complete() -> None:
    clear = (Side.OUTSIDE, Side.INSIDE)
    assert set(TABLE) == {(was, now) for was in Side for now in clear}
    assert {s for (was, now), s in TABLE.items() if was is now} == {Step.STAY}


def test_nothing_is_kept_of_people_who_left() -> None:
    gates = Gates([DOOR], SIZE)
    for n in range(2_000):
        gates.update([track((500, 600 - 100 * (n % 3)), n)], BootNs(n * S))
    assert len(gates._lanes[0].people) == 1
    assert len(gates._lanes[0].counted) <= 64


# --- laws ---------------------------------------------------------------------------------------------------------

coordinate = st.integers(0, 1000).map(float)
spots = st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=12)
gate_lines = st.sampled_from(
    [
        DOOR,
        Gate(name="door", line=((0.1, 0.2), (0.9, 0.7)), inside=(0.2, 0.9)),
        Gate(name="door", line=((0.4, 0.1), (0.45, 0.9)), inside=(0.9, 0.5)),
    ]
)
DIRECTIONS = ("in", "out")


def counts(spots: list[Spot], gate: Gate, step_s: float = 0.5) -> tuple[int, ...]:
    directions = [d for d, _ in walk(spots, gate, step_s)]
    return tuple(directions.count(d) for d in DIRECTIONS)


def clear_of(gate: Gate, spot: Spot) -> bool:
    """Whether the spot is clearly on a side, so that neither birth nor end needs judging."""
    line = [Point(x * 1000, y * 1000) for x, y in gate.line]
    return abs(signed_distance(Point(*spot), line)) > BAND


@given(spots, gate_lines)
@settings(max_examples=200, deadline=None)
def test_turning_the_line_round_changes_nothing(path: list[Spot], gate: Gate) -> None:
    turned = Gate(name=gate.name, line=gate.line[::-1], inside=gate.inside)
    assert counts(path, gate) == counts(path, turned)


@given(spots, gate_lines)
@example([(0.0, 359.0), (1000.0, 529.0)], DOOR)  # along the very edge of the picture, to the left and to the right
@settings(max_examples=200, deadline=None)
def test_a_mirrored_walk_counts_the_same(path: list[Spot], gate: Gate) -> None:
    mirrored_gate = Gate(
        name="door", line=tuple((1 - x, y) for x, y in gate.line), inside=(1 - gate.inside[0], gate.inside[1])
    )
    assert counts(path, gate) == counts([(1000 - x, y) for x, y in path], mirrored_gate)


@given(spots, gate_lines)
@settings(max_examples=200, deadline=None)
def test_the_other_side_inside_swaps_in_and_out(path: list[Spot], gate: Gate) -> None:
    (ax, ay), (bx, by) = gate.line[0], gate.line[-1]
    middle = ((ax + bx) / 2, (ay + by) / 2)
    other = (2 * middle[0] - gate.inside[0], 2 * middle[1] - gate.inside[1])
    if not (0 <= other[0] <= 1 and 0 <= other[1] <= 1):
        other = (middle[0] + 0.1 * (middle[0] - gate.inside[0]), middle[1] + 0.1 * (middle[1] - gate.inside[1]))
    assert counts(path, gate) == counts(path, Gate(name="door", line=gate.line, inside=other))[::-1]


@given(spots, gate_lines)
@settings(max_examples=200, deadline=None)
def test_a_walk_backwards_swaps_in_and_out(path: list[Spot], gate: Gate) -> None:
    if not (clear_of(gate, path[0]) and clear_of(gate, path[-1])):
        return
    assert counts(path, gate) == counts(path[::-1], gate)[::-1]


@given(spots, gate_lines, st.lists(st.integers(1, 5), min_size=11, max_size=11))
@settings(max_examples=200, deadline=None)
def test_more_frames_on_the_same_walk_count_the_same(path: list[Spot], gate: Gate, pieces: list[int]) -> None:
    if not (clear_of(gate, path[0]) and clear_of(gate, path[-1])):
        return
    fine: list[Spot] = [path[0]]
    for (a, b), n in zip(pairwise(path), pieces, strict=False):
        fine += [(a[0] + (b[0] - a[0]) * k / n, a[1] + (b[1] - a[1]) * k / n) for k in range(1, n + 1)]
    assert counts(path, gate) == counts(fine, gate)


@given(spots, st.lists(st.floats(0.01, 5.0), min_size=12, max_size=12))
@settings(max_examples=100, deadline=None)
def test_the_times_of_frames_do_not_matter_to_whole_passages(path: list[Spot], gaps: list[float]) -> None:
    if not (clear_of(DOOR, path[0]) and clear_of(DOOR, path[-1])):
        return
    gates, at, found = Gates([DOOR], SIZE), 0.0, []
    for spot, gap in zip(path, gaps, strict=False):
        at += gap
        found += gates.update([track(spot)], BootNs(round(at * S)))
    assert tuple(sum(c.direction.value == d for c in found) for d in DIRECTIONS) == counts(path, DOOR)


@given(spots, gate_lines)
@settings(max_examples=100, deadline=None)
def test_ins_and_outs_of_one_person_alternate_through_a_gate_as_wide_as_the_view(path: list[Spot], gate: Gate) -> None:
    wide = Gate(name="door", line=((0.0, 0.5), (1.0, 0.5)), inside=gate.inside if gate is DOOR else (0.5, 0.1))
    directions = [d for d, _ in walk(path, wide)]
    assert all(a != b for a, b in pairwise(directions))


@given(
    st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=5, unique=True),
    st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=20),
)
@settings(max_examples=150, deadline=None)
def test_the_fast_distance_is_the_reference_distance(line: list[Spot], points: list[Spot]) -> None:
    corners = [Point(*p) for p in line]
    fast = GateLine(tuple(corners), 1.0, SIZE).inner_of(np.array(points).T)
    slow = [signed_distance(Point(*p), corners) for p in points]
    assert np.abs(fast) == pytest.approx(np.abs(slow), abs=1e-6)
    far = np.abs(slow) > 1e-6
    assert (np.sign(fast) == np.sign(slow))[far].all()
