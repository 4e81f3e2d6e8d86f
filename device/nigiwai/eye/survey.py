# SPDX-License-Identifier: Apache-2.0
"""Gathers what people look like near and far, until the camera's place can be estimated from it. Pure.

Whole people only, and everybody a few times on their way: whoever stands about must not outvote those who walk by. What
is kept is a few hundred boxes without numbers or times.
"""

from collections.abc import Sequence

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.eye.association import cut_by_edge
from nigiwai.eye.ground import Ground, Refusal, estimate
from nigiwai.eye.sight import BROADEST, Floats, covered, whole
from nigiwai.eye.types import Track

MOST_ABOVE = 0.3
"""If more than this share of the boxes away from the edges is broad, people are mostly seen from above, and the few
upright boxes in the corners of such a view were taken for another one. From overhead 76 % of rendered people are."""

APART_NS = 500_000_000
"""Between two looks at one person: two thirds of a metre of walking."""

EACH = 6
MOST = 1_500


class Survey:
    """The people seen so far in pictures of one size; begins anew with another."""

    def __init__(self, most: int = MOST) -> None:
        """most: looks that are kept; the time of an estimate grows with them."""
        self._most = most
        self._boxes: list[tuple[float, float, float, float]] = []
        self._who: list[int] = []
        self._above = 0
        self._looks: dict[int, tuple[int, BootNs]] = {}
        self._size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self._boxes)

    @property
    def full(self) -> bool:
        """Whether nothing more is taken."""
        return len(self._boxes) >= self._most

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the pictures; None before the first."""
        return self._size

    def see(self, tracks: Sequence[Track], size: tuple[int, int], at: BootNs) -> None:
        """Takes the people of a frame that the detector saw."""
        if size != self._size:
            self._boxes, self._who, self._above, self._looks, self._size = [], [], 0, {}, size
        here = {t.number for t in tracks}
        self._looks = {n: look for n, look in self._looks.items() if n in here}
        due = [t for t in tracks if t.seen and t.sure and self._is_due(t.number, at)]
        if not due or self.full:
            return
        boxes = np.array([t.xyxy for t in due])
        free = ~covered(boxes, np.array([t.xyxy for t in tracks]))
        upright = (whole(boxes, size) & free).tolist()
        high, wide = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
        broad = (~cut_by_edge(boxes.T, size).any(axis=0) & free & (wide > BROADEST * high)).tolist()
        for track, usable, above in zip(due, upright, broad, strict=True):
            if usable or above:
                looks, _ = self._looks.get(track.number, (0, at))
                self._looks[track.number] = (looks + 1, at)
                self._above += above
            if usable:
                self._boxes.append(track.xyxy)
                self._who.append(track.number)

    def estimate(self, fov_deg: float) -> Ground | Refusal:
        """Where the camera hangs and how it looks, or why that cannot be known."""
        if self._above > MOST_ABOVE * (self._above + len(self)):
            share = self._above / (self._above + len(self))
            why = f"people are seen from above ({share:.0%} of them), and from there nobody's height shows"
            return Refusal(why, "above")
        boxes: Floats = np.array(self._boxes, np.float64).reshape(-1, 4)
        return estimate(boxes, self._size or (1, 1), fov_deg, who=np.array(self._who, np.int64))

    def _is_due(self, number: int, at: BootNs) -> bool:
        looks, last = self._looks.get(number, (0, None))
        return looks < EACH and (last is None or at - last >= APART_NS)
