# SPDX-License-Identifier: Apache-2.0
"""The ledger counts everything once, tiles the time, and says what nobody saw."""

import secrets
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nigiwai.link.intervals import sum_gates
from nigiwai.link.ledger import Ledger
from nigiwai.link.messages import MAX_SPANS, ClockState, Mark
from nigiwai.link.store.rows import Record
from tests.link.world import MINUTE, Eye, S, World, everything, opened, run_minutes, sums, utc_ns


def assert_tiles(records: list[Record]) -> None:
    """Each moment from the first to the last belongs to exactly one record that counts."""
    ordered = sorted(records, key=lambda r: r.interval.start_ns or 0)
    for a, b in pairwise(ordered):
        assert a.interval.end_ns == b.interval.start_ns
    for r in ordered:
        assert r.interval.start_ns is None or 0 <= r.interval.blind_ns <= r.interval.end_ns - r.interval.start_ns


def assert_totals(ledger: Ledger, records: list[Record]) -> None:
    """Each record's total is the sum of those up to it that count by then."""
    replaced: set[int] = set()
    by_number = {r.number: r for r in records}
    for r in records:
        for first, last in r.replaces:
            replaced |= set(range(first, last + 1))
        so_far = [by_number[n] for n in range(1, r.number + 1) if n in by_number and n not in replaced]
        assert {k: v for k, v in r.totals.items() if v != (0, 0)} == {
            k: v for k, v in sums(so_far).items() if v != (0, 0)
        }


def test_a_minute_closes_with_the_bin_that_reaches_its_end(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())

    made = [ledger.commit([eye.bin(1, 0)]) for _ in range(12)]

    assert made == [False] * 11 + [True]
    (record,) = everything(ledger)
    assert record.interval.start_ns == utc_ns("2026-11-23T08:00:00")
    assert record.interval.end_ns == utc_ns("2026-11-23T08:01:00")
    assert record.interval.gates == {"door": (12, 0)}
    assert record.interval.blind_ns == 0
    assert record.interval.marks == frozenset()
    assert record.interval.clock is ClockState.SYNCHRONISED


