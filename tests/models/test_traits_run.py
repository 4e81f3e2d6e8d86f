# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - imports wait until the extra is known to be there
"""The trait model's recipe from a handful of pictures to an INT8 file: it learns, exports, quantises, is judged."""

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("onnx", reason="export needs the extra `train`")

import onnx
import onnxruntime as ort

from models.training.errors import CheckpointError, DataError, Skipped
from models.traits.blend import blend
from models.traits.crops import Crops, gathered, load, rendered, save
from models.traits.export import float_model, int8_model
from models.traits.judge import answers, by_age, fit, report, temperature_of, two_sided
from models.traits.learn import Lesson, Recipe, Truth, chances, load_net, losses, stature_odds, tensor_of, view_of
from models.traits.learn import save as save_net
from models.traits.net import HEIGHT, WIDTH, Shape, TraitNet, band_of

TINY = Shape(width=4, blocks=(0, 0, 1), mixed=16, dropout=0.0)


def person(age: int, male: bool, rng: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    """A kept window with a figure: children have large heads, men dark coats."""
    image = rng.integers(90, 110, (144, 72, 3), np.uint8)
    head = 44 if age <= 12 else 22
    image[24 : 24 + head, 28:44] = (120, 160, 210)
    image[24 + head : 120, 22:50] = 30 if male else 220
    return image


def people(count: int, seed: int) -> Crops:
    rng = np.random.default_rng(seed)
    age = rng.choice([4, 8, 11, 15, 30, 50, 70], count).astype(np.int16)
    male = rng.integers(0, 2, count).astype(np.float32)
    ones = np.ones(count, np.float32)
    images = np.stack([person(int(a), bool(m), rng) for a, m in zip(age, male, strict=True)])
    tall = (np.where(age <= 12, 1.2, 1.65) + rng.normal(0, 0.05, count)).astype(np.float32)
    return Crops(images, age, male, tall, 96 * ones, ones, 30 * ones, np.arange(count))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    real = people(20, 9)
    real.age[:] = -1
    Lesson(Recipe(minutes=2, steps_max=120, batch=32, lr=6e-3, average=0.9), people(200, 1), real, TINY).run(folder)
    return folder / "traits.pt"


def test_it_learns_exports_quantises_and_is_judged(taught: Path, tmp_path: Path) -> None:
    net, crops = load_net(taught), people(200, 2)
    for name, model in (("fp32", float_model(net)), ("int8", int8_model(net, crops, 32))):
        onnx.save(model, str(tmp_path / f"{name}.onnx"))

    said = {name: answers(tmp_path / f"{name}.onnx", crops) for name in ("fp32", "int8")}
    fitted = fit(tmp_path / "int8.onnx", crops)
    entry = {"band": fitted["band temperature"], "sex": fitted["sex temperature"], "picture": 0.8, "stature": 0.7}
    told = report(tmp_path / "int8.onnx", entry | {"constant": 0.0}, crops, None)

    assert said["fp32"].band.shape == (200, 4)
    assert np.corrcoef(said["fp32"].band.ravel(), said["int8"].band.ravel())[0, 1] > 0.98
    assert told["both"]["balanced_accuracy"] > 0.95  # type: ignore[index]
    assert told["sex"]["balanced_accuracy"] > 0.9  # type: ignore[index]
    assert fitted["bodies"] <= fitted["people"] < 60, "a tenth of the bodies"


def test_the_written_graph_is_the_network(taught: Path) -> None:
    net = load_net(taught)
    image = np.random.default_rng(4).integers(0, 255, (3, 3, HEIGHT, WIDTH), np.uint8)
    session = ort.InferenceSession(float_model(net).SerializeToString())
    band, sex = session.run(["band", "sex"], {"image": image})
    with torch.no_grad():
        wanted = net(torch.from_numpy(image).float() / 255)
    assert band == pytest.approx(wanted[0].numpy(), abs=1e-4)
    assert sex == pytest.approx(wanted[1].numpy(), abs=1e-4)


def test_bodies_held_back_are_never_drawn() -> None:
    crops = people(300, 3)
    lesson = Lesson(Recipe(batch=16), crops, None, TINY)
    back = set(crops.take(crops.held_back()).body)
    assert back
    assert not back & set(lesson.rendered.body)


def test_children_and_others_are_drawn_alike_and_so_is_every_year() -> None:
    age = np.array([3] * 10 + [9] + [20] * 5 + [60] * 20, np.int16)
    p = chances(age)
    assert [p[age == a].sum() for a in (3, 9, 20, 60)] == pytest.approx([0.25] * 4)


def test_an_unknown_age_teaches_the_sex_only() -> None:
    outputs = (torch.zeros(2, 4), torch.zeros(2, 2), torch.zeros(2, 1))
    male = torch.tensor([0.0, 1.0])
    recipe, tall = Recipe(smoothing=0.0), torch.zeros(2)
    none = losses(outputs, Truth(torch.tensor([-1, -1]), male, tall), recipe)
    assert float(none) == pytest.approx(0.5 * np.log(2))
    assert float(losses(outputs, Truth(torch.tensor([5, -1]), male, tall), recipe)) > float(none)


def test_whom_a_stature_tells_teaches_less_than_whom_it_does_not() -> None:
    small, tall = np.full(400, 1.0, np.float32), np.full(400, 1.47, np.float32)
    rng = np.random.default_rng(5)
    assert stature_odds(small, rng).min() > 6
    assert abs(stature_odds(tall, rng).mean()) < 1
    assert stature_odds(np.array([np.nan], np.float32), rng).tolist() == [0.0]

    def pull(odds: float) -> float:
        band = torch.zeros(1, 4, requires_grad=True)
        outputs = (band, torch.zeros(1, 2), torch.zeros(1, 1))
        truth = Truth(torch.tensor([10]), torch.zeros(1), torch.tensor([odds]))
        alone = losses(outputs, truth, Recipe(beside=0.0))
        (losses(outputs, truth, Recipe()) - alone).backward()
        assert band.grad is not None
        return float(-band.grad[0, 0])

    assert pull(6.0) < 0.02 < 0.1 < pull(0.0)


def test_bands_begin_where_they_are_said_to() -> None:
    assert band_of(torch.tensor([0, 12, 13, 19, 20, 64, 65, 99])).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_temperature_is_found_again() -> None:
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 2, (4_000, 2))
    chance = 1 / (1 + np.exp(-(logits[:, 1] - logits[:, 0]) / 2.5))
    truth = (rng.random(4_000) < chance).astype(np.int64)
    assert temperature_of(logits, truth, np.ones(4_000)) == pytest.approx(2.5, rel=0.15)


