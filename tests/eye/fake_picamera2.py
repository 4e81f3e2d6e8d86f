# SPDX-License-Identifier: Apache-2.0
"""What PiCamera uses of picamera2 0.3.38, faithful where it matters; read from its source.

- Picamera2(n) of no camera, configure while started, start of nothing: RuntimeError.
- Sizes must be a tuple of even numbers; the streams may come out with another size, and a stride of their own.
- A request not released starves the buffers; released twice: RuntimeError.
- YUV420 arrays are (h * 3/2, stride), padding kept. SensorTimestamp is nanoseconds of the monotonic clock.
- capture_request(wait=seconds) raises TimeoutError and leaves the job behind until cancel_all_and_flush.

`tests/eye/test_pi_camera_contract.py` compares the signatures with the real library where that is installed.
"""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np


def stride_of(width: int) -> int:
    """Bytes a row of luma: the next multiple of 64, as on a Pi 4."""
    return -(-width // 64) * 64


def pack_yuv(y: Any, u: Any, v: Any, stride: int, padding: int = 255) -> Any:
    """Planes (h, w), (h/2, w/2), (h/2, w/2) as the padded (h * 3/2, stride) array that make_array returns."""
    planes = []
    for plane, row_bytes in ((y, stride), (u, stride // 2), (v, stride // 2)):
        padded = np.full((plane.shape[0], row_bytes), padding, np.uint8)
        padded[:, : plane.shape[1]] = plane
        planes.append(padded.reshape(-1))
    return np.concatenate(planes).reshape(-1, stride)


class FakeRequest:
    """A completed request."""

    def __init__(self, camera: "FakePicamera2", array: Any, metadata: dict[str, Any]) -> None:
        self._camera, self._array, self._metadata = camera, array, metadata
        self._references = 1

    def make_array(self, name: str) -> Any:
        assert self._references == 1, "read after release"
        if name != "lores":
            raise RuntimeError(f"Stream {name!r} is not defined")
        return self._array.copy()

    def get_metadata(self) -> dict[str, Any]:
        return dict(self._metadata)

    def release(self) -> None:
        self._references -= 1
        if self._references < 0:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        self._camera.held -= 1


class FakePicamera2:
    """A camera whose pictures and ills the test sets on the class made by `fake_libraries`."""

    cameras: list[dict[str, Any]]
    busy: bool
    granted_format: str
    grey: int
    silent: bool
    broken: bool
    sensor_ns: int | None
    made: "list[FakePicamera2]"

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        raise NotImplementedError

    def __init__(self, camera_num=0, verbose_console=None, tuning=None, allocator=None):
        if camera_num >= len(self.cameras):
            raise RuntimeError(f"No camera number {camera_num} found")
        if self.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.started = self.closed = self.flushed = False
        self.configuration: dict[str, Any] = {}
        self.held = 0
        self.made.append(self)

    def create_video_configuration(
        self,
        main={},  # noqa: B006 - the real one's
        lores=None,
        raw={},  # noqa: B006
        transform=None,
        colour_space=None,
        buffer_count=6,
        controls={},  # noqa: B006
        display="main",
        encode="main",
        queue=True,
        sensor={},  # noqa: B006
        use_case="video",
    ) -> dict[str, Any]:
        return {"main": dict(main), "lores": dict(lores), "colour_space": colour_space,
                "buffer_count": buffer_count, "controls": dict(controls)}  # fmt: skip

    def configure(self, camera_config=None) -> None:
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        for name in ("main", "lores"):
            size = camera_config[name]["size"]
            if type(size) is not tuple or size[0] % 2 or size[1] % 2:
                raise RuntimeError("width and height should be even")
        main, lores = camera_config["main"]["size"], camera_config["lores"]["size"]
        if lores[0] > main[0] or lores[1] > main[1]:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        camera_config["lores"] |= {"stride": stride_of(lores[0]), "format": self.granted_format}
        self.configuration = camera_config

    def stream_configuration(self, name="main") -> dict[str, Any]:
        return dict(self.configuration[name])

    def start(self, config=None, show_preview=False) -> None:
        assert self.configuration, "unconfigured, picamera2 would start a preview configuration"
        self.started = True

    def capture_request(self, wait=None, signal_function=None, flush=None) -> FakeRequest:
        assert wait, "a pulled cable hangs a wait without limit"
        if self.broken:
            raise RuntimeError("Camera not started")
        if self.silent or self.held >= self.configuration["buffer_count"]:
            self.flushed = False
            raise TimeoutError
        width, height = self.configuration["lores"]["size"]
        neutral = np.full((height // 2, width // 2), 128, np.uint8)
        luma = np.full((height, width), self.grey, np.uint8)
        stamp = (
            {} if self.sensor_ns is None else {"SensorTimestamp": self.sensor_ns or time.monotonic_ns() - 20_000_000}
        )
        self.held += 1
        return FakeRequest(self, pack_yuv(luma, neutral, neutral, stride_of(width)), stamp)

    def cancel_all_and_flush(self) -> None:
        self.flushed = True

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        self.closed = True


def fake_libraries(**how: Any) -> dict[str, Any]:
    """picamera2 and libcamera by name; `how` sets attributes of the camera class."""
    usual = {
        "cameras": [{"Model": "imx708_wide", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a", "Num": 0}],
        "busy": False, "granted_format": "YUV420", "grey": 126, "silent": False, "broken": False, "sensor_ns": 0,
        "made": [],
    }  # fmt: skip
    camera = type("Picamera2", (FakePicamera2,), usual | how)
    camera.global_camera_info = staticmethod(lambda: camera.cameras)  # type: ignore[attr-defined]
    colour = SimpleNamespace(Smpte170m=lambda: "SMPTE170M")
    return {"picamera2": SimpleNamespace(Picamera2=camera), "libcamera": SimpleNamespace(ColorSpace=colour)}
