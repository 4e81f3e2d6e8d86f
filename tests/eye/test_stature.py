# SPDX-License-Identifier: Apache-2.0
"""Heights over the floor, and what they say about being a child."""

import json
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from models.synthetic import stature as recipe
from models.synthetic.actors import Actor, make_actor, turn_matrix
from models.synthetic.bodies import Body, load_bodies
from models.synthetic.gait import Pose, bone_matrices, joint_rotations, skin
from nigiwai.clock import BootNs
from nigiwai.eye import growth
from nigiwai.eye.ground import given
from nigiwai.eye.sight import STEP_NS, Sight, covered, is_whole, whole
from nigiwai.eye.stature import (
    HEAD_M,
    LEAN_M,
    STRIDE_M,
    STRIDING,
    SUNK,
    TOES_M,
    Looks,
    Series,
    Stature,
    Statures,
    _weighted_median,
    statures_m,
    strides_of,
)
from nigiwai.eye.types import Track
from nigiwai.eye.view import View
from tests.conftest import ROOT

VIEW = View(2.8, 30.0, 75.0, (640, 384))


def box_of(view: View, x: float, y: float, tall: float, stride: float = 0.0) -> tuple[float, float, float, float]:
    """The box of an upright figure, toes towards the camera."""
    scale, crown = tall / 1.65, tall * (1 - SUNK - STRIDING * abs(stride))
    toes, head = TOES_M + STRIDE_M * abs(stride), HEAD_M + LEAN_M * stride
    points = [[x, y - toes * scale, 0.0], [x, y + head * scale, crown]]
    (left, bottom), (right, top) = view.project(np.array(points))
    middle, half = (left + right) / 2, 0.16 * (bottom - top)
    return middle - half, top, middle + half, bottom


@pytest.mark.parametrize("distortion", [0.0, 0.12])
@pytest.mark.parametrize("tilt", [15.0, 30.0, 45.0])
@pytest.mark.parametrize("stride", [0.0, 0.5, 1.0, -1.0])
@pytest.mark.parametrize("tall", [0.9, 1.2, 1.65, 1.9])
def test_an_upright_figure_is_measured_anywhere_on_the_floor(
    tall: float, stride: float, tilt: float, distortion: float
) -> None:
    view = View(2.8, tilt, 75.0, (640, 384), distortion)
    places = [(x, y) for x in (-0.8, 0.0, 1.0) for y in (3.0, 4.0, 6.0)]
    boxes = np.array([box_of(view, x, y, tall, stride) for x, y in places])
    assert statures_m(view, boxes, np.full(len(boxes), stride)) == pytest.approx(tall, abs=0.02)


def test_who_walks_towards_the_camera_or_away_strides_and_nobody_else() -> None:
    boxes = np.tile(box_of(VIEW, 0.0, 4.0, 1.65), (5, 1))
    middle = (boxes[0, :2] + boxes[0, 2:]) / 2
    (x, y), z = VIEW.to_floor(middle, 0.8), 0.8
    ways = [(0.0, -1.2), (0.0, 0.3), (1.2, 0.0), (0.0, 0.0)]  # m/s: nearer, slowly away, across, standing
    pixels = [(VIEW.project(np.array([x + u * 0.1, y + v * 0.1, z])) - middle) / 0.1 for u, v in ways]
    velocities = np.array([*pixels, (np.nan, np.nan)])
    assert strides_of(VIEW, boxes, velocities) == pytest.approx([-1.0, 0.5, 0.0, 0.0, 0.0], abs=0.05)


@pytest.mark.parametrize("speed", [0.0, 1.1])
@pytest.mark.parametrize("tilt", [20.0, 30.0, 45.0])
def test_bodies_that_stand_or_walk_are_measured_right_in_the_middle(tilt: float, speed: float) -> None:
    """The outlines of rendered bodies, step by step, towards the camera and away: an outline knows nothing of eye's."""
    view, rng = View(3.0, tilt, 80.0, (640, 360), 0.1), np.random.default_rng(11)
    ahead = 2.0 / np.tan(np.radians(tilt))
    off = []
    for body in load_bodies("sample"):
        actor = make_actor(1, body, 0, rng)
        for phase in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            heading = rng.choice([-np.pi / 2, np.pi / 2])
            box = outline(body, actor, view, Pose(phase, speed), heading, ahead)
            tall = statures_m(view, box[None], np.sign(np.array([heading])) * (speed > 0))
            off.append(float(tall[0]) - body.human.stature_m - growth.SHOES_CM / 100)
    assert abs(np.median(off)) < 0.03


