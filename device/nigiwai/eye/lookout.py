# SPDX-License-Identifier: Apache-2.0
"""The cheap look at every frame before the detector: is the camera well, and does anything move where it matters?"""

from collections.abc import Sequence
from functools import cache

from nigiwai.clock import BootNs
from nigiwai.door.records import Flag
from nigiwai.eye.gate_line import at_edge
from nigiwai.eye.skip import Skip
from nigiwai.eye.types import Float32s, Frame, Track
from nigiwai.eye.watch import Watch
from nigiwai.eye.watch_features import fingerprint, tiny
from nigiwai.settings import Gate

WATCH_NS = 1_000_000_000
"""Between two measurements of the camera's health: its signs are held for three seconds, so one a second is plenty."""


class Lookout:
    """Watches one camera and judges its frames; begins the background anew where the frames' size changes."""

    def __init__(self, gates: Sequence[Gate], watch: Watch | None = None) -> None:
        self._gates = gates
        self._watch = watch or Watch()
        self._watched_at: BootNs | None = None
        self._skip: Skip | None = None
        self._size: tuple[int, int] | None = None
        self._lasting: frozenset[Flag] = frozenset()

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is wrong with the view, and with where the gates lie in it."""
        return tuple(flag for flag in Flag if flag in self._lasting or flag in self._watch.flags)

    @property
    def edges(self) -> Float32s | None:
        """The learnt view; None while nothing is learnt."""
        return self._watch.edges

    def with_gates(self, gates: Sequence[Gate], *, view_is_right: bool) -> "Lookout":
        """A lookout for other gates that has learnt the same view, or learns the present one because it is right."""
        if view_is_right:
            self._watch.accept_view()
        return Lookout(gates, self._watch)

    def needs_detector(self, frame: Frame, tracks: Sequence[Track], *, found: bool = True) -> bool:
        """Whether the frame is worth the detector; `tracks` are the people followed up to now.

        found: whether the detector's last look showed anybody, followed or not.
        """
        grey = cache(lambda: tiny(frame.image))
        self._watch.frame(frame.at, fingerprint(frame.image))
        if self._watched_at is None or not 0 <= frame.at - self._watched_at < WATCH_NS:
            self._watch.update(grey(), frame.at)
            self._watched_at = frame.at
        size = (frame.width, frame.height)
        return self._skip_for(size).needs(grey, frame.at, tracks, size, found=found)

    def _skip_for(self, size: tuple[int, int]) -> Skip:
        if self._skip is None or size != self._size:
            self._skip, self._size = Skip(self._gates, size[0] / size[1]), size
            edged = any(at_edge(gate.line, size) for gate in self._gates)
            self._lasting = frozenset({Flag.GATE_AT_EDGE} if edged else ())
        return self._skip
