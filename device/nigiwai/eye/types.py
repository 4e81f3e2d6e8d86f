# SPDX-License-Identifier: Apache-2.0
"""The values that pass between eye's stages, in order. None but the bin's numbers ever leaves this process.

    Frame -> Detections -> Track -> Crossing -> (door) Bin

Image coordinates are pixels of the frame, x to the right, y down, the origin at the top left corner of the top left
pixel. A Crossing has no field for a track's number or a position: people's identities and places end before it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs

Float32s = NDArray[np.float32]


class Direction(StrEnum):
    """Which way a person passed a gate; `inside` in the settings says which side is in."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and when it was taken. `image` is uint8 (height, width, 3), BGR, and may be overwritten later."""

    image: NDArray[np.uint8]
    at: BootNs

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.image.shape[0])


@dataclass(frozen=True, slots=True)
class Detections:
    """What the detector saw in one frame: parallel arrays, highest score first, possibly empty.

    xyxy:  (N, 4) float32, left, top, right, bottom in pixels of the frame; may reach past its edges.
    score: (N,) float32 in 0..1.
    kind:  (N,) uint8, index into the model's classes (0 is a person).
    """

    xyxy: Float32s
    score: Float32s
    kind: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.score)

    @staticmethod
    def empty() -> "Detections":
        """No detections."""
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.uint8))


class Track(NamedTuple):
    """One followed person at one time. `number` means nothing outside this run of the process.

    xyxy: left, top, right, bottom in pixels. foot: where the axis of the body meets the
    floor, in pixels, from the smoothed box (motion.standing).
    age_s: since the first detection. seen: whether a detection of this very frame supports it.
    sure: whether its detections were, on the whole, as good as one that may begin a track.
    origin: the ground point at the first detection, where the track came from before it was certain; None if unknown.
    detected: the box as the detector last gave it, NaN where the edge or an obstacle cut it. It wobbles, but does not
    lag behind somebody who comes nearer, as the smoothed one does; None if unknown.
    velocity: of the box's centre, in px a second; None if unknown.
    """

    number: int
    xyxy: tuple[float, float, float, float]
    foot: tuple[float, float]
    age_s: float
    seen: bool
    origin: tuple[float, float] | None = None
    sure: bool = True
    detected: tuple[float, float, float, float] | None = None
    velocity: tuple[float, float] | None = None

    @property
    def height_px(self) -> float:
        """Height of the box in pixels."""
        return self.xyxy[3] - self.xyxy[1]


@dataclass(frozen=True, slots=True)
class Crossing:
    """One person passed one gate. `at` is when the foot point met the line, interpolated between frames."""

    gate: str
    direction: Direction
    at: BootNs
