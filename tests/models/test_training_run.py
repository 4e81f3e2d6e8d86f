# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - imports wait until the extra is known to be there
"""The recipe from a handful of frames to an INT8 file: it learns, resumes, exports, quantises, runs."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("onnx", reason="export needs the extra `train`")

import onnx
import onnxruntime as ort

from models.evaluation.ours import Ours
from models.training import checkpoint, net
from models.training.assign import Truth, assign
from models.training.blend import blend
from models.training.cache import ImageSet, build_set, load_set
from models.training.checkpoint import Progress
from models.training.data import Pool, Sources
from models.training.errors import CheckpointError, ModelFileError, Skipped
from models.training.export import float_model
from models.training.loss import distribution_focal, giou, losses, quality_focal
from models.training.net import Net, Shape
from models.training.optim import optimisers, orthogonalise
from models.training.precision import has_bfloat16, mixed
from models.training.quantise import Scheme, bytes_in, quantised
from models.training.schedule import decay_rate, ema_keep, trunk_rate
from models.training.shards import Labelled
from models.training.team import gather
from models.training.train import Run, Settings, share_of

TINY = Shape(width=8, neck=16, blocks=(0, 1, 1, 1))


def frame(seed: int) -> Labelled:
    """A noisy room with one upright bright figure."""
    rng = np.random.default_rng(seed)
    image = rng.integers(40, 80, (96, 96, 3), np.uint8)
    x, y, w, h = rng.integers(4, 50), rng.integers(4, 30), rng.integers(18, 30), rng.integers(40, 60)
    image[y : y + h, x : x + w] = rng.integers(180, 255, 3)
    ones = np.ones(1, np.float32)
    return Labelled(str(seed), image, np.array([[x, y, x + w, y + h]], np.float32), ones, ones < 0, ones)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    for name, first in (("train", 0), ("valid", 100)):
        build_set(folder, name, (frame(first + k) for k in range(12)), 100)
    return folder


@pytest.fixture(scope="module")
def trained(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trunk of a few steps, made the way users make it but small."""
    folder = tmp_path_factory.mktemp("run")
    settings = Settings("trunk", batch=8, steps_max=150, workers=0, processes=1, lr=6e-3, average=0.95, look_s=1e9)
    Run(folder, settings, Sources(cache), None, TINY).run()
    return folder


