# SPDX-License-Identifier: Apache-2.0
"""A frame as the network wants it, and the network's boxes back in the frame's pixels.

All memory is taken once per frame size and overwritten in place: no picture is left behind in the allocator. A frame
that already fits (as the Pi's ISP delivers it) is not resized; a network that takes the camera's bytes as they lie is
given that very frame, others its channels one after the other.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from nigiwai.errors import ModelError
from nigiwai.eye.manifest import Input
from nigiwai.eye.types import Float32s


class Placement(NamedTuple):
    """Where the frame lies in the input, in the input's pixels: left, top, width, height, and its scales."""

    left: int
    top: int
    width: int
    height: int
    scale_x: float
    scale_y: float


def place(frame: tuple[int, int], size: tuple[int, int], spec: Input) -> Placement:
    """Where a frame of that width and height goes in an input of that width and height. Pure.

    Raises ModelError where the model takes exact frames only and this is none.
    """
    (width, height), (to_width, to_height) = frame, size
    if spec.fit == "exact" and frame != size:
        raise ModelError(
            f"frame of {width}x{height}: this model takes {to_width}x{to_height} only;"
            ' set the camera to that, or fit = "letterbox" in the manifest'
        )
    if spec.fit != "letterbox":
        return Placement(0, 0, to_width, to_height, to_width / width, to_height / height)
    scale = min(to_width / width, to_height / height)
    inner = min(to_width, max(1, round(width * scale))), min(to_height, max(1, round(height * scale)))
    centred = spec.anchor == "centre"
    left, top = ((to_width - inner[0]) // 2, (to_height - inner[1]) // 2) if centred else (0, 0)
    return Placement(left, top, *inner, inner[0] / width, inner[1] / height)


def halvings(frame: tuple[int, int], to: tuple[int, int]) -> list[tuple[int, int]]:
    """The sizes on the way from `frame` down to less than twice `to`, each half of the one before. Pure.

    Halving first keeps a large reduction from skipping pixels at the price of a plain bilinear one: OpenCV halves with
    vector instructions. Measured on x86, 1280x720 to 416x234: 0.4 ms, INTER_AREA in one step 5.7 ms.
    """
    sizes, (width, height) = [], frame
    while width >= 2 * to[0] and height >= 2 * to[1] and width % 2 == 0 and height % 2 == 0:
        width, height = width // 2, height // 2
        sizes.append((width, height))
    return sizes


def to_frame(xyxy: Float32s, where: Placement) -> Float32s:
    """Boxes (N, 4) in the input's pixels as boxes in the frame's pixels; may reach past the frame's edges. Pure."""
    offset = np.array([where.left, where.top] * 2, np.float32)
    scale = np.array([where.scale_x, where.scale_y] * 2, np.float32)
    return (xyxy - offset) / scale


class Preparer:
    """Makes the network's input of frames: the same array every time, or the frame itself where it fits as it is."""

    def __init__(self, spec: Input, size: tuple[int, int]) -> None:
        self._spec, self._size = spec, size
        width, height = size
        self._canvas: NDArray[np.uint8] = np.full((height, width, 3), spec.pad, np.uint8)
        self._planes: NDArray[np.uint8] = np.empty((3, height, width), np.uint8)
        self._tensor: NDArray[Any] = self._planes[None]
        if spec.dtype == "float32":
            self._tensor = np.empty((1, 3, height, width), np.float32)
        self._mean = np.array(spec.mean, np.float32)[:, None, None]
        self._scale = 1.0 / np.array(spec.std, np.float32)[:, None, None]
        self._halves: list[NDArray[np.uint8]] = []
        self._plain = not any(spec.mean) and spec.std == (1.0, 1.0, 1.0)
        self._frame: tuple[int, int] | None = None
        self._where = Placement(0, 0, width, height, 1.0, 1.0)

    def prepare(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], Placement]:
        """The input made of a BGR picture (height, width, 3), to be used before the next call, and how to map back.

        Raises ModelError where the model takes exact frames only and this is none.
        """
        frame = (image.shape[1], image.shape[0])
        if frame != self._frame:
            self._where = place(frame, self._size, self._spec)
            self._canvas[:] = self._spec.pad
            self._halves = [np.empty((h, w, 3), np.uint8) for w, h in halvings(frame, self._where[2:4])]
            self._frame = frame
        fitted = self._fitted(image)
        if self._spec.layout == "nhwc":
            return fitted[None], self._where
        planes = self._planes if self._spec.colour == "bgr" else self._planes[::-1]
        cv2.split(fitted, list(planes))
        self._normalise()
        return self._tensor, self._where

    def _fitted(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture at the input's size: itself where it has it, else scaled into the canvas."""
        if self._frame == self._size:
            if self._spec.layout == "nchw" or image.flags.c_contiguous:
                return image
            self._canvas[:] = image
            return self._canvas
        left, top, width, height = self._where[:4]
        inner = self._canvas[top : top + height, left : left + width]
        for half in self._halves:
            cv2.resize(image, half.shape[1::-1], dst=half, interpolation=cv2.INTER_AREA)
            image = half
        cv2.resize(image, (width, height), dst=inner, interpolation=cv2.INTER_LINEAR)
        return self._canvas

    def _normalise(self) -> None:
        if self._spec.dtype == "uint8":
            return
        if self._plain:
            self._tensor[0] = self._planes
            return
        np.subtract(self._planes, self._mean, out=self._tensor[0])
        np.multiply(self._tensor[0], self._scale, out=self._tensor[0])
