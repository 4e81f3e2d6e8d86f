# SPDX-License-Identifier: Apache-2.0
"""Where pictures come from: one file per kind of source, all behind the same port.

A camera owns the memory of its pictures and overwrites it in place: `Frame.image` is good until the next `read` or
`close` of the same camera. Whoever wants it longer copies it (`nigiwai.eye.latest` does, into buffers of its own).
"""

from typing import Protocol

from nigiwai import settings
from nigiwai.clock import BootNs
from nigiwai.door.records import CameraKind
from nigiwai.eye.types import Frame


class Camera(Protocol):
    """A source of pictures in order of time."""

    @property
    def kind(self) -> CameraKind:
        """What kind of source this is; `info` tells it."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next picture, overwritten by the next call; None once a recording has ended.

        Raises CameraError where there is no picture within `timeout_s`, and where there will be none.
        """

    def close(self) -> None:
        """Gives the device or file back. May be called from another thread, and twice."""


class Footage(Camera, Protocol):
    """A camera with a clock of its own, that begins at 0: a recording, or a network camera since somebody watches."""

    @property
    def length_s(self) -> float | None:
        """About how long it is, in seconds; None where nobody knows."""

    def seconds(self, at: BootNs) -> float:
        """The time of a picture in seconds since the first."""


def open_camera(camera: settings.Camera, fit: tuple[int, int] | None = None) -> Camera:
    """The camera that the settings describe; only that source's libraries are imported.

    fit: width and height of the detector's input in pixels. A camera that scales for free (the Pi's) delivers the
    largest picture of its own aspect that fits in; the others deliver what they have.

    Raises CameraError.
    """
    if camera.source == "recording":
        from nigiwai.eye.cameras.recording import Recording

        assert camera.path is not None, "the settings demand a path with this source"  # noqa: S101
        return Recording(camera.path, pace=camera.pace, loop=camera.loop)
    if camera.source == "v4l2":
        from nigiwai.eye.cameras.v4l2 import V4l2Camera

        return V4l2Camera(camera.device, (camera.width_px, camera.height_px), camera.fps)
    from nigiwai.eye.cameras.picamera import PiCamera

    return PiCamera(camera.index, (camera.width_px, camera.height_px), camera.fps, fit=fit)
