# SPDX-License-Identifier: Apache-2.0
"""Tiny recordings made for the tests: each frame's brightness says which frame it is."""

from pathlib import Path

import numpy as np

from nigiwai.eye.cameras.opencv import cv2

STEP = 10
"""Brightness by which neighbouring frames differ; lossy codecs blur it by less than half of that."""


def make_clip(path: Path, frames: int = 20, fps: float = 10.0, size: tuple[int, int] = (64, 48)) -> Path:
    """A recording in the container that the path's ending names: .avi and .mkv hold MJPG, .mp4 holds MPEG-4."""
    fourcc = "mp4v" if path.suffix == ".mp4" else "MJPG"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), fps, size)
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((size[1], size[0], 3), i * STEP % 256, np.uint8))
    writer.release()
    return path


def number_of(image: np.ndarray) -> int:
    """Which frame of a clip of at most 25 frames this is."""
    return round(float(image.mean()) / STEP)


def cut(path: Path, to: Path, keep: float) -> Path:
    """The first part of a file."""
    data = path.read_bytes()
    to.write_bytes(data[: int(len(data) * keep)])
    return to
