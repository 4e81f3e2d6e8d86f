# SPDX-License-Identifier: Apache-2.0
"""The background computes, with what need not be asked left out, what the plain formulas say."""

import cv2
import numpy as np
from numpy.typing import NDArray

from nigiwai.eye.background import LEARN_S, LEAST, RECENT_S, SETTLE_S, SPREAD, Background
from nigiwai.eye.watch_features import HEIGHT, WIDTH, Grey

RNG = np.random.default_rng(4)
ROOM = RNG.integers(60, 180, (HEIGHT, WIDTH)).astype(np.float32)


def picture(x: int | None, light: float = 0.0, noise: float = 0.8) -> Grey:
    grey = ROOM + light + RNG.normal(0, noise, ROOM.shape)
    if x is not None:
        grey[20:40, x : x + 8] = 20
    return np.clip(grey, 0, 255).astype(np.uint8)


class Plain:
    """The formulas, one after the other over whole pictures."""

    def __init__(self, grey: Grey) -> None:
        self.mean, self.recent = grey.astype(np.float32), grey.astype(np.float32)
        self.spread = np.full(grey.shape, 2.0, np.float32)

    @staticmethod
    def off(picture: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
        change = picture - mean
        return np.abs(change - np.sort(change[::3, ::3].ravel())[change[::3, ::3].size // 2])

    def motion(self, grey: Grey, gap_s: float) -> NDArray[np.bool_]:
        now = grey.astype(np.float32)
        strange, unusual = self.off(now, self.mean), np.maximum(LEAST, SPREAD * self.spread)
        moving = (strange > unusual) & (self.off(now, self.recent) > unusual)
        self.recent += np.float32(min(1.0, gap_s / RECENT_S)) * (now - self.recent)
        whole = cv2.medianBlur(moving.astype(np.uint8), 3) > 0
        share = np.where(whole, min(1.0, gap_s / SETTLE_S), min(1.0, gap_s / LEARN_S)).astype(np.float32)
        self.mean += share * (now - self.mean)
        self.spread += share * np.where(whole, np.float32(0), np.minimum(strange, np.float32(LEAST)) - self.spread)
        return np.asarray(whole)


def test_it_sees_and_learns_what_the_formulas_say() -> None:
    """A quiet room, somebody who walks through, somebody who stays, a lamp that is switched on, noise, a long gap."""
    film = [picture(None) for _ in range(30)] + [picture(2 * i) for i in range(40)] + [picture(50) for _ in range(30)]
    film += [picture(50, light=20.0) for _ in range(10)] + [picture(None, noise=6.0) for _ in range(10)]
    fast, plain = Background(film[0]), Plain(film[0])
    moved = 0
    for k, grey in enumerate(film[1:]):
        gap_s = 9.0 if k == 60 else 0.08
        seen, expected = fast.motion(grey, gap_s), plain.motion(grey, gap_s)
        assert (seen == expected).all()
        moved += bool(seen.any())
    assert 40 <= moved < len(film) - 30
