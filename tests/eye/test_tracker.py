# SPDX-License-Identifier: Apache-2.0
"""The tracker: who is followed, under which number, whatever the detector and the clock do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nigiwai.clock import BootNs
from nigiwai.eye.assignment import assign
from nigiwai.eye.motion import TOES
from nigiwai.eye.tracker import Tracker, TrackerConfig
from nigiwai.eye.types import Detections, Track

SIZE = (640, 480)
S = 1_000_000_000
Box = tuple[float, float, float, float]


def detections(*boxes: Box, score: float = 0.9, scores: list[float] | None = None) -> Detections:
    given = np.array(scores if scores is not None else [score] * len(boxes), np.float32)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), given, np.zeros(len(boxes), np.uint8))


STANDS = TOES * 0.4 * 120
"""How far above the bottom of its box a body stands."""


def body(x: float, foot: float, height: float = 120.0) -> Box:
    return (x - 0.2 * height, foot - height, x + 0.2 * height, foot)


def follow(
    tracker: Tracker, frames: list[Detections], fps: float = 10.0, start: float = 0.0
) -> list[tuple[Track, ...]]:
    return [tracker.update(d, BootNs(round((start + i / fps) * S)), SIZE) for i, d in enumerate(frames)]


def numbers(shown: list[tuple[Track, ...]]) -> set[int]:
    return {t.number for tracks in shown for t in tracks}


@pytest.mark.parametrize("fps", [30, 15, 8, 5, 3])
def test_one_walker_keeps_one_number_at_any_rate(fps: float) -> None:
    steps = [detections(body(60 + 100 * i / fps, 300)) for i in range(int(4 * fps))]  # 1.2 m/s at 120 px a person
    shown = follow(Tracker(), steps, fps)
    assert numbers(shown) == {1}
    assert shown[-1][0].foot == pytest.approx((60 + 100 * (len(steps) - 1) / fps, 300 - STANDS), abs=3)


@pytest.mark.parametrize("fps", [15, 8, 5, 3])
def test_two_who_pass_each_other_keep_their_numbers(fps: float) -> None:
    frames = []
    for i in range(int(5 * fps)):
        x = 60 + 100 * i / fps
        frames.append(detections(body(x, 300), body(600 - x, 325)))
    last = follow(Tracker(), frames, fps)[-1]
    feet = {t.number: t.foot[0] for t in last}
    assert len(feet) == 2
    assert abs(max(feet.values()) - x) < 12
    first = follow(Tracker(), frames[: int(fps)], fps)[-1]
    assert {t.number for t in first} == set(feet)
    assert sorted(feet, key=lambda n: feet[n]) != sorted(feet, key=lambda n: {t.number: t.foot[0] for t in first}[n])


def test_a_gap_of_a_second_is_bridged_by_motion() -> None:
    tracker = Tracker()
    frames = [detections(body(60 + 10 * i, 300)) if not 15 <= i < 25 else Detections.empty() for i in range(40)]
    shown = follow(tracker, frames)
    assert numbers(shown) == {1}
    assert not shown[20][0].seen
    assert shown[-1][0].seen


def test_low_scores_continue_but_never_begin_a_track() -> None:
    low = [detections(body(60 + 10 * i, 300), score=0.2) for i in range(20)]
    assert numbers(follow(Tracker(), low)) == set()
    high_first = [detections(body(60 + 10 * i, 300), score=0.9 if i < 5 else 0.2) for i in range(40)]
    shown = follow(Tracker(), high_first)
    assert all(t.seen for tracks in shown[5:] for t in tracks)
    assert len(shown[-1]) == 1


def test_a_flash_of_one_frame_is_nobody() -> None:
    frames = [detections(body(300, 300)) if i == 5 else Detections.empty() for i in range(20)]
    assert numbers(follow(Tracker(), frames)) == set()


def test_at_three_frames_a_second_whoever_comes_in_is_not_taken_for_a_flash_of_two_frames_before() -> None:
    """One sight tells no speed: the newcomer is within what a walker might do."""
    flash, comes = detections(body(300, 300)), [detections(body(400 - 20 * i, 190)) for i in range(4)]
    shown = follow(Tracker(), [Detections.empty(), flash, Detections.empty(), *comes], 3)
    (first, *_) = [t for tracks in shown for t in tracks]
    assert first.origin is not None
    assert first.origin[0] == pytest.approx(400, abs=1)


def test_body_and_upper_body_are_one_person() -> None:
    frames = []
    for i in range(40):
        left, top, right, bottom = body(60 + 10 * i, 300)
        upper = (left, top + 2, right, bottom - 60)
        frames.append(detections((left, top, right, bottom), upper, scores=[0.8, 0.6]))
    shown = follow(Tracker(), frames)
    assert numbers(shown) == {1}


def test_a_box_that_flickers_between_body_and_upper_body_keeps_its_foot() -> None:
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(300):
        left, top, right, bottom = body(300, 300)
        frames.append(detections((left, top, right, bottom - (60 if rng.random() < 0.3 else 0))))
    feet = [t.foot[1] for tracks in follow(Tracker(), frames)[10:] for t in tracks]
    assert min(feet) > 300 - STANDS - 0.1 * 120


def test_wobble_is_smoothed() -> None:
    rng = np.random.default_rng(2)
    frames = [detections(tuple(np.array(body(300, 300)) + rng.normal(0, 6, 4))) for _ in range(600)]  # 5 % of 120 px
    feet = np.array([t.foot[1] for tracks in follow(Tracker(), frames, fps=15)[30:] for t in tracks])
    assert feet.std() < 0.03 * 120


def test_the_last_detection_is_told_as_it_came() -> None:
    rng = np.random.default_rng(5)
    boxes = [body(60 + 12 * i, 300 + float(rng.normal(0, 4))) for i in range(12)]
    shown = follow(Tracker(), [detections(b) for b in boxes])
    for tracks, box in list(zip(shown, boxes, strict=True))[4:]:
        assert tracks[0].detected == pytest.approx(box, abs=1e-3)
    short = (boxes[-1][0], boxes[-1][1], boxes[-1][2], boxes[-1][3] - 40)
    tracker = Tracker()
    cut = follow(tracker, [detections(b) for b in (*boxes, short)])[-1][0]
    assert cut.seen
    assert cut.detected is not None
    assert np.isnan(cut.detected).all()


def test_who_is_cut_by_the_pictures_edge_has_feet_beyond_it() -> None:
    """Somebody walks out at the bottom: the box ends at the edge, the feet go on."""
    frames = []
    for i in range(40):
        left, top, right, bottom = body(300, 380 + 6 * i)
        frames.append(detections((left, top, right, min(bottom, 480.0))))
    shown = follow(Tracker(), frames[:30])
    assert shown[-1][0].foot[1] > 520


def test_what_is_left_of_somebody_at_the_pictures_side_does_not_make_them_taller() -> None:
    """Somebody walks out to the left; of the last arm and leg the detector makes a box that reaches down by half."""
    frames = []
    for i in range(16):
        left, top, right, bottom = body(120 - 10 * i, 300)
        sliver = right < 0.5 * 48
        frames.append(detections((max(left, 0.0), top, right, bottom + (60 if sliver else 0)))) if right > 4 else None
    feet = [t.foot[1] for tracks in follow(Tracker(), frames) for t in tracks]
    assert len(feet) > 10
    assert max(feet) < 303 - STANDS


def test_who_passes_before_somebody_standing_does_not_lend_them_legs() -> None:
    """A box with the same head and the passer-by's legs, in one frame; of somebody who walks it is believed."""
    standing, walking = body(300, 300, 70), [body(200 + 8 * i, 300, 70) for i in range(40)]
    long = (standing[0], standing[1], standing[2], standing[3] + 60)
    stood = follow(Tracker(), [detections(long if i == 20 else standing) for i in range(40)])
    assert max(t.foot[1] for tracks in stood for t in tracks) < 310 - STANDS * 70 / 120
    came_out = [(x, y, right, bottom + (60 if i >= 20 else 0)) for i, (x, y, right, bottom) in enumerate(walking)]
    assert follow(Tracker(), [detections(b) for b in came_out])[-1][0].foot[1] > 350


