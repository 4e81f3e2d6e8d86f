# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, read-only or damaged, files that grow too large, and power that is cut."""

import contextlib
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from nigiwai.errors import LedgerError
from nigiwai.link.ledger import Ledger
from nigiwai.link.report import Tallier
from nigiwai.link.salvage import open_or_salvage
from nigiwai.link.store.retention import used_bytes
from nigiwai.link.zone import load_zone
from tests.conftest import PROOF
from tests.link.world import MINUTE, Eye, S, World, everything, opened, rules, run_minutes, sums

DAY = 1_440 * MINUTE


def test_a_disk_that_fills_changes_nothing_and_heals(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)])
    (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    waiting = []

    def fill() -> None:
        for _ in range(2_000):
            waiting.append(eye.bin(1, 1))
            ledger.commit(waiting[-1:])

    with pytest.raises(LedgerError, match="disk is full"):
        fill()

    ledger._db.execute("PRAGMA max_page_count = 1000000")
    ledger.commit(waiting)
    assert ledger.total() == sum_of(eye)


def sum_of(eye: Eye) -> dict[str, tuple[int, int]]:
    entered = sum(g["door"][0] for g in eye.counted)
    return {"door": (entered, sum(g["door"][1] for g in eye.counted))}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(LedgerError, match=r"ledger\.path = .*/file/ledger\.db"):
        Ledger(tmp_path / "file" / "ledger.db", rules(), World().now())


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, World()).close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("PRAGMA user_version = 99")

    with pytest.raises(LedgerError, match="newer Nigiwai"):
        opened(tmp_path, World())


def test_what_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is not a database" * 500)

    ledger, salvaged = open_or_salvage(path, rules(), World().now())

    assert salvaged
    assert ledger.losses().salvaged >= 1
    assert path.with_name("ledger.db.damaged").exists()
    ledger.close()


def test_any_damaged_page_costs_its_own_rows_only(tmp_path: Path) -> None:
    """Each page of the file in turn is overwritten: link starts, and sums never exceed the truth."""
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    ledger._db.execute("PRAGMA synchronous = OFF")
    run_minutes(ledger, eye, [(1, 1)] * 90)
    ledger.close()
    whole = (tmp_path / "ledger.db").read_bytes()
    pages = list(range(1, len(whole) // 4_096 + 1))
    chance = random.Random(5)  # noqa: S311
    salvaged_records = []

    for page in pages if PROOF else chance.sample(pages, min(12, len(pages))):
        folder = tmp_path / str(page)
        folder.mkdir()
        damaged = bytearray(whole)
        damaged[(page - 1) * 4_096 : page * 4_096] = chance.randbytes(4_096)
        (folder / "ledger.db").write_bytes(damaged)

        ledger, salvaged = open_or_salvage(folder / "ledger.db", rules(), world.now())

        records = everything(ledger)
        assert salvaged
        assert ledger.losses().salvaged >= 1
        assert sums(records).get("door", (0, 0))[0] <= 90
        assert len({r.key for r in records}) == len(records)
        salvaged_records.append(len(records))
        ledger.close()
        shutil.rmtree(folder)
    assert max(salvaged_records) >= 80


def test_the_days_sums_go_on_over_a_salvaged_file(tmp_path: Path) -> None:
    """The epoch's total begins anew; what staff see of today does not."""
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)] * 30)
    ledger.close()
    root = _root_page(tmp_path / "ledger.db", "audit")
    with (tmp_path / "ledger.db").open("r+b") as file:
        file.seek((root - 1) * 4_096)
        file.write(b"\xff" * 4_096)
    ledger, salvaged = open_or_salvage(tmp_path / "ledger.db", rules(), world.now())
    ledger.tick(world.now(), 0)
    tallier = Tallier(load_zone("Asia/Tokyo"), ("door",))
    before = tallier.tally(ledger, world.true_utc_ns, None)

    run_minutes(ledger, eye, [(2, 0)] * 2)

    after = tallier.tally(ledger, world.true_utc_ns, None)
    assert salvaged
    assert before.today == {"door": (30, 0)}
    assert after.today == {"door": (34, 0)}
    assert after.total == {"door": (4, 0)}
    ledger.close()


def _root_page(path: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return int(root)


def test_a_power_cut_in_any_write_loses_no_committed_bin(tmp_path: Path) -> None:
    """The log file is cut at any byte after the last commit, as a disk that drops unsynced writes leaves it."""
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)] * 2)
    committed = ledger.total()
    size = (tmp_path / "ledger.db-wal").stat().st_size
    ledger.commit([eye.bin(5, 5)])
    wal = (tmp_path / "ledger.db-wal").read_bytes()
    chance = random.Random(7)  # noqa: S311
    assert len(wal) > size

    for i in range(200 if PROOF else 25):
        cut = chance.randint(size, len(wal))
        folder = tmp_path / f"cut-{i}"
        folder.mkdir()
        shutil.copy(tmp_path / "ledger.db", folder)
        torn = chance.randbytes(chance.randint(0, 4_096))
        (folder / "ledger.db-wal").write_bytes(wal[:cut] + (torn if cut < len(wal) else b""))

        again, salvaged = open_or_salvage(folder / "ledger.db", rules(), world.now())

        assert not salvaged
        assert again.total() in (committed, sum_of(eye))
        again.close()
    ledger.close()


