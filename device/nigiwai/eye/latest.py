# SPDX-License-Identifier: Apache-2.0
"""The newest picture of a live camera: one slot between the thread that reads the camera and the one that counts.

    camera --read--> [writing]  swap  [ready]  swap  [reading] --> detector

Three buffers per picture size, each overwritten in place. The reading thread never waits for the counting one: a
picture that nobody fetched in time is replaced by the next and counted in `dropped`. So a slow detector sees fewer
pictures, each of them fresh, and no queue grows.
"""

import threading

import numpy as np

from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError
from nigiwai.eye.cameras import Camera
from nigiwai.eye.types import Frame


class NoPictureYet(CameraError):  # noqa: N818 - nothing is wrong yet
    """No new picture came within the time; the camera may still be well."""


class Latest:
    """A camera read by a thread of its own; itself a camera that always gives the newest picture, each once."""

    def __init__(self, camera: Camera, camera_timeout_s: float = 5.0) -> None:
        """Starts reading `camera`, which it closes in the end. camera_timeout_s: how long one picture may take."""
        self._camera, self._camera_timeout_s = camera, camera_timeout_s
        self._changed = threading.Condition()
        self._writing: Frame | None = None
        self._ready: Frame | None = None
        self._reading: Frame | None = None
        self._fresh = False
        self._ended = False
        self._closed = False
        self._error: Exception | None = None
        self.captured = 0
        """Pictures that the camera gave."""
        self.dropped = 0
        """Pictures that were replaced before anybody fetched them."""
        self._thread = threading.Thread(target=self._capture, name="capture", daemon=True)
        self._thread.start()

    @property
    def kind(self) -> CameraKind:
        """The kind of the camera behind."""
        return self._camera.kind

    def read(self, timeout_s: float) -> Frame | None:
        """The newest picture not yet read, overwritten by the next call; None once the camera has ended.

        Raises what reading the camera raised, after the last picture before it; NoPictureYet after `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(self._something, timeout_s):
                raise NoPictureYet(
                    f"camera: no picture for {timeout_s:g} s; check its cable and that nothing else uses it"
                )
            if self._fresh:
                self._reading, self._ready, self._fresh = self._ready, self._reading, False
                return self._reading
            if self._error is not None:
                raise self._error
            return None

    def _something(self) -> bool:
        return self._fresh or self._ended

    def close(self) -> None:
        """Closes the camera and waits for the thread to end."""
        self._closed = True
        self._camera.close()
        self._thread.join()

    def _capture(self) -> None:
        """What the thread does: reads until the camera ends, fails or is closed."""
        try:
            while not self._closed and (frame := self._camera.read(self._camera_timeout_s)) is not None:
                self._offer(frame)
        except Exception as e:  # noqa: BLE001 - raised again by the reader, whoever's fault it is
            self._error = None if self._closed else e
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _offer(self, frame: Frame) -> None:
        """Copies a picture into the buffer that nobody reads and makes it the ready one."""
        written = _copied(frame, self._writing)
        with self._changed:
            self.captured += 1
            self.dropped += self._fresh
            self._writing, self._ready, self._fresh = self._ready, written, True
            self._changed.notify_all()


def _copied(frame: Frame, into: Frame | None) -> Frame:
    """`frame` in the memory of `into` where it fits, else in new memory."""
    if into is None or into.image.shape != frame.image.shape:
        return Frame(np.array(frame.image), frame.at)
    into.image[:] = frame.image
    return Frame(into.image, frame.at)
