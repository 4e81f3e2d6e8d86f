# SPDX-License-Identifier: Apache-2.0
"""When somebody is looked at for age and sex: a few times each, at their best, and never in the way of counting.

At most A_FRAME people are looked at after a frame, each at most MOST times in all. Whoever has been looked at least
comes first, then whoever is largest; a further look needs a view that is clearly larger than the last one, or another
moment. What is kept of a look are the model's answers and the time; the window of the picture lives for the call only.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.eye.portrait import upright
from nigiwai.eye.sight import Sight, Someone, is_whole
from nigiwai.eye.view import View

Floats = NDArray[np.float64]

A_FRAME = 2
MOST = 3
LARGER = 1.2
AGAIN_NS = 400_000_000
"""A further look at somebody who is not larger than before comes this much later: another pose..."""

SOON_NS = 150_000_000
"""...or, of somebody as large as the model's windows, at the next time of asking: nothing is gained by waiting, and a
camera that looks down steeply shows many for half a second only."""

LEAST = 2
LEAST_SPAN_NS = SOON_NS
"""Of whom only one pose was seen, or two of the same moment, the picture says nothing."""

LEAST_PX = 36.0
MOST_HIDDEN = 0.4
"""The share of a box that somebody nearer may cover: head and shoulders say most; the model has seen such people."""


class Looking(Protocol):
    """A trait model."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the windows."""

    def look(self, windows: list[NDArray[np.uint8]]) -> tuple[Floats, Floats]:
        """Log probabilities (N, 4) of the bands and (N, 2) of the sexes."""


@dataclass(slots=True)
class Impressions:
    """What the model said of one track: when, how high the box was in px, log probabilities of bands and sexes."""

    at: list[BootNs] = field(default_factory=list)
    height_px: list[float] = field(default_factory=list)
    band: list[Floats] = field(default_factory=list)
    sex: list[Floats] = field(default_factory=list)

    def between(self, first: BootNs, last: BootNs) -> "tuple[Floats, Floats] | None":
        """The mean log probabilities of bands (4,) and sexes (2,) over the looks of that time; None of too few.

        Looks at one person err alike, so their mean counts as one look: more would be claimed than is known.
        """
        chosen = [i for i, t in enumerate(self.at) if first <= t <= last]
        if len(chosen) < LEAST or self.at[chosen[-1]] - self.at[chosen[0]] < LEAST_SPAN_NS:
            return None
        return np.mean([self.band[i] for i in chosen], axis=0), np.mean([self.sex[i] for i in chosen], axis=0)


class Portraits:
    """The impressions of everybody followed; forgets whoever is gone."""

    def __init__(self, model: Looking, view: View) -> None:
        self._model, self._view = model, view
        self._known: dict[int, Impressions] = {}
        self.looked = 0
        """At how many windows the model was run."""

    def of(self, number: int) -> Impressions | None:
        """What is known of that track, as long as it is followed; grows with every further look."""
        return self._known.get(number)

    def update(self, image: NDArray[np.uint8], sight: Sight) -> None:
        """Looks at those of one moment, of which this is the picture, whom it is worth looking at."""
        here = sight.numbers
        self._known = {n: seen for n, seen in self._known.items() if n in here}
        size = image.shape[1], image.shape[0]
        due = [one for one in sight.people if one.track.seen and self._worth(one, size, sight.at)]
        due = sorted(due, key=lambda one: (self._times(one.track.number), one.box[1] - one.box[3]))[:A_FRAME]
        if due:
            self._look(image, due, sight.at)

    def _times(self, number: int) -> int:
        known = self._known.get(number)
        return len(known.at) if known else 0

    def _worth(self, one: Someone, size: tuple[int, int], at: BootNs) -> bool:
        """Whether somebody is seen clearly, and a look at them is due."""
        known, high = self._known.get(one.track.number), one.box[3] - one.box[1]
        if known is not None:
            pause = SOON_NS if high >= self._model.size[1] else AGAIN_NS
            due = high >= LARGER * known.height_px[-1] or at - known.at[-1] >= pause
            if len(known.at) >= MOST or not due:
                return False
        return one.hidden <= MOST_HIDDEN and is_whole(one.box, size, LEAST_PX)

    def _look(self, image: NDArray[np.uint8], due: list[Someone], at: BootNs) -> None:
        boxes = np.array([one.box for one in due])
        bands, sexes = self._model.look(upright(image, self._view, boxes, self._model.size))
        self.looked += len(due)
        for one, band, sex in zip(due, bands, sexes, strict=True):
            known = self._known.setdefault(one.track.number, Impressions())
            known.at.append(at)
            known.height_px.append(one.box[3] - one.box[1])
            known.band.append(band)
            known.sex.append(sex)