def outline(body: Body, actor: Actor, view: View, pose: Pose, heading: float, ahead: float) -> np.ndarray:
    """The box (4,) around a rendered body that stands or walks `ahead` m before the camera."""
    posed, _ = skin(body, bone_matrices(body, joint_rotations(body, pose, actor.manner)))
    at = view.project(posed @ turn_matrix(heading).T + np.array([0.0, ahead, 0.0]))
    return np.concatenate((at.min(axis=0), at.max(axis=0)))


def test_whoever_comes_is_as_tall_as_when_they_leave() -> None:
    view, rng = View(3.3, 55.0, 80.0, (640, 360), 0.1), np.random.default_rng(11)
    away, nearer, ahead = np.pi / 2, -np.pi / 2, view.height_m / np.tan(np.radians(view.tilt_deg))
    poses = [Pose(phase, 1.1) for phase in np.linspace(0, 2 * np.pi, 12, endpoint=False)]
    off, ignored = [], []
    for body in load_bodies("sample"):
        actor = make_actor(1, body, 0, rng)
        ways = [[outline(body, actor, view, p, heading, ahead) for p in poses] for heading in (away, nearer)]
        talls = [
            np.median(statures_m(view, np.array(w), np.full(12, s))) for w, s in zip(ways, (1.0, -1.0), strict=True)
        ]
        alike = [np.median(statures_m(view, np.array(w), np.full(12, 1.0))) for w in ways]
        off.append(talls[0] / talls[1] - 1)
        ignored.append(alike[0] / alike[1] - 1)
    assert np.median(ignored) > 0.02, "there is something to reckon with"
    assert 0 < np.median(off) < 0.75 * np.median(ignored), "what a detector shows of it is less than outlines do"


def test_a_bent_lens_projects_there_and_back() -> None:
    view = View(2.8, 30.0, 84.0, (640, 360), 0.1)
    places = np.array([[1.5, 4.0], [0.0, 5.0], [-2.0, 3.0]])
    pixels = view.project(np.column_stack((places, np.zeros(3))))
    assert view.to_floor(pixels) == pytest.approx(places, abs=1e-9)
    edge = view.flat(np.array([640.0, 180.0]))
    assert edge == pytest.approx([np.tan(np.radians(42.0)), 0.0])


def told(statures: Statures, number: int = 1, at: int = 0) -> Stature | None:
    looks = statures.looks(number)
    return statures.stature(looks and looks.best(BootNs(at)))


def walk(statures: Statures, frames: int, box: tuple[float, float, float, float], number: int = 1) -> None:
    for i in range(frames):
        track = Track(number, box, ((box[0] + box[2]) / 2, box[3]), i * 0.2, seen=True)
        statures.update(Sight.of([track], BootNs(i * STEP_NS)))


def test_a_stature_comes_with_its_error() -> None:
    statures = Statures(given(VIEW))
    walk(statures, 10, box_of(VIEW, 0.0, 4.0, 1.65))
    found = told(statures)
    assert found is not None
    assert found.metres == pytest.approx(1.65, abs=0.01)
    assert 0.02 < found.error_m < 0.08


@pytest.mark.parametrize(
    ("frames", "box"),
    [
        (2, box_of(VIEW, 0.0, 4.0, 1.65)),  # seen for two frames
        (10, (0.0, 100.0, 50.0, 300.0)),  # cut by the left edge
        (10, (100.0, 220.0, 150.0, 384.0)),  # feet out of the picture
        (10, (100.0, 200.0, 108.0, 230.0)),  # 30 px
        (10, (100.0, 200.0, 300.0, 300.0)),  # lying, or two people
        (10, (100.0, 5.0, 180.0, 60.0)),  # feet above the horizon
        (10, (100.0, 20.0, 160.0, 380.0)),  # taller than anybody
    ],
)
def test_what_cannot_be_measured_is_unknown(frames: int, box: tuple[float, float, float, float]) -> None:
    statures = Statures(given(VIEW))
    walk(statures, frames, box)
    assert told(statures) is None


def test_of_a_small_child_under_a_steep_ray_a_height_is_told_and_said_to_be_vague() -> None:
    """From 60 degrees down a toddler near the lower edge is seen under rays that fall faster than they go ahead."""
    view = View(3.0, 60.0, 85.0, (640, 360))
    errors = []
    for y in (2.8, 1.2):
        statures = Statures(given(view))
        walk(statures, 5, box_of(view, 0.0, y, 0.9))
        found = told(statures)
        assert found is not None
        assert found.metres == pytest.approx(0.9, abs=0.12)
        errors.append(found.error_m)
    assert errors[1] > 1.1 * errors[0]


