# SPDX-License-Identifier: Apache-2.0
"""The Pi's own camera through picamera2 (0.3.30 and later, Raspberry Pi OS 13).

The ISP makes two pictures of every exposure: `main`, which decides the sensor's mode and is never fetched, and `lores`,
scaled to the detector's input at no cost to the CPU. Only `lores` comes to eye, as planar YUV 4:2:0:

    rows 0 .. h            Y   each row `stride` bytes, of which `width` are picture
    rows h .. h * 5/4      U   two rows of stride/2 bytes in one
    rows h * 5/4 .. h * 3/2  V

picamera2 keeps the padding of this format and returns (h * 3/2, stride); converting all of it and cutting the padding
off afterwards is exact, because the chroma's stride is half the luma's.
"""

import importlib
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs, boot_ns, monotonic_to_boot_ns
from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError, CameraSoftwareError
from nigiwai.eye.types import Frame

_BUFFERS = 4
"""picamera2's own advice for video is 6; 4 keeps the sensor going and the memory (CMA) small."""

_STALE_NS = 5_000_000_000

_INSTALL = (
    "on Raspberry Pi OS 13: `sudo apt install python3-picamera2`, and make the environment with"
    " `python3 -m venv --system-site-packages`"
)
_CABLE = "switch the Pi off and check the flat cable at both ends; `rpicam-hello --list-cameras` must list it"