def test_only_who_looks_like_a_person_on_the_whole_is_sure_to_be_one() -> None:
    def seen_with(*scores: float) -> Track:
        config = TrackerConfig(high_score=0.5)
        walk = [detections(body(60 + 10 * i, 300), score=scores[i % len(scores)]) for i in range(30)]
        return follow(Tracker(config), walk)[-1][0]

    assert seen_with(0.9).sure
    assert seen_with(0.9, 0.9, 0.2).sure  # half hidden now and then
    assert not seen_with(0.55, 0.4).sure  # a pram


def test_repeated_and_backward_times_are_ignored() -> None:
    tracker = Tracker()
    frames = [detections(body(60 + 10 * i, 300)) for i in range(10)]
    before = follow(tracker, frames)[-1]
    assert tracker.update(detections(body(500, 100)), BootNs(round(0.9 * S)), SIZE) == before
    assert tracker.update(detections(body(500, 100)), BootNs(round(0.5 * S)), SIZE) == before
    assert tracker.restarts == 0


def test_another_clock_or_frame_size_begins_anew_and_says_so() -> None:
    tracker = Tracker()
    follow(tracker, [detections(body(300, 300))] * 5, start=100.0)
    assert tracker.update(detections(body(300, 300)), BootNs(S), SIZE) == ()
    assert tracker.restarts == 1
    follow(tracker, [detections(body(300, 300))] * 5, start=2.0)
    assert tracker.update(detections(body(300, 300)), BootNs(3 * S), (320, 240)) == ()
    assert tracker.restarts == 2


