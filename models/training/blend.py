# SPDX-License-Identifier: Apache-2.0
"""Weights between two checkpoints: `python -m models.training.blend FIRST SECOND OUT --share 0.35`.

SECOND must have been trained on from FIRST. What a run on other pictures teaches, it partly pays for with what it was
good at before; between the two weights most of both is kept (Wortsman et al., Robust fine-tuning of zero-shot models,
2022, arXiv:2109.01903). OUT is as small as `checkpoint.pack` makes it, with SECOND's progress.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from models.training import checkpoint
from models.training.errors import CheckpointError

Weights = dict[str, Tensor]


def between(first: Weights, second: Weights, share: float) -> Weights:
    """Weights `share` (0..1) of the way from first to second, of one set of names and shapes; counters are second's."""
    return {
        name: torch.lerp(first[name].float(), value.float(), share) if value.is_floating_point() else value
        for name, value in second.items()
    }


def blend(first: Path, second: Path, out: Path, share: float) -> int:
    """Writes what lies between two moving averages as a checkpoint; returns its bytes.

    Raises CheckpointError where one of them cannot be read, their architectures differ, or share is outside 0..1.
    """
    if not 0 <= share <= 1:
        raise CheckpointError(f"--share {share}: give a number from 0 (all of FIRST) to 1 (all of SECOND)")
    one, other = (checkpoint.load_average(path) for path in (first, second))
    if one.shape != other.shape:
        raise CheckpointError(f"{second}: architecture {other.shape}, {first} has {one.shape}; give two of one kind")
    weights = between(one.state_dict(), other.state_dict(), share)
    return checkpoint.write_small(checkpoint.read(second), weights, out)


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("first", "second", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of SECOND, 0..1 (default %(default)s)")
    args = parser.parse_args()
    print(f"{args.out}: {blend(args.first, args.second, args.out, args.share)} bytes")


if __name__ == "__main__":
    main()
