# SPDX-License-Identifier: Apache-2.0
"""The list of detectors."""

import hashlib
from pathlib import Path

import pytest

from nigiwai.errors import ModelError
from nigiwai.eye.manifest import MANIFEST, Thresholds, find_model, known_models, load_manifest, read_weights
from tests.conftest import ROOT

HASH = hashlib.sha256(b"weights").hexdigest()

ENTRY = f"""
[[model]]
name = "ours"
file = "ours.onnx"
sha256 = "{HASH}"
licence = "Apache-2.0"
source = "https://example.org/ours"
decode = "nigiwai"
[model.input]
sizes = [[416, 256], [320, 192]]
dtype = "uint8"
"""


def write(folder: Path, text: str) -> Path:
    """A folder with that manifest."""
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return folder


def mistakes(tmp_path: Path, text: str) -> list[str]:
    """The lines of the refusal, without the path."""
    path = write(tmp_path, text) / MANIFEST
    with pytest.raises(ModelError) as caught:
        load_manifest(path)
    return [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]


def test_the_shipped_manifest() -> None:
    known = known_models([ROOT / "models"])
    assert {"nigiwai-person", "yolox-nano", "nanodet-plus-m", "picodet-s"} <= set(known)
    ours = known["nigiwai-person"].entry
    assert ours.input.sizes[0] == ours.size_for(16 / 9) == (320, 192)
    assert ours.size_for(4 / 3) == (384, 288)
    assert (320, 192) in ours.input.sizes
    assert (ours.input.dtype, ours.input.colour, ours.decode, ours.classes) == ("uint8", "bgr", "nigiwai", 1)
    assert ours.input.shape((320, 192)) == (1, 192, 320, 3)
    assert all(k.entry.licence.startswith("Apache-2.0") for k in known.values())


def test_people_begin_at_a_lower_score_where_the_camera_is_known_to_look_down_steeply() -> None:
    both = Thresholds(low=0.3, high=0.55, high_from_above=0.4)
    assert [both.high_at(tilt_deg) for tilt_deg in (None, 30.0, 59.9, 60.0, 90.0)] == [0.55, 0.55, 0.55, 0.4, 0.4]
    assert Thresholds(low=0.3, high=0.55).high_at(90.0) == 0.55


def test_an_entry_with_its_defaults(tmp_path: Path) -> None:
    known = find_model("ours", [write(tmp_path, "version = 1" + ENTRY)])
    assert known.path == tmp_path / "ours.onnx"
    assert known.entry.thresholds.low < known.entry.thresholds.high
    assert (known.entry.input.fit, known.entry.input.mean, known.entry.person) == ("letterbox", (0, 0, 0), 0)


def test_a_later_folder_goes_first(tmp_path: Path) -> None:
    shipped = write(tmp_path / "shipped", "version = 1" + ENTRY + ENTRY.replace('"ours"', '"other"'))
    added = write(tmp_path / "added", "version = 1" + ENTRY.replace("ours.onnx", "tuned.onnx"))
    known = known_models([shipped, added, tmp_path / "absent"])
    assert known["ours"].path == added / "tuned.onnx"
    assert known["other"].path == shipped / "ours.onnx"


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(None, None, (416, 256)), (320, None, (320, 192)), (None, 192, (320, 192)), (416, 256, (416, 256))],
)
def test_sizes(tmp_path: Path, width: int | None, height: int | None, size: tuple[int, int]) -> None:
    assert find_model("ours", [write(tmp_path, "version = 1" + ENTRY)]).entry.size(width, height) == size


@pytest.mark.parametrize(("width", "height"), [(417, None), (416, 192), (256, 416)])
def test_a_size_that_the_model_has_not(tmp_path: Path, width: int, height: int | None) -> None:
    entry = find_model("ours", [write(tmp_path, "version = 1" + ENTRY)]).entry
    with pytest.raises(ModelError, match=rf"model\.width_px.*= {width}, {height}: ours has no such.*416x256, 320x192"):
        entry.size(width, height)


# Bad input


