# SPDX-License-Identifier: Apache-2.0
"""Batches for training: cached sets are mixed by share, rendered shards are picked up while the run goes on.

Batch number n is drawn from a generator seeded with (seed, n), so a resumed run continues with the batches that it
would have seen; only the arrival of new shards is not repeatable.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from models.training.assign import Truth
from models.training.augment import Recipe, Sample, compose
from models.training.cache import ImageSet, build_set, load_set
from models.training.errors import DataError, Skipped
from models.training.shards import read_shard

SIZES = (  # width, height, share
    (320, 192, 0.35),
    (416, 256, 0.2),
    (256, 256, 0.1),
    (320, 256, 0.1),
    (384, 288, 0.1),
    (320, 320, 0.15),
)
RESCAN_S = 120.0
SHARD_IMAGES_MAX = 4000


@dataclass(frozen=True)
class Sources:
    """Where pictures come from and how often each kind is drawn (relative, real images are 1)."""

    cache: Path
    synthetic: Path | None = None
    labels: str = "teacher"
    unlabelled_share: float = 0.04
    empty_share: float = 0.06
    synthetic_share: float = 0.5
    real_full_at: int = 1500  # rendered frames at which they reach their full share; fewer would be memorised


@dataclass
class Pool:
    """The sets in use. `scan` adds what has appeared since; broken shards are named once and left out."""

    sources: Sources
    real: ImageSet = field(init=False)
    unlabelled: list[ImageSet] = field(default_factory=list)
    empty: list[ImageSet] = field(default_factory=list)
    synthetic: dict[str, ImageSet] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=Skipped)
    scanned_s: float = 0.0
    broken: dict[str, float] = field(default_factory=dict)
    real_labels_s: float = 0.0

    def __post_init__(self) -> None:
        self.load_real()
        for path in sorted(self.sources.cache.glob("unlabelled-*.teacher.npz")):
            self.unlabelled.append(load_set(self.sources.cache, path.name.removesuffix(".teacher.npz"), "teacher"))
        for path in sorted(self.sources.cache.glob("empty-*.labels.npz")):
            self.empty.append(load_set(self.sources.cache, path.name.removesuffix(".labels.npz")))
        self.scan()

    def load_real(self) -> None:
        """(Re)loads the real images; with their own labels until the teacher's are there."""
        path = self.sources.cache / f"train.{self.sources.labels}.npz"
        labels = self.sources.labels if path.exists() else "labels"
        changed_s = path.stat().st_mtime if path.exists() else 1.0
        if changed_s != self.real_labels_s:
            self.real, self.real_labels_s = load_set(self.sources.cache, "train", labels), changed_s
            print(f"data: {len(self.real)} real images, labels from `{labels}`", flush=True)

    def scan(self) -> None:
        """Decodes shards SYNTHETIC/train*.tar or train*/*.tar that are at least half a minute old.

        Anything else there, such as held-out scenes, is never read.
        """
        self.scanned_s = time.monotonic()
        folder = self.sources.synthetic
        for path in sorted([*folder.glob("train*.tar"), *folder.glob("train*/*.tar")]) if folder else []:
            state = path.stat()
            new = str(path) not in self.synthetic and self.broken.get(str(path)) != state.st_mtime
            if new and time.time() - state.st_mtime > 30:
                self._take(path, state.st_mtime)

    def _take(self, path: Path, changed_s: float) -> None:
        name = f"synthetic-{path.parent.name}-{path.stem}-{int(changed_s)}"
        try:
            try:
                made = load_set(self.sources.cache, name)
            except DataError:
                made = build_set(self.sources.cache, name, read_shard(path, self.skipped), SHARD_IMAGES_MAX)
        except DataError as error:
            self.broken[str(path)] = changed_s
            self.skipped.add(str(path), str(error))
            print(f"data: left out {path}: {error}", flush=True)
            return
        self.synthetic[str(path)] = made
        print(f"data: {len(made)} rendered frames from {path}; {self.skipped.summary()}", flush=True)

    def draw(self, rng: random.Random) -> tuple[ImageSet, int]:
        """A set and the index of one of its images."""
        rendered = list(self.synthetic.values())
        count = sum(len(s) for s in rendered)
        share = self.sources.synthetic_share * min(1.0, count / self.sources.real_full_at)
        kinds = (
            ([self.real], 1.0),
            (rendered, share if rendered else 0.0),
            (self.unlabelled, self.sources.unlabelled_share if self.unlabelled else 0.0),
            (self.empty, self.sources.empty_share if self.empty else 0.0),
        )
        sets, _ = rng.choices(kinds, [k[1] for k in kinds])[0]
        chosen = rng.choices(sets, [len(s) for s in sets])[0]
        return chosen, rng.randrange(len(chosen))


def pad(samples: list[Sample]) -> dict[str, NDArray[np.generic]]:
    """A batch as arrays: image (B, 3, H, W) uint8 and the padded fields of `assign.Truth`."""
    most = max(1, *(len(s.xyxy) for s in samples))
    out: dict[str, NDArray[np.generic]] = {
        "image": np.stack([s.image for s in samples]).transpose(0, 3, 1, 2),
        "xyxy": np.zeros((len(samples), most, 4), np.float32),
        "weight": np.zeros((len(samples), most), np.float32),
        "ignore": np.zeros((len(samples), most), np.bool_),
        "real": np.zeros((len(samples), most), np.bool_),
    }
    for i, s in enumerate(samples):
        n = len(s.xyxy)
        out["xyxy"][i, :n], out["weight"][i, :n], out["ignore"][i, :n] = s.xyxy, s.weight, s.ignore
        out["real"][i, :n] = True
    return out


class Batches(IterableDataset[dict[str, Tensor]]):
    """Endless batches from number `start`; made to run in one worker process."""

    def __init__(self, sources: Sources, recipe: Recipe, batch: int, seed: int, start: int) -> None:
        super().__init__()
        self.sources, self.recipe, self.batch, self.seed, self.start = sources, recipe, batch, seed, start

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        cv2.setNumThreads(1)
        pool, number = Pool(self.sources), self.start
        while True:
            rng = random.Random(self.seed * 1_000_003 + number)
            # the size depends on the number alone: members of a team then finish a step together
            width, height, _ = random.Random(number).choices(SIZES, [s[2] for s in SIZES])[0]
            samples = [compose(rng, pool.draw, width, height, self.recipe) for _ in range(self.batch)]
            yield {key: torch.from_numpy(value) for key, value in pad(samples).items()}
            number += 1
            if time.monotonic() - pool.scanned_s > RESCAN_S:
                pool.load_real()
                pool.scan()


def loader(
    sources: Sources, recipe: Recipe, batch: int, seed: int, start: int, workers: int = 1
) -> Iterator[dict[str, Tensor]]:
    """Batches made by a worker process beside the training; `workers=0` makes them in this one."""
    made = Batches(sources, recipe, batch, seed, start)
    if workers == 0:
        return iter(made)
    return iter(DataLoader(made, batch_size=None, num_workers=1, prefetch_factor=4))


def truth_of(batch: dict[str, Tensor], device: torch.device) -> Truth:
    """The padded people of a batch on the device."""
    return Truth(*(batch[key].to(device) for key in ("xyxy", "weight", "ignore", "real")))
