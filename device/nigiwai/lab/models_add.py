# SPDX-License-Identifier: Apache-2.0
"""Takes a known detector into use: fetches or reads its file, checks, quantises, times it on this board, registers it.

The operator's folder of models (usually /var/lib/nigiwai/models) gets the file, its INT8 copy where that is good, and
entries in its own manifest: NAME for the faster of the two, NAME-fp32 or NAME-int8 for the other. An INT8 copy is good
if it finds the people that the original finds, on pictures that it was not calibrated with.
"""

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nigiwai.errors import ModelError
from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.decode import pairwise_iou
from nigiwai.eye.detector import Detector
from nigiwai.eye.manifest import (
    MANIFEST,
    Entry,
    Manifest,
    demand_hash,
    find_model,
    load_manifest,
    manifest_text,
)
from nigiwai.eye.types import Detections, Frame
from nigiwai.lab.bench import machine
from nigiwai.lab.choose import time_detector
from nigiwai.lab.download import fetch, is_address
from nigiwai.paths import ADDED_MODELS, demo_dir, models_dir

SAMPLES = 64
"""Pictures taken of the recording, two a second: one half calibrates, the other judges."""

_SAMPLES_FPS = 2.0
_SAME_IOU = 0.6
_ENOUGH = 0.9
"""Of the people that the original finds, how many the INT8 copy must find too."""

_ROUNDS = 3


@dataclass(frozen=True)
class Added:
    """What was registered: the entry under the asked name, the other one, and why."""

    entry: Entry
    other: Entry | None
    folder: Path
    reason: str
    times_ms: dict[str, float]
    """Median time of a frame in ms, per number format."""
    agreement: float | None
    """The share of the original's people that the INT8 copy finds; None where it was not judged."""


def add(
    name: str,
    origin: Path | str | None = None,
    *,
    recording: Path | None = None,
    quantise: bool = True,
    shipped: Path | None = None,
    folder: Path = ADDED_MODELS,
    threads: int = 2,
) -> Added:
    """Registers a file as the detector `name` of the shipped manifest.

    origin: the file, or the https address to fetch it from; the manifest's address unless given. recording: what to
    calibrate and judge with; the bundled clip unless given. shipped: the folder of the known entries. folder: where it
    is kept. threads: for timing.

    Raises ModelError where the name is unknown, the file is another one or does not come, or the folder cannot be
    written.
    """
    entry = find_model(name, [shipped or models_dir()]).entry
    weights = obtain(entry, origin)
    _write(folder / entry.file, weights)
    original = Detector.open(entry, folder, threads=threads)
    frames = sample(recording or demo_dir() / "entrance.mp4")
    if not quantise:
        return _register(entry, None, folder, "not quantised, as asked", _times({"fp32": original}, frames), None)
    return _choose(entry, original, frames, folder, threads)


def _choose(entry: Entry, original: Detector, frames: Sequence[Frame], folder: Path, threads: int) -> Added:
    """Registers the INT8 copy or the original, whichever is the better one here."""
    from nigiwai.lab.quantise import quantised

    weights = quantised((folder / entry.file).read_bytes(), entry, frames[::2])
    copy = entry.model_copy(
        update={"file": f"{entry.name}.int8.onnx", "sha256": hashlib.sha256(weights).hexdigest(), "note": _NOTE}
    )
    _write(folder / copy.file, weights)
    int8 = Detector.open(copy, folder, threads=threads)
    agreement = share_found(original, int8, frames[1::2])
    times_ms = _times({"fp32": original, "int8": int8}, frames)
    if agreement is None:
        reason = "the recording shows nobody, so INT8 could not be judged; give one with people to `--recording`"
    elif agreement < _ENOUGH:
        reason = f"INT8 finds only {agreement:.0%} of the people that FP32 finds"
    elif times_ms["int8"] >= times_ms["fp32"]:
        return _register(entry, copy, folder, "FP32 is faster on this board", times_ms, agreement)
    else:
        return _register(copy, entry, folder, f"INT8 is faster and finds {agreement:.0%}", times_ms, agreement)
    (folder / copy.file).unlink()
    return _register(entry, None, folder, reason, times_ms, agreement)