def test_broken_boxes_and_other_kinds_are_nobody() -> None:
    boxes = np.array([[0, 0, np.nan, 9], [5, 5, 5, 50], [9, 9, 2, 2], [0, 0, np.inf, 1], [10, 10, 60, 200]], np.float32)
    odd = Detections(boxes, np.full(5, 0.9, np.float32), np.array([0, 0, 0, 0, 3], np.uint8))
    assert numbers(follow(Tracker(), [odd] * 10)) == set()


def test_tracks_are_bounded() -> None:
    rng = np.random.default_rng(3)
    tracker = Tracker(TrackerConfig(most=50))
    for i in range(20):
        low = rng.uniform(0, 400, (500, 2))
        many = Detections(
            np.hstack((low, low + 40)).astype(np.float32), np.full(500, 0.9, np.float32), np.zeros(500, np.uint8)
        )
        assert len(tracker.update(many, BootNs(i * S // 10), SIZE)) <= 50


@given(
    st.lists(
        st.tuples(
            st.integers(-2, 3).map(lambda n: n * S // 7),
            st.lists(st.tuples(*[st.floats(-50, 700, width=32)] * 4, st.floats(0, 1, width=32)), max_size=6),
        ),
        max_size=25,
    )
)
@settings(max_examples=80, deadline=None)
def test_nothing_makes_it_crash_and_numbers_never_return(frames: list[tuple[int, list[tuple[float, ...]]]]) -> None:
    tracker, at, ended, shown = Tracker(), 10 * S, set[int](), set[int]()
    for step, rows in frames:
        at += step
        boxes = np.array([r[:4] for r in rows], np.float32).reshape(-1, 4)
        found = Detections(boxes, np.array([r[4] for r in rows], np.float32), np.zeros(len(rows), np.uint8))
        now = {t.number for t in tracker.update(found, BootNs(at), SIZE)}
        ended |= shown - now
        assert not ended & now
        shown = now


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_the_assignment_is_the_cheapest(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 12, (n, m)).astype(float)
    cost[rng.random((n, m)) < 0.2] = np.inf
    alone = 8.0

    def best(row: int, free: frozenset[int]) -> float:
        if row == n:
            return 0.0
        options = [cost[row, c] + best(row + 1, free - {c}) for c in free if cost[row, c] < alone]
        return min([alone + best(row + 1, free), *options])

    rows, columns = (each.tolist() for each in np.indices((n, m)).reshape(2, -1))
    taken = assign(rows, columns, cost.ravel().tolist(), alone)
    assert len({columns[k] for k in taken}) == len(taken)
    assert len({rows[k] for k in taken}) == len(taken)
    total = sum(cost.ravel()[taken]) + alone * (n - len(taken))
    assert total == pytest.approx(best(0, frozenset(range(m))))


def above(x: float, y: float, wide: float = 90.0, high: float = 90.0) -> Box:
    """Somebody, or something, seen from straight above."""
    return (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)


@pytest.mark.parametrize(("config", "people"), [(TrackerConfig(), 2), (TrackerConfig().from_above(), 1)])
def test_what_lies_within_somebody_seen_from_above_is_a_part_of_them(config: TrackerConfig, people: int) -> None:
    """A trolley case at somebody's heels; seen from the side a child before its parent is as much within."""
    frames = [detections(above(200, 80 + 12 * i), above(215, 105 + 12 * i, 50, 36)) for i in range(20)]

    assert len(numbers(follow(Tracker(config), frames))) == people


@pytest.mark.parametrize(("offset", "people"), [(0, 1), (30, 2), (60, 2)])
def test_two_side_by_side_seen_from_above_stay_two(offset: float, people: int) -> None:
    """60 px is two thirds of their breadth, and 30 a third: a smaller one who sticks out is somebody."""
    frames = [detections(above(200, 80 + 12 * i), above(200 + offset, 80 + 12 * i, 66, 66)) for i in range(20)]

    assert len(numbers(follow(Tracker(TrackerConfig().from_above()), frames))) == people


@pytest.mark.parametrize(("config", "people"), [(TrackerConfig(), 2), (TrackerConfig().from_above(), 1)])
def test_two_boxes_that_half_cover_each_other_from_above_are_one_person(config: TrackerConfig, people: int) -> None:
    """The detector's second thoughts: the same body, a third further on. Seen from the side, who is behind shows so."""
    frames = [detections(above(200, 80 + 12 * i), above(208, 106 + 12 * i, 84, 84)) for i in range(20)]

    assert len(numbers(follow(Tracker(config), frames))) == people


def test_from_above_a_low_score_may_be_as_far_off_as_a_high_one() -> None:
    """Nobody is behind anybody there, so it is hardly somebody else's: who steps aside keeps their number."""
    frames = [detections(above(200, 80 + 10 * i)) for i in range(8)] + [detections(above(238, 160), score=0.35)]

    def kept(config: TrackerConfig) -> bool:
        return [t.seen for t in follow(Tracker(config), frames)[-1]] == [True]

    steep = TrackerConfig().from_above()
    assert kept(steep)
    assert not kept(replace(steep, low_gate=TrackerConfig().low_gate))


@pytest.mark.parametrize(("config", "people"), [(TrackerConfig(), 1), (TrackerConfig().from_above(), 2)])
def test_from_above_nobody_comes_back_from_behind_anybody(config: TrackerConfig, people: int) -> None:
    walk = [detections(above(200, 60 + 12 * i)) for i in range(28)]
    hidden = [detections() if 10 <= i < 20 else seen for i, seen in enumerate(walk)]

    assert len(numbers(follow(Tracker(config), hidden))) == people


@pytest.mark.parametrize(("config", "people"), [(TrackerConfig(), 2), (TrackerConfig().from_above(), 1)])
def test_from_above_nobody_is_where_somebody_else_is_seen(config: TrackerConfig, people: int) -> None:
    """The second walks into the first and is not seen any more: from the side hidden, from above never there."""
    both = [detections(above(200, 80 + 12 * i), above(310 - 8 * i, 80 + 12 * i)) for i in range(7)]
    one = [detections(above(200, 80 + 12 * i)) for i in range(7, 13)]

    shown = follow(Tracker(config), both + one, 10.0)
    assert len(shown[6]) == 2
    assert len(shown[-1]) == people


def test_at_three_frames_a_second_who_is_missed_once_is_not_elsewhere() -> None:
    """A third of a second is one frame there: whoever passes close by another and is seen again keeps their number."""
    others = [above(300 - 30 * i, 110) for i in range(5)]
    frames = [detections(above(200, 80), *([] if i == 3 else [other])) for i, other in enumerate(others)]

    shown = follow(Tracker(TrackerConfig().from_above()), frames, 3.0)
    assert (len(numbers(shown)), len(shown[-1])) == (2, 2)


def test_from_above_a_box_is_believed_that_grows_and_shrinks_with_every_step() -> None:
    """Ten frames a second, two steps a second: the box is 30 % longer in mid step."""
    long = [90 * (1.15 + 0.15 * np.sin(2 * np.pi * i / 5)) for i in range(25)]
    frames = [detections(above(200, 60 + 14 * i, high=high)) for i, high in enumerate(long)]

    def off(config: TrackerConfig) -> float:
        shown = [found[0].height_px for found in follow(Tracker(config), frames, 10.0) if found]
        return float(np.sqrt(np.mean((np.array(shown[5:]) - long[-len(shown) :][5:]) ** 2)))

    assert off(TrackerConfig().from_above()) < 0.5 * off(TrackerConfig())
