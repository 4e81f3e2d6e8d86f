# SPDX-License-Identifier: Apache-2.0
"""How much boxes tremble: the spread of a person's foot point around a smooth path, in shares of the box height.

A counting line cares about the foot point (middle of the lower edge), not about overlap. Detections are linked from
frame to frame by overlap alone, so that no tracker smooths anything; a parabola is fitted to a second of path around
each frame, and what is left over is wobble. Boxes cut by the frame's edge are left out: their foot is not seen.

On a rendered clip the truth is known. A box is held against the true box, whose lower edge goes with the gait: by 3.5 %
of the height on the bundled clip. A track stands where the body's axis meets the floor, and is held against that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.evaluation.reference import Found
from models.synthetic.camera import Camera
from models.training.boxes import Floats, iou
from models.training.errors import DataError

LINK_IOU = 0.4
EDGE_PX = 3.0
HEIGHT_MIN = 0.15  # of the frame's height: smaller people wobble by less than a pixel


@dataclass
class Path2D:
    """Boxes of one person in successive frames."""

    last: int
    boxes: list[Floats] = field(default_factory=list)


def link(frames: Iterable[Found], score_min: float) -> list[Floats]:
    """Runs of boxes (T, 4) of one person without a gap, by greedy overlap from frame to frame."""
    done: list[Path2D] = []
    alive: list[Path2D] = []
    for number, found in enumerate(frames):
        boxes = found.xyxy[found.score >= score_min]
        free = np.ones(len(boxes), np.bool_)
        for path in alive:
            overlap = iou(path.boxes[-1][None], boxes)[0] * free
            if overlap.size and overlap.max() >= LINK_IOU:
                k = int(overlap.argmax())
                free[k] = False
                path.boxes.append(boxes[k])
                path.last = number
        done += [p for p in alive if p.last != number]
        alive = [p for p in alive if p.last == number] + [Path2D(number, [b]) for b in boxes[free]]
    return [np.stack(p.boxes) for p in done + alive]


def foot_of(xyxy: Floats) -> Floats:
    """Foot points (T, 2): the middle of each box's lower edge."""
    return np.stack(((xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]), 1)


