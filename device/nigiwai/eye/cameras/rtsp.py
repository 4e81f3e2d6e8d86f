# SPDX-License-Identifier: Apache-2.0
"""A network camera, for `nigiwai count rtsp://...` only: the services' eye has no network to read one with.

Its address holds a password more often than not. No message repeats more of it than scheme, host, port and path.
"""

import socket
import threading
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs, boot_ns
from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError
from nigiwai.eye.cameras.opencv import cv2
from nigiwai.eye.cameras.timeline import Thinner
from nigiwai.eye.types import Frame

PORTS = {"rtsp": 554, "rtsps": 322}
"""Schemes and their ports (RFC 7826, section 22.14)."""

_OPEN_TIMEOUT_MS = 10_000
_READ_TIMEOUT_MS = 5_000
_FORM = "a network camera's address is rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH"

Connect = Callable[[tuple[str, int], float], Any]


def open_stream(address: str, fps: float | None = None) -> "RtspCamera":
    """The network camera at rtsp://[user:password@]host[:port]/path, at most `fps` pictures a second of it.

    Raises CameraError, without the address's user, password or query.
    """
    parts = parsed(address)
    demand_answer(parts)
    wishes = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_TIMEOUT_MS]
    return RtspCamera(cv2.VideoCapture(address, cv2.CAP_FFMPEG, wishes), shown(parts), fps)


class RtspCamera:
    """A network camera, read over TCP; pictures are stamped when they arrive."""

    kind: CameraKind = CameraKind.NETWORK
    length_s: float | None = None
    """A camera has no end; see Recording."""

    def __init__(
        self, capture: Any, name: str, fps: float | None = None, clock: Callable[[], BootNs] = boot_ns
    ) -> None:
        """capture: OpenCV's, opened. name: the address for messages."""
        if not capture.isOpened():
            raise CameraError(
                f"{name}: answers but gives no video; check path, user and password in a player, such as VLC"
            )
        self._capture, self._name, self._clock = capture, name, clock
        self._thinner = Thinner(fps)
        self._lock = threading.Lock()
        self._closed = False
        self._buffer: NDArray[np.uint8] | None = None
        self._start: BootNs | None = None

    def seconds(self, at: BootNs) -> float:
        """Seconds since the first picture."""
        return 0.0 if self._start is None else (at - self._start) / 1e9

    def read(self, timeout_s: float = _READ_TIMEOUT_MS / 1000) -> Frame | None:  # noqa: ARG002 - set when opened
        """The next picture; None once closed. Raises CameraError where none comes within five seconds."""
        with self._lock:
            while not self._closed:
                frame = self._next()
                if self._thinner.wants(self.seconds(frame.at)):
                    return frame
        return None

    def _next(self) -> Frame:
        good, image = self._capture.read(self._buffer)
        if not good:
            raise CameraError(f"{self._name}: gives no more pictures; check the camera and the network")
        at = self._clock()
        self._start = at if self._start is None else self._start
        self._buffer = cast("NDArray[np.uint8]", image)
        return Frame(self._buffer, at)

    def close(self) -> None:
        """Ends the connection, after a picture that is being read."""
        self._closed = True
        with self._lock:
            self._capture.release()


def parsed(address: str) -> SplitResult:
    """The address in parts. Raises CameraError that repeats nothing of an address it does not understand."""
    try:
        parts = urlsplit(address)
        known = parts.scheme in PORTS and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise CameraError(f"{_FORM}; this one has another scheme, or a port that is none")
    if not parts.hostname:
        raise CameraError(f"{_FORM}; this one has no host")
    return parts


def shown(parts: SplitResult) -> str:
    """The address for a message: no user, no password, no query."""
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def demand_answer(parts: SplitResult, connect: Connect = socket.create_connection) -> None:
    """Raises CameraError unless somebody listens there; FFmpeg would keep the reason to itself."""
    try:
        connect((str(parts.hostname), parts.port or PORTS[parts.scheme]), _READ_TIMEOUT_MS / 1000).close()
    except OSError as e:
        reason = "timed out" if isinstance(e, TimeoutError) else e.strerror or str(e)
        raise CameraError(
            f"{shown(parts)}: nobody answers ({reason}); check the address, and that the camera is on and can be"
            " reached from this network"
        ) from None
