# SPDX-License-Identifier: Apache-2.0
"""Training pictures composed from cached ones: scaled, stretched, mirrored, in mosaics, with patches in front.

The canvas is what the network sees; all boxes are in its pixels. People cut down to less than a quarter, or smaller
than the detector can see, become ignore regions: calling them background would teach the wrong thing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.boxes import Floats, area
from models.training.cache import ImageSet
from models.training.photo import develop

GREY = 114
KEPT_MIN = 0.35  # share of a box that must be left on the canvas; at 0.25 dark walls at the edge became people
HEIGHT_MIN_PX, WIDTH_MIN_PX = 9.0, 3.0

Draw = Callable[[random.Random], tuple[ImageSet, int]]


@dataclass(frozen=True)
class Recipe:
    """How strong the augmentation is. Mosaics teach small people and crowds; the decay phase goes without.

    Pairs (two square pictures side by side) keep wide canvases from being half empty.
    """

    mosaic: float = 0.45
    pair: float = 0.25
    mosaic_scale: tuple[float, float] = (0.25, 0.9)
    single_scale: tuple[float, float] = (0.55, 1.4)
    stretch: tuple[float, float] = (-0.15, 0.65)  # log of width over height; the sources were 4:3 and 16:9
    patches: float = 0.2
    empty: float = 0.16  # pictures without anybody


TRUNK = Recipe()
DECAY = Recipe(mosaic=0.0, pair=0.5, single_scale=(0.4, 1.25), patches=0.1)


@dataclass
class Sample:
    """A canvas (H, W, 3) uint8 BGR and its boxes, as in `shards.Labelled`."""

    image: NDArray[np.uint8]
    xyxy: Floats
    weight: Floats
    ignore: NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """A rectangle of the canvas, pixels, right and bottom exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int


def placement(
    rng: random.Random, size: tuple[int, int], cell: Cell, scale: tuple[float, float], stretch: float
) -> Floats:
    """An affine (2, 3) from an image of `size` (width, height) into the cell's own pixels.

    `scale` is the range of the geometric mean scale, relative to an image 320 wide; half the pictures are mirrored.
    """
    width, height = size
    s = math.exp(rng.uniform(math.log(scale[0]), math.log(scale[1]))) * 320 / width
    sx, sy = s * math.exp(stretch / 2), s * math.exp(-stretch / 2)
    room_x, room_y = cell.x1 - cell.x0 - width * sx, cell.y1 - cell.y0 - height * sy
    tx, ty = (rng.uniform(min(0.0, r), max(0.0, r)) for r in (room_x, room_y))
    flip = rng.random() < 0.5
    rows = [[-sx if flip else sx, 0, tx + (width * sx if flip else 0)], [0, sy, ty]]
    return np.asarray(rows, np.float32)


def moved(xyxy: Floats, affine: Floats) -> Floats:
    """Boxes under a placement (no rotation, so boxes stay boxes)."""
    x = xyxy[:, 0::2] * affine[0, 0] + affine[0, 2]
    y = xyxy[:, 1::2] * affine[1, 1] + affine[1, 2]
    return np.stack((x.min(1), y.min(1), x.max(1), y.max(1)), 1).astype(np.float32)


def place(canvas: Sample, cell: Cell, data: ImageSet, index: int, affine: Floats) -> None:
    """Draws one cached image into a cell of the canvas and appends its boxes."""
    size = (cell.x1 - cell.x0, cell.y1 - cell.y0)
    image = np.asarray(data.images[index])
    if affine[1, 1] < 0.55:  # bilinear sampling below half size would alias; average first
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
        warp = affine * np.array([[2, 2, 1]], np.float32)
    else:
        warp = affine
    canvas.image[cell.y0 : cell.y1, cell.x0 : cell.x1] = cv2.warpAffine(
        image,
        warp,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(GREY, GREY, GREY),
    )
    whole = moved(data.xyxy[index], affine)
    seen = whole.clip(0, [size[0], size[1], size[0], size[1]]).astype(np.float32)
    kept = area(seen) / np.maximum(area(whole), 1e-6)
    small = (seen[:, 3] - seen[:, 1] < HEIGHT_MIN_PX) | (seen[:, 2] - seen[:, 0] < WIDTH_MIN_PX)
    there = kept > 0.02
    canvas.xyxy = np.concatenate((canvas.xyxy, (seen + np.tile([cell.x0, cell.y0], 2).astype(np.float32))[there]))
    canvas.weight = np.concatenate((canvas.weight, data.weight[index][there]))
    canvas.ignore = np.concatenate((canvas.ignore, (data.ignore[index] | (kept < KEPT_MIN) | small)[there]))


