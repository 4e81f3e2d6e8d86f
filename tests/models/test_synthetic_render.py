# SPDX-License-Identifier: Apache-2.0
"""The synthetic entrance as drawn: needs OpenGL through EGL; some tests also need baked bodies or anny."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from models.synthetic.bodies import SETS, BodiesMissingError, Body, load_bodies
from models.synthetic.camera import Camera
from models.synthetic.damage import draw_sensor, expose, to_jpeg
from models.synthetic.light import Light, Panorama, painted_panorama
from models.synthetic.mesh import box, quad
from models.synthetic.render import Renderer, RendererMissingError, Stage, Thing
from models.synthetic.truth import clip_box, projected_box

DEMO = Path(__file__).parents[2] / "models" / "demo"
CAMERA = Camera(320, 192, (0.0, -5.0, 2.5), 25.0, 0.0, 0.0, 80.0, 0.1)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """One OpenGL context for the module."""
    pytest.importorskip("moderngl", reason="moderngl is not installed")
    try:
        return Renderer()
    except RendererMissingError as error:
        pytest.skip(str(error))


def bodies_or_skip(which: str) -> list[Body]:
    """The baked bodies of a set, or a skip."""
    try:
        return load_bodies(which)
    except BodiesMissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def stage() -> Stage:
    """A floor and a far block."""
    light = Light((0.0, -0.3, 0.95), (0.5,) * 3, (0.0, 1.0, 0.2), (0.2,) * 3, (0.5,) * 3, (0.2,) * 3, 2.0, 0.6, "test")
    floor = quad([(-8, -6, 0), (8, -6, 0), (8, 12, 0), (-8, 12, 0)], (0.4, 0.4, 0.4), "tiles")
    panorama = Panorama(painted_panorama(np.random.default_rng(1)), 0.0, 1.0, (0.0, 0.0, 1.5), "painted")
    return Stage(floor, box((4, 6, 1), (0.5, 0.5, 1), (0.6, 0.2, 0.2)), panorama, light, 1.0)


def person(number: int, x: float, y: float, half: float = 0.3) -> Thing:
    """A block that stands for a person."""
    return Thing(number, box((x, y, 0.85), (half, 0.1, 0.85), (0.2, 0.3, 0.5), "cloth"), True, (x, y))


def test_visible_fraction_of_a_half_hidden_block(renderer: Renderer, stage: Stage) -> None:
    renderer.open(stage, CAMERA)

    drawing = renderer.draw([person(1, 0.0, 1.0), person(2, -0.3, 0.75, 0.3)])

    assert drawing.seen[2] == pytest.approx(drawing.alone[2], rel=0.02)
    assert 0.35 < drawing.seen[1] / drawing.alone[1] < 0.65


def test_boxes_enclose_what_is_drawn(renderer: Renderer, stage: Stage) -> None:
    renderer.open(stage, CAMERA)
    thing = person(1, 0.4, 0.5)

    with_it, without = (renderer.draw(things).colour for things in ([thing], []))

    rows, columns = np.nonzero(np.abs(with_it - without).sum(2) > 0.35)
    drawn = projected_box(CAMERA, thing.mesh.vertices)
    assert drawn is not None
    assert columns.min() == pytest.approx(drawn[0], abs=1.6)
    assert rows.min() == pytest.approx(drawn[1], abs=1.6)


def test_the_same_moment_is_drawn_the_same_twice(renderer: Renderer, stage: Stage) -> None:
    renderer.open(stage, CAMERA)
    first = renderer.draw([person(1, 0, 0)])
    second = renderer.draw([person(1, 0, 0)])
    assert first.seen == second.seen
    assert (first.colour == second.colour).all()


def test_exposure_gives_a_middling_picture() -> None:
    rng = np.random.default_rng(3)
    colour = rng.uniform(0, 5, (64, 96, 3)).astype(np.float32)

    picture = expose(colour, draw_sensor(colour, rng), rng)

    assert 25 < picture.mean() < 220
    assert to_jpeg(picture, 80)[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("box_in", "expected"),
    [
        ((-5.0, 10.0, 20.0, 40.0), (0.0, 10.0, 20.0, 40.0)),
        ((300.0, 10.0, 330.0, 400.0), (300.0, 10.0, 320.0, 192.0)),
        ((318.0, 10.0, 330.0, 40.0), None),
        ((-50.0, 10.0, -2.0, 40.0), None),
    ],
)
def test_boxes_are_clipped(box_in: tuple[float, float, float, float], expected: object) -> None:
    assert clip_box(box_in, 320, 192) == expected


@pytest.mark.parametrize("which", sorted(SETS))
def test_every_baked_body_is_clothed_and_of_its_stature(which: str) -> None:
    for body in bodies_or_skip(which):
        assert body.is_clothed()
        skin_share = np.mean(body.parts[body.faces[:, 0]] == 0)
        assert skin_share < 0.45
        tall = float(np.ptp(body.vertices[:, 2]))
        assert body.human.stature_m - 0.02 < tall < body.human.stature_m * 1.09 + 0.08


def test_sets_share_no_body() -> None:
    keys = [{b.key for b in bodies_or_skip(which)} for which in SETS]
    assert keys[0].isdisjoint(keys[1] | keys[2])
    assert keys[1].isdisjoint(keys[2])


def test_shard_truth_repeats_to_the_byte(renderer: Renderer) -> None:
    from models.synthetic.scene import draw_scene
    from models.synthetic.shards import render_scene
    from models.synthetic.truth import to_json

    bodies = load_bodies("sample")

    def once() -> tuple[str, bytes]:
        frame = render_scene(renderer, draw_scene(11, bodies), np.random.default_rng(11), 1)[0]
        return to_json(frame.truth), frame.jpeg

    assert once() == once()


def test_forms_have_the_asked_stature() -> None:
    pytest.importorskip("anny", reason="anny is not installed (needed only for baking)")
    if "ANNY_CACHE_DIR" not in os.environ:
        pytest.skip("ANNY_CACHE_DIR is not set: building anny's model takes minutes")
    from models.synthetic.figure import BODY_END, Tailor
    from models.synthetic.stature import Human

    tailor = Tailor()
    for human in (Human(2, "f", 0.86), Human(8, "m", 1.28), Human(45, "f", 1.58), Human(80, "m", 1.62)):
        form = tailor.form(human, np.random.default_rng(1))
        assert float(np.ptp(form.vertices[:BODY_END, 2])) == pytest.approx(human.stature_m, abs=1e-4)


def test_the_bundled_clip_and_its_truth_agree() -> None:
    truth = [json.loads(line) for line in (DEMO / "entrance.truth.jsonl").read_text().splitlines()]
    head, *frames = [json.loads(line) for line in (DEMO / "entrance.tracks.jsonl").read_text().splitlines()]

    assert (DEMO / "entrance.mp4").stat().st_size < 3_000_000
    assert len(frames) == head["frames"] == 600
    assert 10 <= len(truth) <= 14
    assert {row["direction"] for row in truth} == {"in", "out"}
    assert [row["t"] for row in truth] == sorted(row["t"] for row in truth)
    for row in truth:
        low, high = (frames[round(row["t"] * 15) + d]["people"] for d in (-8, 8))
        before = {p["id"]: p["xy_m"][1] for p in low}
        after = {p["id"]: p["xy_m"][1] for p in high}
        sign = 1 if row["direction"] == "in" else -1
        assert any(before[k] * sign > 0 > after[k] * sign for k in before.keys() & after.keys())
