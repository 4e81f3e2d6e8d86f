# SPDX-License-Identifier: Apache-2.0
"""Whether those who are followed leave time until the next look: nobody of them could be at a gate before it. Pure.

    far      o-- way until the next look -->| uncertainty | band | line       no hurry
    near                        o-- way until the next look -->| ...          as often as counting needs
    stands                                  o                                 no hurry, be it on the line

Distances are in sizes of the person, as the gates' bands are. Somebody hidden is where they are expected. The tracker
reckons with measured times: it loses nobody at five looks a second, and needs twelve where somebody is in a gate.
"""

from collections.abc import Sequence
from math import hypot

from nigiwai.eye.gate_line import GateLine
from nigiwai.eye.gates import HYSTERESIS_ABOVE
from nigiwai.eye.motion import size_of
from nigiwai.eye.types import Track
from nigiwai.geometry import Point
from nigiwai.settings import Gate

UNHURRIED_S = 0.21
"""Between two looks while nobody hurries: 4.8 a second."""

UNCERTAIN = 0.1
"""Sizes by which somebody may come nearer until the next look than their speed says: whoever starts to walk within half
a second covers 4 % of their height meanwhile, and filtered feet stray by 3 %."""

STILL_PER_S = 0.08
"""Sizes a second under which somebody stands: a tenth of walking."""


class Pace:
    """The judge over the people in pictures of one size."""

    def __init__(self, gates: Sequence[Gate], size: tuple[int, int]) -> None:
        self._lines = [GateLine.of(g.line, g.inside, size) for g in gates]

    def unhurried(self, tracks: Sequence[Track]) -> bool:
        """Whether nobody of them can be at a gate within UNHURRIED_S, or everybody who could stands still."""
        return all(self._has_time(track) for track in tracks)

    def _has_time(self, track: Track) -> bool:
        if track.velocity is None:
            return False
        size, speed = size_of(track.xyxy), hypot(*track.velocity)
        if speed < STILL_PER_S * size:
            return True
        room = (HYSTERESIS_ABOVE + UNCERTAIN) * size
        return all(nearest(line, track, speed) > room for line in self._lines)


def nearest(line: GateLine, track: Track, speed: float) -> float:
    """How near in px somebody at that speed comes at least to a gate within UNHURRIED_S, walking straight on."""
    (x, y), (vx, vy), way = track.foot, track.velocity or (0.0, 0.0), speed * UNHURRIED_S
    now = line.beside(Point(x, y))
    then = line.beside(Point(x + vx * UNHURRIED_S, y + vy * UNHURRIED_S))
    # Within a way so long nobody can have been nearer on it than this: it takes both ends' distances into account.
    return (now + then - way) / 2
