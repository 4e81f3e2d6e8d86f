# SPDX-License-Identifier: Apache-2.0
"""Which file and input size suits this board: times every candidate and recommends one.

INT8 is much faster where the processor multiplies bytes in one go (x86 with VNNI, Arm with the dot product, so a Pi 5
and not a Pi 4) and can be slower elsewhere; nobody knows before it has been timed on the board.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.errors import ModelError
from nigiwai.eye.detector import Detector
from nigiwai.eye.manifest import Known, find_model, known_models
from nigiwai.eye.types import Frame

ROUNDS = 3
"""Candidates take turns, so that a board that grows hot slows down all of them."""

FRAMES = 20
_WARM_UP = 3
_SHARE = 0.7
"""Of the time between two pictures, what the detector may take; the rest is for capture, tracking and the system."""

_CLEARLY = 0.9
"""A later candidate must take less than nine tenths of the time of the family's first to be preferred."""


@dataclass(frozen=True)
class Timing:
    """One candidate: a detector at one input size, and its times for a frame in ms (input, network, decoding)."""

    model: str
    size: tuple[int, int]
    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Choice:
    """Every candidate's timing, and the one that is recommended."""

    timings: tuple[Timing, ...]
    best: Timing
    fps: int
    fits: bool
    """Whether the recommended one keeps up with the camera; if not, it is the fastest there is."""

    def as_table(self) -> str:
        """For a reader: a line a candidate, and what to write into the settings."""
        lines = [f"{'model':<28}{'input':>10}{'median ms':>12}{'p95 ms':>12}"]
        for t in self.timings:
            mark = "  <-" if t == self.best else ""
            lines.append(f"{t.model:<28}{_text(t.size):>10}{t.median_ms:>12.2f}{t.p95_ms:>12.2f}{mark}")
        if not self.fits:
            lines.append(f"None keeps up with {self.fps} pictures a second; lower camera.fps, eye drops the others.")
        width, height = self.best.size
        lines += ["", "[model]", f'name = "{self.best.model}"', f"width_px = {width}", f"height_px = {height}"]
        return "\n".join(lines)


def choose(
    name: str,
    folders: Iterable[Path],
    frame: tuple[int, int],
    fps: int,
    threads: int,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Choice:
    """Times every file of the family of `name` at every size on frames of width and height `frame`.

    Raises ModelError where no file of the family is here.
    """
    candidates = candidates_of(name, tuple(folders))
    times: dict[tuple[str, tuple[int, int]], list[float]] = {}
    picture = Frame(np.random.default_rng(0).integers(0, 256, (frame[1], frame[0], 3), np.uint8), BootNs(0))
    for _ in range(ROUNDS):
        for known in candidates:
            for size in known.entry.input.sizes:
                detector = Detector.open(known.entry, known.folder, size, threads)
                times.setdefault((known.entry.name, size), []).extend(time_detector(detector, picture, clock_ns))
    timings = [
        Timing(model, size, statistics.median(ms), float(np.percentile(ms, 95))) for (model, size), ms in times.items()
    ]
    return recommend(timings, frame, fps)


def candidates_of(name: str, folders: Sequence[Path]) -> list[Known]:
    """The detectors of the same family whose files are here, the named one first."""
    wanted = find_model(name, folders)
    family = wanted.entry.family or name
    known = [k for k in known_models(folders).values() if (k.entry.family or k.entry.name) == family]
    here = [k for k in sorted(known, key=lambda k: k.entry.name != name) if k.path.is_file()]
    if not here:
        raise ModelError(f"{wanted.path}: not here, nor another file of {family!r}; see `nigiwai models`")
    return here


def time_detector(detector: Detector, picture: Frame, clock_ns: Callable[[], int]) -> list[float]:
    """The times of FRAMES frames in ms, after a few that are not timed."""
    times = []
    for i in range(_WARM_UP + FRAMES):
        began_ns = clock_ns()
        detector.detect(picture)
        if i >= _WARM_UP:
            times.append((clock_ns() - began_ns) / 1e6)
    return times


def recommend(timings: Sequence[Timing], frame: tuple[int, int], fps: int) -> Choice:
    """The largest picture that keeps up, and of the files that give it the first unless another is clearly faster.

    Pure. `timings` begin with the preferred file. Without one that keeps up: the fastest.
    """
    limit_ms = _SHARE * 1000.0 / fps
    able = [t for t in timings if t.median_ms <= limit_ms]
    if not able:
        return Choice(tuple(timings), min(timings, key=lambda t: t.median_ms), fps, fits=False)
    sharpest = max(scale(frame, t.size) for t in able)
    best, *others = (t for t in able if scale(frame, t.size) == sharpest)
    for other in others:
        if other.median_ms < _CLEARLY * best.median_ms:
            best = other
    return Choice(tuple(timings), best, fps, fits=True)


def scale(frame: tuple[int, int], size: tuple[int, int]) -> float:
    """How large a frame's pixel is in an input of that size, letterboxed; more is sharper."""
    return min(size[0] / frame[0], size[1] / frame[1])


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
