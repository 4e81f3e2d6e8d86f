# SPDX-License-Identifier: Apache-2.0
"""A week without a broker, then it is back: everything arrives in order, memory stays flat, the present comes first.

A test run has one day; NIGIWAI_PROOF=1 has all seven.
"""

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import PROOF
from tests.link.harness import Broker, Ear, FakeEye, Link, wait_for
from tests.link.world import MINUTE, Eye, World, opened

DAYS = 7 if PROOF else 1
MINUTES = DAYS * 1_440


def _without_a_broker(folder: Path) -> int:
    """A ledger of an earlier boot, all of it unsent, that ends a minute ago; how many passed inwards."""
    now_ns = time.time_ns()
    world = World(true_boot_utc_ns=now_ns - now_ns % MINUTE - (MINUTES + 1) * MINUTE)
    eye, ledger = Eye(world), opened(folder, world)
    ledger._db.execute("PRAGMA synchronous = OFF")
    ledger.greet(eye.hello())
    for minute in range(MINUTES):
        ledger.commit([eye.bin(*((2, 1) if i == 0 else (0, 0))) for i in range(12)])
        if minute % 60 == 0:
            ledger.tidy(world.true_utc_ns)
    assert ledger.queue_length() == MINUTES
    assert ledger.losses().merged == 0
    ledger.close()
    return 2 * MINUTES


def _resident_kib(link: Link) -> int:
    assert link.process is not None
    status = Path(f"/proc/{link.process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@pytest.mark.slow
@pytest.mark.timeout(120 + 120 * DAYS)
def test_a_week_of_records_arrives_in_order_behind_live_totals(
    broker: Broker, tmp_path: Path, started: ExitStack
) -> None:
    entered = _without_a_broker(tmp_path)
    broker.stop()
    link = Link(tmp_path, broker.port)
    started.callback(link.stop, signal.SIGKILL)
    link.start()
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    eye.count(5, 0)
    eye.deliver()
    before_kib = _resident_kib(link)

    broker.start()
    ear = Ear(broker.port)
    started.callback(ear.close)
    wait_for(lambda: ear.messages("totals"), "the live totals")
    begun = time.monotonic()
    at_totals = _records(ear)
    wait_for(lambda: _records(ear) >= MINUTES, "a week of records", 60 + 100 * DAYS)
    taken_s = time.monotonic() - begun
    after_kib = _resident_kib(link)

    numbers = [m["record"] for m in ear.messages("counts")]
    told = f"{MINUTES} records in {taken_s:.1f} s, {at_totals} before the totals, {after_kib - before_kib:+d} KiB"
    print(told)  # noqa: T201 # the figure of this bench
    assert at_totals < MINUTES / 10
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(m["late"] for m in ear.messages("counts")[:MINUTES])
    assert after_kib - before_kib <= 8 * 1_024
    assert sum(m["gates"].get("door", {"in": 0})["in"] for m in ear.messages("counts")[:MINUTES]) == entered
    wait_for(lambda: ear.messages("totals")[-1]["total"]["door"]["in"] == entered + 5, "the sums of today and before")


def _records(ear: Ear) -> int:
    return sum(t.endswith("/counts") for t, _, _ in list(ear.heard))


@pytest.mark.slow
def test_the_present_is_told_while_the_past_is_still_on_its_way(
    broker: Broker, tmp_path: Path, started: ExitStack
) -> None:
    _without_a_broker(tmp_path)
    link = Link(tmp_path, broker.port)
    started.callback(link.stop, signal.SIGKILL)
    ear = Ear(broker.port)
    started.callback(ear.close)
    link.start()
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    seen: list[tuple[int, int]] = []

    def told() -> bool:
        eye.count(1, 0)
        eye.pump()
        totals = ear.messages("totals")
        seen.append((totals[-1]["total"]["door"]["in"] if totals else 0, len(ear.messages("counts"))))
        return len({n for n, _ in seen}) >= 3

    wait_for(told, "totals to change twice", 60)

    assert seen[-1][0] > 2 * MINUTES
