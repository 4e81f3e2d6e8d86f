# SPDX-License-Identifier: Apache-2.0
"""Eye judges what link asks: link may be hostile."""

from nigiwai.clock import BootNs
from nigiwai.door.field import (
    CheckOff,
    CheckOn,
    CheckResult,
    GateShape,
    GatesTaken,
    NoticeHung,
    SetGates,
    Tap,
    ZoneShape,
)
from nigiwai.eye.orders import CHANGES_AN_HOUR, Orders
from nigiwai.eye.types import Crossing, Direction
from nigiwai.settings import Gate

S = 1_000_000_000
GATE = Gate(name="door", line=((0.1, 0.6), (0.9, 0.6)), inside=(0.5, 0.9))


def moved(version: int, y: int = 500, inside: tuple[int, int] = (500, 900), name: str = "door") -> SetGates:
    return SetGates(version=version, gates=(GateShape(name=name, line=((100, y), (900, y)), inside=inside),))


def test_gates_are_taken_and_told() -> None:
    orders = Orders((GATE,), 256)
    orders.take(moved(3), BootNs(0))
    assert orders.due(BootNs(0)) == [GatesTaken(version=3, outcome="taken")]
    assert orders.changed
    assert orders.gates[0].line == ((0.1, 0.5), (0.9, 0.5))


def test_the_same_gates_again_change_nothing() -> None:
    orders = Orders((GATE,), 256)
    orders.take(moved(3, y=600), BootNs(0))
    assert not orders.changed
    assert orders.due(BootNs(0)) == [GatesTaken(version=3, outcome="taken")]


def test_what_the_settings_would_refuse_is_refused() -> None:
    orders = Orders((GATE,), 256)
    twins = SetGates(version=2, gates=(*moved(2).gates, *moved(2, y=700).gates))
    for order in (moved(1, inside=(500, 500)), twins):
        orders.take(order, BootNs(0))
    assert [r.outcome for r in orders.due(BootNs(0)) if isinstance(r, GatesTaken)] == ["refused", "refused"]
    assert orders.gates == (GATE,)


def test_gates_change_twenty_times_an_hour_at_most() -> None:
    orders = Orders((GATE,), 256)
    for version in range(1, CHANGES_AN_HOUR + 2):
        orders.take(moved(version, y=300 + version), BootNs(version * S))
    outcomes = [r.outcome for r in orders.due(BootNs(30 * S)) if isinstance(r, GatesTaken)]
    assert outcomes == ["taken"] * CHANGES_AN_HOUR + ["too_often"]
    orders.take(moved(99, y=400), BootNs(3_700 * S))
    assert [r.outcome for r in orders.due(BootNs(3_700 * S)) if isinstance(r, GatesTaken)] == ["taken"]


def test_a_check_is_told_as_it_goes_and_once_at_its_end() -> None:
    orders = Orders((GATE,), 256)
    orders.take(CheckOn(check=7, gate="door", minutes=10), BootNs(0))
    orders.take(Tap(check=7, tap=1, direction="in", at_ms=5_500, child=False), BootNs(6 * S))
    orders.take(Tap(check=6, tap=2, direction="in", at_ms=5_500, child=False), BootNs(6 * S))  # of another check
    orders.see([Crossing("door", Direction.IN, BootNs(5 * S))], (), (640, 360), BootNs(6 * S))
    (so_far,) = [r for r in orders.due(BootNs(7 * S)) if isinstance(r, CheckResult)]
    assert (so_far.final, so_far.entered.matched, so_far.entered.taps) == (False, 1, 1)

    orders.take(CheckOff(check=7), BootNs(20 * S))
    (last,) = [r for r in orders.due(BootNs(23 * S)) if isinstance(r, CheckResult)]
    assert (last.final, last.length_s) == (True, 20)
    assert orders.due(BootNs(30 * S)) == []


def test_a_check_of_no_gate_is_not_begun() -> None:
    orders = Orders((GATE,), 256)
    orders.take(CheckOn(check=1, gate="window", minutes=10), BootNs(0))
    assert orders.due(BootNs(5 * S)) == []


def zoned(version: int, *corners: tuple[int, int]) -> SetGates:
    return moved(version, y=600).model_copy(update={"zones": (ZoneShape(name="queue", corners=corners),)})


def test_zones_are_taken_with_the_gates() -> None:
    orders = Orders((GATE,), 256)
    orders.take(zoned(1, (100, 600), (400, 600), (400, 900)), BootNs(0))
    assert orders.due(BootNs(0)) == [GatesTaken(version=1, outcome="taken")]
    assert orders.changed
    assert [(z.name, z.corners[0]) for z in orders.zones] == [("queue", (0.1, 0.6))]


def test_a_zone_whose_sides_cross_is_refused_with_everything_beside_it() -> None:
    orders = Orders((GATE,), 256)
    orders.take(zoned(1, (100, 100), (900, 900), (900, 100), (100, 900)), BootNs(0))
    assert orders.due(BootNs(0)) == [GatesTaken(version=1, outcome="refused")]
    assert (orders.gates, orders.zones, orders.changed) == ((GATE,), (), False)


def test_nobody_is_estimated_before_the_notice_hangs() -> None:
    orders = Orders((GATE,), 256)
    assert not orders.notice_hung
    orders.take(NoticeHung(), BootNs(0))
    assert orders.notice_hung