class PiCamera:
    """A camera on the Pi's own connector; `index` counts from 0."""

    kind = CameraKind.PI

    def __init__(
        self,
        index: int,
        size: tuple[int, int],
        fps: int,
        fit: tuple[int, int] | None = None,
        load: Callable[[str], Any] = importlib.import_module,
    ) -> None:
        """Opens and starts the camera.

        size: width and height of the main picture, which sets aspect and sensor mode. fit: the largest picture that
        the detector takes; half of `size` unless given. load: imports picamera2 and libcamera.

        Raises CameraError where there is no such camera or it is in use, CameraSoftwareError where picamera2 is not.
        """
        self._name = f"Pi camera {index}"
        self._lock = threading.Lock()
        self._closed = False
        self._last: BootNs | None = None
        picamera2, libcamera = load_libraries(load)
        # BT.601 with limited range, which is what OpenCV converts from; 1280x720 and more would be BT.709.
        self._colour_space = libcamera.ColorSpace.Smpte170m()
        self._camera = self._open(picamera2, index)
        try:
            self._configure(size, fps, inner_size(size, fit or (size[0] // 2, size[1] // 2)))
        except BaseException:
            self._camera.close()
            raise

    def _open(self, picamera2: Any, index: int) -> Any:
        # USB cameras are listed last; they have no ISP to scale for them and belong to V4L2.
        cameras = [c for c in picamera2.Picamera2.global_camera_info() if "/usb" not in c["Id"]]
        if index >= len(cameras):
            found = ", ".join(f"{i}: {c.get('Model', 'unknown')}" for i, c in enumerate(cameras)) or "none"
            raise CameraError(f"camera.index = {index}: no such Pi camera; found: {found}. To have it found, {_CABLE}")
        try:
            return picamera2.Picamera2(index)
        except (RuntimeError, IndexError) as e:
            raise CameraError(
                f"{self._name}: cannot be opened ({e}); another program may use it: end that program"
                " (`fuser -v /dev/media*` names it), or restart the Pi"
            ) from None

    def _configure(self, size: tuple[int, int], fps: int, lores: tuple[int, int]) -> None:
        """Sets the streams up and starts them."""
        frame_us = round(1_000_000 / fps)
        config = self._camera.create_video_configuration(
            main={"size": size, "format": "YUV420"},
            lores={"size": lores, "format": "YUV420"},
            buffer_count=_BUFFERS,
            colour_space=self._colour_space,
            controls={"FrameDurationLimits": (frame_us, frame_us)},
        )
        self._camera.configure(config)
        granted = self._camera.stream_configuration("lores")
        if granted["format"] != "YUV420":
            raise CameraSoftwareError(f"{self._name}: picamera2 gives {granted['format']} where YUV420 was asked for")
        self._width, self._height = granted["size"]
        self._bgr: NDArray[np.uint8] = np.empty((self._height, granted["stride"], 3), np.uint8)
        self._camera.start()

    def read(self, timeout_s: float) -> Frame | None:
        """The next picture, at the low resolution; None once closed. Raises CameraError after `timeout_s`."""
        with self._lock:
            if self._closed:
                return None
            yuv, sensor_ns = self._capture(timeout_s)
            cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_I420, dst=self._bgr)
            return Frame(self._bgr[:, : self._width], self._stamp(sensor_ns))

    def _capture(self, timeout_s: float) -> tuple[NDArray[np.uint8], int | None]:
        """One low-resolution picture (height * 3/2, stride), and the sensor's time stamp in ns."""
        try:
            request = self._camera.capture_request(wait=timeout_s)
        except TimeoutError:
            self._camera.cancel_all_and_flush()
            raise CameraError(f"{self._name}: gave no picture for {timeout_s:g} s; {_CABLE}") from None
        except RuntimeError as e:
            raise CameraError(f"{self._name}: stopped ({e}); {_CABLE}") from None
        try:
            return request.make_array("lores"), request.get_metadata().get("SensorTimestamp")
        finally:
            request.release()

    def _stamp(self, sensor_ns: int | None) -> BootNs:
        """When the sensor began the picture; now where it does not say, or says what cannot be."""
        now = boot_ns()
        at = now if sensor_ns is None else monotonic_to_boot_ns(sensor_ns)
        if not now - _STALE_NS <= at <= now or (self._last is not None and at <= self._last):
            at = now
        self._last = at
        return at

    def close(self) -> None:
        """Stops the camera and gives it back, after a picture that is being read. Twice does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._camera.cancel_all_and_flush()
            self._camera.stop()
            self._camera.close()


def inner_size(size: tuple[int, int], fit: tuple[int, int]) -> tuple[int, int]:
    """The largest even width and height of the aspect of `size` that fits into `fit`, never larger than `size`."""
    scale = min(fit[0] / size[0], fit[1] / size[1], 1.0)
    return max(2, int(size[0] * scale + 1e-6) // 2 * 2), max(2, int(size[1] * scale + 1e-6) // 2 * 2)


def load_libraries(load: Callable[[str], Any] = importlib.import_module) -> tuple[Any, Any]:
    """picamera2 and libcamera. Raises CameraSoftwareError that says what is missing and how to get it."""
    try:
        return load("picamera2"), load("libcamera")
    except ModuleNotFoundError as e:
        raise CameraSoftwareError(
            f'camera.source = "pi": the Python module {e.name!r} is missing; {_INSTALL}.'
            ' On another computer use camera.source = "v4l2" or "recording"'
        ) from None
    except (ImportError, ValueError, AttributeError) as e:
        _refuse(e)


def _refuse(error: Exception) -> NoReturn:
    """Raises CameraSoftwareError that tells a system built for numpy 1 from any other breakage.

    Raspberry Pi OS 12 carries numpy 1.24 and a simplejpeg compiled against it, which picamera2 imports; OpenCV 5 needs
    numpy 2. Such a simplejpeg fails with ValueError "numpy.dtype size changed" or with ImportError "compiled using
    NumPy 1.x".
    """
    text = str(error)
    if "numpy" not in text.lower():
        raise CameraSoftwareError(f'camera.source = "pi": picamera2 cannot be loaded ({text}); {_INSTALL}') from None
    raise CameraSoftwareError(
        f'camera.source = "pi": this system\'s picamera2 was built for numpy 1, and OpenCV needs the numpy'
        f" {np.__version__} that is installed. Raspberry Pi OS 12 is like that: install Raspberry Pi OS 13 (trixie) or"
        ' later, or use a USB camera with camera.source = "v4l2"'
    ) from None
