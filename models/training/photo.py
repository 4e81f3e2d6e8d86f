# SPDX-License-Identifier: Apache-2.0
"""What cameras and light do to a picture: gain, colour, dusk, noise, blur, compression. Image uint8 BGR in and out.

All of it on bytes (tables and saturating sums): in float it cost as much as a tenth of a training step.
"""

from __future__ import annotations

import random
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@cache
def noise_bank(side_px: int = 512) -> NDArray[np.int8]:
    """Gaussian noise of spread 32 that crops are cut from: drawing fresh noise is slow."""
    noise = np.random.default_rng(7).normal(0, 32, (side_px, side_px, 3))
    return np.asarray(noise.clip(-127, 127), np.int8)


def tone(image: Image, rng: random.Random) -> Image:
    """Gain, bias, gamma and white balance by one table per channel; one picture in six is dusk."""
    dusk = rng.random() < 1 / 6
    gain = rng.uniform(0.2, 0.6) if dusk else rng.uniform(0.65, 1.4)
    gamma = rng.uniform(0.75, 1.35)
    bias = rng.uniform(0, 12) if dusk else rng.uniform(-25, 25)
    ramp = (np.arange(256, dtype=np.float32) / 255) ** gamma * 255
    balance = [rng.uniform(0.85, 1.15) if rng.random() < 0.5 else 1.0 for _ in range(3)]
    table = np.stack([(ramp * gain * b + bias).clip(0, 255) for b in balance], -1).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def grey(image: Image) -> Image:
    """The picture without colour, as infrared cameras see at night."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def noise(image: Image, rng: random.Random) -> Image:
    """Sensor noise of spread 1..10, coloured or grey, from the bank."""
    bank = noise_bank()
    y, x = rng.randrange(bank.shape[0] // 2), rng.randrange(bank.shape[1] // 2)
    tile = np.tile(bank, (2, 2, 1))[y : y + image.shape[0], x : x + image.shape[1]]
    if rng.random() < 0.5:
        tile = np.repeat(tile[..., :1], 3, 2)
    scaled = cv2.addWeighted(image.astype(np.int16), 1.0, tile.astype(np.int16), rng.uniform(1, 10) / 32, 0)
    return np.asarray(scaled.clip(0, 255), np.uint8)


def blur(image: Image, rng: random.Random) -> Image:
    """Out of focus, or moved during the exposure."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3)), np.uint8)
    length = rng.choice((3, 5))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    return np.asarray(cv2.filter2D(image, -1, kernel if rng.random() < 0.7 else kernel.T.copy()), np.uint8)


def soften(image: Image, rng: random.Random) -> Image:
    """Enlarged from fewer pixels: an old camera, a cheap lens, somebody far away on a stretched picture."""
    height, width = image.shape[:2]
    share = rng.uniform(0.35, 0.8)
    small = cv2.resize(image, (max(1, int(width * share)), max(1, int(height * share))), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def compress(image: Image, rng: random.Random) -> Image:
    """Through JPEG and back, at a quality of 20..80."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(20, 80)])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def develop(image: Image, rng: random.Random) -> Image:
    """A random chain of the above; about a third of all pictures get tone only."""
    image = tone(image, rng) if rng.random() < 0.85 else image
    if rng.random() < 0.12:
        image = grey(image)
    kind = rng.random()
    if kind < 0.16:
        image = blur(image, rng)
    elif kind < 0.32:
        image = soften(image, rng)
    if rng.random() < 0.25:
        image = noise(image, rng)
    if rng.random() < 0.2:
        image = compress(image, rng)
    return image
