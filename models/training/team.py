# SPDX-License-Identifier: Apache-2.0
"""Training by several single-threaded processes, which meet once per step to average gradients.

Why not threads: a step is some three thousand parallel regions, and where other work shares the cores each of them
waits for the slower thread. Measured on two shared cores: 5 images a second with two threads, 47 with one, and
about twice that with two processes of one thread each.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn


@dataclass(frozen=True)
class Team:
    """This process's place among those that train together; a team of one needs no set-up."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process logs, judges and writes checkpoints."""
        return self.rank == 0

    def average(self, model: nn.Module, facts: list[float]) -> list[float]:
        """Averages all gradients, and a few numbers besides, over the team; returns the averaged numbers.

        Numbers on which control flow depends (time used, a wish to stop) must come from here, or members part.
        """
        if self.size == 1:
            return facts
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([*(g.reshape(-1) for g in grads), torch.tensor(facts, dtype=torch.float32)])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for grad in grads:
            grad.copy_(flat[start : start + grad.numel()].view_as(grad))
            start += grad.numel()
        return [float(v) for v in flat[start:]]

    def align(self, model: nn.Module) -> None:
        """Copies the leader's weights and norm statistics to all."""
        if self.size > 1:
            for value in model.state_dict().values():
                dist.broadcast(value, 0)


def _member(rank: int, size: int, meeting: str, work: Callable[[Team], None]) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    try:
        work(Team(rank, size))
    finally:
        dist.destroy_process_group()


def gather(size: int, work: Callable[[Team], None]) -> None:
    """Runs `work` in `size` processes of a team (in this one for size 1); `work` must be picklable."""
    if size == 1:
        work(Team())
        return
    with tempfile.TemporaryDirectory() as folder:
        spawn(_member, (size, str(Path(folder) / "meeting"), work), nprocs=size)  # type: ignore[no-untyped-call]
