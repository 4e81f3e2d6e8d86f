# SPDX-License-Identifier: Apache-2.0
"""Warm-up, stable, decay: the trunk runs at a constant rate for as long as anybody likes, and any checkpoint of it
can be branched into a short linear decay that yields weights to ship (Hu et al., MiniCPM, arXiv:2404.06395).
"""

from __future__ import annotations

WARMUP_STEPS = 150


def trunk_rate(step: int) -> float:
    """Share 0..1 of the full learning rate at a step of the trunk."""
    return min(1.0, (step + 1) / WARMUP_STEPS)


def decay_rate(progress: float) -> float:
    """Share of the full rate in a decay branch; `progress` 0..1 of its time or its steps."""
    return max(0.0, 1.0 - progress) * 0.99 + 0.01


def ema_keep(step: int, limit: float) -> float:
    """Share of the moving average that is kept at a step: short memory first, `limit` later."""
    return min(limit, (1 + step) / (10 + step))