def test_delivered_records_are_kept_for_thirty_days(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)] * 5)
    epoch = ledger.standing().epoch
    ledger.acknowledge([r.key for r in everything(ledger)], world.true_utc_ns)

    ledger.tidy(world.true_utc_ns + 30 * DAY - MINUTE)
    assert len(ledger.span(epoch, 1, 5)) == 5
    ledger.tidy(world.true_utc_ns + 30 * DAY + MINUTE)
    assert ledger.span(epoch, 1, 5) == []

    run_minutes(ledger, eye, [(1, 0)])
    assert [r.number for r in everything(ledger)] == [6]
    assert ledger.total() == {"door": (6, 0)}


@pytest.mark.parametrize("wrong_days", [-1_100, 1_100])
@pytest.mark.parametrize("trust_system", [True, False])
def test_records_delivered_by_a_wrong_clock_are_kept_for_thirty_days_too(
    tmp_path: Path, wrong_days: int, *, trust_system: bool
) -> None:
    """Delivered while the clock stood three years off; an older boot's were delivered while it was right."""
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world, trust_system=trust_system)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)] * 5)
    epoch = ledger.standing().epoch
    ledger.acknowledge([r.key for r in everything(ledger)], world.true_utc_ns)
    ledger.close()
    world.reboot("c" * 32, off_s=60)
    world.synchronised, world.wrong_ns = False, wrong_days * DAY
    again = Eye(world, run="f" * 32)
    ledger = opened(tmp_path, world, trust_system=trust_system)
    ledger.greet(again.hello())
    run_minutes(ledger, again, [(1, 0)] * 5)
    ledger.acknowledge([r.key for r in everything(ledger)], world.now().utc_ns)
    ledger.tidy(world.now().utc_ns)
    ledger.close()
    ledger = opened(tmp_path, world, trust_system=trust_system)

    world.synchronised, world.wrong_ns = True, 0
    ledger.tick(world.now(), 0)
    ledger.acknowledge([r.key for r in everything(ledger)], world.true_utc_ns)
    ledger.tidy(world.true_utc_ns + 29 * DAY)
    kept = ledger.span(epoch, 1, 100)
    ledger.tidy(world.true_utc_ns + 31 * DAY)

    assert sums(kept) == {"door": (10, 0)}
    assert ledger.span(epoch, 1, 100) == []
    assert ledger.losses().expired == 0


def test_a_full_file_merges_the_oldest_detail_and_keeps_every_sum(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world, size_bytes=200_000)
    ledger.greet(eye.hello())
    ledger._db.execute("PRAGMA synchronous = OFF")
    for _ in range(20):
        for _ in range(60):
            ledger.commit([eye.bin(1, 0) for _ in range(12)])
        ledger.tidy(world.true_utc_ns)

    records = everything(ledger)
    assert used_bytes(ledger._db) <= 200_000
    assert sums(records) == {"door": (20 * 720, 0)}
    assert ledger.total() == {"door": (20 * 720, 0)}
    assert ledger.losses().merged > 0
    numbers = {r.number for r in records} | {n for r in records for a, b in r.replaces for n in range(a, b + 1)}
    assert numbers == set(range(1, max(numbers) + 1))


@pytest.mark.slow
def test_seven_days_without_a_broker(tmp_path: Path) -> None:
    """10,080 minutes wait in order, and the ledger stays within its bound."""
    minutes = 7 * 1_440 if PROOF else 720
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    ledger._db.execute("PRAGMA synchronous = OFF")
    for minute in range(minutes):
        ledger.commit([eye.bin(*((1, 1) if i == 0 else (0, 0))) for i in range(12)])
        if minute % 60 == 0:
            ledger.tidy(world.true_utc_ns)

    records = everything(ledger)
    assert [r.number for r in records] == list(range(1, minutes + 1))
    assert sums(records) == {"door": (minutes, minutes)}
    assert records[-1].interval.end_ns - (records[0].interval.start_ns or 0) == minutes * MINUTE
    assert ledger.losses().merged == 0


def test_time_zones_and_leap_days(tmp_path: Path) -> None:
    from nigiwai.link.zone import day, load_zone, midnight_ns, stamp
    from tests.link.world import utc_ns

    tokyo, berlin = load_zone("Asia/Tokyo"), load_zone("Europe/Berlin")
    assert stamp(utc_ns("2028-02-28T15:00:00"), tokyo) == "2028-02-29T00:00:00+09:00"
    assert day(utc_ns("2028-02-28T14:59:59"), tokyo) == "2028-02-28"
    assert midnight_ns(utc_ns("2028-02-28T15:00:00"), tokyo) == utc_ns("2028-02-28T15:00:00")
    # Berlin leaves summer time on 2026-10-25 at 03:00: that day has 25 hours, and 02:30 comes twice.
    assert stamp(utc_ns("2026-10-25T00:30:00"), berlin) == "2026-10-25T02:30:00+02:00"
    assert stamp(utc_ns("2026-10-25T01:30:00"), berlin) == "2026-10-25T02:30:00+01:00"
    assert midnight_ns(utc_ns("2026-10-25T22:30:00"), berlin) == utc_ns("2026-10-24T22:00:00")
    assert stamp(utc_ns("2026-03-29T01:00:00") + 500 * S // 1_000, berlin) == "2026-03-29T03:00:00.500+02:00"
