# SPDX-License-Identifier: Apache-2.0
"""The mean of two checkpoints' weights: `python -m models.training.blend FIRST SECOND OUT`.

SECOND must have been trained on from FIRST. What a run on other pictures teaches, it partly pays for with what it was
good at before; halfway between the two weights most of both is kept (Wortsman et al., Robust fine-tuning of zero-shot
models, 2022, arXiv:2109.01903). OUT is as small as `checkpoint.pack` makes it, with SECOND's progress.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from models.training import checkpoint
from models.training.errors import CheckpointError

Weights = dict[str, Tensor]


def mean_of(first: Weights, second: Weights) -> Weights:
    """The mean of weights of the same names and shapes; what is counted in whole numbers is the second's."""
    return {
        name: torch.lerp(first[name].float(), value.float(), 0.5) if value.is_floating_point() else value
        for name, value in second.items()
    }


def blend(first: Path, second: Path, out: Path) -> int:
    """Writes the mean of two moving averages as a checkpoint; returns its bytes.

    Raises CheckpointError where one of them cannot be read or their architectures differ.
    """
    shapes = [checkpoint.shape_of(checkpoint.read(path)) for path in (first, second)]
    if shapes[0] != shapes[1]:
        raise CheckpointError(f"{second}: architecture {shapes[1]}, {first} has {shapes[0]}; give two of one kind")
    mean = mean_of(*(checkpoint.load_average(path).state_dict() for path in (first, second)))
    return checkpoint.write_small(checkpoint.read(second), mean, out)


if __name__ == "__main__":
    print(f"{sys.argv[3]}: {blend(*map(Path, sys.argv[1:4]))} bytes")
