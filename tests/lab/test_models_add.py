# SPDX-License-Identifier: Apache-2.0
"""Taking a known detector's file into use."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from nigiwai.errors import ModelError, RecordingError
from nigiwai.eye.cameras.opencv import cv2
from nigiwai.eye.detector import Detector
from nigiwai.eye.manifest import MANIFEST, Manifest, find_model, known_models, load_manifest, manifest_text
from nigiwai.lab import choose, models_add
from nigiwai.lab.models_add import Added, add
from nigiwai.lab.quantise import last_convolutions
from tests.conftest import ROOT, SHARED
from tests.eye.networks import brightness_model, models_folder
from tests.lab.servers import QuietFiles, serving

FLOAT_INPUT = '{ sizes = [[128, 64]], dtype = "float32", pad = 0 }'


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """The package's models: the entry `tiny`, whose file is not here."""
    weights = brightness_model(dtype=TensorProto.FLOAT, stem=True)
    folder = models_folder(tmp_path / "shipped", weights, input=FLOAT_INPUT)
    (folder / "tiny.onnx").rename(tmp_path / "download.onnx")
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A bright square that walks across a dark picture for six seconds."""
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 2.0, (128, 64))
    for i in range(12):
        image = np.zeros((64, 128, 3), np.uint8)
        image[24:40, 8 * i : 8 * i + 16] = 255
        writer.write(image)
    writer.release()
    return tmp_path / "clip.avi"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    """The address of a server of this computer that gives the files of tmp_path."""
    with serving(partial(QuietFiles, directory=str(tmp_path))) as address:
        yield address


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "FRAMES", 2)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")


def times(monkeypatch: pytest.MonkeyPatch, fp32: float, int8: float) -> None:
    monkeypatch.setattr(models_add, "_times", lambda *_: {"fp32": fp32, "int8": int8})


def add_tiny(tmp_path: Path, shipped: Path, clip: Path, name: str = "tiny", **how: object) -> Added:
    how = {"origin": tmp_path / "download.onnx", "folder": tmp_path / "added", "threads": 1} | how
    return add(name, recording=clip, shipped=shipped, **how)  # type: ignore[arg-type]


def test_a_good_and_fast_int8_copy_takes_the_name(
    tmp_path: Path, shipped: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, fp32=9.0, int8=4.0)
    added = add_tiny(tmp_path, shipped, clip)
    assert added.agreement == 1.0
    assert added.reason == "INT8 is faster and finds 100%"
    known = known_models([shipped, tmp_path / "added"])
    assert (known["tiny"].entry.file, known["tiny-fp32"].entry.file) == ("tiny.int8.onnx", "tiny.onnx")
    assert known["tiny"].entry.family == known["tiny-fp32"].entry.family == "tiny"
    assert known["tiny"].entry.measured["int8 median ms at 128x64"] == 4.0


def test_both_registered_detectors_work(
    tmp_path: Path, shipped: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, fp32=9.0, int8=4.0)
    add_tiny(tmp_path, shipped, clip)
    frame = models_add.sample(clip)[5]
    for name in ("tiny", "tiny-fp32"):
        known = find_model(name, [shipped, tmp_path / "added"])
        assert len(Detector.open(known.entry, known.folder, threads=1).detect(frame)) > 0


def test_the_int8_copy_is_int8(tmp_path: Path, shipped: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch, fp32=9.0, int8=4.0)
    add_tiny(tmp_path, shipped, clip)
    graph = onnx.load(tmp_path / "added" / "tiny.int8.onnx").graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert kinds["eye_quantized"] == TensorProto.INT8
    assert kinds["w8"] == TensorProto.FLOAT  # the last ones stay
    eye = next(tensor for tensor in graph.initializer if tensor.name == "eye_quantized")
    assert np.abs(onnx.numpy_helper.to_array(eye).astype(int)).max() <= 64  # two products fit the 16 bits of old x86
    assert {node.op_type for node in graph.node} >= {"QuantizeLinear", "DequantizeLinear"}


def test_a_board_on_which_int8_is_slower(
    tmp_path: Path, shipped: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, fp32=4.0, int8=9.0)
    added = add_tiny(tmp_path, shipped, clip)
    assert added.reason == "FP32 is faster on this board"
    known = known_models([tmp_path / "added"])
    assert (known["tiny"].entry.file, known["tiny-int8"].entry.file) == ("tiny.onnx", "tiny.int8.onnx")


@pytest.mark.parametrize(
    ("share", "reason"),
    [
        (0.5, "INT8 finds only 50% of the people that FP32 finds"),
        (None, "the recording shows nobody, so INT8 could not be judged; give one with people to `--recording`"),
    ],
)
def test_a_bad_int8_copy_is_not_kept(
    tmp_path: Path, shipped: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, share: float | None, reason: str
) -> None:
    monkeypatch.setattr(models_add, "share_found", lambda *_: share)
    added = add_tiny(tmp_path, shipped, clip)
    assert (added.reason, added.other, added.entry.file) == (reason, None, "tiny.onnx")
    assert sorted(p.name for p in (tmp_path / "added").iterdir()) == [MANIFEST, "tiny.onnx"]


def test_as_it_is(tmp_path: Path, shipped: Path, clip: Path) -> None:
    added = add_tiny(tmp_path, shipped, clip, quantise=False)
    assert (added.other, added.agreement, set(added.times_ms)) == (None, None, {"fp32"})


def test_adding_again_replaces_and_leaves_the_others(tmp_path: Path, shipped: Path, clip: Path) -> None:
    other = models_folder(tmp_path / "added", b"another's", name='"other"', file='"other.onnx"')
    for _ in range(2):
        add_tiny(tmp_path, shipped, clip, quantise=False)
    assert sorted(known_models([other])) == ["other", "tiny"]


def test_files_can_be_read_by_eye(tmp_path: Path, shipped: Path, clip: Path) -> None:
    add_tiny(tmp_path, shipped, clip, quantise=False)
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "added").iterdir()} == {0o644}


def test_the_manifest_is_written_as_it_is_read(tmp_path: Path) -> None:
    shipped = load_manifest(ROOT / "models" / MANIFEST)
    odd = shipped.model[0].model_copy(
        update={"name": "odd", "note": 'a "quoted" \\ 日本\n😀', "measured": {"a b": 1.5}}
    )
    manifest = Manifest(version=1, model=(*shipped.model, odd))
    (tmp_path / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
    assert load_manifest(tmp_path / MANIFEST) == manifest


def test_the_last_convolutions() -> None:
    graph = onnx.load_from_string(brightness_model(stem=True)).graph
    assert last_convolutions(graph) == sorted(n.name for n in graph.node if n.op_type == "Conv" and n.name != "stem")


def test_samples_are_two_a_second_and_bounded(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(models_add.sample(clip)) == 12
    monkeypatch.setattr(models_add, "SAMPLES", 5)
    assert len(models_add.sample(clip)) == 5


def test_the_file_may_come_from_an_address(tmp_path: Path, shipped: Path, clip: Path, files: str) -> None:
    added = add_tiny(tmp_path, shipped, clip, origin=f"{files}/download.onnx", quantise=False)
    assert (tmp_path / "added" / added.entry.file).read_bytes() == (tmp_path / "download.onnx").read_bytes()


def test_the_manifest_says_where_to_fetch(
    tmp_path: Path, shipped: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    weights = (tmp_path / "download.onnx").read_bytes()
    monkeypatch.setattr(models_add, "fetch", lambda url: asked.append(url) or weights)
    path = shipped / MANIFEST
    path.write_text(path.read_text().replace("\nsha256", '\nurl = "https://files.example/tiny.onnx"\nsha256', 1))
    added = add_tiny(tmp_path, shipped, clip, origin=None, quantise=False)
    assert asked == [added.entry.url] == ["https://files.example/tiny.onnx"]


def test_an_address_is_kept_in_the_manifest(tmp_path: Path) -> None:
    shipped = load_manifest(ROOT / "models" / MANIFEST)
    entry = shipped.model[0].model_copy(update={"url": "https://files.example/a.onnx"})
    (tmp_path / MANIFEST).write_text(manifest_text(Manifest(version=1, model=(entry,))))
    assert load_manifest(tmp_path / MANIFEST).model[0].url == "https://files.example/a.onnx"


@pytest.mark.parametrize("url", ["http://files.example/a.onnx", "ftp://files.example/a.onnx", "https://a b"])
def test_only_https_addresses_may_stand_in_the_manifest(tmp_path: Path, shipped: Path, url: str) -> None:
    path = shipped / MANIFEST
    path.write_text(path.read_text().replace("\nsha256", f'\nurl = "{url}"\nsha256', 1))
    with pytest.raises(ModelError, match="url"):
        load_manifest(path)


# Bad input


def test_another_file_behind_the_address(tmp_path: Path, shipped: Path, clip: Path, files: str) -> None:
    (tmp_path / "other.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"http://127.*other\.onnx: not the file of 'tiny'"):
        add_tiny(tmp_path, shipped, clip, origin=f"{files}/other.onnx")
    assert not (tmp_path / "added").exists()


def test_another_file(tmp_path: Path, shipped: Path, clip: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"other\.onnx: not the file of 'tiny'"):
        add_tiny(tmp_path, shipped, clip, origin=tmp_path / "other.onnx")
    assert not (tmp_path / "added").exists()


def test_no_file(tmp_path: Path, shipped: Path, clip: Path) -> None:
    with pytest.raises(
        ModelError, match=r"gone\.onnx: cannot be read \(No such file.*give the downloaded file with --from"
    ):
        add_tiny(tmp_path, shipped, clip, origin=tmp_path / "gone.onnx")


def test_no_address_is_known(tmp_path: Path, shipped: Path, clip: Path) -> None:
    with pytest.raises(ModelError, match=r"tiny: no address is known .* get it from .* with --from"):
        add_tiny(tmp_path, shipped, clip, origin=None)
    assert not (tmp_path / "added").exists()


def test_an_unknown_name(tmp_path: Path, shipped: Path, clip: Path) -> None:
    with pytest.raises(ModelError, match="model = 'tin': no such detector; did you mean 'tiny'"):
        add_tiny(tmp_path, shipped, clip, name="tin")


def test_a_folder_that_cannot_be_written(tmp_path: Path, shipped: Path, clip: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"cannot be written .*sudo, or choose a folder with --models-dir"):
        add_tiny(tmp_path, shipped, clip, folder=tmp_path / "file" / "added")


def test_no_recording(tmp_path: Path, shipped: Path) -> None:
    with pytest.raises(RecordingError, match="no such recording"):
        add_tiny(tmp_path, shipped, tmp_path / "gone.avi")


def test_the_quantiser_is_not_installed(
    tmp_path: Path, shipped: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"needs the Python package 'onnx': .*nigiwai\[quantise\].*--no-quantise"):
        add_tiny(tmp_path, shipped, clip)


@pytest.mark.footage
@pytest.mark.parametrize("name", ["yolox-nano", "nanodet-plus-m", "picodet-s"])
def test_public_detectors_are_fetched_and_known_by_their_hash(name: str, tmp_path: Path) -> None:
    entry = find_model(name, [ROOT / "models"]).entry
    folder = SHARED / "data" / "models"
    if not (folder / entry.file).is_file():
        pytest.skip(f"{folder / entry.file} is missing: no reference models here")
    with serving(partial(QuietFiles, directory=str(folder))) as address:
        weights = models_add.obtain(entry, f"{address}/{entry.file}")
    assert weights == models_add.obtain(entry, folder / entry.file)


@pytest.mark.footage
@pytest.mark.slow
def test_a_public_detector_for_real(tmp_path: Path, footage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SHARED / "data" / "models" / "nanodet-plus-m-416.onnx"
    if not file.is_file():
        pytest.skip(f"{file} is missing: no reference models here")
    monkeypatch.setattr(models_add, "SAMPLES", 40)
    monkeypatch.setattr(models_add, "_ROUNDS", 1)
    added = add("nanodet-plus-m", file, recording=footage / "intel-people-detection.mp4", folder=tmp_path / "added")
    assert added.agreement is not None
    assert added.agreement > 0.6
    assert set(added.times_ms) == {"fp32", "int8"}
    assert find_model("nanodet-plus-m", [ROOT / "models", tmp_path / "added"]).folder == tmp_path / "added"
