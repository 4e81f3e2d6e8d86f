# SPDX-License-Identifier: Apache-2.0
"""The sample figures in motion, garments as files, scenes as plans: no OpenGL, no anny."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from models.synthetic import bake
from models.synthetic.actors import Item, State, hand_targets, make_actor, pose_things, turn_matrix
from models.synthetic.bodies import SETS, Body, load_bodies, load_body, save_body
from models.synthetic.clothes import colour_body
from models.synthetic.gait import Manner, Pose, arm_reach, bone_matrices, joint_rotations, skin
from models.synthetic.mhclo import component_labels, read_garment
from models.synthetic.props import PRAMS, pram, wheelchair
from models.synthetic.scene import AGES, ALIKE, DECOYS, EMPTY, EVERYDAY, STEEP, THRONG, Mix, draw_scene
from models.synthetic.stature import Human, mean_stature_m

MHCLO = """# a square patch
name patch
obj_file patch.obj
x_scale 0 1 2.0
z_scale 0 2 4.0
y_scale 0 3 1.0
verts 0
0 1 2 0.5 0.5 0.0 0.0 0.1 0.2
2
material patch.mhmat
3
1
delete_verts
4 - 9
"""
OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1/1 2/2 3/3 4/4\n"


@pytest.fixture(scope="module")
def sample() -> list[Body]:
    """The figures that come with the code."""
    return load_bodies("sample")


@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5, 4.0])
def test_soles_stay_on_the_floor(sample: list[Body], phase: float) -> None:
    for body in sample:
        posed, _ = skin(body, bone_matrices(body, joint_rotations(body, Pose(phase, 1.2), Manner())))
        assert posed[:, 2].min() == pytest.approx(0, abs=1e-6)
        assert 0.9 < np.ptp(posed[:, 2]) / np.ptp(body.vertices[:, 2]) < 1.03


def test_a_reaching_wrist_arrives(sample: list[Body]) -> None:
    body = next(b for b in sample if b.human.age >= 18)
    shoulder = body.head("upperarm01.L").astype(float)
    target = shoulder + np.array([0.05, -0.30, -0.25])

    matrices = bone_matrices(body, arm_reach(body, "L", target))

    row = body.skeleton.index("lowerarm02.L")
    wrist = matrices[row, :, :3] @ body.head("wrist.L") + matrices[row, :, 3]
    assert np.linalg.norm(wrist - target) < 0.02


def test_held_hands_aim_at_one_point(sample: list[Body]) -> None:
    rng = np.random.default_rng(4)
    parent = make_actor(1, next(b for b in sample if b.human.age >= 30), 1, rng)
    child = make_actor(2, next(b for b in sample if b.human.age <= 8 and b.human.age > 2), 1, rng)
    parent.holds, child.holds = {"L": 2}, {"R": 1}
    states = {1: State((0.0, 0.0), -1.57, 1.0, 0.0), 2: State((0.5, 0.05), -1.57, 1.0, 1.0)}
    pair = {1: (parent, states[1]), 2: (child, states[2])}

    points = [
        turn_matrix(states[a.number].heading) @ hand_targets(a, states[a.number], pair)[side]
        + [*states[a.number].xy, 0]
        for a, side in ((parent, "L"), (child, "R"))
    ]

    np.testing.assert_allclose(points[0], points[1], atol=1e-9)


def test_a_pram_moves_ahead_and_a_wheelchair_carries(sample: list[Body]) -> None:
    rng = np.random.default_rng(5)
    actor = make_actor(3, next(b for b in sample if b.human.age >= 30), 1, rng)
    state = State((1.0, 2.0), 0.0, 1.0, 0.0)  # towards +x

    actor.items = [Item("push", pram(rng))]
    _, pushed = pose_things(actor, state, {})
    actor.items = [Item("chair", wheelchair(rng))]
    seated, _ = pose_things(actor, state, {})

    assert pushed.mesh.vertices[:, 0].mean() > 1.6
    assert not pushed.person
    assert seated.mesh.vertices[:, 2].max() < 0.92 * actor.body.human.stature_m


@pytest.mark.parametrize("kind", PRAMS)
@pytest.mark.parametrize("seed", range(4))
def test_a_pram_is_long_low_and_stands_on_its_wheels(kind: str, seed: int) -> None:
    mesh = pram(np.random.default_rng(seed), kind)

    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    assert low[2] == pytest.approx(0, abs=0.03)
    assert 0.99 <= high[2] <= 1.12
    assert 0.35 <= high[0] - low[0] <= 0.7
    assert 0.75 <= high[1] - low[1] <= 1.2
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)


def test_what_a_pram_looks_like_changes_nobody_else() -> None:
    states = []
    for kind in PRAMS:
        rng = np.random.default_rng(9)
        pram(rng, kind)
        states.append(rng.bit_generator.state)

    assert states[0] == states[1] == states[2]


def test_decoy_scenes_hold_more_prams_cases_and_false_people(sample: list[Body]) -> None:
    def count(mix: Mix) -> tuple[int, int, int]:
        scenes = [draw_scene(seed, sample, mix=mix) for seed in range(12)]
        kinds = [item.kind for scene in scenes for actor in scene.actors for item in actor.items]
        return kinds.count("push"), kinds.count("pull"), sum(len(scene.place.statics) for scene in scenes)

    everyday, decoys = count(EVERYDAY), count(DECOYS)

    assert all(more > 2 * few for more, few in zip(decoys, everyday, strict=True))


def test_steep_scenes_are_mostly_seen_from_above(sample: list[Body]) -> None:
    def above(mix: Mix) -> int:
        return sum(draw_scene(seed, sample, mix=mix).camera.tilt_deg >= 58 for seed in range(20))

    assert above(STEEP) >= 14 > above(EVERYDAY)


def test_a_throng_is_far_denser_than_other_scenes_and_nobody_stands_in_another(sample: list[Body]) -> None:
    def people(mix: Mix) -> list[int]:
        return [len(draw_scene(seed, sample, mix=mix).actors) for seed in range(10)]

    assert np.mean(people(THRONG)) > 1.5 * np.mean(people(STEEP))  # 1.9 to 2.3, with and without panoramas
    assert min(people(THRONG)) >= 4
    places = [[walk.xy for walk in draw_scene(seed, sample, mix=THRONG).walks.values()] for seed in range(4)]
    nearest = [min(np.hypot(*np.subtract(a, b)) for a, b in combinations(scene, 2)) for scene in places]
    assert min(nearest) > 0.25


def test_empty_scenes_hold_things_and_nobody(sample: list[Body]) -> None:
    scenes = [draw_scene(seed, sample, mix=EMPTY) for seed in range(24)]  # with panoramas things are rarer
    assert not any(scene.actors for scene in scenes)
    assert any(scene.place.statics for scene in scenes)


def test_scenes_of_people_alike_in_height_hold_nobody_whom_a_height_tells(sample: list[Body]) -> None:
    bodies = [replace(sample[1], key=f"{age}", human=Human(age, "f", mean_stature_m(age, "f"))) for age in range(1, 87)]

    def ages(mix: Mix) -> list[int]:
        scenes = [draw_scene(seed, bodies, mix=mix) for seed in range(12)]
        return [actor.body.human.age for scene in scenes for actor in scene.actors]

    even, alike = ages(AGES), ages(ALIKE)
    assert min(even) < 9
    assert any(20 <= age <= 50 for age in even)
    assert all(9 <= age <= 16 or age >= 62 for age in alike)
    assert any(age <= 12 for age in alike)
    assert any(13 <= age <= 16 for age in alike)
    assert any(age >= 62 for age in alike)


def test_bodies_are_baked_of_the_ages_asked_for(
    sample: list[Body], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def bake_one(_tailor: object, _wardrobe: object, _seed: int, years: tuple[int, int]) -> Body:
        asked.append(years)
        return sample[0]

    monkeypatch.setattr(bake, "bake_one", bake_one)
    monkeypatch.setattr(bake, "Tailor", object)
    monkeypatch.setattr(bake, "Wardrobe", lambda _folder: None)
    bake.bake_set("train", 2, tmp_path, first=5, years=(9, 12))
    bake.bake_set("train", 30, tmp_path)

    first = SETS["train"]
    assert sorted(int(p.stem) - first for p in tmp_path.rglob("*.npz")) == list(range(30))
    assert asked[:2] == [(9, 12)] * 2
    assert len(asked) == 30, "those that were there are not baked again"
    assert set(asked[2:]) == {(low, high) for low, high, _ in bake.AGE_BANDS}


def test_every_vertex_gets_a_muted_colour(sample: list[Body]) -> None:
    for body in sample:
        colours, materials = colour_body(body, np.random.default_rng(6))
        assert colours.shape == (len(body.vertices), 3)
        assert materials.shape == (len(body.vertices),)
        assert colours.min() >= 0
        assert colours.max() <= 1


def test_bodies_survive_a_file(sample: list[Body], tmp_path: Path) -> None:
    save_body(sample[0], tmp_path / "a.npz")
    again = load_body(tmp_path / "a.npz")
    assert again.human == sample[0].human
    np.testing.assert_allclose(again.vertices, sample[0].vertices, atol=1e-4)


def test_a_garment_follows_its_anchors(tmp_path: Path) -> None:
    (tmp_path / "patch.mhclo").write_text(MHCLO)
    (tmp_path / "patch.obj").write_text(OBJ)
    base = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], np.float32)

    garment = read_garment(tmp_path / "patch.mhclo")
    placed = garment.fit(base)

    # x: 1/2 of the landmark distance, y (MakeHuman z): 2/4, z (MakeHuman y): 3/1
    np.testing.assert_allclose(placed[0], [0.5, -0.2 * 0.5, 0.1 * 3], atol=1e-6)
    np.testing.assert_allclose(placed[1:], base[[2, 3, 1]], atol=1e-6)
    assert garment.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_garment_with_missing_vertices_is_refused(tmp_path: Path) -> None:
    (tmp_path / "patch.mhclo").write_text(MHCLO.replace("3\n1\n", "3\n"))
    (tmp_path / "patch.obj").write_text(OBJ)
    with pytest.raises(ValueError, match="3 fitted vertices, the mesh has 4"):
        read_garment(tmp_path / "patch.mhclo")


def test_components() -> None:
    faces = np.array([[0, 1, 2], [2, 3, 4], [5, 6, 7]], np.int32)
    assert component_labels(8, faces).tolist() == [0, 0, 0, 0, 0, 5, 5, 5]


def test_scenes_repeat_and_keep_people_apart(sample: list[Body]) -> None:
    empty = 0
    for seed in range(10):
        one, two = draw_scene(seed, sample), draw_scene(seed, sample)
        assert one.camera == two.camera
        assert one.walks == two.walks
        empty += not one.actors
        spots = [one.walks[a.number].xy for a in one.actors]
        for k, a in enumerate(spots):
            assert all(np.hypot(a[0] - b[0], a[1] - b[1]) > 0.3 for b in spots[k + 1 :])
        assert 2.2 <= one.camera.eye[2] <= 4.0
        assert 15 <= one.camera.tilt_deg <= 90
        assert 60 <= one.camera.hfov_deg <= 110
    assert empty < 5