def cells(rng: random.Random, width: int, height: int, recipe: Recipe) -> list[Cell]:
    """The whole canvas, its two halves (wide canvases only), or four cells around a random point of it."""
    kind = rng.random()
    if kind < recipe.mosaic:
        x, y = int(rng.uniform(0.3, 0.7) * width), int(rng.uniform(0.3, 0.7) * height)
        corners = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
        return [Cell(*corner) for corner in corners]
    if kind < recipe.mosaic + recipe.pair and width > 1.4 * height:
        x = int(rng.uniform(0.4, 0.6) * width)
        return [Cell(0, 0, x, height), Cell(x, 0, width, height)]
    return [Cell(0, 0, width, height)]


def patch(canvas: Sample, rng: random.Random) -> None:
    """Puts something in front of a person: a piece of the picture itself, over a side or the legs.

    The box stays whole, because counting needs the foot point of people behind counters and prams.
    """
    people = np.flatnonzero(~canvas.ignore)
    if not len(people):
        return
    x0, y0, x1, y1 = canvas.xyxy[rng.choice(people.tolist())]
    wide, high = (x1 - x0) * rng.uniform(0.3, 1.0), (y1 - y0) * rng.uniform(0.15, 0.4)
    left, top = int(x0 + (x1 - x0 - wide) * rng.random()), int(y0 + (y1 - y0 - high) * rng.uniform(0.3, 1.0))
    w, h = max(2, int(wide)), max(2, int(high))
    height, width = canvas.image.shape[:2]
    if left < 0 or top < 0 or left + w > width or top + h > height:
        return
    sx, sy = rng.randrange(width - w + 1), rng.randrange(height - h + 1)
    canvas.image[top : top + h, left : left + w] = canvas.image[sy : sy + h, sx : sx + w].copy()


def empty_window(rng: random.Random, data: ImageSet, index: int, aspect: float) -> Cell | None:
    """A random rectangle of a cached image that touches no person and no ignored region; None after ten tries."""
    height, width = data.images.shape[1:3]
    xyxy = data.xyxy[index]
    for _ in range(10):
        wide = rng.uniform(0.35, 1.0) * min(width, height * aspect)
        x, y = rng.uniform(0, width - wide), rng.uniform(0, height - wide / aspect)
        x1, y1 = x + wide, y + wide / aspect
        if not len(xyxy) or not np.any((xyxy[:, 0] < x1) & (xyxy[:, 2] > x) & (xyxy[:, 1] < y1) & (xyxy[:, 3] > y)):
            return Cell(int(x), int(y), int(x1), int(y1))
    return None


def compose_empty(rng: random.Random, draw: Draw, width: int, height: int, recipe: Recipe) -> Sample | None:
    """A sample with nobody in it, None where eight images gave no room for one.

    Nearly every training image shows somebody. A network that has never seen an empty room guesses a large person
    into it: the first weights put boxes of score 0.35 on the bare floor of a hall.
    """
    for _ in range(8):
        data, index = draw(rng)
        window = empty_window(rng, data, index, width / height / math.exp(rng.uniform(*recipe.stretch)))
        if window is None:
            continue
        part = np.asarray(data.images[index][window.y0 : window.y1, window.x0 : window.x1])
        part = part[:, ::-1] if rng.random() < 0.5 else part
        image = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_LINEAR)
        none = np.zeros(0, np.float32)
        developed = develop(np.asarray(image, np.uint8), rng)
        return Sample(developed, none.reshape(0, 4), none, none.astype(np.bool_))
    return None


def compose(rng: random.Random, draw: Draw, width: int, height: int, recipe: Recipe) -> Sample:
    """One training sample of the given size; `draw` picks cached images."""
    empty = compose_empty(rng, draw, width, height, recipe) if rng.random() < recipe.empty else None
    if empty is not None:
        return empty
    none = np.zeros(0, np.float32)
    canvas = Sample(np.full((height, width, 3), GREY, np.uint8), np.zeros((0, 4), np.float32), none, none.astype(bool))
    chosen = cells(rng, width, height, recipe)
    scale = recipe.mosaic_scale if len(chosen) > 2 else recipe.single_scale
    for cell in chosen:
        data, index = draw(rng)
        image_height, image_width = data.images.shape[1:3]
        low, high = recipe.stretch if image_height == image_width else (-0.15, 0.15)
        affine = placement(rng, (image_width, image_height), cell, scale, rng.uniform(low, high))
        place(canvas, cell, data, index, affine)
    if rng.random() < recipe.patches:
        patch(canvas, rng)
    canvas.image = develop(canvas.image, rng)
    return canvas
