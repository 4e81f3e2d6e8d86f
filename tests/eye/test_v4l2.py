# SPDX-License-Identifier: Apache-2.0
"""USB cameras. The kernel's answers are played by a fake ioctl; files that are no cameras are real ones."""

import errno
import fcntl
import os
import struct
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nigiwai.clock import boot_ns, monotonic_to_boot_ns
from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError
from nigiwai.eye.cameras import v4l2
from nigiwai.eye.cameras.opencv import cv2
from nigiwai.eye.cameras.v4l2 import V4l2Camera, demand_camera

CAPTURE, META, DEVICE_CAPS = 0x1, 0x800000, 0x80000000


class FakeCapture:
    """What V4l2Camera uses of cv2.VideoCapture: pictures with the driver's stamps, until the cable is pulled."""

    def __init__(self, stamps_ms: list[float], opened: bool = True) -> None:
        self._stamps = stamps_ms
        self._opened = opened
        self._at = -1
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return self._opened

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._stamps)

    def get(self, key: int) -> float:
        assert key == cv2.CAP_PROP_POS_MSEC
        return self._stamps[self._at]

    def retrieve(self, image: Any = None) -> tuple[bool, Any]:
        image = np.zeros((8, 8, 3), np.uint8) if image is None else image
        image[:] = self._at
        return True, image

    def release(self) -> None:
        self.released = True


class Asked:
    """Plays `demand_camera`: refuses with the given message from the n-th question on."""

    def __init__(self, refuse_from: int = 1_000) -> None:
        self.times = 0
        self._refuse_from = refuse_from

    def __call__(self, device: str) -> None:
        self.times += 1
        if self.times >= self._refuse_from:
            raise CameraError(f"{device}: no such device: not plugged in")


def open_fake(stamps_ms: list[float], asked: Asked | None = None, opened: bool = True) -> V4l2Camera:
    capture = FakeCapture(stamps_ms, opened)
    return V4l2Camera("/dev/video9", (640, 360), 15, lambda _device, _wishes: capture, asked or Asked())


def monotonic_ms(ago_ms: float) -> float:
    return time.monotonic_ns() / 1e6 - ago_ms


# Pictures


def test_pictures_carry_the_drivers_monotonic_time() -> None:
    stamps = [monotonic_ms(ago_ms=300), monotonic_ms(ago_ms=200)]
    camera = open_fake(stamps)
    for i, stamp in enumerate(stamps):
        frame = camera.read()
        assert frame is not None
        assert frame.at == pytest.approx(monotonic_to_boot_ns(round(stamp * 1e6)), abs=20_000_000)
        assert (frame.image == i).all()
    assert camera.kind is CameraKind.V4L2


@pytest.mark.parametrize("stamp_ms", [0.0, -5.0, 1.7e12], ids=["none", "negative", "wall clock"])
def test_a_stamp_of_another_clock_is_not_believed(stamp_ms: float) -> None:
    before = boot_ns()
    frame = open_fake([stamp_ms]).read()
    assert frame is not None
    assert before <= frame.at <= boot_ns()


def test_a_stamp_that_goes_back_is_not_believed() -> None:
    camera = open_fake([monotonic_ms(ago_ms=100), monotonic_ms(ago_ms=500)])
    first, second = camera.read(), camera.read()
    assert first is not None
    assert second is not None
    assert second.at > first.at


def test_the_buffer_is_used_again() -> None:
    camera = open_fake([0.0, 0.0])
    first, second = camera.read(), camera.read()
    assert first is not None
    assert second is not None
    assert first.image is second.image


def test_closed_gives_no_more_and_releases() -> None:
    camera = open_fake([0.0, 0.0])
    camera.close()
    assert camera.read() is None
    camera.close()


def test_close_from_another_thread_waits_for_the_picture() -> None:
    reading, go_on = threading.Event(), threading.Event()

    class Slow(FakeCapture):
        def grab(self) -> bool:
            reading.set()
            assert go_on.wait(20)
            assert not self.released
            return super().grab()

    capture = Slow([0.0])
    camera = V4l2Camera("/dev/video9", (640, 360), 15, lambda _device, _wishes: capture, Asked())
    reader = threading.Thread(target=camera.read)
    reader.start()
    assert reading.wait(20)
    closer = threading.Thread(target=camera.close)
    closer.start()
    go_on.set()
    reader.join(20)
    closer.join(20)
    assert capture.released


