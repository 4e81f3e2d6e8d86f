# SPDX-License-Identifier: Apache-2.0
"""A simulated camera and a mediocre simulated detector, looking at the people of crowd.py. Pure, repeatable.

What real small detectors do wrong, each with a strength in `Faults`: they miss people, for some frames in a row; their
boxes wobble, and the wobble lasts a few frames; they find a body and its upper body; who is half hidden gets a low
score, a box cut short, or none; two people close together become one; coats and mannequins flicker; and once in a while
there is somebody where nobody is. The figures say how the tracker and the gates stand up to that, not how well a
detector sees in the field.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nigiwai.eye.body import boxes
from nigiwai.eye.overlaps import overlaps
from nigiwai.eye.types import Detections
from nigiwai.eye.view import View
from nigiwai.lab.crowd import Moment

Floats = NDArray[np.float64]

STRAIGHT_DOWN = View(height_m=3.5, tilt_deg=90.0, fov_deg=95.0, size=(640, 480))
TILTED = View(height_m=3.2, tilt_deg=60.0, fov_deg=85.0, size=(640, 480))
OBLIQUE = View(height_m=3.0, tilt_deg=30.0, fov_deg=70.0, size=(640, 384))
STANDING = {STRAIGHT_DOWN: 0.0, TILTED: 1.8, OBLIQUE: 4.5}
"""Metres from the point below the camera to the door, straight ahead."""

LATENT = ("miss", "cut", "double", "merge", "left", "top", "right", "bottom")
LASTS_S = np.array([0.15, 0.5, 0.3, 0.4, 0.15, 0.15, 0.15, 0.15])
"""How long each fault of a person lasts: time constants of its noise."""


Edges = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Faults:
    """How bad the detector is; the defaults are about those of a one-megabyte network trained for an hour."""

    miss: float = 0.04
    wobble: float | Edges = 0.04
    """Standard deviation of the edges, in heights of the box: of each alike, or left, top, right, bottom."""
    bias: float | Edges = 0.02
    """The part of it that stays with a person for good."""
    double: float = 0.06
    merge: float = 0.08
    clutter: int = 2
    """Places where a coat or a mannequin flickers; the first stands right on the gate."""
    ghosts_per_frame: float = 0.01
    hidden: float = 0.0
    """How far the lower edge is off of somebody wholly hidden, as a standard deviation over people in heights of the
    box; the less of them is hidden, the less. It stays with a person for good."""


SHIPPED = Faults(wobble=(0.02, 0.02, 0.02, 0.038), bias=(0.03, 0.012, 0.03, 0.02), hidden=0.3)
"""The same, but with edges as wrong as those of the shipped detector, measured on 30 November 2026 on the bundled clip
and rendered recordings with held-out bodies (docs/accuracy.md): of people while whole and free, and while half hidden.
"""

PERFECT = Faults(0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0)


class Watcher:
    """A detector with faults; `see` is asked once a frame."""

    def __init__(self, view: View, faults: Faults, seed: int, door_at: float | None = None) -> None:
        self._view, self._faults = view, faults
        self._door = np.array([0.0, STANDING[view] if door_at is None else door_at])
        self._rng = np.random.default_rng(seed)
        self._noise: dict[int, Floats] = {}
        self._bias: dict[int, Floats] = {}
        self._guess: dict[int, float] = {}
        self._t = 0.0
        places = [np.array([0.3, 0.0]), np.array([-0.6, 0.9]), np.array([0.8, -0.8])][: faults.clutter]
        self._clutter = np.array(places).reshape(-1, 2)

    def see(self, moment: Moment) -> Detections:
        """What the detector reports of this moment."""
        dt, self._t = moment.t - self._t, moment.t
        boxes, depth = _boxes(self._view, moment.xy + self._door, moment.height)
        inside = _share_inside(boxes, self._view.size) > 0.35
        boxes, depth, numbers = boxes[inside], depth[inside], moment.number[inside].tolist()
        noise = self._latent(numbers, dt)
        visible, cut = _visible(boxes, depth)
        high = (boxes[:, 3] - boxes[:, 1])[:, None]
        bias = np.array([self._bias[n] for n in numbers]).reshape(-1, 4)
        seen = boxes + high * (noise[:, 4:] * np.array(self._faults.wobble) + bias)
        if self._faults.hidden:
            seen[:, 3] += high[:, 0] * (1 - visible) * self._faults.hidden * self._misjudged(numbers)
        seen[:, 3] = np.where((noise[:, 1] > 0) & (cut < 1), seen[:, 1] + cut * high[:, 0], seen[:, 3])
        score = np.clip(0.95 * visible + 0.05 * self._rng.normal(size=len(visible)), 0.05, 0.95)
        found = noise[:, 0] > _threshold(np.clip(self._faults.miss + (visible < 0.5) * (0.9 - 1.4 * visible), 0, 0.98))
        rows = [np.column_stack((seen, score))[found & (visible > 0.12)]]
        rows.append(self._doubles(seen, score, noise, found))
        rows.append(self._nobody(dt))
        everything = self._merge(rows[0], noise[found & (visible > 0.12), 3])
        return _detections(np.concatenate((everything, *rows[1:])), self._view.size)

    def _latent(self, numbers: list[int], dt: float) -> Floats:
        """(N, 8) standard normal noise that belongs to each person and changes with time; forgets who left."""
        keep = np.exp(-dt / LASTS_S)
        fresh = self._rng.normal(size=(len(numbers), len(LATENT)))
        first = np.array([n not in self._noise for n in numbers], np.bool_)
        old = np.array([self._noise.get(n, np.zeros(len(LATENT))) for n in numbers]).reshape(-1, len(LATENT))
        noise = np.where(first[:, None], fresh, keep * old + np.sqrt(1 - keep**2) * fresh)
        self._bias = {n: self._bias.get(n, self._rng.normal(0, 1, 4) * np.array(self._faults.bias)) for n in numbers}
        self._noise = dict(zip(numbers, noise, strict=True))
        return noise

    def _misjudged(self, numbers: list[int]) -> Floats:
        """(N,) standard normal: which way the feet of each person are guessed wrongly while somebody hides them."""
        self._guess = {n: self._guess.get(n, float(self._rng.normal())) for n in numbers}
        return np.array([self._guess[n] for n in numbers])

    def _doubles(self, boxes: Floats, score: Floats, noise: Floats, found: NDArray[np.bool_]) -> Floats:
        """Upper bodies found besides the bodies."""
        twice = found & (noise[:, 2] < _threshold(np.full(len(boxes), self._faults.double)))
        upper = boxes[twice].copy()
        upper[:, 3] -= (upper[:, 3] - upper[:, 1]) * self._rng.uniform(0.4, 0.55, len(upper))
        return np.column_stack((upper, 0.75 * score[twice]))

    def _merge(self, rows: Floats, noise: Floats) -> Floats:
        """Two people who overlap become one box now and then."""
        shared = overlaps(rows[:, :4], rows[:, :4]) * (1 - np.eye(len(rows)))
        limit = _threshold(np.full(len(rows), self._faults.merge))
        gone = np.zeros(len(rows), np.bool_)
        for i in np.flatnonzero((noise < limit) & (shared > 0.3).any(axis=1)):
            j = int(shared[i].argmax())
            if not gone[i] and not gone[j]:
                rows[i, :2], rows[i, 2:4] = np.minimum(rows[i, :2], rows[j, :2]), np.maximum(rows[i, 2:4], rows[j, 2:4])
                gone[j] = True
        return rows[~gone]

    def _nobody(self, dt: float) -> Floats:
        """Boxes where nobody is: clutter that flickers in place, and ghosts anywhere."""
        rng, size = self._rng, self._view.size
        on = self._clutter_on(dt)
        boxes, _ = _boxes(self._view, self._clutter[on] + self._door, np.full(int(on.sum()), 1.6))
        boxes += (boxes[:, 3:] - boxes[:, 1:2]) * rng.normal(0, 1.5 * np.array(self._faults.wobble), boxes.shape)
        rows = np.column_stack((boxes, rng.uniform(0.15, 0.65, len(boxes))))
        if rng.random() >= self._faults.ghosts_per_frame:
            return rows
        high = rng.uniform(0.1, 0.4) * size[1]
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        ghost = [x - 0.2 * high, y - high / 2, x + 0.2 * high, y + high / 2, rng.uniform(0.1, 0.6)]
        return np.vstack((rows, ghost))

    def _clutter_on(self, dt: float) -> NDArray[np.bool_]:
        state = self._noise.get(-1, np.zeros(len(LATENT)))[: len(self._clutter)]
        keep = np.exp(-dt / 1.0)
        state = keep * state + np.sqrt(1 - keep**2) * self._rng.normal(size=len(state))
        self._noise[-1] = np.pad(state, (0, len(LATENT) - len(state)))
        return np.asarray(state > 0)


def sample(moments: Iterable[Moment], fps: float, jitter: float = 0.0, seed: int = 0) -> Iterator[Moment]:
    """The moments a camera of `fps` takes, each up to `jitter` intervals late."""
    rng, due = np.random.default_rng(seed), 0.0
    late = 0.0
    for moment in moments:
        if moment.t + 1e-9 >= due + late / fps:
            yield moment
            due = max(due + 1 / fps, moment.t - 1 / fps)
            late = jitter * rng.random()


def _boxes(view: View, xy: Floats, height: Floats) -> tuple[Floats, Floats]:
    """Boxes (N, 4) around people, and how far they are from the camera (N,)."""
    head = np.column_stack((xy, height)) - np.array([0.0, 0.0, view.height_m])
    return boxes(view, xy, height), np.hypot(*head.T[:2]) + 0 * head[:, 2]


def _share_inside(boxes: Floats, size: tuple[int, int]) -> Floats:
    clipped = np.clip(boxes, 0, np.array([*size, *size]))
    area = (clipped[:, 2:] - clipped[:, :2]).prod(axis=1)
    share: Floats = area / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9)
    return share


def _visible(boxes: Floats, depth: Floats) -> tuple[Floats, Floats]:
    """(N,) the share of each box that nearer people leave free, and of its height down to where it is hidden."""
    n = len(boxes)
    if n == 0:
        return np.zeros(0), np.zeros(0)
    gx, gy = np.meshgrid((np.arange(6) + 0.5) / 6, (np.arange(10) + 0.5) / 10)
    grid = np.stack((gx.ravel(), gy.ravel()), axis=1)
    points = boxes[:, None, :2] + grid * (boxes[:, 2:] - boxes[:, :2])[:, None, :]
    shy = (boxes[:, 2] - boxes[:, 0]) * 0.12  # bodies are slimmer than their boxes
    low, high = boxes[:, :2] + np.stack((shy, 0 * shy), 1), boxes[:, 2:] - np.stack((shy, 0 * shy), 1)
    over = (points[:, None] > low[None, :, None]).all(3) & (points[:, None] < high[None, :, None]).all(3)
    free = ~(over & (depth[None, :] < depth[:, None] - 0.05)[:, :, None]).any(axis=1)
    rows = free.reshape(n, 10, 6).mean(axis=2) > 0.35
    last = 10 - np.argmax(rows[:, ::-1], axis=1)
    return free.mean(axis=1), np.where(rows.any(axis=1), last / 10, 0.1)


def _threshold(share: Floats) -> Floats:
    """The standard normal quantile of `share` (N,), near enough (Tukey's lambda); -inf at 0."""
    p = np.clip(share, 1e-12, 1 - 1e-12)
    return np.where(share <= 0, -np.inf, (p**0.135 - (1 - p) ** 0.135) / 0.1975)


def _detections(rows: Floats, size: tuple[int, int]) -> Detections:
    """Clipped to the picture, highest score first, after the detector's own NMS at 0.6."""
    rows = rows.copy()
    rows[:, :4] = np.clip(rows[:, :4], 0, np.array([*size, *size]))
    rows = rows[((rows[:, 2:4] - rows[:, :2]) > 3).all(axis=1)]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    near = np.triu(overlaps(rows[:, :4], rows[:, :4]) > 0.6, 1)
    keep = np.ones(len(rows), np.bool_)
    for i in range(len(rows)):
        if keep[i]:
            keep &= ~near[i]
    rows = rows[keep]
    return Detections(rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32), np.zeros(len(rows), np.uint8))
