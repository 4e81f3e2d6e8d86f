# SPDX-License-Identifier: Apache-2.0
"""Gates on trial count beside those in force, while somebody aims, and change nothing."""

from nigiwai.clock import BootNs
from nigiwai.door.field import AimOff, AimOn, GateShape, Tried, TryGates
from nigiwai.eye.orders import Orders
from nigiwai.eye.types import Track
from nigiwai.settings import Gate

S = 1_000_000_000
SIZE = (640, 360)
GATE = Gate(name="door", line=((0.1, 0.6), (0.9, 0.6)), inside=(0.5, 0.9))
HIGHER = TryGates(gates=(GateShape(name="door", line=((100, 400), (900, 400)), inside=(500, 900)),))


def walk(orders: Orders, begin_s: float, *, down: bool = True, looked: bool = True) -> list[Tried]:
    """Somebody walks the picture's height in three seconds; what was told of the trial meanwhile."""
    told = []
    for step in range(31):
        y = (0.1 + 0.8 * step / 30) if down else (0.9 - 0.8 * step / 30)
        at = BootNs(round((begin_s + step / 10) * S))
        box = (300.0, (y - 0.3) * 360, 340.0, y * 360)
        track = Track(number=round(begin_s), xyxy=box, foot=(320.0, y * 360), age_s=step / 10, seen=True)
        orders.see((), (track,), SIZE, at, looked=looked)
        told += [r for r in orders.due(at) if isinstance(r, Tried)]
    return told


def test_a_trial_counts_both_ways_and_leaves_the_gates_in_force_alone() -> None:
    orders = Orders((GATE,), 256)
    orders.take(AimOn(), BootNs(0))
    orders.take(HIGHER, BootNs(0))
    told = walk(orders, 1.0) + walk(orders, 11.0, down=False) + walk(orders, 21.0)
    assert told[0].passed == ((0, 0),)
    assert told[-1].passed == ((2, 1),)
    assert (orders.gates, orders.changed) == ((GATE,), False)


def test_it_begins_anew_where_the_drawing_changes_and_ends_where_it_is_told_to() -> None:
    orders = Orders((GATE,), 256)
    orders.take(AimOn(), BootNs(0))
    orders.take(HIGHER, BootNs(0))
    walk(orders, 1.0)
    orders.take(HIGHER, BootNs(10 * S))
    assert walk(orders, 11.0)[-1].passed == ((1, 0),)
    orders.take(TryGates(gates=()), BootNs(20 * S))
    assert walk(orders, 21.0) == []


def test_nobody_aims_so_nothing_is_tried() -> None:
    orders = Orders((GATE,), 256)
    orders.take(HIGHER, BootNs(0))
    assert walk(orders, 1.0) == []
    orders.take(AimOn(), BootNs(10 * S))
    orders.take(HIGHER, BootNs(10 * S))
    orders.take(AimOff(), BootNs(11 * S))
    assert walk(orders, 12.0) == []


def test_a_gate_that_is_none_is_not_tried() -> None:
    orders = Orders((GATE,), 256)
    orders.take(AimOn(), BootNs(0))
    point = GateShape(name="door", line=((100, 400), (100, 400)), inside=(500, 900))
    orders.take(TryGates(gates=(point,)), BootNs(0))
    assert walk(orders, 1.0) == []


def test_frames_that_the_detector_did_not_see_are_no_evidence() -> None:
    orders = Orders((GATE,), 256)
    orders.take(AimOn(), BootNs(0))
    orders.take(HIGHER, BootNs(0))
    assert walk(orders, 1.0, looked=False)[-1].passed == ((0, 0),)
