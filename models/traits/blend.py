# SPDX-License-Identifier: Apache-2.0
"""Weights between two of the trait model's: `python -m models.traits.blend FIRST SECOND OUT --share 0.5`.

As models/training/blend.py does with the detector: SECOND went on from FIRST. More rendered people made it better at
rendered people and worse at real ones; half way it kept most of the one and lost nothing of the other.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models.training.blend import between
from models.training.errors import CheckpointError
from models.traits.learn import Recipe, load_net, save


def blend(first: Path, second: Path, out: Path, share: float) -> None:
    """Writes what lies `share` (0..1) of the way from first to second.

    Raises CheckpointError where one of them cannot be read, their shapes differ, or share is outside 0..1.
    """
    if not 0 <= share <= 1:
        raise CheckpointError(f"--share {share}: give a number from 0 (all of FIRST) to 1 (all of SECOND)")
    one, other = load_net(first), load_net(second)
    if one.shape != other.shape:
        raise CheckpointError(f"{second}: shape {other.shape}, {first} has {one.shape}; give two of one kind")
    other.load_state_dict(between(one.state_dict(), other.state_dict(), share))
    save(other, Recipe(), 0, out)


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("first", "second", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of SECOND, 0..1 (default %(default)s)")
    args = parser.parse_args()
    try:
        blend(args.first, args.second, args.out, args.share)
    except CheckpointError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
