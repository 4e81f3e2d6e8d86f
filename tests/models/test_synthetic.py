# SPDX-License-Identifier: Apache-2.0
"""The synthetic entrance without OpenGL or baked bodies: statures, lens, gait, paths, crossings, truth files."""

import inspect
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.synthetic import bodies, figure, footage, outfit, paths, stature
from models.synthetic.bodies import PART, Body, Skeleton
from models.synthetic.camera import Camera
from models.synthetic.film import Cast, Film, beside, crossings, gate_toml, mot_lines, truth_lines, view_toml
from models.synthetic.gait import comfortable_mps, stride_m
from models.synthetic.light import indoor_light, painted_panorama
from models.synthetic.mesh import box, join
from models.synthetic.paths import Leg, Route, find_crossings, least_gap, trajectory
from models.synthetic.stature import Human, mean_stature_m
from nigiwai.eye.view import View
from nigiwai.settings import load

STEEP = Camera(416, 256, (0.1, -0.5, 3.1), 90.0, 12.0, 0.0, 105.0, 0.25)
OBLIQUE = Camera(640, 360, (0.2, -4.7, 2.8), 30.0, -4.0, 1.0, 84.0, 0.10)


# -- stature -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "sex", "expected"),
    [
        (5, "m", 1.103),
        (5, "f", 1.094),
        (10, "f", 1.402),
        (10, "m", 1.390),
        (17, "m", 1.706),
        (17, "f", 1.579),
        (45, "f", 1.581),
    ],
)
def test_means_are_the_cited_ones(age: int, sex: stature.Sex, expected: float) -> None:
    assert mean_stature_m(age, sex) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("sex", ["f", "m"])
def test_children_grow_and_elders_shrink(sex: stature.Sex) -> None:
    growing = [mean_stature_m(a, sex) for a in range(1, 18)]
    shrinking = [mean_stature_m(a, sex) for a in range(45, 81, 5)]

    assert all(a < b for a, b in itertools.pairwise(growing))
    assert all(a >= b for a, b in itertools.pairwise(shrinking))


def test_drawn_statures_stay_within_the_cut() -> None:
    rng = np.random.default_rng(1)
    drawn = [stature.draw_stature_m(10, "f", rng) for _ in range(500)]

    limit = stature.SD_LIMIT * stature.stature_sd_m(10, "f")
    assert max(abs(s - 1.402) for s in drawn) <= limit + 1e-9
    assert np.mean(drawn) == pytest.approx(1.402, abs=0.01)


# -- lens --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("camera", [STEEP, OBLIQUE])
def test_floor_points_come_back_from_their_pixels(camera: Camera) -> None:
    floor = np.array([[0.0, 0.0, 0.0], [0.6, -0.4, 0.0], [-0.7, 0.5, 0.0]])

    pixels, front = camera.project(floor)

    assert front.all()
    np.testing.assert_allclose(camera.ground(pixels), floor, atol=1e-6)


@pytest.mark.parametrize("camera", [STEEP, OBLIQUE])
def test_the_picture_is_as_wide_as_its_field(camera: Camera) -> None:
    middle = camera.height / 2
    edge = (np.array([[0.0, middle], [camera.width, middle]]) - [camera.width / 2, middle]) / camera.focal_px

    angles = np.degrees(np.arctan(camera.undistort(edge)[:, 0]))

    assert angles[1] - angles[0] == pytest.approx(camera.hfov_deg, abs=1e-6)


def test_points_behind_the_camera_are_told() -> None:
    _, front = OBLIQUE.project([(0.0, -20.0, 1.0)])
    assert not front.any()


# -- ways and crossings ------------------------------------------------------------------------------------------------


def way(
    *points: tuple[float, float], wait_s: float = 0.0, back: bool = False, start_s: float = 0.0
) -> paths.Trajectory:
    """A trajectory through points, with a wait and a way back if asked for."""
    legs = [Leg(points, wait_s)]
    if back:
        legs.append(Leg(points[::-1]))
    return trajectory(Route(start_s, 1.2, tuple(legs)), 0.83)


CASES: list[tuple[str, Callable[[], paths.Trajectory], list[str]]] = [
    ("straight in", lambda: way((0, 3), (0, -3)), ["in"]),
    ("straight out", lambda: way((0, -3), (0, 3)), ["out"]),
    ("turns back on the line", lambda: way((0, -3), (0, 0.05), wait_s=0.5, back=True), []),
    ("turns back just before 0.4 m", lambda: way((0, -3), (0, 0.38), wait_s=0.5, back=True), []),
    ("goes in and comes out again", lambda: way((0, 3), (0, -1.5), wait_s=0.5, back=True), ["in", "out"]),
    ("passes beside the door", lambda: way((2.5, 3), (2.5, -3)), []),
    ("walks along the line", lambda: way((-3, 0.6), (3, 0.6)), []),
]


