# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, and refused where they belong to another architecture.

`python -m models.training.checkpoint SOURCE OUT` writes a copy a sixth of the size: the moving average alone, in
half precision, without optimiser state. Momentum remembers twenty steps, so little is lost by starting it anew.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.training.errors import CheckpointError
from models.training.net import Net, Shape

FORMAT = "nigiwai-person/1"


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0


def save(path: Path, model: Net, average: Net, optimisers: Sequence[torch.optim.Optimizer], progress: Progress) -> None:
    """Writes weights, their moving average, optimiser state and progress; atomic, so a kill leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "format": FORMAT,
        "shape": model.shape.as_dict(),
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimisers": [o.state_dict() for o in optimisers],
        "progress": vars(progress),
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def read(path: Path) -> dict[str, Any]:
    """The checkpoint's content. Raises CheckpointError where it is unreadable or of another format."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # pickle, zip and torch errors alike mean: not a checkpoint
        raise CheckpointError(f"{path}: not a readable checkpoint ({type(cause).__name__}: {cause})") from cause
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise CheckpointError(f"{path}: format {found!r}, expected {FORMAT!r}; train anew or convert it")
    return state


def shape_of(state: dict[str, Any]) -> Shape:
    """The architecture that a checkpoint was made for."""
    sizes = state["shape"]
    return Shape(int(sizes["width"]), int(sizes["neck"]), tuple(sizes["blocks"]))


def _fill(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as cause:
        raise CheckpointError(f"{path}: weights do not fit the architecture it names ({cause})") from cause


def restore(path: Path, model: Net, average: Net, optimisers: Sequence[torch.optim.Optimizer] = ()) -> Progress:
    """Fills models and optimisers from a checkpoint. Raises CheckpointError where its architecture differs."""
    state = read(path)
    if shape_of(state) != model.shape:
        raise CheckpointError(f"{path}: architecture {shape_of(state)}, this run has {model.shape}")
    _fill(model, state["model"], path)
    _fill(average, state["average"], path)
    if state["optimisers"]:
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=bool(optimisers)):
            rates = [group["lr"] for group in optimiser.param_groups]
            optimiser.load_state_dict(saved)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate
    return Progress(**state["progress"])


def load_average(path: Path) -> Net:
    """The averaged network of a checkpoint, in evaluation mode: what is exported and judged."""
    state = read(path)
    model = Net(shape_of(state))
    _fill(model, state["average"], path)
    return model.eval()


HALF_MAX = 6e4  # beyond it half precision is infinite


def _halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision, those too large for it and whole numbers as they are."""
    return {
        name: value.half() if value.is_floating_point() and value.abs().max() < HALF_MAX else value
        for name, value in weights.items()
    }


def pack(source: Path, out: Path) -> int:
    """Writes the small copy, from which a run goes on at the average; returns its bytes. Raises CheckpointError."""
    load_average(source)  # refuses what could not be continued
    state = read(source)
    return write_small(state, state["average"], out)


def write_small(state: dict[str, Any], average: dict[str, Tensor], out: Path) -> int:
    """Writes a checkpoint like `state` that holds only these weights, in half precision; returns its bytes."""
    small = _halved(average)  # once: torch stores a tensor that occurs twice only once
    torch.save(state | {"model": small, "average": small, "optimisers": []}, out)
    return out.stat().st_size


if __name__ == "__main__":
    print(f"{sys.argv[2]}: {pack(Path(sys.argv[1]), Path(sys.argv[2]))} bytes")