@pytest.mark.parametrize(
    ("change", "to", "told"),
    [
        ("sha256", "sha265", ["model.'ours'.sha256: is missing", "model.'ours'.sha265: unknown key"]),
        (HASH, "abc", ["model.'ours'.sha256 = 'abc': string should match pattern '^[0-9a-f]{64}$'"]),
        ('"uint8"', '"int8"', ["model.'ours'.input.dtype = 'int8': input should be 'uint8' or 'float32'"]),
        (
            '"uint8"',
            '"uint8"\nmean = [1.0, 2.0, 3.0]',
            ["model.'ours'.input: mean and std go with dtype = \"float32\""],
        ),
        ('"uint8"', '"float32"\nstd = [1.0, 0.0, 1.0]', ["model.'ours'.input: std must not be 0"]),
        (
            '"uint8"',
            '"uint8"\nlayout = "nhwc"\ncolour = "rgb"',
            ['model.\'ours\'.input: layout = "nhwc" goes with dtype = "uint8" and colour = "bgr"'],
        ),
        ("[320, 192]", "[320, 193]", ["model.'ours'.input.sizes.1.1 = 193: input should be a multiple of 32"]),
        ("[416, 256], [320, 192]", "", ["model.'ours'.input.sizes = []: tuple should have at least 1 item"]),
        ('"ours.onnx"', '"../ours.onnx"', ["model.'ours'.file = '../ours.onnx': string should match pattern"]),
        ('"nigiwai"', '"yolov8"', ["model.'ours'.decode = 'yolov8': input should be 'nigiwai', 'yolox', 'nanodet'"]),
        ('"nigiwai"', '"nigiwai"\nperson = 1', ["model.'ours': person = 1 is not among 1 classes counted from 0"]),
        ('"nigiwai"', '"nigiwai"\nclasses = "80"', ["model.'ours'.classes = '80': input should be a valid integer"]),
        ("version = 1", "version = 2", ["version = 2: input should be 1"]),
        ("version = 1", "", ["version: is missing"]),
        (
            "[model.input]",
            "[model.thresholds]\nlow = 0.6\nhigh = 0.5\n[model.input]",
            ["model.'ours'.thresholds: low = 0.6 is above high = 0.5"],
        ),
        (
            "[model.input]",
            "[model.thresholds]\nlow = 0.3\nhigh_from_above = 0.2\n[model.input]",
            ["model.'ours'.thresholds: low = 0.3 is above high_from_above = 0.2"],
        ),
        (
            'name = "ours"',
            'name = "Ours"\nnote = 7',
            [
                "model.'Ours'.name = 'Ours': string should match",
                "model.'Ours'.note = 7: input should be a valid string",
            ],
        ),
    ],
)
def test_every_mistake_is_told(tmp_path: Path, change: str, to: str, told: list[str]) -> None:
    lines = mistakes(tmp_path, ("version = 1" + ENTRY).replace(change, to, 1))
    assert len(lines) == len(told)
    for line, beginning in zip(lines, told, strict=True):
        assert line.startswith(beginning)


def test_two_of_one_name(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "version = 1" + ENTRY * 2) == [
        "model: two models are named 'ours'; give each its own name"
    ]


def test_no_toml(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "version = ")[0].startswith("not valid TOML: ")


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.toml: no such file"):
        load_manifest(tmp_path / MANIFEST)


def test_unknown_name(tmp_path: Path) -> None:
    folder = write(tmp_path, "version = 1" + ENTRY)
    with pytest.raises(ModelError, match="model = 'our': no such detector; did you mean 'ours'"):
        find_model("our", [folder])
    with pytest.raises(ModelError, match="model = 'resnet': no such detector; known are ours"):
        find_model("resnet", [folder])


def test_no_models_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no models known: no manifest\.toml in "):
        find_model("ours", [tmp_path / "gone"])


def test_the_file_is_read_only_if_it_is_the_entrys(tmp_path: Path) -> None:
    known = find_model("ours", [write(tmp_path, "version = 1" + ENTRY)])
    known.path.write_bytes(b"weights")
    assert read_weights(*known) == b"weights"
    known.path.write_bytes(b"Weights")
    other = hashlib.sha256(b"Weights").hexdigest()
    with pytest.raises(ModelError, match=rf"ours\.onnx: not the file of 'ours'.*found {other}, expected {HASH}"):
        read_weights(*known)


def test_the_file_is_not_here(tmp_path: Path) -> None:
    known = find_model("ours", [write(tmp_path, "version = 1" + ENTRY)])
    with pytest.raises(
        ModelError, match=r"ours\.onnx: .*not here; get it from .* `nigiwai models add ours --from FILE`"
    ):
        read_weights(*known)


def test_the_file_is_a_folder(tmp_path: Path) -> None:
    known = find_model("ours", [write(tmp_path, "version = 1" + ENTRY)])
    known.path.mkdir()
    with pytest.raises(ModelError, match=r"ours\.onnx: cannot be read \(Is a directory\)"):
        read_weights(*known)