def test_looks_under_flat_rays_outweigh_more_that_are_steep() -> None:
    times = [BootNs(i * 200_000_000) for i in range(7)]
    found, error_m = Series([1.6] * 3 + [1.7] * 4, times, [1.0] * 3 + [0.25] * 4).middle()
    assert found == pytest.approx(1.6 + 0.1 / 4)
    assert 0.03 < error_m < 0.3


def test_a_few_looks_astray_hardly_count_and_looks_that_agree_all_do() -> None:
    times = [BootNs(i) for i in range(7)]
    assert Series([1.50, 1.52, 1.60], times[:3], [1.0] * 3).middle()[0] == pytest.approx(1.54)
    astray = Series([1.6] * 6 + [2.1], times, [1.0] * 7).middle()[0]
    assert 1.6 < astray < 1.625, "a mean would be 1.67"


def test_half_of_the_weight_on_each_side_is_the_mean_of_both() -> None:
    assert _weighted_median([1.0, 1.2, 1.4, 2.0], [1.0] * 4) == pytest.approx(1.3)


def test_three_looks_that_agree_by_chance_are_no_surer_than_three_are() -> None:
    times = [BootNs(i * 200_000_000) for i in range(12)]
    few = Series([1.6] * 3, times[:3], [1.0] * 3).middle()[1]
    many = Series([1.6] * 12, times, [1.0] * 12).middle()[1]
    assert few > 0.04
    assert many < few / 2


def test_free_looks_that_are_steep_give_way_to_flat_ones_half_hidden() -> None:
    times = [BootNs(i * 200_000_000) for i in range(6)]
    steep = Series([1.3] * 3, times[3:], [0.1] * 3)
    looks = Looks(steep, Series([1.6] * 3 + [1.3] * 3, times, [1.0] * 3 + [0.1] * 3))
    assert looks.best(times[-1]).source is looks.every
    assert Looks(Series([1.6] * 6, times, [1.0] * 6), looks.every).best(times[-1]).source is not looks.every


def test_a_view_from_straight_above_measures_nobody() -> None:
    view = View(3.5, 80.0, 90.0, (640, 480))
    statures = Statures(given(view))
    walk(statures, 10, (250.0, 150.0, 330.0, 330.0))
    assert not statures.usable
    assert told(statures) is None


def test_who_is_gone_is_forgotten() -> None:
    statures = Statures(given(VIEW))
    walk(statures, 10, box_of(VIEW, 0.0, 4.0, 1.65))
    statures.update(Sight.of([], BootNs(10 * STEP_NS)))
    assert told(statures) is None


def test_the_detection_is_measured_and_not_the_box_that_lags_behind_it() -> None:
    statures, seen = Statures(given(VIEW)), box_of(VIEW, 0.0, 4.0, 1.65)
    lagging = box_of(VIEW, 0.0, 4.4, 1.65)
    late = (lagging[0], lagging[1] + 8, *lagging[2:])
    for i in range(10):
        track = Track(1, late, (seen[0], late[3]), i * 0.2, seen=True, detected=seen)
        statures.update(Sight.of([track], BootNs(i * STEP_NS)))
    found = told(statures)
    assert found is not None
    assert found.metres == pytest.approx(1.65, abs=0.01)


def test_a_box_that_was_cut_is_not_measured() -> None:
    statures, box = Statures(given(VIEW)), box_of(VIEW, 0.0, 4.0, 1.65)
    nan = float("nan")
    for i in range(10):
        track = Track(1, box, (box[0], box[3]), i * 0.2, seen=True, detected=(nan, nan, nan, nan))
        statures.update(Sight.of([track], BootNs(i * STEP_NS)))
    assert told(statures) is None


def test_nobody_stands_before_themselves() -> None:
    """The smoothed box of whoever comes nearer ends elsewhere than the detection; that is no second person."""
    statures, seen = Statures(given(VIEW)), box_of(VIEW, 0.0, 4.0, 1.65)
    lower = (seen[0], seen[1] + 6, seen[2], seen[3] + 6)
    for i in range(10):
        track = Track(1, lower, (seen[0], lower[3]), i * 0.2, seen=True, detected=seen)
        statures.update(Sight.of([track], BootNs(i * STEP_NS)))
    assert told(statures) is not None