def test_a_bin_that_comes_twice_counts_once(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    first = eye.bin(3, 1)

    ledger.commit([first, first])
    ledger.commit([first])

    assert ledger.total() == {"door": (3, 1)}


def test_a_merged_bin_counts_only_what_is_not_there_yet(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    a, b, c = eye.bin(1, 0), eye.bin(2, 0), eye.bin(4, 0)
    ledger.commit([a, b])
    merged = c.model_copy(
        update={
            "first_sequence": 1,
            "start_ms": a.start_ms,
            "length_ms": 15_000,
            "gates": (c.gates[0].model_copy(update={"entered": 7}),),
        }
    )

    ledger.commit([merged])
    ledger.commit([b])

    assert ledger.total() == {"door": (7, 0)}


def test_bins_that_eye_lost_are_counted_as_lost(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    ledger.commit([eye.bin()])
    eye.bin()
    eye.bin()

    ledger.commit([eye.bin()])

    assert ledger.losses().bins == 2


def test_silence_is_blind_and_never_zero(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    for _ in range(6):
        ledger.commit([eye.bin(1, 0)])

    world.forward(30 + 9)
    assert not ledger.tick(world.now(), 39 * S)
    world.forward(2)
    assert ledger.tick(world.now(), 41 * S)

    (record,) = everything(ledger)
    assert record.interval.gates == {"door": (6, 0)}
    assert record.interval.blind_ns == 30 * S
    assert Mark.UNSEEN in record.interval.marks


def test_a_late_bin_amends_its_interval(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    for _ in range(10):
        ledger.commit([eye.bin(1, 0)])
    late = [eye.bin(1, 0), eye.bin(1, 0)]
    world.forward(30)
    ledger.tick(world.now(), 40 * S)

    ledger.commit(late)

    first, amended = [*ledger.span(ledger.standing().epoch, 1, 1), *everything(ledger)][-2:], everything(ledger)
    assert len(first) == 1
    assert amended[0].number == 2
    assert amended[0].replaces == ((1, 1),)
    assert amended[0].interval.gates == {"door": (12, 0)}
    assert amended[0].interval.blind_ns == 0
    assert amended[0].totals == {"door": (12, 0)}


def test_more_replacements_than_a_message_has_room_for_are_spread_over_several(tmp_path: Path) -> None:
    """An hour that nobody heard of comes bin by bin between new minutes, and then the clock is set."""
    world = World(wrong_ns=-99_000 * S, synchronised=False)
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)])
    late = [eye.bin(1, 0) for _ in range(720)]
    ledger.tick(world.now(), 3_600 * S)
    heard = {r.number: r for r in everything(ledger)}
    for bin_ in late[: MAX_SPANS + 10]:
        ledger.commit([bin_])
        run_minutes(ledger, eye, [(1, 0)])
        heard |= {r.number: r for r in everything(ledger)}
    assert_totals(ledger, [heard[n] for n in sorted(heard)])
    assert_tiles(everything(ledger))

    world.wrong_ns, world.synchronised = 0, True
    ledger.tick(world.now(), 0)

    heard |= {r.number: r for r in everything(ledger)}
    assert max(len(r.replaces) for r in heard.values()) == MAX_SPANS
    assert sorted(heard) == list(range(1, max(heard) + 1))
    assert_totals(ledger, [heard[n] for n in sorted(heard)])
    assert_tiles(everything(ledger))
    assert sums(everything(ledger)) == {"door": (1 + 2 * (MAX_SPANS + 10), 0)}


def test_a_device_that_was_off_leaves_one_blind_record(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(5, 0)])
    ledger.commit([eye.bin(2, 0)])
    ledger.close()
    world.reboot("c" * 32, off_s=36_000)

    again = Eye(world, run="f" * 32)
    ledger = opened(tmp_path, world)
    ledger.greet(again.hello())
    run_minutes(ledger, again, [(1, 0)])

    records = everything(ledger)
    assert_tiles(records)
    assert [r.interval.gates.get("door", (0, 0)) for r in records] == [(5, 0), (2, 0), (0, 0), (1, 0)]
    assert records[2].interval.blind_ns >= 36_000 * S - MINUTE
    assert ledger.total() == {"door": (8, 0)}


def test_stopping_closes_at_the_last_bin_and_going_on_amends_nothing(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    for _ in range(4):
        ledger.commit([eye.bin(1, 0)])
    assert ledger.finish()
    assert not ledger.finish()
    ledger.close()

    ledger = opened(tmp_path, world)
    ledger.greet(eye.hello())
    for _ in range(8):
        ledger.commit([eye.bin(1, 0)])

    records = everything(ledger)
    assert [r.interval.gates["door"] for r in records] == [(4, 0), (8, 0)]
    assert all(not r.replaces and r.interval.blind_ns == 0 for r in records)
    assert_tiles(records)


@pytest.mark.parametrize("wrong", ["2023-11-23T08:00:30", "2029-02-28T23:59:59", "1970-01-01T00:00:07"])
@pytest.mark.parametrize("trust_system", [True, False])
def test_a_clock_years_wrong_is_healed_when_it_is_set(tmp_path: Path, wrong: str, *, trust_system: bool) -> None:
    world = World(wrong_ns=utc_ns(wrong) - utc_ns("2026-11-23T08:00:00"), synchronised=False)
    eye, ledger = Eye(world), opened(tmp_path, world, trust_system=trust_system)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(i, 0) for i in range(60)])
    assert ledger.total() == {"door": (sum(range(60)), 0)}
    assert bool(everything(ledger)) is trust_system

    world.wrong_ns, world.synchronised = 0, True
    assert ledger.tick(world.now(), 0)
    run_minutes(ledger, eye, [(100, 0)])

    records = everything(ledger)
    assert_tiles(records)
    by_start = {r.interval.start_ns: r.interval for r in records}
    for i in range(60):
        interval = by_start[utc_ns("2026-11-23T08:00:00") + i * MINUTE]
        assert interval.gates.get("door", (0, 0)) == (i, 0)
        assert interval.clock is ClockState.CORRECTED
        assert interval.blind_ns == 0
    assert by_start[utc_ns("2026-11-23T09:00:00")].clock is ClockState.SYNCHRONISED
    assert len(records) == 61
    assert records[-1].totals == {"door": (sum(range(60)) + 100, 0)}


