# SPDX-License-Identifier: Apache-2.0
"""Decides which frames need the detector: those where something moves near a gate or near somebody followed. Pure.

A background is learnt in a tiny grey picture (background.py). Motion before it matters within reach of a gate or of a
followed person. Now and then a frame is looked at anyway, so that whoever stands still stays known and an error of the
background cannot last.

    grey -> moves before the background? -> near a gate or a track? -> detect

A camera that is faster than counting needs is spared the difference: what moves is looked at every PACE_S, and less
often while only people move who have time until the next look (pace.py). Somebody new near a gate ends that at once.
Nor is a picture shrunk and compared where no look can be due yet, or where none is likely and one was compared just
before.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import cv2
import numpy as np

from nigiwai.clock import BootNs
from nigiwai.eye.background import Background, Mask
from nigiwai.eye.pace import UNHURRIED_S, Pace
from nigiwai.eye.types import Track
from nigiwai.eye.watch_features import HEIGHT, WIDTH, Grey
from nigiwai.settings import Gate

REACH = 0.3
"""How near to a gate motion matters, as a share of the picture's height: about one person seen from 3 m."""

LEAST_PIXELS = 6
"""Motion of fewer pixels than this is a fly or a lamp; a far person of 5 % of the height covers about eight."""

AFTER_S = 0.7
"""The detector keeps running this long after the last motion, to see people come to rest."""

PACE_S = 1 / 12
"""Between two looks at what moves, on average. Down to 12 looks a second every recording we have is counted as with all
frames; with 10 the bundled clip is not."""

NEW_S = 0.3
"""What moves near a gate and is nobody followed is looked at as often for this long, time for a track to begin, unless
the last look showed nobody at all: a door, a shadow, somebody of whom an arm is in view. That is looked at unhurriedly
until there is anything to follow."""

IDLE_S = 2.0
"""Without motion it looks at least this often; every LIVE_S while somebody is followed who did not settle down."""

LIVE_S = 0.7
SETTLED_S = 3.0
SETTLED = 0.3
"""Who is where they began, within this share of their height, after SETTLED_S is a mannequin or waits."""


class Skip:
    """The judge over frames of one view."""

    def __init__(self, gates: Sequence[Gate], aspect: float = 16 / 9) -> None:
        """aspect: width over height of the frames."""
        self._gates = gates
        self._pace: tuple[tuple[int, int], Pace] | None = None
        self._followed = _Followed((), (1, 1))
        self._new_at: BootNs | None = None
        self._near_gates = _near_gates(gates, aspect)
        self._background: Background | None = None
        self._at: BootNs | None = None
        self._compared_at = BootNs(0)
        self._moved_at: BootNs | None = None
        self._wait_s = 0.0
        self._looked_s = 0.0
        self.frames = 0
        self.skipped = 0
        """How many frames were judged, and how many of them need no detector."""

    def needs(
        self,
        grey: Callable[[], Grey],
        at: BootNs,
        tracks: Sequence[Track],
        size: tuple[int, int],
        *,
        found: bool = True,
    ) -> bool:
        """Whether the frame taken at `at` needs the detector; `tracks`: the last answer, in px of `size`.

        grey: makes its tiny picture, for those frames that are compared. found: whether the last look showed anybody,
        followed or not.
        Times that do not go forward are told to detect, which is always right.
        """
        self.frames += 1
        gap_s = 0.0 if self._at is None else (at - self._at) / 1e9
        if self._background is None or gap_s <= 0:
            self._begin(grey(), at)
            return True
        self._at = at
        if self._early(at, gap_s):
            self.skipped += 1
            return False
        compared_s = (at - self._compared_at) / 1e9
        self._compared_at = at
        if tracks is not self._followed.tracks:  # after a look
            self._followed = _Followed(tracks, size)
        moving = self._background.motion(grey(), compared_s)
        if np.count_nonzero(moving) >= LEAST_PIXELS:  # hardly ever at an empty entrance
            self._note(moving, at)
        return self._decide(at, gap_s, self._followed.lively, self._pace_s(at, found=found))

    def _early(self, at: BootNs, gap_s: float) -> bool:
        """Whether no look is due yet, whatever moves, or none unless somebody comes and the last comparison is near."""
        now_s = at / 1e9 + gap_s / 2
        if now_s < self._looked_s + self._wait_s:
            return now_s < PACE_S + max(self._looked_s, self._compared_at / 1e9)
        return False

    def _note(self, moving: Mask, at: BootNs) -> None:
        """Takes note of motion that matters, and of somebody new."""
        if np.count_nonzero(moving & (self._near_gates | self._followed.near)) >= LEAST_PIXELS:
            self._moved_at = at
        if np.count_nonzero(moving & self._near_gates & ~self._followed.around) >= LEAST_PIXELS:
            self._new_at = at

    def _pace_s(self, at: BootNs, *, found: bool) -> float:
        """Between two looks at what moves: PACE_S, or more where nobody new came and nobody followed hurries."""
        newly = found and self._new_at is not None and at - self._new_at <= NEW_S * 1e9
        return UNHURRIED_S if not newly and self._unhurried() else PACE_S

    def _unhurried(self) -> bool:
        """Whether all who are followed, if any, have time until the next look."""
        followed = self._followed
        if followed.unhurried is None:
            if self._pace is None or self._pace[0] != followed.size:
                self._pace = followed.size, Pace(self._gates, followed.size)
            followed.unhurried = self._pace[1].unhurried(followed.tracks)
        return followed.unhurried

    def _begin(self, grey: Grey, at: BootNs) -> None:
        self._background = Background(grey)
        self._at = self._moved_at = self._compared_at = at
        self._looked_s, self._wait_s = at / 1e9, 0.0

    def _decide(self, at: BootNs, gap_s: float, live: bool, pace_s: float) -> bool:
        """Whether a look is due: of the frames around the time for one, the nearest."""
        assert self._moved_at is not None  # noqa: S101 - needs() begins first
        wait_s, now_s = LIVE_S if live else IDLE_S, at / 1e9
        if at - self._moved_at <= AFTER_S * 1e9:
            wait_s = pace_s
        self._wait_s = wait_s
        due_s = self._looked_s + wait_s
        needed = now_s + gap_s / 2 >= due_s
        if needed:
            # From when the look was due, so that frames between two due times do not slow the pace down.
            self._looked_s = max(due_s, now_s - wait_s / 2)
        else:
            self.skipped += 1
        return needed


