# SPDX-License-Identifier: Apache-2.0
"""The network: plain convolutions to a map of 6 x 3, then one that sees it whole.

    image (B, 3, 96, 48), 0..1, BGR
      stem 48x24 -> 24x12 -> 12x6 -> 6x3 -> whole 1x1 -> band (B, 4), sex (B, 2), years (B, 1; in training only)

A mean over the map, as classifiers usually end, would lose where things are; proportions are what is asked here.
`years` is the age on a scale on which a year of a child weighs more than a year of an adult: a richer question than the
band, asked so that the network learns faster. It is not exported.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.training.net import Unit, stage

WIDTH, HEIGHT = 48, 96
BANDS = ("child", "teen", "adult", "senior")
SEXES = ("female", "male")
FIRST_YEARS = (0, 13, 20, 65)
"""The first year of age of each band."""


@dataclass(frozen=True)
class Shape:
    """The sizes that define an architecture; stored in every checkpoint."""

    width: int = 16
    blocks: tuple[int, int, int] = (1, 2, 1)  # residual blocks at strides 4, 8, 16
    mixed: int = 96
    dropout: float = 0.25

    def as_dict(self) -> dict[str, object]:
        """Plain values for a checkpoint."""
        return asdict(self) | {"blocks": list(self.blocks)}


class TraitNet(nn.Module):
    """See the module's theory. `forward` returns the logits of band and sex, and `years`."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = s = shape or Shape()
        w = s.width
        self.stem = Unit(3, w, 3, 2)
        self.stages = nn.Sequential(
            stage(w, 2 * w, s.blocks[0]), stage(2 * w, 4 * w, s.blocks[1]), stage(4 * w, 8 * w, s.blocks[2])
        )
        self.whole = nn.Conv2d(8 * w, s.mixed, (HEIGHT // 16, WIDTH // 16))
        self.dropout = nn.Dropout(s.dropout)
        self.out = nn.Linear(s.mixed, len(BANDS) + len(SEXES) + 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, 4) and (B, 2), and (B, 1)."""
        mixed = F.relu(self.whole(self.stages(self.stem(image)))).flatten(1)
        band, sex, years = self.out(self.dropout(mixed)).split((len(BANDS), len(SEXES), 1), 1)
        return band, sex, years


def band_of(age: Tensor) -> Tensor:
    """The index into BANDS of ages in whole years."""
    return torch.bucketize(age, torch.tensor(FIRST_YEARS[1:], dtype=age.dtype), right=True)


def years_of(age: Tensor) -> Tensor:
    """What `years` is to be: 0 at birth, about 1 at 13, 2 at 60."""
    return torch.log1p(age / 7.0)