@pytest.mark.parametrize("jump_s", [3_600, -3_600])
def test_a_jump_of_a_synchronised_clock_places_the_boot_anew(tmp_path: Path, jump_s: int) -> None:
    world = World(wrong_ns=-jump_s * S)
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 1)] * 120)

    world.wrong_ns = 0
    ledger.tick(world.now(), 0)
    run_minutes(ledger, eye, [(1, 1)] * 60)

    records = everything(ledger)
    assert_tiles(records)
    for hour in ("08", "09", "10"):
        start = utc_ns(f"2026-11-23T{hour}:00:00")
        inside = [r for r in records if start <= (r.interval.start_ns or 0) < start + 60 * MINUTE]
        assert sums(inside) == {"door": (60, 60)}
    assert records[-1].totals == {"door": (180, 180)}


def test_setting_a_synchronised_clock_by_hand_changes_nothing(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)] * 3)

    world.wrong_ns, world.synchronised = 7_200 * S, False
    run_minutes(ledger, eye, [(1, 0)] * 3)

    records = everything(ledger)
    assert len(records) == 6
    assert records[-1].interval.end_ns == world.true_utc_ns


def test_a_boot_whose_time_was_never_known_counts_between_its_neighbours(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world, trust_system=False)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)])
    ledger.close()
    world.reboot("c" * 32, off_s=1_000)
    world.synchronised, world.wrong_ns = False, -99_999 * S
    dark = Eye(world, run="d" * 32)
    ledger = opened(tmp_path, world, trust_system=False)
    ledger.greet(dark.hello())
    run_minutes(ledger, dark, [(7, 2)] * 3)
    ledger.close()
    world.reboot("a" * 32, off_s=1_000)
    world.synchronised, world.wrong_ns = True, 0
    third = Eye(world, run="9" * 32)

    ledger = opened(tmp_path, world, trust_system=False)
    ledger.greet(third.hello())
    run_minutes(ledger, third, [(1, 0)] * 2)

    records = everything(ledger)
    assert_tiles(records)
    (unknown,) = [r for r in records if r.interval.clock is ClockState.UNKNOWN]
    assert unknown.interval.gates == {"door": (21, 6)}
    assert unknown.interval.start_ns == utc_ns("2026-11-23T08:01:00")
    assert ledger.total() == {"door": (24, 6)}


@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_whatever_happens_every_passage_counts_once(tmp_path: Path, data: st.DataObject) -> None:
    """Bins delayed and doubled, restarts, stops, jumps, reboots: sums, tiling and totals hold."""
    path = tmp_path / f"walk-{secrets.token_hex(8)}"
    world = World(synchronised=data.draw(st.booleans()))
    eye, ledger = Eye(world), opened(path, world)
    ledger.greet(eye.hello())
    counted: list[dict[str, tuple[int, int]]] = []
    waiting: list = []
    history: dict[int, Record] = {}
    for step in range(data.draw(st.integers(5, 60))):
        match data.draw(
            st.sampled_from(["bin"] * 8 + ["deliver"] * 4 + ["quiet", "restart", "stop", "jump", "reboot"])
        ):
            case "bin":
                waiting.append(eye.bin(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))))
            case "deliver":
                ledger.commit(waiting)
                if data.draw(st.booleans()):
                    waiting = []
            case "quiet":
                quiet = data.draw(st.integers(1, 200))
                world.forward(quiet)
                ledger.tick(world.now(), quiet * S)
            case "restart" | "stop" as how:
                if how == "stop":
                    ledger.finish()
                ledger.close()
                ledger = opened(path, world)
            case "jump":
                world.wrong_ns = data.draw(st.sampled_from([0, 3_600, -3_600, 86_400])) * S
                world.synchronised = data.draw(st.booleans())
                ledger.tick(world.now(), 0)
            case "reboot":
                ledger.commit(waiting)
                waiting = []
                counted += eye.counted
                ledger.close()
                world.reboot(f"{step:032x}", off_s=data.draw(st.integers(0, 300)))
                eye = Eye(world, run=f"{step + 1_000:032x}")
                ledger = opened(path, world)
                ledger.greet(eye.hello())
        history |= {r.number: r for r in everything(ledger)}
    ledger.commit(waiting)
    ledger.finish()

    expected = {k: v for k, v in sum_gates([*counted, *eye.counted]).items() if v != (0, 0)}
    live = everything(ledger)
    history |= {r.number: r for r in live}
    assert {k: v for k, v in sums(live).items() if v != (0, 0)} == expected
    assert {k: v for k, v in ledger.total().items() if v != (0, 0)} == expected
    assert_totals(ledger, [history[n] for n in sorted(history)])
    ledger.close()