def test_training_drives_the_loss_down(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    state = checkpoint.read(trained / "last.pt")
    fresh, taught = Net(TINY).eval(), checkpoint.load_average(trained / "last.pt")
    batch = torch.from_numpy(np.stack([frame(200 + k).image for k in range(4)])).permute(0, 3, 1, 2).float() / 255
    boxes = torch.from_numpy(np.stack([frame(200 + k).xyxy for k in range(4)]))
    yes = torch.ones(4, 1)
    truth = Truth(boxes, yes, yes < 0, yes > 0)

    before, after = (float(losses(m(batch), truth).total.detach()) for m in (fresh, taught))

    assert state["progress"]["step"] == 150
    assert "ap50" in rows[-1]
    assert after < 0.7 * before


def test_rendered_frames_become_an_int8_file(trained: Path, tmp_path: Path) -> None:
    """The whole recipe in seconds: render, read the shard, learn on from a trunk, export, quantise, run."""
    from models.synthetic.bodies import load_bodies
    from models.synthetic.render import Renderer, RendererMissingError
    from models.synthetic.shards import write_shard
    from models.training.shards import read_shard

    pytest.importorskip("moderngl", reason="rendering needs the extra `train`")
    try:
        renderer = Renderer()
    except RendererMissingError as error:
        pytest.skip(str(error))
    skipped, cache = Skipped(), tmp_path / "cache"
    write_shard(tmp_path / "train-0000.tar", renderer, load_bodies("sample"), 7, 16, (160, 96))
    for name in ("train", "valid"):
        build_set(cache, name, read_shard(tmp_path / "train-0000.tar", skipped), 16)
    settings = Settings("decay", batch=8, steps_max=50, workers=0, processes=1, lr=6e-3, average=0.9, look_s=1e9)
    Run(tmp_path / "run", settings, Sources(cache), trained / "last.pt", TINY).run()
    before, taught = checkpoint.load_average(trained / "last.pt"), checkpoint.load_average(tmp_path / "run" / "last.pt")
    data = load_set(cache, "train")
    path = tmp_path / "int8.onnx"
    onnx.save(quantised(taught, data, Scheme("minmax", images=8)), str(path))

    image = np.asarray(data.images[0])
    (size,) = {image.shape[:2]}
    rough = ort.InferenceSession(path.read_bytes()).run(None, {"image": image.transpose(2, 0, 1)[None]})
    exact = ort.InferenceSession(float_model(taught).SerializeToString()).run(
        None, {"image": image.transpose(2, 0, 1)[None]}
    )

    assert skipped.summary() == "nothing skipped"
    assert loss_on(taught, data) < 0.8 * loss_on(before, data)
    assert len(Ours(path, size[1], size[0], threads=1).detect(image, score_min=0.01).score) > 0
    for a, b in zip(rough, exact, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.98


def loss_on(model: Net, data: ImageSet) -> float:
    """The loss of a model over a whole set, one image at a time."""
    total = 0.0
    for k, image in enumerate(data.images):
        boxes, ignore = torch.from_numpy(data.xyxy[k])[None], torch.from_numpy(data.ignore[k])[None]
        yes = torch.ones(1, boxes.shape[1])
        picture = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            total += float(losses(model(picture), Truth(boxes, yes, ignore, yes > 0)).total)
    return total


def test_a_run_resumes_and_a_decay_branches_from_it(trained: Path, cache: Path, tmp_path: Path) -> None:
    settings = Settings("decay", batch=4, steps_max=2, workers=0, processes=1, average=0.5, mosaics_until=0.4)
    run = Run(tmp_path, settings, Sources(cache), trained / "last.pt", TINY)

    run.run()

    assert run.progress.step == 152
    assert checkpoint.read(tmp_path / "last.pt")["progress"]["samples"] == 150 * 8 + 2 * 4


def test_a_packed_checkpoint_is_smaller_and_can_be_continued(trained: Path, cache: Path, tmp_path: Path) -> None:
    size = checkpoint.pack(trained / "last.pt", tmp_path / "packed.pt")
    settings = Settings("trunk", batch=4, steps_max=1, workers=0, processes=1)

    run = Run(tmp_path / "run", settings, Sources(cache), tmp_path / "packed.pt", TINY)

    whole, packed = (checkpoint.load_average(p) for p in (trained / "last.pt", tmp_path / "packed.pt"))
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))

    assert size < 0.5 * (trained / "last.pt").stat().st_size
    assert run.progress.step == 150
    for a, b in zip(packed(image), whole(image), strict=True):
        torch.testing.assert_close(a, b, atol=0.05, rtol=0.02)


def test_a_blend_lies_between_and_can_be_continued(trained: Path, cache: Path, tmp_path: Path) -> None:
    first, second = Net(TINY), Net(TINY)
    for k, each in enumerate((first, second)):
        checkpoint.save(tmp_path / f"{k}.pt", each, each, [], Progress(step=k + 1))

    blend(tmp_path / "0.pt", tmp_path / "1.pt", tmp_path / "mean.pt", 0.25)

    made = checkpoint.load_average(tmp_path / "mean.pt").state_dict()
    for name, value in made.items():
        pair = first.state_dict()[name], second.state_dict()[name]
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * pair[0] + 0.25 * pair[1], atol=1e-3, rtol=1e-3)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    settings = Settings("trunk", batch=4, steps_max=1, workers=0, processes=1)
    assert Run(tmp_path / "run", settings, Sources(cache), tmp_path / "mean.pt", TINY).progress.step == 2

    whole = Net()
    checkpoint.save(tmp_path / "whole.pt", whole, whole, [], Progress())
    with pytest.raises(CheckpointError, match="two of one kind"):
        blend(tmp_path / "0.pt", tmp_path / "whole.pt", tmp_path / "mean.pt", 0.25)
    with pytest.raises(CheckpointError, match=r"--share 1\.5: give a number from 0"):
        blend(tmp_path / "0.pt", tmp_path / "1.pt", tmp_path / "mean.pt", 1.5)


def test_checkpoints_of_another_kind_are_refused(trained: Path, cache: Path, tmp_path: Path) -> None:
    garbage, other = tmp_path / "garbage.pt", tmp_path / "other.pt"
    garbage.write_bytes(b"nothing")
    torch.save({"format": "something/9"}, other)

    with pytest.raises(CheckpointError, match="architecture"):
        checkpoint.restore(trained / "last.pt", Net(), Net())
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        checkpoint.read(garbage)
    with pytest.raises(CheckpointError, match="something/9"):
        checkpoint.read(other)