_NOTE = "INT8 copy made on this device by `nigiwai models add`."


def sample(recording: Path) -> list[Frame]:
    """SAMPLES pictures of a recording at most, copied. Raises RecordingError."""
    source = Recording(recording, fps=_SAMPLES_FPS)
    try:
        frames: list[Frame] = []
        while len(frames) < SAMPLES and (frame := source.read()) is not None:
            frames.append(Frame(frame.image.copy(), frame.at))
        return frames
    finally:
        source.close()


def share_found(original: Detector, copy: Detector, frames: Sequence[Frame]) -> float | None:
    """The share of the people that `original` is sure of which `copy` finds where they are; None for nobody."""
    hits = [hit for frame in frames for hit in _found(original.detect(frame), copy.detect(frame), original.entry)]
    return statistics.fmean(hits) if hits else None


def _found(sure: Detections, others: Detections, entry: Entry) -> Iterator[bool]:
    """For each sure detection whether another one fits it, with a score halfway to the lowest or better."""
    limits = entry.thresholds
    wanted = sure.xyxy[sure.score >= limits.high]
    rows = others.xyxy[others.score >= (limits.high + limits.low) / 2]
    overlap = pairwise_iou(np.concatenate([wanted, rows]))[: len(wanted), len(wanted) :]
    for row in overlap:
        yield bool((row >= _SAME_IOU).any())


def _times(detectors: dict[str, Detector], frames: Sequence[Frame]) -> dict[str, float]:
    """The median time of a frame in ms for each, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for _ in range(_ROUNDS):
        for name, detector in detectors.items():
            times[name] += time_detector(detector, frames[0], time.perf_counter_ns)
    return {name: statistics.median(ms) for name, ms in times.items()}


def _register(
    best: Entry, other: Entry | None, folder: Path, reason: str, times_ms: dict[str, float], agreement: float | None
) -> Added:
    """Writes the entries into the folder's manifest, in place of earlier ones of these names."""
    name = best.name
    width, height = best.input.sizes[0]
    figures: dict[str, float | int | str] = {
        f"{k} median ms at {width}x{height}": round(v, 2) for k, v in times_ms.items()
    }
    if agreement is not None:
        figures["share of FP32's people that INT8 finds"] = round(agreement, 3)
    measured = best.measured | figures | {"machine": machine()}
    best = best.model_copy(update={"family": name, "measured": measured})
    if other is not None:
        suffix = "int8" if other.file.endswith(".int8.onnx") else "fp32"
        other = other.model_copy(update={"name": f"{name}-{suffix}", "family": name})
    new = [entry for entry in (best, other) if entry is not None]
    path = folder / MANIFEST
    kept = load_manifest(path).model if path.is_file() else ()
    of_family = {name, f"{name}-int8", f"{name}-fp32"}
    entries = [entry for entry in kept if entry.name not in of_family]
    _write(path, manifest_text(Manifest(version=1, model=(*entries, *new))).encode())
    return Added(best, other, folder, reason, times_ms, agreement)


def obtain(entry: Entry, origin: Path | str | None) -> bytes:
    """The entry's weights from a file, an https address or the manifest's own address. Raises ModelError."""
    if origin is None:
        if not entry.url:
            raise ModelError(
                f"{entry.name}: no address is known that serves this very file; get it from {entry.source} and give"
                " the file, or an https address of yours, with --from"
            )
        origin = entry.url
    weights = fetch(origin) if isinstance(origin, str) and is_address(origin) else _read(Path(origin))
    demand_hash(weights, entry, origin)
    return weights


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise ModelError(f"{file}: cannot be read ({e.strerror}); give the downloaded file with --from") from None


def _write(path: Path, data: bytes) -> None:
    """Puts a file in place whole or not at all, readable for eye, which has another user. Raises ModelError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
            new.write(data)
            new.flush()
            os.fsync(new.fileno())
        os.chmod(new.name, 0o644)
        os.replace(new.name, path)
    except OSError as e:
        raise ModelError(
            f"{path}: cannot be written ({e.strerror}); run this with sudo, or choose a folder with --models-dir"
        ) from None
