# SPDX-License-Identifier: Apache-2.0
"""The network: dense 3x3 and 1x1 convolutions with batch norm and ReLU, maps at strides 8, 16 and 32.

Dense convolutions quantise well and use the dot-product units of small CPUs fully; a depthwise net of the same
accuracy has fewer multiply-adds and takes longer. Max pooling, nearest upsampling and additions are the only other
operations, all exact or cheap in INT8.

    image (B, 3, H, W), 0..1, BGR; H and W multiples of 32
      stem s4 -> s8 ----------+--> f8  -> head -> s8  (B, 33, H/8,  W/8)
                  s16 -----+--|--> f16 -> head -> s16 (B, 33, H/16, W/16)
                    s32 ---+--|--> f32 -> head -> s32 (B, 33, H/32, W/32)
      top-down sums by upsampling, then bottom-up sums by stride-2 convolutions

Channel 0 of an output is the person logit; channels 1..32 are four sides (left, top, right, bottom) of 8 bins, the
logits of a distribution over 0..7 strides between the cell's centre ((x + 0.5) * stride) and the side of the box
(Li et al., Generalized focal loss, arXiv:2006.04388).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (8, 16, 32)
BINS = 8
CHANNELS = 1 + 4 * BINS


@dataclass(frozen=True)
class Shape:
    """The sizes that define an architecture; stored in every checkpoint."""

    width: int = 16  # channels of the first layer; all of the backbone scales with it
    neck: int = 64  # channels of the three maps that the heads read
    blocks: tuple[int, int, int, int] = (1, 2, 3, 2)  # residual blocks at strides 4, 8, 16, 32

    def as_dict(self) -> dict[str, object]:
        """Plain values for a checkpoint."""
        return asdict(self) | {"blocks": list(self.blocks)}


class Unit(nn.Module):
    """Convolution, batch norm and, unless it feeds a sum, ReLU."""

    def __init__(self, inner: int, outer: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outer, momentum=0.05)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, outer, H / stride, W / stride)."""
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Residual(nn.Module):
    """x + 3x3(1x1(x)): the 1x1 halves the channels, so a block costs 5/9 of a plain 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = Unit(channels, channels // 2, 1)
        self.expand = Unit(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same shape."""
        return x + self.expand(self.reduce(x))  # type: ignore[no-any-return]


def stage(inner: int, outer: int, blocks: int) -> nn.Sequential:
    """Half the resolution, then residual blocks."""
    return nn.Sequential(Unit(inner, outer, 3, 2), *(Residual(outer) for _ in range(blocks)))


class Head(nn.Module):
    """A 3x3 unit and the 33 outputs; one for each stride, because people of different sizes look different."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = Unit(channels, channels)
        self.out = nn.Conv2d(channels, CHANNELS, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        bias = torch.zeros(CHANNELS)
        bias[0] = -4.6  # a prior of 1 %: else the background drowns the first steps
        self.out.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, 33, H, W)."""
        return self.out(self.mix(x))  # type: ignore[no-any-return]


class Net(nn.Module):
    """See the module's theory. `forward` returns the three maps, finest first."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = s = shape or Shape()
        w, n = s.width, s.neck
        self.stem = nn.Sequential(Unit(3, w, 3, 2), stage(w, 2 * w, s.blocks[0]))
        self.stage8 = stage(2 * w, 4 * w, s.blocks[1])
        self.stage16 = stage(4 * w, 8 * w, s.blocks[2])
        self.stage32 = stage(8 * w, 12 * w, s.blocks[3])
        self.context = nn.Sequential(Unit(12 * w, 6 * w, 1), nn.MaxPool2d(5, 1, 2), Unit(6 * w, n, 1))
        self.lateral8, self.lateral16 = Unit(4 * w, n, 1), Unit(8 * w, n, 1)
        self.lateral32 = Unit(12 * w, n, 1)
        self.down_up8, self.down_up16 = Unit(n, n), Unit(n, n)
        self.up16, self.up32 = Unit(n, n, 3, 2), Unit(n, n, 3, 2)
        self.heads = nn.ModuleList(Head(n) for _ in STRIDES)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The three maps (B, 33, H / s, W / s)."""
        c8 = self.stage8(self.stem(image))
        c16 = self.stage16(c8)
        c32 = self.stage32(c16)
        f32 = self.lateral32(c32) + self.context(c32)
        f16 = self.down_up16(self.lateral16(c16) + F.interpolate(f32, scale_factor=2.0))
        f8 = self.down_up8(self.lateral8(c8) + F.interpolate(f16, scale_factor=2.0))
        f16 = f16 + self.up16(f8)
        f32 = f32 + self.up32(f16)
        return [head(f) for head, f in zip(self.heads, (f8, f16, f32), strict=True)]


def centres(outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Cell centres (A, 2) in pixels and strides (A,) of all cells, finest level first, row by row."""
    points, steps = [], []
    for out, stride in zip(outputs, STRIDES, strict=True):
        rows, columns = out.shape[2:]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        points.append((torch.stack((x, y), -1).reshape(-1, 2).float() + 0.5) * stride)
        steps.append(torch.full((rows * columns,), float(stride)))
    return torch.cat(points).to(outputs[0].device), torch.cat(steps).to(outputs[0].device)


def flatten(outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Logits (B, A) and bin logits (B, A, 4, 8) in float32 of all cells in the order of `centres`."""
    rows = torch.cat([out.flatten(2).transpose(1, 2) for out in outputs], 1).float()
    return rows[..., 0], rows[..., 1:].reshape(*rows.shape[:2], 4, BINS)


def boxes(bins: Tensor, points: Tensor, steps: Tensor) -> Tensor:
    """Boxes xyxy (B, A, 4) in pixels: the expected distance of each side from the cell's centre."""
    distance = bins.softmax(-1) @ torch.arange(BINS, dtype=bins.dtype, device=bins.device) * steps[:, None]
    return torch.cat((points - distance[..., :2], points + distance[..., 2:]), -1)
