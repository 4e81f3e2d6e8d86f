# SPDX-License-Identifier: Apache-2.0
"""The optimiser: orthogonalised momentum (Muon) for convolution weights, AdamW for norms, biases and outputs.

Muon (K. Jordan, 2024; kellerjordan.github.io/posts/muon) replaces the momentum of a weight matrix by the nearest
orthogonal matrix, found by five Newton-Schulz steps; every direction of the matrix then learns at the same speed.
The steps are scaled by 0.2 * sqrt(longer side) (Liu et al., arXiv:2502.16982), so one learning rate serves both.
Chosen because the samples, not the parameters, are what two CPU cores are short of.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from models.training.precision import has_bfloat16

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: Tensor) -> Tensor:
    """About the nearest semi-orthogonal matrix of each (N, rows, columns), float32; singular values end near 1."""
    x: Tensor = matrices.bfloat16() if has_bfloat16(matrices.device) else matrices.float()
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.mT).float()


class Muon(torch.optim.Optimizer):
    """Muon over convolution weights (out, in, k, k), seen as matrices (out, in * k * k)."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """One update of all weights that have a gradient; weights of one shape are orthogonalised together."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(weight.shape, []).append(weight)
            for weights in alike.values():
                self._update(weights, group["lr"], group["weight_decay"])

    def _update(self, weights: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        grads = [w.grad for w in weights if w.grad is not None]
        momenta = [self.state[w].setdefault("momentum", torch.zeros_like(w)) for w in weights]
        torch._foreach_lerp_(momenta, grads, 1 - MOMENTUM)
        mixed = torch._foreach_lerp(grads, momenta, MOMENTUM)
        stack = torch.stack([m.flatten(1) for m in mixed])
        update = orthogonalise(stack) * (0.2 * max(stack.shape[1:]) ** 0.5)
        torch._foreach_mul_(list[Tensor](weights), 1 - lr * weight_decay)
        for weight, change in zip(weights, update, strict=True):
            weight.add_(change.view(weight.shape), alpha=-lr)


def optimisers(model: nn.Module, lr: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the hidden convolutions, AdamW for everything else; outputs are not hidden."""
    hidden: list[nn.Parameter] = []
    other: list[nn.Parameter] = []
    for name, param in model.named_parameters():
        inner = param.ndim == 4 and not name.endswith("out.weight") and param.shape[1] > 3
        (hidden if inner else other).append(param)
    adam = [
        {"params": [p for p in other if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in other if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [Muon(hidden, lr, weight_decay), torch.optim.AdamW(adam, lr, betas=(0.9, 0.99))]
