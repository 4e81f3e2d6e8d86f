#!/opt/nigiwai/current/venv/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Inside the virtual device: shows a recording, once, to the kernel's test camera.

vivid has a video output, and its camera can be connected to it (Linux: admin-guide/media/vivid.rst, "Video and Sliced
VBI Looping"). Whoever opens the camera gets the pictures from the kernel, by the same calls as from a USB camera. The
first picture stands until eye counts, the last one for ever. Numbers and layouts of the calls: linux/videodev2.h.
"""

import contextlib
import fcntl
import mmap
import os
import socket
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

S_FMT = 0xC0D05605
S_CTRL = 0xC008561C
QUERYCTRL = 0xC0445624
QUERYMENU = 0xC02C5625
S_DV_TIMINGS = 0xC0845657
REQBUFS = 0xC0145608
QUERYBUF = 0xC0585609
QBUF = 0xC058560F
DQBUF = 0xC0585611
STREAMON = 0x40045612

VIDEO_OUTPUT, FIELD_NONE, MEMORY_MMAP, NEXT_CONTROL = 2, 1, 1, 0x80000000
BUFFERS = 4
LEDGER = "file:/var/lib/nigiwai/ledger.db?mode=ro"
YUYV = int.from_bytes(b"YUYV", "little")

VGA_60_HZ = struct.pack("=IIIIIQ6I3III", 0, 640, 480, 0, 0, 25_175_000, 16, 96, 48, 10, 2, 33, 0, 0, 0, 2, 0).ljust(
    132, b"\0"
)
"""v4l2_dv_timings: 640 x 480, 60 Hz (VESA DMT). The smallest that vivid's HDMI has: it is copied 60 times a second."""


def device(kind: str) -> str:
    """vivid's device file of that kind: vid-cap or vid-out."""
    names = Path("/sys/class/video4linux").glob("video*/name")
    found = next(name for name in names if name.read_text(encoding="utf-8").strip().endswith(kind))
    return f"/dev/{found.parent.name}"


def controls(file: int) -> Iterator[tuple[int, str, int]]:
    """Number, name and highest value of each control."""
    asked = NEXT_CONTROL
    while True:
        about = bytearray(struct.pack("=I", asked).ljust(68, b"\0"))
        try:
            fcntl.ioctl(file, QUERYCTRL, about)
        except OSError:
            return
        number, _, name, _, highest = struct.unpack_from("=II32sii", about)
        yield number, name.rstrip(b"\0").decode(), highest
        asked = number | NEXT_CONTROL


def choices(file: int, control: int, highest: int) -> Iterator[tuple[int, str]]:
    """The values of a menu, and what they are called."""
    for value in range(highest + 1):
        about = bytearray(struct.pack("=II", control, value).ljust(44, b"\0"))
        fcntl.ioctl(file, QUERYMENU, about)
        yield value, bytes(about[8:40]).rstrip(b"\0").decode()


def choose(file: int, control: str, choice: str) -> None:
    """Sets a menu to the value whose name begins so; the menu's own name ends so."""
    number, highest = next((n, most) for n, name, most in controls(file) if name.endswith(control))
    value = next(value for value, name in choices(file, number, highest) if name.startswith(choice))
    fcntl.ioctl(file, S_CTRL, bytearray(struct.pack("=Ii", number, value)))


def set_format(output: int, width: int, height: int) -> None:
    """Says what the pictures are like that will be written."""
    pixels = struct.pack("=IIIIII", width, height, YUYV, FIELD_NONE, 2 * width, 2 * width * height)
    fcntl.ioctl(output, S_FMT, bytearray((struct.pack("=I4x", VIDEO_OUTPUT) + pixels).ljust(208, b"\0")))


class Output:
    """vivid's video output, which keeps showing the last picture that it was given."""

    def __init__(self, file: int) -> None:
        """Lets the kernel share its buffers. `file`: the device, whose format is set."""
        self._file = file
        fcntl.ioctl(file, REQBUFS, bytearray(struct.pack("=IIII4x", BUFFERS, VIDEO_OUTPUT, MEMORY_MMAP, 0)))
        self._buffers = [self._share(index) for index in range(BUFFERS)]
        self._unused = list(range(BUFFERS))

    def start(self, picture: NDArray[np.uint8]) -> None:
        """Shows a first picture. Twice: the driver begins when it has two."""
        self.show(picture)
        self.show(picture)
        fcntl.ioctl(self._file, STREAMON, struct.pack("=I", VIDEO_OUTPUT))

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Shows a picture after the one before; waits where all buffers are still to be shown."""
        index = self._unused.pop() if self._unused else self._take_back()
        self._buffers[index][: picture.nbytes] = picture.tobytes()
        fcntl.ioctl(self._file, QBUF, _buffer(index, picture.nbytes))

    def _share(self, index: int) -> mmap.mmap:
        about = _buffer(index)
        fcntl.ioctl(self._file, QUERYBUF, about)
        offset, length = struct.unpack_from("=I4xI", about, 64)
        return mmap.mmap(self._file, length, offset=offset)

    def _take_back(self) -> int:
        about = _buffer(0)
        fcntl.ioctl(self._file, DQBUF, about)
        return int.from_bytes(about[:4], "little")


def _buffer(index: int, used_bytes: int = 0) -> bytearray:
    """A v4l2_buffer."""
    head = struct.pack("=IIIII", index, VIDEO_OUTPUT, used_bytes, 0, FIELD_NONE).ljust(60, b"\0")
    return bytearray((head + struct.pack("=I", MEMORY_MMAP)).ljust(88, b"\0"))


def pictures(path: str) -> Iterator[NDArray[np.uint8]]:
    """Every picture of a recording, as YUYV."""
    recording = cv2.VideoCapture(path)
    while (read := recording.read())[0]:
        yield np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2YUV_YUYV), np.uint8)


def tell_ready() -> None:
    """Tells systemd that the camera shows the first picture."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
        to.send(b"READY=1")


def counts() -> bool:
    """Whether link holds a first bin: eye looks, and what it is shown from here on will be in the numbers."""
    try:
        with contextlib.closing(sqlite3.connect(LEDGER, uri=True, timeout=2)) as ledger:
            return bool(ledger.execute("SELECT count(*) FROM bin").fetchone()[0])
    except sqlite3.Error:
        return False


def main(path: str) -> None:
    """Shows the recording at `path`, and stays."""
    every_s = 1 / cv2.VideoCapture(path).get(cv2.CAP_PROP_FPS)
    camera, file = (os.open(device(kind), os.O_RDWR) for kind in ("vid-cap", "vid-out"))
    for end in (camera, file):
        fcntl.ioctl(end, S_DV_TIMINGS, bytearray(VGA_60_HZ))
    shown = pictures(path)
    first = next(shown)
    set_format(file, first.shape[1], first.shape[0])
    # Instead of a test pattern, and without the text that the driver writes over every picture.
    choose(camera, "Is Connected To", "Output")
    choose(camera, "OSD Text Mode", "None")
    os.close(camera)
    output = Output(file)
    output.start(first)
    tell_ready()
    while not counts():
        time.sleep(0.5)
    due = time.monotonic()
    for picture in shown:
        due += every_s
        time.sleep(max(0.0, due - time.monotonic()))
        output.show(picture)
    print("@# the recording is over", flush=True)  # noqa: T201 - on the console, like the state
    while True:
        time.sleep(3_600)


if __name__ == "__main__":
    main(sys.argv[1])
