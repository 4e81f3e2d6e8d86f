# SPDX-License-Identifier: Apache-2.0
"""Times eye's stages on this board: the very pipeline, fed by a recording or a camera.

`capture` of a camera, or of a recording at its own pace, is mostly waiting for the next picture; the other stages are
work. What the board could do is therefore told from the work alone.
"""

import os
import platform
import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nigiwai.eye.assemble import open_detector, open_pipeline
from nigiwai.eye.cameras import Camera
from nigiwai.eye.stopwatch import STAGES, Laps
from nigiwai.eye.vitals import resident_kib
from nigiwai.settings import Gate, Settings

WARM_UP = 5
"""Frames that are not timed: the first ones also take memory and fill caches."""

_READ_TIMEOUT_S = 10.0
_CAPTURE = STAGES[0]
_WORK = "work"
_ANY_GATE = Gate(name="bench", line=((0.0, 0.5), (1.0, 0.5)), inside=(0.5, 0.9))


@dataclass(frozen=True)
class StageTime:
    """How long one stage took: median and 95th percentile in ms."""

    stage: str
    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Report:
    """What was measured. `work` in `stages` is all of a frame but its capture."""

    machine: str
    model: str
    size: tuple[int, int]
    threads: int
    frame: tuple[int, int]
    """Width and height that the source gave, in pixels."""
    frames: int
    seconds: float
    stages: tuple[StageTime, ...]
    resident_mib: float
    """Resident memory at the end, with everything this process has loaded."""
    peak_mib: float

    @property
    def fps(self) -> float:
        """Frames a second that went through, waiting included."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def possible_fps(self) -> float:
        """Frames a second that this board could count if it never had to wait for the source."""
        work = next((s.median_ms for s in self.stages if s.stage == _WORK), 0.0)
        return 1000.0 / work if work else 0.0

    def as_json(self) -> dict[str, Any]:
        """For a machine; times in ms, memory in MiB."""
        rounded = {s.stage: {"median_ms": round(s.median_ms, 3), "p95_ms": round(s.p95_ms, 3)} for s in self.stages}
        return asdict(self) | {
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "possible_fps": round(self.possible_fps, 2),
            "stages": rounded,
        }

    def as_table(self) -> str:
        """For a reader: a line a stage."""
        lines = [
            f"{self.machine}",
            f"{self.model} at {self.size[0]}x{self.size[1]}, {self.threads} threads,"
            f" {self.frames} frames of {self.frame[0]}x{self.frame[1]} in {self.seconds:.1f} s",
            f"{'stage':<10}{'median ms':>12}{'p95 ms':>12}",
            *(f"{s.stage:<10}{s.median_ms:>12.2f}{s.p95_ms:>12.2f}" for s in self.stages),
            f"{self.fps:.1f} frames a second went through; the work alone would allow {self.possible_fps:.1f}",
            f"memory: {self.resident_mib:.0f} MiB resident, {self.peak_mib:.0f} MiB at most",
        ]
        return "\n".join(lines)


def bench(
    settings: Settings, camera: Camera, seconds: float, clock_ns: Callable[[], int] = time.perf_counter_ns
) -> Report:
    """The times of the settings' pipeline on `camera`, over `seconds` or until a recording ends.

    Without a gate in the settings one across the middle is counted at. Raises NigiwaiError.
    """
    settings = settings if settings.gate else settings.model_copy(update={"gate": (_ANY_GATE,)})
    watch = Laps(clock_ns)
    detector = open_detector(settings, watch)
    pipeline = open_pipeline(settings, detector, watch, every_frame=True)
    frame_size, began_ns, frames = (0, 0), clock_ns(), -WARM_UP
    while clock_ns() - began_ns < seconds * 1e9 or frames <= 0:
        watch.begin()
        frame = camera.read(_READ_TIMEOUT_S)
        if frame is None:
            break
        watch.mark(_CAPTURE)
        pipeline.update(frame)
        frame_size, frames = (frame.width, frame.height), frames + 1
        if frames == 0:
            watch.times_ms.clear()
            began_ns = clock_ns()
    return Report(
        machine=machine(),
        model=detector.entry.name,
        size=detector.size,
        threads=settings.model.threads,
        frame=frame_size,
        frames=max(frames, 0),
        seconds=(clock_ns() - began_ns) / 1e9,
        stages=tuple(stage_times(watch)) if frames > 0 else (),
        resident_mib=resident_kib() / 1024,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def stage_times(watch: Laps) -> Iterable[StageTime]:
    """Median and p95 of each stage in order, then of `work`: everything of a frame but its capture."""
    times = {stage: np.array(watch.times_ms[stage]) for stage in STAGES if stage in watch.times_ms}
    work = sum(times[stage] for stage in times if stage != _CAPTURE)
    for stage, ms in [*times.items(), (_WORK, work)]:
        yield StageTime(stage, float(np.median(ms)), float(np.percentile(ms, 95)))


def machine() -> str:
    """What this ran on: model of board or processor, cores, kernel."""
    return f"{_board()}, {os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}"


def _board() -> str:
    """The board's name where firmware tells it (every Raspberry Pi), else the processor's."""
    try:
        with open("/proc/device-tree/model", encoding="utf-8") as file:
            return file.read().strip("\0\n ")
    except OSError:
        pass
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else "unknown processor"