def test_weights_that_do_not_fit_their_own_architecture_are_refused(tmp_path: Path) -> None:
    wrong = Net(TINY)
    checkpoint.save(tmp_path / "a.pt", wrong, wrong, [], Progress())
    state = torch.load(tmp_path / "a.pt")
    state["average"].popitem()
    torch.save(state, tmp_path / "a.pt")

    with pytest.raises(CheckpointError, match="do not fit"):
        checkpoint.load_average(tmp_path / "a.pt")


def test_float_export_equals_the_network_at_any_size(trained: Path) -> None:
    model = checkpoint.load_average(trained / "last.pt")
    session = ort.InferenceSession(float_model(model).SerializeToString())
    for height, width in ((96, 128), (64, 160)):
        image = np.random.default_rng(0).integers(0, 255, (1, 3, height, width), np.uint8)
        with torch.no_grad():
            expected = model(torch.from_numpy(image).float() / 255)
        for a, b in zip(session.run(None, {"image": image}), expected, strict=True):
            np.testing.assert_allclose(a, b.numpy(), atol=1e-3)


def test_int8_takes_bytes_without_conversion_and_finds_the_figure(trained: Path, cache: Path, tmp_path: Path) -> None:
    model = checkpoint.load_average(trained / "last.pt")
    int8 = quantised(model, load_set(cache, "train"), Scheme("minmax", images=8))
    path = tmp_path / "int8.onnx"
    onnx.save(int8, str(path))

    (user,) = [n for n in int8.graph.node if "image" in n.input]
    item = frame(300)
    found = Ours(path, 96, 96, threads=1).detect(item.image, score_min=0.01)

    assert user.op_type == "DequantizeLinear"
    assert [o.name for o in int8.graph.output] == ["s8", "s16", "s32"]
    centre = (found.xyxy[0, :2] + found.xyxy[0, 2:]) / 2
    assert (centre > item.xyxy[0, :2]).all()
    assert (centre < item.xyxy[0, 2:]).all()


def test_wrong_models_and_sizes_are_refused(trained: Path, tmp_path: Path) -> None:
    model = float_model(checkpoint.load_average(trained / "last.pt"))
    path = tmp_path / "x.onnx"
    onnx.save(model, str(path))

    with pytest.raises(ModelFileError, match="multiples of 32"):
        Ours(path, 320, 240)
    with pytest.raises(ModelFileError, match="not quantised"):
        bytes_in(model)
    model.graph.input[0].name = model.graph.node[0].input[0] = "picture"
    onnx.save(model, str(path))
    with pytest.raises(ModelFileError, match="picture"):
        Ours(path)


def test_the_shipped_size_is_within_its_budget() -> None:
    """At most 350 million multiply-adds at 320x192, at most 1.6 million weights for 1.6 MB."""
    from torch.utils.flop_counter import FlopCounterMode

    model = Net().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 192, 320))

    assert counter.get_total_flops() / 2 <= 350e6
    assert sum(p.numel() for p in model.parameters()) <= 1.5e6


def test_shards_that_appear_are_taken_broken_ones_named_once(cache: Path, tmp_path: Path) -> None:
    import os
    import time

    bad = tmp_path / "train-0.tar"
    bad.write_bytes(b"x" * 2000)
    (tmp_path / "heldout-0.tar").write_bytes(b"x")
    os.utime(bad, (time.time() - 100,) * 2)

    pool = Pool(Sources(cache, tmp_path))
    pool.scan()

    assert [Path(name).name for name, _ in pool.skipped.items] == ["train-0.tar"]
    assert pool.synthetic == {}


def truth(*boxes: list[float], ignore: bool = False) -> Truth:
    xyxy = torch.tensor([list(boxes)], dtype=torch.float32).reshape(1, -1, 4)
    yes = torch.ones(xyxy.shape[:2])
    return Truth(xyxy, yes, (yes > 0) & ignore, yes > 0)


