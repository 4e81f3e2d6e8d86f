# SPDX-License-Identifier: Apache-2.0
"""A USB camera or capture card through V4L2.

OpenCV says only that a camera could not be opened. So the device is asked first, with the kernel's own calls: is it
there, may we, is it a camera, does somebody else have it. Numbers of the calls: linux/videodev2.h.
"""

import errno
import fcntl
import os
import struct
import threading
from collections.abc import Callable
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs, boot_ns, monotonic_to_boot_ns
from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError
from nigiwai.eye.cameras.opencv import V4L2_TIMEOUT_S, cv2
from nigiwai.eye.types import Frame

_QUERYCAP = 0x80685600
_QUERYCAP_BYTES = 104
_CAPABILITIES_AT = 84
_DEVICE_CAPS_AT = 88
_HAS_DEVICE_CAPS = 0x80000000
_CAPTURES = 0x00000001 | 0x00001000
"""V4L2_CAP_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE_MPLANE."""

_REQBUFS = 0xC0145608
_NO_BUFFERS = struct.pack("=IIII4x", 0, 1, 1, 0)
"""v4l2_requestbuffers: none, of type video capture, memory-mapped. Refused with EBUSY while another program streams."""

_USB2_BYTES_S = 20_000_000
"""What a camera gets through USB 2 with little risk: a high-speed isochronous pipe carries 24.6 MB/s at most
(USB 2.0, section 5.6.4: 3 x 1024 bytes in each of 8000 microframes a second)."""

_BUFFERS = 2
"""One that the driver fills while the other is read; more would only hold old pictures."""

_STALE_NS = 2_000_000_000

_WHICH = "`ls /dev/video*` lists the cameras, `camera.device` in the settings chooses one"
_HELP = {
    errno.ENOENT: f"no such device: not plugged in, or another number. {_WHICH}",
    errno.ENODEV: f"the device is gone: plug the camera in again. {_WHICH}",
    errno.ENXIO: f"the device is gone: plug the camera in again. {_WHICH}",
    errno.EACCES: "not allowed: add this user to the group `video` (`sudo usermod -aG video USER`) and log in again",
    errno.EPERM: "not allowed: add this user to the group `video`; under systemd see DeviceAllow in the unit",
    errno.EBUSY: "in use by another program: end that program (`fuser -v DEVICE` names it), or choose another camera",
    errno.ENOTTY: f"not a camera. {_WHICH}",
    errno.EINVAL: f"not a camera that captures video. {_WHICH}",
    errno.EISDIR: f"not a camera but a folder. {_WHICH}",
}


class V4l2Camera:
    """A camera behind a /dev/video file."""

    kind = CameraKind.V4L2

    def __init__(
        self,
        device: str,
        size: tuple[int, int],
        fps: int,
        open_capture: Callable[[str, list[int]], Any] | None = None,
        demand: Callable[[str], None] | None = None,
    ) -> None:
        """Opens `device` and asks for pictures of width and height `size`; the camera may give others.

        open_capture, demand: OpenCV's capture and `demand_camera`, unless given.

        Raises CameraError.
        """
        self._device = device
        self._demand = demand or demand_camera
        self._demand(device)
        self._capture = (open_capture or _open_capture)(device, _wishes(size, fps))
        if not self._capture.isOpened():
            self._demand(device)
            raise CameraError(f"{device}: opens but gives no video that OpenCV can read. {_WHICH}")
        self._lock = threading.Lock()
        self._closed = False
        self._buffer: NDArray[np.uint8] | None = None
        self._last: BootNs | None = None

    def read(self, timeout_s: float = V4L2_TIMEOUT_S) -> Frame | None:  # noqa: ARG002 - OpenCV has one for all
        """The next picture; None once closed. Raises CameraError where none comes within V4L2_TIMEOUT_S."""
        with self._lock:
            if self._closed:
                return None
            if not self._capture.grab():
                self._fail()
            at = self._stamp(self._capture.get(cv2.CAP_PROP_POS_MSEC))
            good, image = self._capture.retrieve(self._buffer)
            if not good:
                self._fail()
            self._buffer = cast("NDArray[np.uint8]", image)
            return Frame(self._buffer, at)

    def _stamp(self, stamp_ms: float) -> BootNs:
        """The driver's time stamp where it is one of the monotonic clock, else now; always later than the last."""
        now = boot_ns()
        at = monotonic_to_boot_ns(round(stamp_ms * 1e6))
        if not now - _STALE_NS <= at <= now or (self._last is not None and at <= self._last):
            at = now
        self._last = at
        return at

    def _fail(self) -> NoReturn:
        """Raises the CameraError that says why there is no picture, after giving the camera back.

        While we stream ourselves, the kernel would call the camera busy.
        """
        self._capture.release()
        self._demand(self._device)
        raise CameraError(
            f"{self._device}: gave no picture within {V4L2_TIMEOUT_S} s though it is there; plug it in again, directly"
            " and not through a hub without power"
        )

    def close(self) -> None:
        """Gives the camera back, after a picture that is being read."""
        self._closed = True
        with self._lock:
            self._capture.release()


def _wishes(size: tuple[int, int], fps: int) -> list[int]:
    """OpenCV's list of properties and values. Uncompressed where USB 2 carries it: MJPG costs decoding and detail."""
    width, height = size
    raw = 2 * width * height * fps <= _USB2_BYTES_S
    fourcc = cv2.VideoWriter.fourcc(*("YUYV" if raw else "MJPG"))
    return [
        *(cv2.CAP_PROP_FOURCC, fourcc),
        *(cv2.CAP_PROP_FRAME_WIDTH, width),
        *(cv2.CAP_PROP_FRAME_HEIGHT, height),
        *(cv2.CAP_PROP_FPS, fps),
        *(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS),
    ]  # fmt: skip


def _open_capture(device: str, wishes: list[int]) -> Any:
    """OpenCV's capture with those wishes that the camera grants; it refuses to open with any that is not granted."""
    capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
    for key, value in zip(wishes[::2], wishes[1::2], strict=True):
        capture.set(key, value)
    return capture


def demand_camera(device: str) -> None:
    """Raises CameraError unless `device` is a camera that we may use and nobody else uses."""
    try:
        file = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _demand_capture(file)
        finally:
            os.close(file)
    except OSError as e:
        help_ = _HELP.get(e.errno or 0, f"cannot be used ({e.strerror}). {_WHICH}").replace("DEVICE", device)
        raise CameraError(f"{device}: {help_}") from None


def _demand_capture(file: int) -> None:
    """Raises OSError unless the open file is a V4L2 device that captures video for whoever asks."""
    about = bytearray(_QUERYCAP_BYTES)
    fcntl.ioctl(file, _QUERYCAP, about)
    (capabilities,) = struct.unpack_from("=I", about, _CAPABILITIES_AT)
    if capabilities & _HAS_DEVICE_CAPS:
        (capabilities,) = struct.unpack_from("=I", about, _DEVICE_CAPS_AT)
    if not capabilities & _CAPTURES:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    try:
        fcntl.ioctl(file, _REQBUFS, bytearray(_NO_BUFFERS))
    except OSError as e:
        if e.errno == errno.EBUSY:
            raise