@pytest.mark.parametrize(
    ("size", "fps", "fourcc"),
    [
        ((640, 360), 15, "YUYV"),  # 6.9 MB/s
        ((640, 480), 30, "YUYV"),  # 18.4 MB/s
        ((1280, 720), 15, "MJPG"),  # 27.6 MB/s
    ],
)
def test_uncompressed_pictures_where_usb_2_carries_them(size: tuple[int, int], fps: int, fourcc: str) -> None:
    asked: list[int] = []
    V4l2Camera("/dev/video9", size, fps, lambda _device, wishes: asked.extend(wishes) or FakeCapture([]), Asked())
    wishes = dict(zip(asked[::2], asked[1::2], strict=True))
    assert wishes[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*fourcc)
    assert (wishes[cv2.CAP_PROP_FRAME_WIDTH], wishes[cv2.CAP_PROP_FRAME_HEIGHT]) == size
    assert wishes[cv2.CAP_PROP_FPS] == fps


# Bad input


def test_unplugged_while_running() -> None:
    camera = open_fake([0.0], Asked(refuse_from=2))
    camera.read()
    with pytest.raises(CameraError, match="/dev/video9: no such device") as caught:
        camera.read()
    assert caught.value.waiting_helps


def test_there_but_silent() -> None:
    with pytest.raises(
        CameraError, match="/dev/video9: gave no picture within 4 s though it is there; plug it in again"
    ):
        open_fake([]).read()


def test_opencv_cannot_open_it() -> None:
    with pytest.raises(CameraError, match="/dev/video9: opens but gives no video"):
        open_fake([], opened=False)


def test_taken_between_the_question_and_the_opening() -> None:
    with pytest.raises(CameraError, match="no such device"):
        open_fake([], Asked(refuse_from=2), opened=False)


def test_missing_for_real(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CameraError, match=r"/dev/video77: no such device: .*`ls /dev/video\*`.*camera\.device"):
        V4l2Camera("/dev/video77", (640, 480), 15)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_that_is_no_camera(device: str) -> None:
    with pytest.raises(CameraError, match=f"{device}: not a camera"):
        demand_camera(device)


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CameraError, match="file: not a camera"):
        demand_camera(str(tmp_path / "file"))
    with pytest.raises(CameraError, match="not a camera but a folder"):
        demand_camera(str(tmp_path))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "group `video`"),
        (errno.EPERM, "group `video`"),
        (errno.ENODEV, "the device is gone: plug the camera in again"),
        (errno.ENXIO, "the device is gone"),
        (errno.EBUSY, "in use by another program.*fuser -v /dev/video0"),
        (errno.EIO, "cannot be used.*ls /dev/video"),
    ],
)
def test_the_kernels_refusal_is_translated(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(v4l2.os, "open", refuse)
    with pytest.raises(CameraError, match=f"/dev/video0: .*{words}"):
        demand_camera("/dev/video0")


class FakeKernel:
    """Answers the two calls that `demand_camera` makes, on a real open file."""

    def __init__(self, capabilities: int, device_caps: int = 0, reqbufs_errno: int = 0) -> None:
        self.capabilities, self.device_caps, self.reqbufs_errno = capabilities, device_caps, reqbufs_errno

    def ioctl(self, _file: int, request: int, argument: bytearray) -> int:
        if request == ioc(3, 8, 20):
            if self.reqbufs_errno:
                raise OSError(self.reqbufs_errno, os.strerror(self.reqbufs_errno))
            assert struct.unpack_from("=III", argument) == (0, 1, 1)
            return 0
        assert request == ioc(2, 0, 104)
        struct.pack_into("=II", argument, 84, self.capabilities, self.device_caps)
        return 0


def ioc(direction: int, number: int, size: int) -> int:
    """_IOC('V') as asm-generic/ioctl.h builds it."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


@pytest.mark.parametrize(
    "kernel",
    [
        FakeKernel(CAPTURE),
        FakeKernel(CAPTURE | META | DEVICE_CAPS, CAPTURE),
        # A driver without memory-mapped buffers: OpenCV will say so.
        FakeKernel(CAPTURE, reqbufs_errno=errno.EINVAL),
    ],
)
def test_a_camera_is_let_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kernel: FakeKernel) -> None:
    (tmp_path / "video0").touch()
    monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
    demand_camera(str(tmp_path / "video0"))


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        # The second node of a USB camera carries metadata only.
        (FakeKernel(CAPTURE | META | DEVICE_CAPS, META), "not a camera that captures video"),
        (FakeKernel(META), "not a camera that captures video"),
        (FakeKernel(CAPTURE, reqbufs_errno=errno.EBUSY), "in use by another program"),
    ],
)
def test_no_camera_or_not_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kernel: FakeKernel, words: str) -> None:
    (tmp_path / "video0").touch()
    monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
    with pytest.raises(CameraError, match=words):
        demand_camera(str(tmp_path / "video0"))