def test_figures_by_hand() -> None:
    chance, child = np.array([0.9, 0.6, 0.8, 0.1, 0.2]), np.array([True, True, False, False, True])
    # told: 0.9 right, 0.8 wrong, 0.1 right, 0.2 wrong; 0.6 is unknown
    assert two_sided(chance, child, np.ones(5)) == {"balanced_accuracy": 0.5, "coverage": 0.8}
    assert by_age(np.array([0.9, 0.5, 0.1]), np.array([7, 7, 40], np.int16)) == {
        "7": [2, 0.5, 1.0],
        "30-49": [1, 1.0, 1.0],
    }


def test_a_shard_is_read_and_a_broken_member_is_named(tmp_path: Path) -> None:
    picture = cv2.imencode(".jpg", np.full((96, 160, 3), 90, np.uint8))[1].tobytes()
    someone = {"box": [50, 20, 80, 90], "visible": 1.0, "truncation": 0.0, "age": 7, "sex": "m", "stature_m": 1.2}
    hidden, far, lying = (
        someone | {"visible": 0.1},
        someone | {"box": [5, 5, 10, 20]},
        someone | {"box": [50, 20, 120, 90]},
    )
    camera = {"height_m": 3.0, "tilt_deg": 30.0, "hfov_deg": 70.0, "distortion": 0.1}
    truth = {"width": 160, "height": 96, "camera": camera, "seed": 4, "people": [someone, hidden, far, lying]}
    steep = truth | {"camera": camera | {"tilt_deg": 80.0}}
    with tarfile.open(tmp_path / "train-0000.tar", "w") as tar:
        for k, text in enumerate((json.dumps(truth), "{", json.dumps(steep))):
            for name, data in ((f"{k}.jpg", picture), (f"{k}.json", text.encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    skipped = Skipped()

    crops = gathered(rendered(tmp_path / "train-0000.tar", skipped))
    save(crops, tmp_path / "people.npz")

    assert len(crops) == 1
    assert crops.body == [(7, 1.0, 1.2)]
    assert load(tmp_path / "people.npz").image.shape == (1, 144, 72, 3)
    assert [name for name, _ in skipped.items] == ["train-0000.tar:1.jpg"]
    with pytest.raises(DataError):
        load(tmp_path / "train-0000.tar")
    with pytest.raises(DataError, match="no person"):
        gathered(iter(()))


def test_a_strange_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"form": 0}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError):
        load_net(tmp_path / "x.pt")


def test_a_view_keeps_size_and_changes_with_every_draw() -> None:
    rng = np.random.default_rng(1)
    image = person(30, True, rng)
    views = [view_of(image, rng) for _ in range(4)]
    assert all(v.shape == (HEIGHT, WIDTH, 3) for v in views)
    assert not (views[0] == views[1]).all()
    assert tensor_of(views).shape == (4, 3, HEIGHT, WIDTH)


def test_the_network_is_small() -> None:
    assert sum(p.numel() for p in TraitNet().parameters()) < 1_000_000


def test_weights_between_two_lie_between(taught: Path, tmp_path: Path) -> None:
    other = Lesson(
        Recipe(minutes=2, steps_max=20, batch=32, lr=2e-2, average=0.1), people(50, 3), None, TINY, start=taught
    )
    other.run(tmp_path)
    first, second, out = taught, tmp_path / "traits.pt", tmp_path / "between.pt"
    blend(first, second, out, 0.25)
    one, two, middle = (load_net(p).out.weight for p in (first, second, out))
    assert torch.allclose(middle, one + 0.25 * (two - one), atol=2e-3)
    assert not torch.allclose(one, two, atol=2e-3)
    with pytest.raises(CheckpointError, match=r"--share 2: give a number from 0"):
        blend(first, second, out, 2)
    save_net(TraitNet(Shape(width=4)), Recipe(), 0, tmp_path / "narrow.pt")
    with pytest.raises(CheckpointError, match=r"give two of one kind"):
        blend(first, tmp_path / "narrow.pt", out, 0.5)