@pytest.mark.parametrize(("name", "make", "expected"), CASES, ids=[c[0] for c in CASES])
def test_crossings_match_the_way(name: str, make: Callable[[], paths.Trajectory], expected: list[str]) -> None:
    assert [c.direction for c in find_crossings(1, make(), 1.5)] == expected


def test_a_crossing_has_sub_frame_time() -> None:
    straight = way((0, 3), (0, -3), start_s=10.0)

    crossing = find_crossings(1, straight, 1.5)[0]

    assert abs(straight.state(crossing.t).xy[1]) < 1e-3
    assert crossing.t == pytest.approx(10 + 3 / 1.2, abs=0.1)


def test_phase_follows_distance() -> None:
    straight = way((0, 3), (0, -3))
    strides = (straight.phase[-1] - straight.phase[0]) / (2 * np.pi)
    assert strides * stride_m(0.83, 1.2) == pytest.approx(6.0, rel=0.05)


def test_short_legs_walk_slower() -> None:
    assert comfortable_mps(0.45, 5) < comfortable_mps(0.85, 30)
    assert comfortable_mps(0.80, 85) < comfortable_mps(0.80, 40)


# -- planned flows -----------------------------------------------------------------------------------------------------


def stick_figure(key: str, age: int) -> Body:
    """A body of two boxes: enough for planning and truth."""
    parts = [PART["top"], PART["bottom"]]
    meshes = [box((0, 0, 1.2), (0.2, 0.1, 0.3), (0, 0, 0)), box((0, 0, 0.4), (0.2, 0.1, 0.4), (0, 0, 0))]
    whole = join(meshes)
    skeleton = Skeleton(("root", "upperleg01.L"), (-1, 0))
    count = len(whole.vertices)
    return Body(
        key,
        Human(age, "f", 1.5),
        whole.vertices,
        whole.faces,
        np.repeat(np.array(parts, np.uint8), count // 2),
        np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        np.zeros((count, 4), np.int32),
        np.array([[0, 0, 0.9], [0.1, 0, 0.8]], np.float32),
        skeleton,
        {},
    )


@pytest.fixture(scope="module")
def flow() -> Film:
    """Eight seconds of a dense two-way flow, planned only."""
    crowd = [stick_figure(str(k), age) for k, age in enumerate((6, 9, 25, 30, 34, 40, 66))]
    return plan(crowd)


def plan(crowd: list[Body], view: footage.View = "oblique", line_m: float | None = None) -> Film:
    """The plan of one short recording."""
    from pathlib import Path

    return footage.make_footage("plan", crowd, Path("unused"), 5, view, 1.2, 8.0, draw=False, line_m=line_m)


def test_nobody_walks_through_anybody(flow: Film) -> None:
    assert len(flow.cast) > 8
    for number, one in enumerate(flow.cast):
        for other in flow.cast[number + 1 :]:
            if one.actor.group != other.actor.group:
                assert least_gap(one.way, other.way, 1 / 30) > 0.36


def test_every_crossing_is_a_passage_of_the_ground_point(flow: Film) -> None:
    ways = {c.actor.number: c.way for c in flow.cast}
    found = crossings(flow)

    assert found
    assert [c.t for c in found] == sorted(c.t for c in found)
    for c in found:
        before, after = (ways[c.number].state(c.t + d).xy[1] for d in (-0.8, 0.8))
        assert (before > 0 > after) if c.direction == "in" else (before < 0 < after)


@pytest.mark.parametrize(
    ("view", "tilt_deg"), [("oblique", 30.0), ("slanted", 45.0), ("tilted", 60.0), ("steep", 90.0)]
)
def test_people_are_counted_where_the_picture_has_its_middle(view: footage.View, tilt_deg: float) -> None:
    import tomllib

    film = plan([stick_figure(str(k), age) for k, age in enumerate((6, 30, 40))], view)
    line = tomllib.loads(gate_toml(film.camera, film.place.door_half_m, film.line_m))["gate"][0]["line"]

    assert film.camera.tilt_deg == tilt_deg
    assert 0.4 < line[len(line) // 2][1] < 0.6
    for c in crossings(film):
        way = next(cast.way for cast in film.cast if cast.actor.number == c.number)
        before, after = (way.state(c.t + d).xy[1] - film.line_m for d in (-0.8, 0.8))
        assert (before > 0 > after) if c.direction == "in" else (before < 0 < after)


def test_the_counting_line_can_be_laid_elsewhere() -> None:
    crowd = [stick_figure(str(k), age) for k, age in enumerate((6, 30, 40))]
    middle, door = plan(crowd, "steep"), plan(crowd, "steep", 0.0)

    ways = {c.actor.number: c.way for c in door.cast}
    assert door.line_m == 0.0 > middle.line_m
    assert {c.number for c in crossings(door)} & {c.number for c in crossings(middle)}
    for c in crossings(door):
        assert abs(ways[c.number].state(c.t).xy[1]) < 0.05


def test_truth_is_the_same_to_the_byte() -> None:
    crowd = [stick_figure(str(k), age) for k, age in enumerate((6, 30, 40))]

    first, second = plan(crowd), plan(crowd)

    assert truth_lines(first).encode() == truth_lines(second).encode()
    assert gate_toml(first.camera, 1.2) == gate_toml(second.camera, 1.2)
    assert all((a.way.xy == b.way.xy).all() for a, b in zip(first.cast, second.cast, strict=True))


@pytest.mark.parametrize("view", ["oblique", "steep"])
def test_a_device_can_be_told_how_the_camera_hangs(view: footage.View, tmp_path: Path) -> None:
    """By the view that the settings tell, places on the floor are as far from the camera as they truly are."""
    camera = plan([stick_figure(str(k), age) for k, age in enumerate((6, 30, 40))], view).camera
    settings = tmp_path / "settings.toml"
    settings.write_text(gate_toml(camera, 1.2) + view_toml(camera), encoding="utf-8")
    told = load(settings).view

    assert told is not None
    seen = View(told.height_m, told.tilt_deg, told.fov_deg, (camera.width, camera.height), told.distortion)
    pixels = np.array([(x * camera.width, y * camera.height) for x in (0.2, 0.5, 0.8) for y in (0.6, 0.9)])
    away = np.hypot(*(camera.ground(pixels)[:, :2] - camera.eye[:2]).T)
    assert np.hypot(*seen.to_floor(pixels).T) == pytest.approx(away, rel=0.03)


def test_an_impossible_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rate: 2.5"):
        footage.plan_flow([], None, 2.5, 1, 0.5, np.random.default_rng(1))  # type: ignore[arg-type]


def test_the_gate_lies_where_feet_cross() -> None:
    import tomllib

    gate = tomllib.loads(gate_toml(OBLIQUE, 1.5))["gate"][0]

    pixels = np.array(gate["line"]) * [OBLIQUE.width, OBLIQUE.height]
    assert np.abs(OBLIQUE.ground(pixels)[:, 1]).max() < 0.01
    assert OBLIQUE.ground([np.array(gate["inside"]) * [640, 360]])[0][1] < -0.5


def test_tracks_in_motchallenge_form() -> None:
    row = {"frame": 4, "people": [{"id": 3, "box": [10.0, 20.0, 30.5, 60.0], "visible": 0.5}]}
    assert mot_lines(row) == "5,3,10.00,20.00,20.50,40.00,1,1,0.500\n"


# -- always clothed ----------------------------------------------------------------------------------------------------


def test_a_body_without_clothes_is_neither_written_nor_read(tmp_path: object) -> None:
    from pathlib import Path

    naked = stick_figure("1", 30)
    naked.parts[:] = PART["skin"]
    with pytest.raises(ValueError, match="not clothed"):
        bodies.save_body(naked, Path(str(tmp_path)) / "1.npz")


def test_no_interface_can_leave_clothes_out() -> None:
    """`dress` takes no outfit and no flag; an outfit always has garments; the genital helper is never read."""
    assert list(inspect.signature(outfit.dress).parameters) == ["tailor", "form", "wardrobe", "key", "rng"]
    assert "helper-genital" not in figure.GROUPS

    form = figure.Form(Human(30, "f", 1.6), np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32))
    drawn = [
        outfit.choose_outfit(form, np.random.default_rng(k), garments) for k in range(300) for garments in (True, False)
    ]
    names = {o.bottom for o in drawn}
    assert names <= {"trousers", "shorts", "skirt", *outfit.TROUSERS}
    assert {o.top for o in drawn} <= {"helper", *outfit.LONG_TOPS, *outfit.SHORT_TOPS}


# -- light -------------------------------------------------------------------------------------------------------------


def test_light_and_stand_in_panorama_are_positive() -> None:
    rng = np.random.default_rng(2)
    light = indoor_light(rng, 0.5)

    assert min(*light.key_colour, *light.up_light, *light.door_colour) > 0
    assert painted_panorama(rng).min() >= 0


def test_json_truth_is_compact_and_ordered() -> None:
    film = Film("x", OBLIQUE, None, [], 15, 1.0, 1)  # type: ignore[arg-type]
    assert truth_lines(film) == ""
    assert json.loads('{"t":1.5}') == {"t": 1.5}
    assert Cast.__dataclass_fields__.keys() == {"actor", "way"}


def test_films_whose_names_have_dots_lie_side_by_side() -> None:
    paths = {beside(Path("out"), f"steep-1.2-{seed}", ".mp4") for seed in (1, 2)}
    assert {p.name for p in paths} == {"steep-1.2-1.mp4", "steep-1.2-2.mp4"}
