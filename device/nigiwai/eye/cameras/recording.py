# SPDX-License-Identifier: Apache-2.0
"""A recorded file as a camera, with the recording's own clock.

Frames come in the decoder's order with growing times made from the container's stamps (see `timeline`). `pace="fast"`
hands out every frame as soon as it is asked for; `pace="real"` waits until a frame is due and leaves out those whose
time has passed, as a camera would have.
"""

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs, boot_ns
from nigiwai.door.records import CameraKind
from nigiwai.errors import RecordingError
from nigiwai.eye.cameras.opencv import cv2
from nigiwai.eye.cameras.timeline import READ_AHEAD, Thinner, Timeline
from nigiwai.eye.types import Frame

_CUT_OFF = 0.9
"""A recording that gives fewer than nine tenths of the frames that its header promises was cut off or is damaged."""


class _Picture(NamedTuple):
    """A decoded picture and its time in seconds of the recording, a repeat by `loop` counted on."""

    image: NDArray[np.uint8]
    time_s: float


class Recording:
    """A video file, read once or again and again."""

    kind = CameraKind.RECORDING

    def __init__(
        self,
        path: Path,
        *,
        pace: Literal["real", "fast"] = "fast",
        loop: bool = False,
        fps: float | None = None,
        clock: Callable[[], BootNs] = boot_ns,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """Opens `path`.

        fps: hand out at most so many frames a second, chosen by their times; all of them unless given.
        clock, wait: the clock that `pace="real"` keeps, and how to wait some seconds on it.

        Raises RecordingError where it is missing, unreadable or not a video.
        """
        self._path, self._real, self._loop = path, pace == "real", loop
        self._clock = clock
        self._closed = threading.Event()
        self._reading = threading.Lock()
        self._wait = wait or self._closed.wait
        self._thinner = Thinner(fps)
        self._base_s = 0.0
        self._file = _File(path)
        self._start: BootNs | None = None

    @property
    def start(self) -> BootNs:
        """The boot time that stands for second 0 of the recording.

        At real pace that is when the first frame was asked for. A recording that is read as fast as it goes is placed
        so that it ends now: its times are then in the past, as those of everything counted are.
        """
        if self._start is None:
            back_s = 0.0 if self._real else self._file.length_s or 0.0
            self._start = BootNs(self._clock() - round(back_s * 1e9))
        return self._start

    def seconds(self, at: BootNs) -> float:
        """The time in the recording, in seconds, of a boot time counted from its start."""
        return (at - self.start) / 1e9

    @property
    def length_s(self) -> float | None:
        """About how long the recording is by its header, for a progress bar; None where the header does not say."""
        return self._file.length_s

    def read(self, timeout_s: float = 0.0) -> Frame | None:  # noqa: ARG002 - a file never keeps anybody waiting
        """The next frame; None at the end, or once closed.

        Raises RecordingError at the end of a recording that was cut off, after all its frames have been read.
        """
        origin = self.start
        with self._reading:
            picture = self._next_wanted()
        if picture is None:
            return None
        at = BootNs(origin + round(picture.time_s * 1e9))
        if self._real and (ahead_s := (at - self._clock()) / 1e9) > 0:
            self._wait(ahead_s)
        return None if self._closed.is_set() else Frame(picture.image, at)

    def _next_wanted(self) -> _Picture | None:
        """The next picture that is neither thinned out by `fps` nor, at real pace, already over."""
        while (picture := self._next()) is not None and not self._wanted(picture.time_s):
            pass
        return picture

    def _wanted(self, time_s: float) -> bool:
        if self._real and (after_s := self._file.upcoming_s()) is not None:
            over_ns = self.start + (self._base_s + after_s) * 1e9
            if over_ns <= self._clock():
                return False
        return self._thinner.wants(time_s)

    def _next(self) -> _Picture | None:
        """The next picture of the recording, from its beginning again where it loops."""
        if self._closed.is_set():
            return None
        picture = self._file.read()
        if picture is None and self._loop:
            self._base_s += self._file.end_s
            self._file.close()
            self._file = _File(self._path)
            picture = self._file.read()
        return picture and picture._replace(time_s=picture.time_s + self._base_s)

    def close(self) -> None:
        """Ends a wait at once and releases the file with its pictures."""
        self._closed.set()
        with self._reading:
            self._file.close()


class _File:
    """One pass through a video file: READ_AHEAD frames decoded ahead, in buffers that are used in turn."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _demand_file(path)
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise RecordingError(f"{path}: {_NOT_A_VIDEO}")
        self._rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._promised = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._timeline = Timeline(self._rate)
        self._ahead: deque[NDArray[np.uint8]] = deque()
        self._times_s: deque[float] = deque()
        self._spare: deque[NDArray[np.uint8]] = deque()
        self._decoded = 0
        self._last_s = 0.0
        self._step_s = 0.0
        self._ended = False

    @property
    def length_s(self) -> float | None:
        """Length by the header in seconds; None where it is absent or a known lie (MPEG streams say 3 frames)."""
        if self._promised <= 3 or not 0.5 <= self._rate <= 240.0:
            return None
        return self._promised / self._rate

    @property
    def end_s(self) -> float:
        """Where the next pass begins: one step after the last frame."""
        return self._last_s + self._step_s

    def read(self) -> _Picture | None:
        """The next picture; None at the end. Raises RecordingError where the end came too early or at once."""
        self._fill()
        if not self._ahead:
            self._demand_complete()
            return None
        image = self._ahead.popleft()
        time_s = self._times_s.popleft() if self._times_s else self._timeline.next()
        self._step_s, self._last_s = time_s - self._last_s, time_s
        self._spare.append(image)
        return _Picture(image, time_s)

    def upcoming_s(self) -> float | None:
        """The time of the picture that the next `read` gives; None if there is none."""
        self._fill()
        if not self._ahead:
            return None
        if not self._times_s:
            self._times_s.append(self._timeline.next())
        return self._times_s[0]

    def _fill(self) -> None:
        while not self._ended and len(self._ahead) <= READ_AHEAD:
            self._decode()

    def _decode(self) -> None:
        """Decodes one more frame into a spare buffer; the picture handed out last is not spare yet."""
        buffer = self._spare.popleft() if len(self._spare) > 1 else None
        if not self._capture.grab():
            self._ended = True
            return
        stamp_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        good, image = self._capture.retrieve(buffer)
        if not good:
            raise RecordingError(f"{self._path}: frame {self._decoded} cannot be decoded; {_COPY_AGAIN}")
        self._decoded += 1
        self._timeline.add(stamp_ms)
        self._ahead.append(cast("NDArray[np.uint8]", image))

    def _demand_complete(self) -> None:
        if self._decoded == 0:
            raise RecordingError(f"{self._path}: {_NOT_A_VIDEO}")
        if self._decoded < _CUT_OFF * self._promised - 2:
            raise RecordingError(
                f"{self._path}: ends after {self._decoded} frames ({self._last_s:.1f} s) where its header promises"
                f" {self._promised}: cut off or damaged; what came before was read. {_COPY_AGAIN.capitalize()}"
            )

    def close(self) -> None:
        self._capture.release()
        self._ahead.clear()
        self._spare.clear()


_COPY_AGAIN = "copy it again from where it was recorded"
_NOT_A_VIDEO = (
    "no video can be read from this file: it is not a video, is of a kind that this computer cannot decode, or was cut"
    " off (an MP4 without its end has no index); try it in a player, or copy it again. MP4 with H.264, MPEG, AVI and"
    " MKV are known to work"
)


def _demand_file(path: Path) -> None:
    """Raises RecordingError unless `path` is a file with something in it that we may read."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise RecordingError(f"{path}: no such recording; give the path of a video file") from None
    except OSError as e:
        raise RecordingError(f"{path}: cannot be read ({e.strerror}); give a video file that you may read") from None
    if empty:
        raise RecordingError(f"{path}: is empty; {_COPY_AGAIN}")
