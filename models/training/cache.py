# SPDX-License-Identifier: Apache-2.0
"""Decoded images on disk: one memory-mapped array and one label file for each source.

Decoding a JPEG for every sample would take a tenth of the training time on two cores; a map of raw pixels costs
disk (1.3 GB for the real images) and lets several processes share the page cache.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.boxes import Floats
from models.training.errors import DataError
from models.training.shards import Labelled


@dataclass(frozen=True)
class ImageSet:
    """Images (N, H, W, 3) uint8 BGR of one source with their labels, parallel lists of length N."""

    name: str
    images: NDArray[np.uint8]
    xyxy: list[Floats]
    weight: list[Floats]
    ignore: list[NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.images)


def _write_atomic(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    part = path.with_suffix(f".{os.getpid()}.part.npz")  # several loaders may find the same new shard
    with part.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    os.replace(part, path)


def save_labels(path: Path, data: ImageSet) -> None:
    """Writes the labels of a set as flat arrays plus the image index of each box; atomic."""
    index = np.concatenate([np.full(len(b), i, np.int32) for i, b in enumerate(data.xyxy)] or [np.zeros(0, np.int32)])
    flat = {
        "index": index,
        "xyxy": np.concatenate([*data.xyxy, np.zeros((0, 4), np.float32)]),
        "weight": np.concatenate([*data.weight, np.zeros(0, np.float32)]),
        "ignore": np.concatenate([*data.ignore, np.zeros(0, np.bool_)]),
    }
    _write_atomic(path, flat)


def load_set(folder: Path, name: str, labels: str = "labels") -> ImageSet:
    """The cached set `name`; `labels` chooses the label file (`labels` or `teacher`). Raises DataError if absent."""
    try:
        images = np.load(folder / f"{name}.images.npy", mmap_mode="r")
        flat = np.load(folder / f"{name}.{labels}.npz")
    except (OSError, ValueError) as cause:
        raise DataError(f"{folder / name}: no usable cache ({cause})") from cause
    cuts = np.searchsorted(flat["index"], np.arange(1, len(images)))
    parts = {key: np.split(flat[key], cuts) for key in ("xyxy", "weight", "ignore")}
    return ImageSet(name, images, parts["xyxy"], parts["weight"], parts["ignore"])


def build_set(folder: Path, name: str, source: Iterable[Labelled], count_max: int) -> ImageSet:
    """Decodes a source into the cache and returns the set; at most `count_max` images, all of one size.

    Raises DataError where the source is empty or mixes sizes. Files appear only when complete, under names of this
    process until then: members of a team meet a new shard at the same time, and a file that shrinks while another
    process has it mapped kills that process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part, final = folder / f"{name}.{os.getpid()}.images.part", folder / f"{name}.images.npy"
    rows: list[Labelled] = []
    with part.open("wb") as stream:
        shape: tuple[int, ...] | None = None
        for item in source:
            if shape is not None and item.image.shape != shape:
                raise DataError(f"{item.name}: image of {item.image.shape}, the source began with {shape}")
            shape = item.image.shape
            stream.write(np.ascontiguousarray(item.image).tobytes())
            rows.append(replace(item, image=item.image[:0]))
            if len(rows) >= count_max:
                break
    if shape is None:
        part.unlink()
        raise DataError(f"{name}: the source holds no usable image")
    _as_npy(part, final, (len(rows), *shape))
    images = np.load(final, mmap_mode="r")
    made = ImageSet(name, images, [r.xyxy for r in rows], [r.weight for r in rows], [r.ignore for r in rows])
    save_labels(folder / f"{name}.labels.npz", made)
    return made


def _as_npy(raw: Path, final: Path, shape: tuple[int, ...]) -> None:
    """Turns raw bytes into an .npy file, renamed into place when it is whole."""
    whole = final.with_suffix(f".{os.getpid()}.whole")
    target = np.lib.format.open_memmap(whole, mode="w+", dtype=np.uint8, shape=shape)
    source = np.memmap(raw, np.uint8, mode="r", shape=shape)
    for start in range(0, shape[0], 64):
        target[start : start + 64] = source[start : start + 64]
    target.flush()
    del source, target
    raw.unlink()
    os.replace(whole, final)
