# SPDX-License-Identifier: Apache-2.0
"""Weights between two of the trait model's: `python -m models.traits.blend FIRST SECOND OUT --share 0.5`.

As models/training/blend.py does with the detector: SECOND went on from FIRST. More rendered people made it better at
rendered people and worse at real ones; half way it kept most of the one and lost nothing of the other.
"""

from __future__ import annotations

from pathlib import Path

from models.training.blend import blended, run
from models.traits.learn import Recipe, load_net, save


def blend(first: Path, second: Path, out: Path, share: float) -> int:
    """Writes what lies `share` (0..1) of the way from first to second; returns its bytes. Raises as `blended` does."""
    save(blended(first, second, share, load_net), Recipe(), 0, out)
    return out.stat().st_size


if __name__ == "__main__":
    run(__doc__, blend)
