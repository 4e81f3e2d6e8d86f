# SPDX-License-Identifier: Apache-2.0
"""The learnt view over a restart of eye, so that a camera that was turned meanwhile is not taken for the right one.

What is kept is the watch's pattern of edges, 96 by 54 numbers averaged over a minute, in memory that systemd holds and
never on a disk, and two digests that say which gates it was learnt for:

    camera or gates of the settings' file were changed      the operator placed it anew: the view is learnt anew
    gates in force changed while eye runs                   staff drew them anew: the present view is the right one
    neither                                                 the view is unconfirmed until it looks as it was kept
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.eye.keepsake import Keepsake
from nigiwai.eye.lookout import Lookout
from nigiwai.eye.types import Float32s
from nigiwai.eye.watch import Watch
from nigiwai.eye.watch_features import HEIGHT, WIDTH
from nigiwai.settings import Gate, Section, Settings

KEEP_NS = 30_000_000_000
"""Between two writes: the learnt edges follow the light over a minute."""

_STEPS = 127.0
_DIGEST_BYTES = 32
_BYTES = 2 * _DIGEST_BYTES + HEIGHT * WIDTH


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlived the restart; digests of camera and gates in the file, and of the gates that counted."""

    filed: bytes
    in_force: bytes
    edges: Float32s


def encode(kept: Kept) -> bytes:
    """A kept view as bytes; edges are within -1..1 and rounded to 1/127, which changes no comparison."""
    steps = np.clip(np.round(kept.edges * _STEPS), -_STEPS, _STEPS).astype(np.int8)
    return kept.filed + kept.in_force + steps.tobytes()


def maybe_decode(content: bytes) -> Kept | None:
    """The kept view in these bytes; None where they hold none, or that of another version."""
    if len(content) != _BYTES:
        return None
    edges = np.frombuffer(content, np.int8, offset=2 * _DIGEST_BYTES).reshape(HEIGHT, WIDTH) / np.float32(_STEPS)
    return Kept(content[:_DIGEST_BYTES], content[_DIGEST_BYTES : 2 * _DIGEST_BYTES], np.asarray(edges, np.float32))


def digest(parts: Sequence[Section]) -> bytes:
    """The same for the same settings in the same order."""
    return hashlib.sha256("\n".join(p.model_dump_json() for p in parts).encode()).digest()


class KnownView:
    """The lookout of one run of eye, which knows the view of the run before, and what is kept for the next."""

    def __init__(self, memory: Keepsake, settings: Settings) -> None:
        """settings: of the file, whose gates are in force until link says otherwise."""
        self._memory, self._filed = memory, digest((settings.camera, *settings.gate))
        self._in_force, edges = digest(settings.gate), None
        kept = maybe_decode(memory.content)
        if kept is not None and kept.filed == self._filed:
            self._in_force, edges = kept.in_force, kept.edges
        self._kept_at: BootNs | None = None
        self.lookout = Lookout(settings.gate, Watch(known_edges=edges))

    def change_gates(self, gates: Sequence[Gate]) -> Lookout:
        """The lookout for these gates; where the view was learnt for others, the present one is right."""
        before, self._in_force = self._in_force, digest(gates)
        others = before != self._in_force
        self._kept_at = None if others else self._kept_at
        self.lookout = self.lookout.with_gates(gates, view_is_right=others)
        return self.lookout

    def keep(self, now: BootNs) -> None:
        """Keeps what is learnt, now and then."""
        if self._kept_at is not None and 0 <= now - self._kept_at < KEEP_NS:
            return
        edges = self.lookout.edges
        if edges is not None:
            self._kept_at = now
            self._memory.write(encode(Kept(self._filed, self._in_force, edges)))