class _Followed:
    """Those followed since the last look, and what need be known of them: once, and not for every frame."""

    def __init__(self, tracks: Sequence[Track], size: tuple[int, int]) -> None:
        self.tracks, self.size = tracks, size
        self.lively = any(_lively(t) for t in tracks)
        self.unhurried: bool | None = None

    @cached_property
    def near(self) -> Mask:
        """With half a width beside them nobody who walks on is missed."""
        return _near_tracks(self.tracks, self.size, 0.5)

    @cached_property
    def around(self) -> Mask:
        """Their shadow and mirror image on the floor take a whole width."""
        return _near_tracks(self.tracks, self.size, 1.0)


def _lively(track: Track) -> bool:
    """Whether somebody may soon walk on, as far as one can tell."""
    if track.origin is None or track.age_s < SETTLED_S:
        return True
    dx, dy = track.foot[0] - track.origin[0], track.foot[1] - track.origin[1]
    return math.hypot(dx, dy) > SETTLED * max(track.height_px, 2 * (track.xyxy[2] - track.xyxy[0]))


def _near_gates(gates: Sequence[Gate], aspect: float) -> Mask:
    """(HEIGHT, WIDTH): pixels within REACH of a gate, or above one by a person's height, where heads and bodies are."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    wide = max(1, round(2 * REACH * HEIGHT))
    for gate in gates:
        points = np.array([[x * WIDTH, y * HEIGHT] for x, y in gate.line])
        for rise in (0.0, REACH / 2, REACH):
            raised = np.round(points - [0, rise * HEIGHT]).astype(np.int32)
            cv2.polylines(mask, [raised], False, 1, thickness=max(1, round(wide * WIDTH / HEIGHT / aspect)))
    return np.asarray(mask > 0)


def _near_tracks(tracks: Sequence[Track], size: tuple[int, int], around: float) -> Mask:
    """(HEIGHT, WIDTH): pixels of those followed, so many widths beside them and half as many heights over them."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    for track in tracks:
        left, top, right, bottom = track.xyxy
        wide, high = (right - left) * around, (bottom - top) * around / 2
        x0, x1 = (left - wide) / size[0] * WIDTH, (right + wide) / size[0] * WIDTH
        y0, y1 = (top - high) / size[1] * HEIGHT, (bottom + high) / size[1] * HEIGHT
        mask[max(0, int(y0)) : max(0, int(y1) + 1), max(0, int(x0)) : max(0, int(x1) + 1)] = True
    return mask
