# SPDX-License-Identifier: Apache-2.0
"""The Pi's camera, played by a fake of picamera2. Never run on a Pi: see docs/verification.md."""

from typing import Any

import cv2
import numpy as np
import pytest

from nigiwai.clock import boot_ns, monotonic_to_boot_ns
from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError, CameraSoftwareError
from nigiwai.eye.cameras.picamera import PiCamera, inner_size, load_libraries
from nigiwai.eye.types import Frame
from tests.eye.fake_picamera2 import fake_libraries, pack_yuv, stride_of


def open_fake(
    index: int = 0, size: tuple[int, int] = (1280, 720), fit: tuple[int, int] | None = (416, 256), **how: Any
) -> tuple[PiCamera, Any]:
    """The camera, and the fake that it opened."""
    libraries = fake_libraries(**how)
    camera = PiCamera(index, size, 15, fit=fit, load=libraries.__getitem__)
    return camera, libraries["picamera2"].Picamera2.made[0]


def read(camera: PiCamera) -> Frame:
    frame = camera.read(2.0)
    assert frame is not None
    return frame


# Pictures


def test_the_isp_scales_to_what_the_detector_takes() -> None:
    camera, fake = open_fake()
    frame = read(camera)
    assert (frame.width, frame.height) == (416, 234)
    assert fake.configuration["main"] == {"size": (1280, 720), "format": "YUV420"}
    assert fake.configuration["controls"] == {"FrameDurationLimits": (66_667, 66_667)}
    assert fake.configuration["colour_space"] == "SMPTE170M"
    assert camera.kind is CameraKind.PI


@pytest.mark.parametrize(("grey", "value"), [(16, 0), (126, 128), (235, 255)])
def test_limited_range_grey_becomes_grey_without_padding(grey: int, value: int) -> None:
    """BT.601: luma 16..235 is black..white. The fake's padding is white and must not show."""
    image = read(open_fake(grey=grey)[0]).image
    assert image.shape == (234, 416, 3)
    assert np.abs(image.astype(int) - value).max() <= 1


