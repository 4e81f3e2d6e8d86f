# SPDX-License-Identifier: Apache-2.0
"""Looking at people: the model's file, which window is cut, whom and when, and what is said of them."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings as run_with
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nigiwai.clock import BootNs
from nigiwai.door.traits import Band, Sex
from nigiwai.errors import ModelError, SettingsError
from nigiwai.eye.likeness import Fusion, Likeness, band_of, likeness, sex_of
from nigiwai.eye.manifest import MANIFEST, find_trait_model, load_manifest
from nigiwai.eye.portrait import MOST_SLANT, Window, cut, slants
from nigiwai.eye.portraits import A_FRAME, MOST, Impressions, Portraits
from nigiwai.eye.sight import STEP_NS, Sight
from nigiwai.eye.stature import Stature
from nigiwai.eye.trait_model import TraitModel
from nigiwai.eye.types import Track
from nigiwai.eye.view import View
from nigiwai.settings import parse
from tests.conftest import ROOT

SIZE = (48, 96)
S = 1_000_000_000


def network(bands: int = 4, sexes: int = 2, outputs: tuple[str, str] = ("band", "sex")) -> bytes:
    """Child is as likely as the window is dark, female as it is bright: logits of brightness / 100."""
    weights, nodes = [], [helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)]
    nodes.append(helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2, 3], keepdims=0))
    nodes.append(helper.make_node("Unsqueeze", ["mean", "one"], ["column"]))
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    for name, values, sign in zip(outputs, (bands, sexes), (-0.01, 0.01), strict=True):
        row = np.zeros((1, values), np.float32)
        row[0, 0] = sign
        weights.append(numpy_helper.from_array(row, f"{name}.row"))
        nodes.append(helper.make_node("MatMul", ["column", f"{name}.row"], [name]))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["people", 3, 96, 48])
    made = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["people", v])
        for n, v in zip(outputs, (bands, sexes), strict=True)
    ]
    graph = helper.make_graph(nodes, "traits", [image], made, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


ENTRY = """version = 1
[[traits]]
name = "toy"
file = "toy.onnx"
sha256 = "{digest}"
licence = "none"
source = "this test"
width_px = 48
height_px = 96
picture_weight = 0.8
stature_weight = 0.7
[traits.from_year]
child = 0
teen = 13
adult = 20
senior = 65
[traits.outputs.band]
values = ["child", "teen", "adult", "senior"]
temperature = 1.0
[traits.outputs.sex]
values = ["female", "male"]
temperature = 2.0
"""


def folder_with(folder: Path, weights: bytes, old: str = "", new: str = "") -> Path:
    (folder / "toy.onnx").write_bytes(weights)
    text = ENTRY.format(digest=hashlib.sha256(weights).hexdigest())
    assert old in text
    (folder / MANIFEST).write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return folder


def opened(folder: Path) -> TraitModel:
    return TraitModel.open(*find_trait_model("toy", [folder]))


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_model_says_how_likely_with_its_temperature(tmp_path: Path) -> None:
    model = opened(folder_with(tmp_path, network()))
    dark, bright = (np.full((96, 48, 3), v, np.uint8) for v in (0, 200))

    band, sex = model.look([dark, bright])

    assert np.exp(band).sum(axis=1) == pytest.approx(1.0)
    assert np.exp(band[0]) == pytest.approx(0.25)
    assert np.exp(band[1, 0]) == pytest.approx(np.exp(-2) / (np.exp(-2) + 3), abs=1e-6)
    assert np.exp(sex[1, 0]) == pytest.approx(np.e / (np.e + 1), abs=1e-6)  # 2.0 through a temperature of 2


def test_no_picture_is_left_in_the_models_input(tmp_path: Path) -> None:
    model = opened(folder_with(tmp_path, network()))
    model.look([np.full((96, 48, 3), 200, np.uint8)])
    assert not model._windows.any()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("teen = 13", "teen = 10", "not those of the tables"),
        ("teen = 13", "teen = 20", "overlap or leave gaps"),
        ("child = 0", "child = 3", "overlap or leave gaps"),
        ("senior = 65", "senior = 15", "overlap or leave gaps"),
        ('["child", "teen", "adult", "senior"]', '["child", "adult", "teen", "senior"]', "in this order"),
        ('["female", "male"]', '["male", "female"]', "in this order"),
        ("temperature = 2.0", "temperature = 0.0", "temperature"),
        ("width_px = 48", "width_px = 4", "width_px"),
        ("picture_weight = 0.8", "picture_weight = -1.0", "picture_weight"),
    ],
)
def test_an_entry_with_mistakes_is_refused_in_words(tmp_path: Path, old: str, new: str, said: str) -> None:
    folder_with(tmp_path, network(), old, new)
    with pytest.raises(ModelError, match="toy") as refused:
        opened(tmp_path)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (network(bands=3), "output band is"),
        (network(sexes=3), "output sex is"),
        (network(outputs=("band", "gender")), "gives band, gender"),
        (b"not a network", "cannot run this file"),
    ],
)
def test_a_file_that_does_not_do_what_the_entry_says_is_refused(tmp_path: Path, weights: bytes, said: str) -> None:
    with pytest.raises(ModelError) as refused:
        opened(folder_with(tmp_path, weights))
    assert said in str(refused.value)


def test_another_file_and_another_input_are_refused(tmp_path: Path) -> None:
    folder_with(tmp_path, network(), "height_px = 96", "height_px = 64")
    with pytest.raises(ModelError, match="cannot be run on"):
        opened(tmp_path)
    folder_with(tmp_path, network())
    (tmp_path / "toy.onnx").write_bytes(network(bands=3))
    with pytest.raises(ModelError, match="SHA-256"):
        opened(tmp_path)


def test_an_unknown_name_tells_what_there_is(tmp_path: Path) -> None:
    folder_with(tmp_path, network())
    with pytest.raises(ModelError, match="known are toy"):
        find_trait_model("other", [tmp_path])


def test_experiments_need_a_model() -> None:
    with pytest.raises(SettingsError, match="cannot be told from heights"):
        parse({"traits": {"model": "", "experimental": ["sex"]}})
    assert parse({"traits": {"experimental": ["sex"]}}).traits.experimental == ("sex",)


# -- the window --------------------------------------------------------------------------------------------------------


def test_a_window_is_taller_than_the_box_and_keeps_its_shape() -> None:
    around = Window.around((100, 100, 140, 200))
    assert around.corners(SIZE) == (91, 92, 148, 207)  # 115 px high, 57.5 px wide, around (120, 150)


def test_of_somebody_broad_the_window_holds_both_arms() -> None:
    left, _, right, _ = Window.around((100, 100, 180, 210)).corners(SIZE)
    assert left <= 100 < 180 <= right


TILTED = View(height_m=3.3, tilt_deg=60.0, fov_deg=85.0, size=(640, 360), distortion=0.1)


def seen(x: float, tall: float = 1.6) -> NDArray[np.float64]:
    """The ends (2, 2) in px, feet first, of a pole that stands x m aside of where the camera looks."""
    ahead = TILTED.height_m / np.tan(np.radians(TILTED.tilt_deg)) - 0.3
    return TILTED.project(np.array([[x, ahead, 0.0], [x, ahead, tall]]))


def box_of(x: float, breadth: float = 16.0) -> NDArray[np.float64]:
    """The box (4,) around that pole, which is that broad."""
    ends = seen(x)
    return np.concatenate((ends.min(axis=0) - breadth / 2, ends.max(axis=0) + breadth / 2))


@pytest.mark.parametrize("x", [-0.9, -0.3, 0.0, 0.6])
def test_who_walks_aside_of_a_steep_camera_is_known_to_be_seen_aslant(x: float) -> None:
    feet, crown = seen(x)
    (slant,) = slants(TILTED, box_of(x)[None])
    assert slant == pytest.approx(np.arctan2(crown[0] - feet[0], feet[1] - crown[1]), abs=0.02)
    assert np.sign(slant) == np.sign(x)
    assert (abs(slant) > np.radians(15)) == (abs(x) > 0.5)


def test_nobody_is_aslant_before_a_camera_that_looks_straight_ahead() -> None:
    flat = View(height_m=1.5, tilt_deg=0.0, fov_deg=70.0, size=(640, 360))
    assert slants(flat, np.array([[600.0, 100.0, 630.0, 300.0], [10.0, 0.0, 40.0, 90.0]])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("x", [-0.9, 0.6])
def test_whoever_is_seen_aslant_stands_upright_in_the_window(x: float, times: int) -> None:
    """At any size of the picture: a pole, and the window around its box."""
    image = np.zeros((360 * times, 640 * times, 3), np.uint8)
    feet, crown = (tuple(np.round(end * times).astype(int).tolist()) for end in seen(x))
    cv2.line(image, feet, crown, (255, 255, 255), 16 * times)
    box = box_of(x)
    made = cut(image, Window.around((box * times).tolist(), float(slants(TILTED, box[None])[0])), SIZE)[..., 0]

    rows = np.flatnonzero(made.max(axis=1) > 128)
    middles = [float(np.flatnonzero(made[row] > 128).mean()) for row in rows[3:-3]]
    assert np.ptp(middles) < 2.0, "upright"
    assert np.mean(middles) == pytest.approx(23.5, abs=1.5), "in the middle"
    assert 0.8 < len(rows) / 96 * 1.15 < 1.15, "and as high as somebody who is seen upright"


def test_of_a_large_picture_no_pixel_is_skipped() -> None:
    image = np.zeros((1200, 1600, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 200
    made = cut(image, Window(800, 600, 900, 0.3), SIZE)
    assert np.abs(made.astype(int) - 100).max() <= 12


@run_with(max_examples=80, deadline=None)
@for_all(
    st.tuples(*(st.floats(-400, 900) for _ in range(4))),
    st.sampled_from([(64, 48), (416, 256), (3, 2)]),
    st.sampled_from([0.0, 0.2, -0.5]) | st.floats(-2, 2),
)
def test_any_box_gives_a_window_of_the_right_size(
    box: tuple[float, float, float, float], size: tuple[int, int], slant: float
) -> None:
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    window = Window.around(box, slant)
    made = cut(image, window, SIZE)
    assert abs(window.slant) <= MOST_SLANT
    assert made.shape == (96, 48, 3)
    assert (made == 90).all()
    assert not np.shares_memory(made, image)


# -- whom, and when ----------------------------------------------------------------------------------------------------


class Eye:
    """A model that remembers how many it was shown at a time."""

    size = SIZE

    def __init__(self) -> None:
        self.shown: list[int] = []

    def look(self, windows: list[NDArray[np.uint8]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        self.shown.append(len(windows))
        return np.full((len(windows), 4), np.log(0.25)), np.full((len(windows), 2), np.log(0.5))


def track(number: int, x: float, height: float = 100.0, foot: float = 300.0) -> Track:
    box = (x - height / 5, foot - height, x + height / 5, foot)
    return Track(number, box, (x, foot), 1.0, seen=True, detected=box)


IMAGE = np.zeros((384, 640, 3), np.uint8)
VIEW = View(height_m=3.0, tilt_deg=30.0, fov_deg=70.0, size=(640, 384))


def test_few_are_looked_at_in_a_frame_and_everybody_in_turn() -> None:
    eye = Eye()
    portraits = Portraits(eye, VIEW)
    people = [track(n, 60.0 * n, 100 - n) for n in range(1, 10)]
    for i in range(5):
        portraits.update(IMAGE, Sight.of(people, BootNs(i * STEP_NS)))
    assert eye.shown == [A_FRAME] * 5
    assert all(portraits.of(n) is not None for n in range(1, 10))


def test_nobody_is_looked_at_more_than_a_few_times() -> None:
    eye = Eye()
    portraits = Portraits(eye, VIEW)
    for i in range(200):
        portraits.update(IMAGE, Sight.of([track(1, 300.0, 60.0 + i)], BootNs(i * S)))
    assert sum(eye.shown) == portraits.looked == MOST


@pytest.mark.parametrize(("height", "looks"), [(60.0, 1), (100.0, 2)])
def test_whoever_is_as_large_as_the_window_is_looked_at_again_at_once(height: float, looks: int) -> None:
    """Somebody small may come nearer; waiting gains nothing of somebody large, who may be gone."""
    portraits = Portraits(Eye(), VIEW)
    for i in range(2):
        portraits.update(IMAGE, Sight.of([track(1, 300.0, height)], BootNs(i * STEP_NS)))
    assert portraits.looked == looks
    portraits.update(IMAGE, Sight.of([track(1, 300.0, height)], BootNs(2 * STEP_NS)))
    assert portraits.looked == looks + 1


@pytest.mark.parametrize(
    "someone",
    [
        track(1, 300.0, 30.0),  # too small
        track(1, 10.0),  # cut by the edge
        Track(1, (280, 200, 320, 300), (300, 300), 1.0, seen=False),  # only expected there
    ],
)
def test_who_is_not_clearly_in_view_is_not_looked_at(someone: Track) -> None:
    eye = Eye()
    portraits = Portraits(eye, VIEW)
    portraits.update(IMAGE, Sight.of([someone], BootNs(S)))
    assert not eye.shown


def test_who_is_covered_is_not_looked_at() -> None:
    portraits = Portraits(Eye(), VIEW)
    portraits.update(IMAGE, Sight.of([track(1, 300.0), track(2, 310.0, foot=330.0)], BootNs(S)))
    assert portraits.of(1) is None
    assert portraits.of(2) is not None


def test_who_is_gone_is_forgotten() -> None:
    portraits = Portraits(Eye(), VIEW)
    portraits.update(IMAGE, Sight.of([track(1, 300.0)], BootNs(S)))
    portraits.update(IMAGE, Sight.of([], BootNs(2 * S)))
    assert portraits.of(1) is None


def test_looks_of_another_time_are_another_persons() -> None:
    at = [BootNs(i * S) for i in (1, 2, 5)]
    bands, sexes = [np.zeros(4), np.ones(4), np.full(4, 9.0)], [np.zeros(2), np.ones(2), np.ones(2)]
    seen = Impressions(at, [90.0] * 3, bands, sexes)
    first = seen.between(BootNs(0), BootNs(3 * S))
    assert first is not None
    assert first[0].tolist() == [0.5, 0.5, 0.5, 0.5]
    assert seen.between(BootNs(6 * S), BootNs(9 * S)) is None


@pytest.mark.parametrize("at", [[], [S], [S, S + 100_000_000]])
def test_who_was_seen_for_a_moment_is_not_guessed_at(at: list[int]) -> None:
    n = len(at)
    seen = Impressions([BootNs(t) for t in at], [90.0] * n, [np.zeros(4)] * n, [np.zeros(2)] * n)
    assert seen.between(BootNs(0), BootNs(9 * S)) is None


# -- what is said ------------------------------------------------------------------------------------------------------


def logs(*chances: float) -> NDArray[np.float64]:
    return np.log(np.array(chances))


CHILD, ADULT = logs(0.9, 0.04, 0.04, 0.02), logs(0.05, 0.15, 0.6, 0.2)
NOBODY = logs(0.5, 0.5)


def test_picture_and_stature_add_up() -> None:
    doubtful = Stature(1.52, 0.05)
    alone = likeness(doubtful, None, Fusion())
    assert band_of(alone) is Band.UNKNOWN
    assert band_of(likeness(doubtful, (CHILD, NOBODY), Fusion())) is Band.CHILD
    assert band_of(likeness(doubtful, (ADULT, NOBODY), Fusion())) is Band.ADULT
    assert band_of(likeness(None, (ADULT, NOBODY), Fusion())) is Band.ADULT
    assert band_of(likeness(Stature(1.0, 0.05), (ADULT, NOBODY), Fusion())) is Band.CHILD


def test_of_whom_nothing_is_known_nothing_is_said() -> None:
    nothing = likeness(None, None, Fusion())
    assert nothing == Likeness(None)
    assert band_of(nothing) is Band.UNKNOWN
    assert band_of(nothing, ("teen", "senior")) is Band.UNKNOWN
    assert sex_of(nothing) is Sex.UNKNOWN


@pytest.mark.parametrize(
    ("band", "told", "expected"),
    [
        (logs(0.01, 0.79, 0.1, 0.1), (), Band.ADULT),
        (logs(0.01, 0.79, 0.1, 0.1), ("teen",), Band.TEEN),
        (logs(0.01, 0.79, 0.1, 0.1), ("senior",), Band.ADULT),
        (logs(0.01, 0.1, 0.1, 0.79), ("teen", "senior"), Band.SENIOR),
        (logs(0.01, 0.1, 0.45, 0.44), ("teen", "senior"), Band.UNKNOWN),
        (logs(0.01, 0.1, 0.45, 0.44), ("teen",), Band.ADULT),
        (logs(0.97, 0.01, 0.01, 0.01), ("teen", "senior"), Band.CHILD),
        (logs(0.5, 0.2, 0.2, 0.1), ("teen", "senior"), Band.UNKNOWN),
    ],
)
def test_teens_and_seniors_are_adults_unless_told_apart(
    band: NDArray[np.float64], told: tuple[str, ...], expected: Band
) -> None:
    assert band_of(likeness(None, (band, NOBODY), Fusion()), told) is expected


def test_a_sex_is_told_where_it_is_clear() -> None:
    assert sex_of(likeness(None, (ADULT, logs(0.9, 0.1)), Fusion())) is Sex.FEMALE
    assert sex_of(likeness(None, (ADULT, logs(0.1, 0.9)), Fusion())) is Sex.MALE
    assert sex_of(likeness(None, (ADULT, logs(0.6, 0.4)), Fusion())) is Sex.UNKNOWN


def test_neither_source_is_believed_without_end() -> None:
    sure = likeness(Stature(1.9, 0.02), (logs(1 - 3e-12, 1e-12, 1e-12, 1e-12), NOBODY), Fusion())
    assert sure.child is not None
    assert 0.0001 < sure.child < 0.9999


def test_the_shipped_model_is_what_its_entry_says() -> None:
    entry = load_manifest(ROOT / "models" / MANIFEST).traits[0]
    model = TraitModel.open(entry, ROOT / "models")
    assert (ROOT / "models" / "cards" / f"{entry.name}.md").is_file()
    band, sex = model.look([np.full((entry.height_px, entry.width_px, 3), 120, np.uint8)])
    assert band.shape == (1, 4)
    assert sex.shape == (1, 2)
    assert (ROOT / "models" / entry.file).stat().st_size < 1_000_000
