# SPDX-License-Identifier: Apache-2.0
"""OpenCV's own V4L2 code and ours against a camera in user space (fake_v4l2.c): what the kernel would be asked."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nigiwai.eye.cameras.opencv import cv2
from tests.conftest import PROOF, ROOT

DEVICE = "/dev/video42"

READ = f"""
import json
from nigiwai.clock import boot_ns
from nigiwai.errors import NigiwaiError
from nigiwai.eye.cameras.v4l2 import V4l2Camera
out = {{"pictures": [], "said": ""}}
try:
    camera = V4l2Camera({DEVICE!r}, SIZE, 15)
    for _ in range(5):
        before = boot_ns()
        frame = camera.read()
        in_time = before - 10**9 <= frame.at <= boot_ns()
        out["pictures"].append([*frame.image.shape, float(frame.image.mean()), in_time, frame.at])
    camera.close()
    V4l2Camera({DEVICE!r}, SIZE, 15).close()
except NigiwaiError as e:
    out["said"] = str(e)
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user-space camera, compiled."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler here: apt install gcc libc6-dev")
    library = tmp_path_factory.mktemp("fake") / "fake_v4l2.so"
    source = Path(__file__).with_name("fake_v4l2.c")
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"the user-space camera does not compile here: {done.stderr.decode()[:200]}")
    return library


def read(driver: Path, size: tuple[int, int] = (320, 240), **how: str) -> dict[str, Any]:
    """What five reads and a second opening gave."""
    done = subprocess.run(
        [sys.executable, "-c", READ.replace("SIZE", str(size))],
        env={**os.environ, "PYTHONPATH": str(ROOT / "device"), "LD_PRELOAD": str(driver), "FAKE_V4L2": DEVICE, **how},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    out: dict[str, Any] = json.loads(done.stdout)
    return out


def test_pictures_with_the_drivers_time(driver: Path) -> None:
    """Each brighter than the last, in order, each stamped a moment ago; closed, the camera is free."""
    out = read(driver)
    assert out["said"] == ""
    assert [picture[:3] for picture in out["pictures"]] == [[240, 320, 3]] * 5
    assert all(picture[4] for picture in out["pictures"])
    brightness = [picture[3] for picture in out["pictures"]]
    assert np.diff(brightness) == pytest.approx(10 * 255 / 219, abs=1.0)
    times = [picture[5] for picture in out["pictures"]]
    assert times == sorted(times)
    assert len(set(times)) == 5


def test_large_pictures_come_as_jpeg(driver: Path, tmp_path: Path) -> None:
    """1280x720 at 15 a second is asked for as MJPG; the camera's JPEG here is half dark and half bright."""
    image = np.zeros((720, 1280, 3), np.uint8)
    image[:, 640:] = 200
    cv2.imwrite(str(tmp_path / "picture.jpg"), image)
    out = read(driver, (1280, 720), FAKE_V4L2_JPEG=str(tmp_path / "picture.jpg"))
    assert [picture[:3] for picture in out["pictures"]] == [[720, 1280, 3]] * 5
    assert out["pictures"][0][3] == pytest.approx(100, abs=2)


def test_a_camera_without_jpeg_gives_what_it_has(driver: Path) -> None:
    out = read(driver, (1280, 720))
    assert [picture[:3] for picture in out["pictures"]] == [[720, 1280, 3]] * 5


# Bad input


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("busy", "in use by another program"),
        ("silent", "gave no picture within 4 s though it is there"),
        ("meta", "not a camera that captures video"),
    ],
)
def test_a_camera_that_gives_nothing(driver: Path, mode: str, words: str) -> None:
    out = read(driver, FAKE_V4L2_MODE=mode)
    assert out["pictures"] == []
    assert out["said"].startswith(f"{DEVICE}: {words}")


def test_the_cable_is_pulled(driver: Path) -> None:
    """OpenCV takes a first picture for itself; the fourth never comes."""
    out = read(driver, FAKE_V4L2_LEFT="4")
    assert 0 < len(out["pictures"]) <= 4
    assert out["said"].startswith(f"{DEVICE}: no such device: not plugged in")


# The commands, on a live camera


def command(
    driver: Path, folder: Path, *words: str, camera: str = DEVICE, **how: str
) -> "subprocess.CompletedProcess[str]":
    """`nigiwai` as an operator types it, with that camera in the settings."""
    settings = folder / "nigiwai.toml"
    settings.write_text(
        f'[camera]\nsource = "v4l2"\ndevice = "{DEVICE}"\nwidth_px = 320\nheight_px = 240\n[mqtt]\nenabled = false\n'
        '[[gate]]\nname = "door"\nline = [[0.1, 0.6], [0.9, 0.6]]\ninside = [0.5, 0.9]\n'
    )
    return subprocess.run(
        [sys.executable, "-m", "nigiwai", *words, "--settings", settings],
        env={**os.environ, "PYTHONPATH": str(ROOT / "device"), "LD_PRELOAD": str(driver), "FAKE_V4L2": DEVICE, **how},
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_looks_through_the_camera(driver: Path, tmp_path: Path) -> None:
    done = command(driver, tmp_path, "check", "--only", "camera")
    assert (done.returncode, done.stderr) == (0, "")
    assert "v4l2, pictures of 320x240" in done.stdout
    busy = command(driver, tmp_path, "check", "--only", "camera", FAKE_V4L2_MODE="busy")
    assert (busy.returncode, "in use by another program" in busy.stdout) == (4, True)


def test_view_watches_the_camera_until_it_is_lost(driver: Path, tmp_path: Path) -> None:
    lost = command(driver, tmp_path, "view", "--fov", "66", "--minutes", "0.2", FAKE_V4L2_LEFT="4")
    assert (lost.returncode, "no such device: not plugged in" in lost.stderr) == (4, True)
    assert "Traceback" not in lost.stderr


@pytest.mark.skipif(not PROOF, reason="six seconds of nobody: make proof")
def test_view_says_why_a_live_view_cannot_be_measured(driver: Path, tmp_path: Path) -> None:
    done = command(driver, tmp_path, "view", "--fov", "66", "--minutes", "0.1")
    assert (done.returncode, "cannot be measured: only 0 whole people" in done.stderr) == (4, True)
