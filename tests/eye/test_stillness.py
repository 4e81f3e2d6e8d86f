# SPDX-License-Identifier: Apache-2.0
"""What must count nothing, however long it lasts, and what must not grow. `make proof` takes its full length."""

import gc
import sys

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.eye.gates import Gates
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.types import Detections
from nigiwai.settings import Gate
from tests.conftest import PROOF

SIZE = (640, 480)
DOOR = Gate(name="door", line=((0.0, 0.6), (1.0, 0.6)), inside=(0.5, 0.2))
LINE = 0.6 * 480
S = 1_000_000_000
HIGH = 120.0


def boxes(*rows: tuple[float, float, float]) -> Detections:
    """Detections at (x, foot, score)."""
    made = [(x - 0.2 * HIGH, foot - HIGH, x + 0.2 * HIGH, foot) for x, foot, _ in rows]
    return Detections(
        np.array(made, np.float32).reshape(-1, 4),
        np.array([s for *_, s in rows], np.float32),
        np.zeros(len(rows), np.uint8),
    )


def wobbled(seen: Detections, rng: np.random.Generator, share: float = 0.05) -> Detections:
    return Detections(
        (seen.xyxy + rng.normal(0, share * HIGH, seen.xyxy.shape)).astype(np.float32), seen.score, seen.kind
    )


def counted(films: "list[Detections]", fps: float) -> int:
    tracker, gates, total = Tracker(), Gates([DOOR], SIZE), 0
    for i, seen in enumerate(films):
        at = BootNs(round(i / fps * S))
        total += len(gates.update(tracker.update(seen, at, SIZE), at))
    return total + len(gates.update((), BootNs(round((len(films) / fps + 60) * S))))


def test_somebody_who_waits_on_the_line_counts_nothing() -> None:
    """Shifts from foot to foot by 15 cm, with boxes that wobble by 5 % of their height."""
    rng, minutes = np.random.default_rng(1), 10 if PROOF else 3
    sway = [LINE + 0.06 * HIGH * np.sin(i / 9) for i in range(minutes * 60 * 5)]
    assert counted([wobbled(boxes((300, y, 0.9)), rng) for y in sway], 5) == 0


def test_flickering_boxes_count_nothing() -> None:
    """Two boxes around the line that come and go at random, with scores from low to high."""
    rng, minutes = np.random.default_rng(2), 10 if PROOF else 3
    films = []
    for _ in range(minutes * 60 * 5):
        there = [(x, LINE + dy, rng.uniform(0.1, 0.7)) for x, dy in ((250, 4.0), (400, -6.0)) if rng.random() < 0.5]
        films.append(wobbled(boxes(*there), rng))
    assert counted(films, 5) == 0


def test_a_mannequin_counts_nothing_all_day() -> None:
    rng, hours = np.random.default_rng(3), 24 if PROOF else 0.5
    films = [wobbled(boxes((300, LINE + 5, 0.6)), rng, 0.03) for _ in range(int(hours * 3600))]
    assert counted(films, 1) == 0


def test_somebody_who_stood_for_long_and_then_walks_counts() -> None:
    rng = np.random.default_rng(4)
    feet = [LINE + 80] * 600 + [LINE + 80 - 8 * i for i in range(25)]
    assert counted([wobbled(boxes((300, y, 0.9)), rng, 0.03) for y in feet], 10) == 1


def test_memory_is_flat_however_many_pass() -> None:
    people, batch = 100_000 if PROOF else 3_000, 12
    tracker, gates, total = Tracker(), Gates([DOOR], SIZE), 0
    feet = [LINE + 90 - 36 * k for k in range(6)]
    at, blocks = 0, []
    for n in range(people // batch):
        for y in (*feet, None):
            at += S // 4 if y is not None else 3 * S
            seen = Detections.empty() if y is None else boxes(*[(40 + 50 * k, y, 0.9) for k in range(batch)])
            total += len(gates.update(tracker.update(seen, BootNs(at), SIZE), BootNs(at)))
        if n % max(1, people // batch // 10) == 0:
            gc.collect()
            blocks.append(sys.getallocatedblocks())
    assert total == people // batch * batch
    assert blocks[-1] - blocks[2] < 500
