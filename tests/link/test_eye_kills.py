# SPDX-License-Identifier: Apache-2.0
"""Eye is killed, alone and together with link, while Mosquitto comes and goes: at most the open bin is lost with it,
and its time is reported as blind.

In real time, since eye's bins are; several devices are killed side by side. NIGIWAI_PROOF=1 kills a thousand times,
NIGIWAI_EYE_KILLS sets another number.
"""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from nigiwai import clock
from nigiwai.door.records import BIN_MS
from tests.conftest import PROOF
from tests.link.harness import ROOT, SITE, Broker, Link, consuming, records_of, wait_for
from tests.link.test_kills import Weather

KILLS = int(os.environ.get("NIGIWAI_EYE_KILLS", "1000" if PROOF else "4"))
DEVICES = min(6, KILLS // 2)
BIN_NS = BIN_MS * 1_000_000
SLACK_NS = 1_000_000_000
"""A frame, the way through the door, and the moment between a kill and its time being read, on a busy machine."""


class EyeProcess:
    """Eye, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts = 0
        self._read = 0
        self._passages: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def passages(self) -> list[int]:
        """When somebody passed, in nanoseconds of boot time."""
        path = self._folder / "truth"
        if path.exists():
            with path.open() as file:
                file.seek(self._read)
                self._passages += [int(line.split()[0]) for line in file if line.endswith("\n")]
                self._read = file.tell()
        return self._passages

    def start(self) -> None:
        self._starts += 1
        arguments = [self._folder / "door.sock", self._folder / "truth", str(self._starts)]
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("eye_process.py"), *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT / "device")},
        )

    def stop(self, sign: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait(120)
            self.process = None


class Victim:
    """One device: its eye, its link, and when it was killed."""

    def __init__(self, folder: Path, port: int, number: int, chance: random.Random) -> None:
        folder.mkdir()
        self.branch = f"{SITE}/gate-{number}"
        self.link = Link(folder, port, interval_s=5, device=f"gate-{number}", page_port=-1)
        self.eye = EyeProcess(folder)
        self._chance = chance
        self._starts = 0
        self.killed_ns: list[int] = []
        self.last_record = 0

    def start_link(self) -> None:
        self._starts += 1
        self.link.start()

    def start(self) -> None:
        self.start_link()
        self.eye.start()
        self._wait_a_while()

    def _wait_a_while(self) -> None:
        self._due_ns = clock.boot_ns() + int(self._chance.uniform(0.5, 9.0) * 1e9)

    def ready(self) -> bool:
        """Whether both run again and its moment has come."""
        last_ns = self.killed_ns[-1] if self.killed_ns else 0
        return (
            clock.boot_ns() >= self._due_ns
            and self.eye.passages[-1:] > [last_ns + SLACK_NS]
            and self.link.log().count("eye 0.1.0") > len(self.killed_ns)
        )

    def kill(self, *, both: bool) -> None:
        self.killed_ns.append(clock.boot_ns())
        self.eye.stop(signal.SIGKILL)
        if both:
            self.link.stop(signal.SIGKILL)
            self.start_link()
        self.eye.start()
        self._wait_a_while()

    def stop_link(self) -> None:
        """Stops it properly, and reads how far its records go."""
        assert self.link.stop() == 0
        with contextlib.closing(sqlite3.connect(self.link.folder / "ledger.db")) as db:
            (self.last_record,) = db.execute("SELECT max(number) FROM record").fetchone()

    def may_be_lost(self) -> int:
        """Passages in the bin that was open at a kill, and those that no frame followed."""
        spans = [(at - BIN_NS - SLACK_NS, at + SLACK_NS) for at in self.killed_ns]
        return sum(1 for at in self.eye.passages if any(a <= at <= b for a, b in spans))


@pytest.mark.slow
@pytest.mark.timeout(180 + 30 * KILLS)
def test_a_killed_eye_loses_at_most_its_open_bin_and_says_so(
    broker: Broker, tmp_path: Path, started: ExitStack
) -> None:
    victims = [Victim(tmp_path / f"v{i}", broker.port, i, random.Random(i)) for i in range(DEVICES)]  # noqa: S311
    for each in victims:
        started.callback(each.link.stop, signal.SIGKILL)
        started.callback(each.eye.stop)
    with consuming(tmp_path, broker.port) as (consumer, _):
        for each in victims:
            each.start()

        def begun() -> bool:
            with consumer.lock:
                return all(records_of(consumer, each.branch) for each in victims)

        wait_for(begun, "the first record of each; before it there is nothing that could be said to be blind")
        weather, done = Weather(broker, random.Random(6)), 0  # noqa: S311
        while done < KILLS:
            weather.pass_by()
            for each in (v for v in victims if done < KILLS and v.ready()):
                each.kill(both=done % 2 == 1)
                done += 1
            time.sleep(0.02)
        weather.clear()
        for each in victims:
            wait_for(each.ready, "the last restart")
            each.eye.stop(signal.SIGTERM)
            each.stop_link()
            each.start_link()

        def complete() -> bool:
            with consumer.lock:
                return all(_heard_everything(consumer, each) for each in victims)

        wait_for(complete, "the consumer to have no gap", 120 + KILLS / 5)
        with consumer.lock:
            _assert_only_open_bins_are_lost(consumer, victims)


def _heard_everything(consumer: Any, victim: Victim) -> bool:
    """The last record that link ever made, and no gap before it."""
    rows = consumer.db.execute("SELECT max(number) FROM record WHERE branch = ?", (victim.branch,))
    return rows.fetchone()[0] == victim.last_record and not [*consumer.gaps(victim.branch)]


def _assert_only_open_bins_are_lost(consumer: Any, victims: Sequence[Victim]) -> None:
    lost = allowed = passed = 0
    for each in victims:
        mine = len(each.eye.passages) - sum(consumer.sums(each.branch)["door"])
        assert 0 <= mine <= each.may_be_lost(), each.branch
        lost, allowed, passed = lost + mine, allowed + each.may_be_lost(), passed + len(each.eye.passages)
        counted = records_of(consumer, each.branch)
        moments = [_utc_ns(at) for at in each.killed_ns]
        assert _reported_blind(moments, counted) == len(moments), each.branch
    print(f"{KILLS} kills of eye, half with link: {lost} of {passed} passages lost, {allowed} may be")  # noqa: T201


def _reported_blind(moments_ns: list[int], counted: list[dict[str, Any]]) -> int:
    """How many of the moments, and of the second after each, lie in records that say how long nobody watched."""
    blind = [(_ns(m["start"]), _ns(m["end"])) for m in counted if m["blind_s"] > 0]
    return sum(any(a < at + SLACK_NS and at < b for a, b in blind) for at in moments_ns)


def _utc_ns(boot_ns: int) -> int:
    return boot_ns + time.time_ns() - clock.boot_ns()


def _ns(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp() * 1e9)
