# SPDX-License-Identifier: Apache-2.0
"""The hand-over from a camera's thread: newest picture, no queue, nothing torn, errors where they are read."""

import queue
import threading

import numpy as np
import pytest

from nigiwai.clock import BootNs
from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError
from nigiwai.eye.latest import Latest, NoPictureYet
from nigiwai.eye.types import Frame

PATIENCE_S = 20.0


class ScriptedCamera:
    """A camera that gives what the test tells it to, in one buffer, and says when it comes for more."""

    kind = CameraKind.V4L2

    def __init__(self) -> None:
        self._steps: queue.Queue[int | Exception | None] = queue.Queue()
        self._asked = threading.Semaphore(0)
        self._image = np.zeros((4, 6, 3), np.uint8)
        self.closed = False

    def give(self, *steps: int | Exception | None) -> None:
        """Gives pictures of that brightness, an error, or the end; returns once the camera is asked for the next."""
        for step in steps:
            assert self._asked.acquire(timeout=PATIENCE_S)
            self._steps.put(step)
        if isinstance(steps[-1], int):
            assert self._asked.acquire(timeout=PATIENCE_S)
            self._asked.release()

    def resize(self, width: int, height: int) -> None:
        self._image = np.zeros((height, width, 3), np.uint8)

    def read(self, timeout_s: float) -> Frame | None:
        self._asked.release()
        step = self._steps.get()
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        self._image[:] = step
        return Frame(self._image, BootNs(step))

    def close(self) -> None:
        self.closed = True
        self._steps.put(None)


@pytest.fixture
def camera() -> ScriptedCamera:
    return ScriptedCamera()


@pytest.fixture
def latest(camera: ScriptedCamera):
    latest = Latest(camera)
    yield latest
    latest.close()


def value(frame: Frame | None) -> int:
    """The brightness of the whole picture, which is also its time."""
    assert frame is not None
    assert np.unique(frame.image).tolist() == [frame.at]
    return int(frame.at)


def test_each_picture_in_turn(camera: ScriptedCamera, latest: Latest) -> None:
    got = []
    for i in (1, 2, 3):
        camera.give(i)
        got.append(value(latest.read(PATIENCE_S)))
    assert got == [1, 2, 3]
    assert (latest.captured, latest.dropped) == (3, 0)
    assert latest.kind is CameraKind.V4L2


def test_a_slow_reader_gets_the_newest_and_the_rest_is_counted(camera: ScriptedCamera, latest: Latest) -> None:
    camera.give(1, 2, 3, 4, 5)
    assert value(latest.read(PATIENCE_S)) == 5
    assert (latest.captured, latest.dropped) == (5, 4)


def test_no_picture_is_given_twice(camera: ScriptedCamera, latest: Latest) -> None:
    camera.give(1)
    assert value(latest.read(PATIENCE_S)) == 1
    with pytest.raises(NoPictureYet, match="no picture for 0 s"):
        latest.read(0.0)


def test_what_is_being_looked_at_is_never_written(camera: ScriptedCamera, latest: Latest) -> None:
    """The picture read stays whole while a hundred others come, and the memory is three pictures in all."""
    places = set()
    camera.give(1)
    for i in range(2, 100):
        frame = latest.read(PATIENCE_S)
        camera.give(i)
        camera.give(i + 100)
        assert frame is not None
        assert np.unique(frame.image).tolist() == [frame.at]
        places.add(frame.image.ctypes.data)
    assert len(places) <= 3


def test_a_new_size_goes_through(camera: ScriptedCamera, latest: Latest) -> None:
    camera.give(1)
    latest.read(PATIENCE_S)
    camera.resize(8, 2)
    camera.give(2)
    frame = latest.read(PATIENCE_S)
    assert frame is not None
    assert (frame.width, frame.height) == (8, 2)


def test_the_last_picture_comes_before_the_end(camera: ScriptedCamera, latest: Latest) -> None:
    camera.give(1, None)
    assert value(latest.read(PATIENCE_S)) == 1
    assert latest.read(PATIENCE_S) is None
    assert latest.read(PATIENCE_S) is None


@pytest.mark.parametrize("error", [CameraError("/dev/video0: the device is gone"), ZeroDivisionError("a defect")])
def test_an_error_reaches_the_reader_after_the_last_picture(
    camera: ScriptedCamera, latest: Latest, error: Exception
) -> None:
    camera.give(1, error)
    assert value(latest.read(PATIENCE_S)) == 1
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            latest.read(PATIENCE_S)


def test_close_closes_the_camera_and_ends_the_thread(camera: ScriptedCamera) -> None:
    before = threading.active_count()
    latest = Latest(camera)
    latest.close()
    assert camera.closed
    assert threading.active_count() == before
    assert latest.read(0.0) is None


def test_an_error_while_closing_is_nobodys(camera: ScriptedCamera) -> None:
    latest = Latest(camera)
    camera.close = lambda: camera.give(CameraError("closed under the reader"))  # type: ignore[method-assign]
    latest.close()
    assert latest.read(0.0) is None
