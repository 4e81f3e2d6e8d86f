# SPDX-License-Identifier: Apache-2.0
"""Watches the camera itself: covered, dark, blown out, blurred, moved, frozen, slow, not yet confirmed. Pure.

Fed with every frame's time and, a few times a second, a tiny grey picture; answers with the flags in force.

    measure -> signs (a table: which condition holds now) -> latch (held for HOLD_S before it is raised or cleared)

What is learnt is one pattern of edges in memory, averaged over a minute, so that people walking by do not matter. It is
updated only while the view still looks like it, so a camera that is turned does not become the new normal. A moved
camera stays moved until it is put back or somebody accepts the new view, since its gates are no longer where they were.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.door.records import Flag
from nigiwai.eye.types import Float32s
from nigiwai.eye.watch_features import Features, Grey, likeness, measure

HOLD_S = 3.0
"""A condition counts from here on: longer than somebody walking past the lens, well within the promised 10 s."""

LEARN_S = 60.0
"""Time constant of the learnt view, and of the average that is compared with it RECENT_S."""

RECENT_S = 2.0
CONFIRM_S = 10.0
"""A first view is learnt for this long before it is trusted."""

FROZEN_FRAMES = 5
"""So many equal frames in a row: sensors have noise, so two are already odd."""

BLIND = frozenset({Flag.COVERED, Flag.DARK, Flag.BLOWN_OUT, Flag.FROZEN})
"""Flags under which nobody can be seen: their seconds are blind, not zero."""


@dataclass(frozen=True, slots=True)
class State:
    """What the signs are read from. `usual` is None until a view is learnt; likeness is of the recent edges to it."""

    now: Features
    usual: Features | None
    alike: float
    same_frames: int
    rate_hz: float
    least_hz: float


def _much_of_it_gone(s: State, share: float) -> bool:
    return s.usual is not None and s.now.contrast < share * s.usual.contrast


SIGNS: dict[Flag, Callable[[State], bool]] = {
    # Nearly black all over: night, a lamp that failed, a lens cap.
    Flag.DARK: lambda s: s.now.light < 18 and s.now.dark_share > 0.85,
    # Nearly white: the sun in the lens, a stuck exposure.
    Flag.BLOWN_OUT: lambda s: s.now.bright_share > 0.6,
    # Something in front of the lens leaves neither structure nor edges; darkness and glare are told apart above.
    Flag.COVERED: lambda s: _structureless(s),
    # The scene is there, its fine detail is not.
    Flag.BLURRED: lambda s: (
        s.usual is not None and not _unlit(s) and not _structureless(s) and s.now.sharpness < 0.45 * s.usual.sharpness
    ),
    # Edges, but others.
    Flag.MOVED: lambda s: (
        s.usual is not None
        and not _unlit(s)
        and not _structureless(s)
        and s.now.sharpness > 0.45 * s.usual.sharpness
        and s.alike < 0.45
    ),
    Flag.FROZEN: lambda s: s.same_frames >= FROZEN_FRAMES,
    Flag.SLOW: lambda s: s.rate_hz < s.least_hz,
}


def _unlit(s: State) -> bool:
    return SIGNS[Flag.DARK](s) or SIGNS[Flag.BLOWN_OUT](s)


def _structureless(s: State) -> bool:
    if _unlit(s):
        return False
    flat = s.now.contrast < 5.0 or _much_of_it_gone(s, 0.25)
    return flat and s.now.sharpness < 0.05 + (0.0 if s.usual is None else 0.25 * s.usual.sharpness)


class Watch:
    """The watch over one camera."""

    def __init__(self, least_hz: float = 2.5, known_edges: Float32s | None = None) -> None:
        """least_hz: below this rate the camera is slow. known_edges: the view before a restart, if it was kept.

        With known edges the view is unconfirmed until it matches them; without, until it was learnt.
        """
        self._least_hz = least_hz
        self._edges = known_edges
        self._usual: Features | None = None
        self._recent: Float32s | None = None
        self._seen_at: BootNs | None = None
        self._learnt_s = 0.0
        self._confirmed = False
        self._fingerprint: int | None = None
        self._same_frames = 0
        self._times: deque[BootNs] = deque(maxlen=64)
        self._since: dict[Flag, BootNs] = {}
        self._raised: set[Flag] = set()

    @property
    def edges(self) -> Float32s | None:
        """The learnt edges, for whoever keeps them in memory over a restart; None while nothing is learnt."""
        return self._edges if self._confirmed else None

    def accept_view(self) -> None:
        """Takes the present view for the right one: after somebody aimed the camera and checked the gates."""
        self._edges, self._usual, self._learnt_s, self._confirmed = None, None, 0.0, False
        self._raised.discard(Flag.MOVED)

    def frame(self, at: BootNs, fingerprint: int) -> None:
        """Takes note of a frame; called for each of them. Times that do not go forward are ignored."""
        if self._times and at <= self._times[-1]:
            return
        self._times.append(at)
        self._same_frames = self._same_frames + 1 if fingerprint == self._fingerprint else 0
        self._fingerprint = fingerprint

    def update(self, grey: Grey, at: BootNs) -> tuple[Flag, ...]:
        """The flags in force, given a tiny picture taken at `at`; called at least every two seconds."""
        now = measure(grey)
        gap_s = 0.0 if self._seen_at is None else (at - self._seen_at) / 1e9
        if gap_s < 0:
            return self.flags
        self._seen_at = at
        self._recent = _blend(self._recent, now.edges, gap_s / RECENT_S)
        alike = 1.0 if self._edges is None else likeness(self._recent, self._edges)
        state = State(now, self._usual, alike, self._same_frames, self.rate_hz(at), self._least_hz)
        signs = {flag: sign(state) for flag, sign in SIGNS.items()}
        self._learn(now, alike, signs, gap_s)
        signs[Flag.UNCONFIRMED] = not self._confirmed
        for flag, sign in signs.items():
            self._latch(flag, sign, at)
        return self.flags

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags in force, in the order of their list."""
        return tuple(flag for flag in Flag if flag in self._raised)

    @property
    def blind(self) -> bool:
        """Whether nobody can be seen now."""
        return bool(self._raised & BLIND)

    def rate_hz(self, now: BootNs) -> float:
        """Frames a second over the last two seconds or, where they are fewer than three, since the last ones came."""
        if len(self._times) < 2:
            return 0.0 if self._times and now - self._times[0] > 2e9 else self._least_hz
        recent = [t for t in self._times if now - t <= 2e9]
        if len(recent) > 2:
            return (len(recent) - 1) / max((recent[-1] - recent[0]) / 1e9, 1e-3)
        return len(recent) / 2.0

    def _learn(self, now: Features, alike: float, signs: dict[Flag, bool], gap_s: float) -> None:
        """Follows the light while the view is the learnt one; learns the first view there is."""
        usable = not any(signs[f] for f in (Flag.COVERED, Flag.DARK, Flag.BLOWN_OUT, Flag.MOVED, Flag.BLURRED))
        if not usable or self._recent is None or now.contrast < 5.0:
            return
        if self._edges is None or alike > 0.6:
            self._learnt_s += gap_s
            self._edges = _blend(self._edges, self._recent, gap_s / LEARN_S)
            share = min(1.0, gap_s / LEARN_S) if self._usual else 1.0
            self._usual = now if self._usual is None else _between(self._usual, now, share)
            self._confirmed = self._confirmed or self._learnt_s >= CONFIRM_S

    def _latch(self, flag: Flag, sign: bool, at: BootNs) -> None:
        """Raises or clears a flag once its sign has been so for HOLD_S; unconfirmed holds at once."""
        if sign == (flag in self._raised):
            self._since.pop(flag, None)
            return
        since = self._since.setdefault(flag, at)
        if flag is Flag.UNCONFIRMED or at - since >= HOLD_S * 1e9:
            self._raised ^= {flag}
            del self._since[flag]


def _blend(old: Float32s | None, new: Float32s, share: float) -> Float32s:
    if old is None:
        return new
    part = np.float32(min(1.0, share))
    return np.asarray((1 - part) * old + part * new, np.float32)


def _between(a: Features, b: Features, share: float) -> Features:
    """Figures between two pictures'; the edges are learnt apart."""

    def mix(x: float, y: float) -> float:
        return (1 - share) * x + share * y

    return Features(
        mix(a.light, b.light),
        mix(a.dark_share, b.dark_share),
        mix(a.bright_share, b.bright_share),
        mix(a.contrast, b.contrast),
        mix(a.sharpness, b.sharpness),
        b.edges,
    )