@pytest.mark.parametrize(("share", "known"), [(0.3, True), (0.8, False)])
def test_who_walks_half_hidden_is_measured_with_a_larger_error_and_who_is_more_hidden_not(
    share: float, known: bool
) -> None:
    """A child whose feet are seen beside a grown-up who walks nearer, before `share` of the child's width."""
    statures, child = Statures(given(VIEW)), box_of(VIEW, 0.0, 4.0, 1.2)
    left = child[2] - share * (child[2] - child[0])
    parent = (left, child[1] - 60, left + 70, child[3] + 2)
    for i in range(10):
        tracks = [Track(n, box, (0.0, box[3]), 1.0, seen=True) for n, box in ((1, child), (2, parent))]
        statures.update(Sight.of(tracks, BootNs(i * STEP_NS)))
    found, free = told(statures), Statures(given(VIEW))
    walk(free, 10, child)
    sure = told(free)
    assert (found is not None) is known
    assert sure is not None
    if found is not None:
        assert found.metres == pytest.approx(1.2, abs=0.01)
        assert found.error_m > 1.3 * sure.error_m


def test_looks_at_somebody_free_are_trusted_alone() -> None:
    """Ten looks half hidden that say 1.3 m, then ten free ones that say 1.2 m."""
    statures, there, now = Statures(given(VIEW)), box_of(VIEW, 0.0, 4.0, 1.3), box_of(VIEW, 0.0, 4.0, 1.2)
    other = (there[2] - 10, there[1] - 60, there[2] + 60, there[3] + 2)
    for i in range(20):
        boxes = ((1, there), (2, other)) if i < 10 else ((1, now),)
        tracks = [Track(n, box, (0.0, box[3]), 1.0, seen=True) for n, box in boxes]
        statures.update(Sight.of(tracks, BootNs(i * STEP_NS)))
    found = told(statures)
    assert found is not None
    assert found.metres == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize(("at", "expected"), [(0, 1.66), (900, 1.1), (2_000, 1.1)])