def cells() -> tuple[torch.Tensor, torch.Tensor]:
    return net.centres([torch.zeros(1, 33, 64 // s, 64 // s) for s in net.STRIDES])


def test_assignment_takes_good_cells_inside_and_none_outside() -> None:
    points, steps = cells()
    person = truth([16, 16, 48, 60])
    predicted = person.xyxy.expand(1, len(points), 4)  # every cell predicts the person

    match = assign(torch.zeros(1, len(points)), predicted, points, steps, person)

    assert int(match.positive.sum()) == 10  # ten best overlaps of 1
    assert bool(((points[match.positive[0]] > 16) & (points[match.positive[0]] < 60)).all())
    assert match.quality[match.positive].tolist() == pytest.approx([1.0] * 10, abs=1e-3)


def test_assignment_gives_every_person_a_cell_and_each_cell_one_person() -> None:
    points, steps = cells()
    pair = truth([8, 8, 24, 40], [20, 8, 40, 40])
    predicted = torch.cat((points - 2, points + 2), 1)[None]

    match = assign(torch.zeros(1, len(points)), predicted, points, steps, pair)

    assert set(match.person[match.positive].tolist()) == {0, 1}


def test_ignored_regions_are_skipped_and_nobody_is_no_positive() -> None:
    points, steps = cells()
    predicted = torch.zeros(1, len(points), 4)

    match = assign(torch.zeros(1, len(points)), predicted, points, steps, truth([0, 0, 20, 20], ignore=True))

    assert not bool(match.positive.any())
    assert bool(match.skip[0][(points < 20).all(1)].all())
    assert not bool(match.skip[0][(points > 20).any(1)].any())


def test_losses_by_hand() -> None:
    a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])
    exact = torch.full((1, 4, 8), -50.0)
    exact[..., 2] = exact[..., 3] = 0.0

    assert float(giou(a, a)) == pytest.approx(1.0, abs=1e-5)
    assert float(giou(a, b)) == pytest.approx(2 / 6, abs=1e-5)  # overlap 2 of 6, hull without gap
    assert float(quality_focal(torch.tensor(0.0), torch.tensor(0.5))) == 0.0  # as good as it says
    assert float(distribution_focal(exact, torch.full((1, 4), 2.5))) == pytest.approx(np.log(2), abs=1e-4)


def test_a_batch_without_people_has_a_finite_loss_with_gradients() -> None:
    model = Net(TINY)
    none = Truth(torch.zeros(2, 1, 4), torch.zeros(2, 1), torch.zeros(2, 1) > 0, torch.zeros(2, 1) > 0)

    loss = losses(model(torch.rand(2, 3, 64, 64)), none)
    loss.total.backward()

    assert torch.isfinite(loss.total)
    assert loss.positives == 0


def test_boxes_are_expected_distances_from_cell_centres() -> None:
    bins = torch.full((1, 1, 4, 8), -100.0)
    bins[..., 2] = 100.0

    box = net.boxes(bins, torch.tensor([[20.0, 20.0]]), torch.tensor([8.0]))

    assert box[0, 0].tolist() == pytest.approx([4, 4, 36, 36])


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 16, 48), (2, 48, 16)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        assert bool(((values > 0.5) & (values < 1.4)).all())


@pytest.mark.parametrize(
    ("capabilities", "has"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False, "cpu_name": "an old one"}, False),
        ({"avx2": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
)
def test_half_precision_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], has: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    cpu = torch.device("cpu")
    assert has_bfloat16(cpu) is has
    layer = torch.nn.Linear(4, 4)
    with mixed(cpu):
        assert layer(torch.ones(1, 4)).dtype is (torch.bfloat16 if has else torch.float32)


def test_the_share_of_rendered_frames_is_checked() -> None:
    assert share_of("1.2") == 1.2
    for wrong in ("-1", "nan", "11", "many"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"^{wrong}: give a number from 0"):
            share_of(wrong)


def test_every_weight_is_in_one_optimiser() -> None:
    model = Net(TINY)
    held = [p for o in optimisers(model, 1e-3, 0.0) for g in o.param_groups for p in g["params"]]

    assert len(held) == len({id(p) for p in held}) == len(list(model.parameters()))


def test_schedule_warms_up_holds_and_decays() -> None:
    assert trunk_rate(0) < 0.01
    assert trunk_rate(10_000) == 1.0
    assert decay_rate(0.0) == 1.0
    assert decay_rate(1.0) == pytest.approx(0.01)
    assert ema_keep(0, 0.99) == 0.1
    assert ema_keep(10_000, 0.99) == 0.99


def test_a_team_of_one_is_this_process() -> None:
    seen: list[int] = []

    gather(1, lambda team: seen.append(team.size))

    assert seen == [1]
