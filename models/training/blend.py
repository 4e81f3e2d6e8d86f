# SPDX-License-Identifier: Apache-2.0
"""Weights between two checkpoints: `python -m models.training.blend FIRST SECOND OUT --share 0.35`.

SECOND must have been trained on from FIRST. What a run on other pictures teaches, it partly pays for with what it was
good at before; between the two weights most of both is kept (Wortsman et al., Robust fine-tuning of zero-shot models,
2022, arXiv:2109.01903). OUT is as small as `checkpoint.pack` makes it, with SECOND's progress.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from models.training import checkpoint
from models.training.errors import CheckpointError

Weights = dict[str, Tensor]
AnyNet = TypeVar("AnyNet", bound=nn.Module)


def between(first: Weights, second: Weights, share: float) -> Weights:
    """Weights `share` (0..1) of the way from first to second, of one set of names and shapes; counters are second's."""
    return {
        name: torch.lerp(first[name].float(), value.float(), share) if value.is_floating_point() else value
        for name, value in second.items()
    }


def blended(first: Path, second: Path, share: float, load: Callable[[Path], AnyNet]) -> AnyNet:
    """The second of two networks that `load` reads, with weights that lie `share` of the way from the first to it.

    Raises CheckpointError where one of them cannot be read, their architectures differ, or share is outside 0..1.
    """
    if not 0 <= share <= 1:
        raise CheckpointError(f"--share {share}: give a number from 0 (all of FIRST) to 1 (all of SECOND)")
    one, other = load(first), load(second)
    if one.shape != other.shape:
        raise CheckpointError(f"{second}: architecture {other.shape}, {first} has {one.shape}; give two of one kind")
    other.load_state_dict(between(one.state_dict(), other.state_dict(), share))
    return other


def blend(first: Path, second: Path, out: Path, share: float) -> int:
    """Writes what lies between two moving averages as a checkpoint; returns its bytes. Raises as `blended` does."""
    weights = blended(first, second, share, checkpoint.load_average).state_dict()
    return checkpoint.write_small(checkpoint.read(second), weights, out)


def run(doc: str | None, write: Callable[[Path, Path, Path, float], int]) -> None:
    """Command line of this module and of the trait model's: FIRST SECOND OUT --share, written by `write`."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("first", "second", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of SECOND, 0..1 (default %(default)s)")
    args = parser.parse_args()
    try:
        print(f"{args.out}: {write(args.first, args.second, args.out, args.share)} bytes")
    except CheckpointError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    run(__doc__, blend)