def test_a_track_that_passes_to_somebody_else_is_cut(at: int, expected: float) -> None:
    """Six looks at a grown-up, then six at a child: whoever passed the gate is measured, not their mean."""
    tall = [1.66, 1.62, 1.7, 1.66, 1.65, 1.68, 1.1, 1.13, 1.08, 1.1, 1.12, 1.09]
    times = [BootNs(100 * i) for i in range(12)]
    found = Series(tall, times, [1.0] * 12).during(BootNs(at))
    assert sorted(found.metres)[len(found.metres) // 2] == expected
    assert len(found.metres) == len(found.at) == len(found.worth) == 6


@pytest.mark.parametrize(
    "tall",
    [
        [],
        [1.6],
        [1.6, 1.1, 1.6, 1.1],  # too few to say
        [1.5, 1.55, 1.6, 1.65, 1.7, 1.72, 1.75, 1.8],  # drifts, as heights do where the floor is not flat
        [1.6, 1.4, 1.7, 1.5, 1.6, 1.8, 1.5, 1.7],  # wobbles
    ],
)
def test_one_person_is_not_cut(tall: list[float]) -> None:
    times = [BootNs(i) for i in range(len(tall))]
    assert Series(tall, times, [1.0] * len(tall)).during(BootNs(0)).metres == tall


def test_boxes_that_are_not_whole_or_are_covered() -> None:
    boxes = np.array([[100.0, 50, 150, 200], [120, 80, 180, 260], [400, 50, 450, 200]])
    assert whole(boxes, (640, 384)).tolist() == [True, True, True]
    assert covered(boxes, boxes).tolist() == [True, False, False]


def test_a_moment_tells_who_is_hidden_and_who_was_cut() -> None:
    """The second is nearer than the first and covers a quarter of them; the third was cut, the fourth is expected."""
    nan = float("nan")
    tracks = [
        Track(1, (0.0, 0.0, 1.0, 1.0), (0.0, 0.0), 1.0, seen=True, detected=(100.0, 50.0, 150.0, 200.0)),
        Track(2, (125.0, 125.0, 175.0, 300.0), (0.0, 0.0), 1.0, seen=True),
        Track(3, (400.0, 50.0, 450.0, 200.0), (0.0, 0.0), 1.0, seen=True, detected=(nan,) * 4),
        Track(4, (500.0, 50.0, 550.0, 200.0), (0.0, 0.0), 1.0, seen=False, detected=(nan,) * 4),
    ]
    sight = Sight.of(tracks, BootNs(5))
    assert [one.hidden for one in sight.people] == [0.25, 0.0, 0.0, 0.0]
    assert [one.behind for one in sight.people] == [True, False, False, False]
    assert [one.cut for one in sight.people] == [False, False, True, False]
    assert sight.people[0].box == (100.0, 50.0, 150.0, 200.0)
    assert sight.people[2].box == tracks[2].xyxy
    assert Sight.of([], BootNs(5)).people == ()


def test_the_tables_of_the_device_are_those_that_the_synthetic_people_are_drawn_from() -> None:
    for sex in ("m", "f"):
        for age in (1, 4, 5, 9, 12, 15, 17, 35, 65, 80):
            place = growth.AGES.index(age)
            assert growth.MEAN_CM[sex][place] / 100 == pytest.approx(recipe.mean_stature_m(age, sex))
            assert growth.SD_CM[sex][place] / 100 == pytest.approx(recipe.stature_sd_m(age, sex), abs=0.0006)


@pytest.mark.parametrize(
    ("metres", "error", "low", "high"),
    [
        (1.10, 0.04, 0.999, 1.0),  # mean of 5-year-olds
        (1.30, 0.04, 0.97, 1.0),
        (1.75, 0.04, 0.0, 0.01),
        (1.52, 0.04, 0.2, 0.7),  # 12-year-olds and small women: nobody can say
        (1.65, 0.60, 0.3, 0.7),  # a measurement that says nothing
    ],
)
def test_what_a_stature_says_about_being_a_child(metres: float, error: float, low: float, high: float) -> None:
    assert low <= growth.child_probability(metres, error) <= high


def test_taller_is_never_more_of_a_child() -> None:
    chances = [growth.child_probability(0.7 + 0.01 * i, 0.05) for i in range(130)]
    assert all(b <= a + 1e-9 for a, b in pairwise(chances))


def test_the_bundled_clips_people_are_measured_to_five_centimetres() -> None:
    """With the true boxes and the true camera: the error of the method alone. Statures there are without shoes."""
    lines = (ROOT / "models" / "demo" / "entrance.tracks.jsonl").read_text(encoding="utf-8").splitlines()
    head, *frames = [json.loads(line) for line in lines]
    camera = head["camera"]
    view = View(camera["height_m"], camera["tilt_deg"], camera["hfov_deg"], (640, 360), camera["distortion"])
    statures, step = Statures(given(view)), -1
    found: dict[int, Stature] = {}
    true: dict[int, float] = {}
    before: dict[int, tuple[float, NDArray[np.float64]]] = {}
    for frame in frames:
        people, t = frame["people"], frame["t"]
        tracks = []
        for p in people:
            left, top, right, bottom = p["box"]
            middle = np.array([left + right, top + bottom]) / 2
            then, there = before.get(p["id"], (t - 1, middle))
            before[p["id"]] = t, middle
            u, v = ((middle - there) / (t - then)).tolist()
            foot = ((left + right) / 2, bottom)
            tracks.append(Track(p["id"], tuple(p["box"]), foot, 1.0, p["visible"] > 0.3, velocity=(u, v)))
        at = BootNs(round(t * 1e9))
        if at // STEP_NS != step:
            step = at // STEP_NS
            statures.update(Sight.of(tracks, at))
        true |= {p["id"]: p["stature_m"] + growth.SHOES_CM / 100 for p in people}
        found |= {p["id"]: tall for p in people if (tall := told(statures, p["id"], at))}
    errors = sorted(abs(found[n].metres - true[n]) for n in found)
    assert len(found) >= 0.9 * len(true)
    assert errors[len(errors) // 2] <= 0.03
    assert all(abs(found[n].metres - true[n]) <= 3 * found[n].error_m for n in found)


def test_one_box_is_asked_as_many_are() -> None:
    rng = np.random.default_rng(8)
    low = rng.uniform(0, (600, 340), (400, 2))
    boxes = np.concatenate((low, low + rng.uniform((10, 20), (120, 160), (400, 2))), 1)
    many = whole(boxes, VIEW.size).tolist()
    assert many == [is_whole(tuple(box), VIEW.size) for box in boxes.tolist()]
    margin, (wide, high) = 0.012 * np.array(VIEW.size), (boxes[:, 2:] - boxes[:, :2]).T
    within = ((boxes[:, :2] > margin) & (boxes[:, 2:] < VIEW.size - margin)).all(axis=1)
    assert many == (within & (high >= 40) & (wide <= 0.75 * high)).tolist()
    assert 40 < sum(many) < 360