@pytest.mark.parametrize("size", [(416, 234), (414, 256), (320, 192), (340, 254), (64, 66)])
def test_padded_chroma_is_converted_exactly(size: tuple[int, int]) -> None:
    """Any even size, also with half an odd number of rows, gives what the unpadded picture gives."""
    rng = np.random.default_rng(1)
    width, height = size
    y = rng.integers(16, 236, (height, width), np.uint8)
    u, v = rng.integers(16, 241, (2, height // 2, width // 2), np.uint8)
    padded = pack_yuv(y, u, v, stride_of(width))
    tight = pack_yuv(y, u, v, width)
    assert padded.shape == (height * 3 // 2, stride_of(width))
    from_padded = cv2.cvtColor(padded, cv2.COLOR_YUV2BGR_I420)[:, :width]
    assert np.array_equal(from_padded, cv2.cvtColor(tight, cv2.COLOR_YUV2BGR_I420))


def test_the_memory_is_used_again() -> None:
    camera, _ = open_fake()
    assert read(camera).image.ctypes.data == read(camera).image.ctypes.data


def test_requests_are_given_back() -> None:
    """picamera2 has four buffers: a fifth picture comes only if each was released."""
    camera, fake = open_fake()
    for _ in range(10):
        read(camera)
    assert fake.held == 0


def test_the_sensors_time() -> None:
    import time

    sensor_ns = time.monotonic_ns() - 50_000_000
    frame = read(open_fake(sensor_ns=sensor_ns)[0])
    assert frame.at == pytest.approx(monotonic_to_boot_ns(sensor_ns), abs=20_000_000)


@pytest.mark.parametrize("sensor_ns", [None, 1, 2**62], ids=["none", "long ago", "to come"])
def test_a_sensor_time_that_cannot_be_is_not_believed(sensor_ns: int | None) -> None:
    before = boot_ns()
    frame = read(open_fake(sensor_ns=sensor_ns)[0])
    assert before <= frame.at <= boot_ns()


@pytest.mark.parametrize(
    ("size", "fit", "inner"),
    [
        ((1280, 720), (416, 256), (416, 234)),
        ((1296, 972), (416, 256), (340, 256)),  # 4:3: 341.3 wide, even
        ((1280, 720), (320, 192), (320, 180)),
        ((320, 240), (416, 256), (320, 240)),  # never larger than the main picture
        ((720, 1280), (416, 256), (144, 256)),  # on end
    ],
)
def test_inner_size(size: tuple[int, int], fit: tuple[int, int], inner: tuple[int, int]) -> None:
    assert inner_size(size, fit) == inner


def test_without_a_detectors_size_half_the_picture() -> None:
    camera, _ = open_fake(fit=None)
    assert (read(camera).width, read(camera).height) == (640, 360)


def test_close_stops_and_releases_once() -> None:
    camera, fake = open_fake()
    camera.close()
    camera.close()
    assert (fake.started, fake.closed, fake.flushed) == (False, True, True)
    assert camera.read(1.0) is None


# Bad input


def test_no_camera_at_all() -> None:
    with pytest.raises(
        CameraError, match=r"camera\.index = 0: no such Pi camera; found: none\. .*flat cable"
    ) as caught:
        open_fake(cameras=[])
    assert caught.value.waiting_helps


def test_no_second_camera() -> None:
    with pytest.raises(CameraError, match=r"camera\.index = 1: no such Pi camera; found: 0: imx708_wide"):
        open_fake(index=1)


def test_usb_cameras_do_not_count() -> None:
    with pytest.raises(CameraError, match="found: none"):
        open_fake(cameras=[{"Model": "USB", "Id": "/base/scb/pcie@7d500000/usb@0,0-1.2:1.0-046d:0825", "Num": 0}])


def test_in_use() -> None:
    with pytest.raises(CameraError, match=r"Pi camera 0: cannot be opened .*another program"):
        open_fake(busy=True)


def test_cable_pulled() -> None:
    camera, fake = open_fake(silent=True)
    with pytest.raises(CameraError, match=r"Pi camera 0: gave no picture for 0\.5 s; .*flat cable"):
        camera.read(0.5)
    assert fake.flushed


def test_stopped_under_us() -> None:
    with pytest.raises(CameraError, match=r"Pi camera 0: stopped \(Camera not started\)"):
        open_fake(broken=True)[0].read(1.0)


def test_another_format_is_refused_and_the_camera_released() -> None:
    libraries = fake_libraries(granted_format="RGB888")
    with pytest.raises(CameraSoftwareError, match="gives RGB888 where YUV420 was asked for"):
        PiCamera(0, (1280, 720), 15, load=libraries.__getitem__)
    assert libraries["picamera2"].Picamera2.made[0].closed


def failing(error: Exception) -> Any:
    def load(_name: str) -> Any:
        raise error

    return load


@pytest.mark.parametrize("missing", ["picamera2", "libcamera"])
def test_software_missing(missing: str) -> None:
    error = ModuleNotFoundError(f"No module named {missing!r}", name=missing)
    with pytest.raises(CameraSoftwareError, match=rf"{missing}.*apt install python3-picamera2.*v4l2") as caught:
        load_libraries(failing(error))
    assert not caught.value.waiting_helps


@pytest.mark.parametrize(
    "error",
    [
        ValueError("numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88"),
        ImportError("A module that was compiled using NumPy 1.x cannot be run in NumPy 2.4.6 as it may crash."),
        AttributeError("_ARRAY_API not found: module compiled against numpy"),
    ],
)
def test_raspberry_pi_os_12_is_refused_with_the_reason(error: Exception) -> None:
    with pytest.raises(CameraSoftwareError, match=r"numpy 1.*numpy 2.*Raspberry Pi OS 12.*install Raspberry Pi OS 13"):
        load_libraries(failing(error))


def test_software_broken_otherwise() -> None:
    with pytest.raises(CameraSoftwareError, match=r"cannot be loaded \(libcamera\.so\.0\.5: cannot open.*apt install"):
        load_libraries(failing(ImportError("libcamera.so.0.5: cannot open shared object file")))