def residuals(foot: Floats, height: Floats, window: int) -> Floats:
    """Distances (T - window + 1,) of a path from parabolas over `window` frames, in shares of the mean box height.

    `foot (T, 2)` pixels, `height (T,)`, T >= window; each residual is that of its window's middle frame.
    """
    t = np.arange(window) - window // 2
    basis = np.stack((np.ones(window), t, t**2), 1)
    middle = (basis @ np.linalg.pinv(basis))[window // 2]
    starts = range(len(foot) - window + 1)
    parts = np.stack([np.arange(k, k + window) for k in starts])
    left = foot[parts[:, window // 2]] - np.tensordot(foot[parts], middle, (1, 0))
    return np.asarray(np.linalg.norm(left, axis=1) / height[parts].mean(1), np.float32)


def truth_paths(path: Path) -> list[dict[int, Floats]]:
    """For each frame of a rendered clip the boxes (4,) by identity of people who are whole in the frame and half seen.

    Raises DataError where the tracks file is not as the renderer writes it.
    """
    frames = []
    try:
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if "people" in row:
                whole = [p for p in row["people"] if p["truncation"] < 0.02 and p["visible"] >= 0.5]
                frames.append({int(p["id"]): np.asarray(p["box"], np.float32) for p in whole})
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise DataError(f"{path}: not the tracks of a rendered clip ({cause})") from cause
    return frames


def floor_points(path: Path, size: tuple[int, int]) -> list[dict[int, Floats]]:
    """For each frame of a rendered clip of that size the points (2,) of the floor, in pixels, on which people stand.

    Raises DataError where the tracks file is not as the renderer writes it.
    """
    frames = []
    try:
        head, *rows = [json.loads(line) for line in path.read_text().splitlines()]
        c = head["camera"]
        eye, angles = (c["x_m"], c["y_m"], c["height_m"]), (c["tilt_deg"], c["yaw_deg"], c["roll_deg"])
        camera = Camera(*size, eye, *angles, c["hfov_deg"], c["distortion"])
        for row in rows:
            numbers = [int(p["id"]) for p in row["people"]]
            points, _ = camera.project([(*p["xy_m"], 0.0) for p in row["people"]] or np.zeros((0, 3)))
            frames.append(dict(zip(numbers, np.asarray(points, np.float32), strict=True)))
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise DataError(f"{path}: not the tracks of a rendered clip ({cause})") from cause
    return frames


def errors_against(
    found: Sequence[Found],
    truth: Sequence[dict[int, Floats]],
    score_min: float,
    floor: Sequence[dict[int, Floats]] | None = None,
) -> list[Floats]:
    """Runs (T, 3) of foot error in x and y and true height, pixels, of each person over frames without a gap.

    floor: where each person stands, if that and not the true box is what the foot is held against.
    """
    runs: dict[int, list[tuple[int, Floats]]] = {}
    for number, (seen, people) in enumerate(zip(found, truth, strict=False)):
        boxes = seen.xyxy[seen.score >= score_min]
        for person, box in people.items():
            overlap = iou(box[None], boxes)[0]
            if overlap.size and overlap.max() >= LINK_IOU:
                exact = foot_of(box[None])[0] if floor is None else floor[number][person]
                error = foot_of(boxes[int(overlap.argmax())][None])[0] - exact
                runs.setdefault(person, []).append((number, np.append(error, box[3] - box[1]).astype(np.float32)))
    out = []
    for run in runs.values():
        gaps = np.flatnonzero(np.diff([n for n, _ in run]) > 1) + 1
        out += np.split(np.stack([e for _, e in run]), gaps)
    return out


@dataclass(frozen=True)
class Wobble:
    """Spread (rms) over all frames, its 95th percentile, and how many frames of people were measured."""

    rms: float
    p95: float
    frames: int


def wobble(
    detect: Callable[[NDArray[np.uint8]], Found], frames: list[NDArray[np.uint8]], rate_hz: float, score_min: float
) -> Wobble:
    """The wobble of a detector on a recording."""
    height, width = frames[0].shape[:2]
    window = int(rate_hz) // 2 * 2 + 1
    rows: list[Floats] = []
    for path in link((detect(f) for f in frames), score_min):
        cut = (path[:, :2] < EDGE_PX).any(1) | (path[:, 2] > width - EDGE_PX) | (path[:, 3] > height - EDGE_PX)
        small = path[:, 3] - path[:, 1] < HEIGHT_MIN * height
        for piece in np.split(path, np.flatnonzero(cut | small)):
            tall = piece[1:, 3] - piece[1:, 1]
            rows += [residuals(foot_of(piece[1:]), tall, window)] if len(piece) > window else []
    return summary(rows)


def wobble_against(
    detect: Callable[[NDArray[np.uint8]], Found], frames: list[NDArray[np.uint8]], tracks: Path, rate_hz: float,
    score_min: float, *, standing: bool = False,
) -> Wobble:  # fmt: skip
    """The same on a rendered clip with exact truth: the spread of the error, so that gait does not count.

    standing: feet are where people stand, as those of tracks, and not where boxes end.
    """
    window = int(rate_hz) // 2 * 2 + 1
    floor = floor_points(tracks, (frames[0].shape[1], frames[0].shape[0])) if standing else None
    errors = errors_against([detect(f) for f in frames], truth_paths(tracks), score_min, floor)
    return summary([residuals(e[:, :2], e[:, 2], window) for e in errors if len(e) >= window])


def summary(rows: list[Floats]) -> Wobble:
    """All residuals in three numbers; not a number where nothing could be measured."""
    if not rows:
        return Wobble(float("nan"), float("nan"), 0)
    every = np.concatenate(rows)
    return Wobble(float(np.sqrt(np.mean(every**2))), float(np.percentile(every, 95)), len(every))
