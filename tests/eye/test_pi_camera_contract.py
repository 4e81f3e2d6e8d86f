# SPDX-License-Identifier: Apache-2.0
"""Whether the fake of picamera2 has the real one's signatures and array shapes, where the real one is installed.

libcamera itself cannot be had without a Pi's system; mocks stand in for it while picamera2 is imported.
"""

import importlib
import importlib.util
import inspect
import sys
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from tests.eye.fake_picamera2 import FakePicamera2, FakeRequest, pack_yuv, stride_of

METHODS = ("__init__", "create_video_configuration", "configure", "stream_configuration", "start", "capture_request",
           "cancel_all_and_flush", "stop", "close", "global_camera_info")  # fmt: skip


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real picamera2, imported with mocks for what only a Pi has, and forgotten afterwards."""
    if importlib.util.find_spec("picamera2") is None:
        pytest.skip("picamera2 is not installed (pip install picamera2 needs libcap-dev)")
    before = set(sys.modules)
    if importlib.util.find_spec("libcamera") is None:
        for name in ("libcamera", "libcamera.controls", "libcamera.properties", "pykms", "kms"):
            monkeypatch.setitem(sys.modules, name, MagicMock())
    yield importlib.import_module("picamera2")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "picamera2":
            del sys.modules[name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS)
def test_signatures(real: Any, method: str) -> None:
    ours = inspect.signature(getattr(FakePicamera2, method)).parameters
    theirs = inspect.signature(getattr(real.Picamera2, method)).parameters
    assert list(ours) == list(theirs)
    for name, parameter in ours.items():
        if name != "transform":  # a libcamera object
            assert parameter.default == theirs[name].default


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["make_array", "get_metadata", "release"])
def test_request_signatures(real: Any, method: str) -> None:
    request = importlib.import_module("picamera2.request").CompletedRequest
    ours, theirs = (inspect.signature(getattr(c, method)).parameters for c in (FakeRequest, request))
    assert list(ours) == list(theirs)


@pytest.mark.filterwarnings("ignore")
def test_yuv_arrays_keep_their_padding(real: Any) -> None:
    width, height = 416, 234
    plane, half = np.zeros((height, width), np.uint8), np.zeros((height // 2, width // 2), np.uint8)
    ours = pack_yuv(plane, half, half, stride_of(width))
    config = {"format": "YUV420", "size": (width, height), "stride": stride_of(width)}
    helpers = importlib.import_module("picamera2.request").Helpers(None)
    assert helpers.make_array(ours.reshape(-1), config).shape == ours.shape
