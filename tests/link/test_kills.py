# SPDX-License-Identifier: Apache-2.0
"""link is killed at random moments while Mosquitto comes and goes: a consumer that follows the document ends with the
truth.

The moments are random in time, from the first instruction of a start on, and half of them while link is at work; those
at which the broker is stopped, killed and started have nothing to do with them. Several devices die side by side.
NIGIWAI_PROOF=1 kills a thousand times; NIGIWAI_KILLS sets another number.
"""

import json
import os
import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import PROOF
from tests.link.harness import SITE, Broker, Ear, FakeEye, Link, consuming, wait_for

KILLS = int(os.environ.get("NIGIWAI_KILLS", "1000" if PROOF else "8"))
SEED = int(os.environ.get("NIGIWAI_SEED", "20261123"))
DEVICES = min(5, KILLS // 2)
LONGEST_S = 2.0

PULSE_S = 0.01
UNACKNOWLEDGED = 200
"""Fewer than eye keeps before it merges: how the bins lie in time is another test's matter."""


class Weather:
    """The broker, up and down at moments of its own."""

    def __init__(self, broker: Broker, chance: random.Random) -> None:
        self._broker, self._chance = broker, chance
        self.up, self.falls = True, 0
        self._turn_s = time.monotonic() + self._next_s()

    def _next_s(self) -> float:
        return self._chance.uniform(0.5, 12.0 if self.up else 4.0)

    def pass_by(self) -> None:
        if time.monotonic() < self._turn_s:
            return
        if self.up:
            self.falls += 1
            self._broker.stop(self._chance.choice([signal.SIGTERM, signal.SIGKILL]))
        else:
            self._broker.start()
        self.up = not self.up
        self._turn_s = time.monotonic() + self._next_s()

    def clear(self) -> None:
        if not self.up:
            self._broker.start()
            self.up = True


class Victim:
    """One device whose link is killed again and again, while its eye goes on counting."""

    def __init__(self, folder: Path, port: int, number: int) -> None:
        folder.mkdir()
        self.branch = f"{SITE}/gate-{number}"
        self.link = Link(folder, port, interval_s=10, device=f"gate-{number}", page_port=-1)
        self.eye = FakeEye(self.link.socket)
        self.chance = random.Random(SEED + 10 + number)  # noqa: S311
        self.kills = 0

    def start(self) -> None:
        """Half of the kills come at any moment of a start, the other half at any after the first acknowledgement."""
        self.link.start()
        self._working = self.chance.random() < 0.5
        self._taken = self.eye.counted - self.eye.pump()
        self._wait_a_while()

    def _wait_a_while(self) -> None:
        self._due_s = time.monotonic() + self.chance.uniform(0.0, LONGEST_S)

    def live(self) -> bool:
        """Counts, sends and is killed when its moment has come; whether it was."""
        waiting = self.eye.pump()
        if self._working and self.eye.counted - waiting > self._taken:
            self._working = False
            self._wait_a_while()
        if waiting < UNACKNOWLEDGED and self.chance.random() < 0.1:
            self.eye.count(self.chance.randint(0, 3), self.chance.randint(0, 3))
        if self._working or time.monotonic() < self._due_s:
            return False
        self.link.stop(signal.SIGKILL)
        self.kills += 1
        return True

    def end(self) -> None:
        """Everything is taken, the open interval closed, and all of it sent after one more start."""
        if self.link.process is None:
            self.link.start()
        self.eye.count(1, 1)
        wait_for(lambda: self.eye.pump() == 0, "link to take what waits, two bins a second", 300)
        assert self.link.stop() == 0
        self.link.start()


@pytest.mark.slow
@pytest.mark.timeout(400 + 10 * KILLS)
def test_kills_lose_and_double_nothing(broker: Broker, tmp_path: Path, started: ExitStack) -> None:
    victims = [Victim(tmp_path / f"v{i}", broker.port, i) for i in range(DEVICES)]
    for each in victims:
        started.callback(each.link.stop, signal.SIGKILL)
        started.callback(each.eye.close)
    with consuming(tmp_path, broker.port) as (consumer, ear):
        weather = Weather(broker, random.Random(SEED + 1))  # noqa: S311
        for each in victims:
            each.start()
        while sum(v.kills for v in victims) < KILLS:
            weather.pass_by()
            for each in victims:
                if each.live():
                    each.start()
            time.sleep(PULSE_S)
        weather.clear()
        for each in victims:
            each.end()
        expected = {each.branch: {"door": [each.eye.entered, each.eye.left]} for each in victims}

        def done() -> bool:
            with consumer.lock:
                return all(consumer.sums(b) == sums and not [*consumer.gaps(b)] for b, sums in expected.items())

        wait_for(done, f"the consumer to have {expected}, seed {SEED}", 120 + KILLS / 5)
        with consumer.lock:
            epochs, records = consumer.db.execute("SELECT count(DISTINCT epoch), count(*) FROM record").fetchone()
        _tell(weather, ear, records)
        assert epochs == DEVICES
        for each in victims:
            _assert_totals(ear, each)


def _assert_totals(ear: Ear, victim: Victim) -> None:
    """The last record has the total, and no loss was told."""
    mine = [(t, p) for t, p, _ in ear.heard if t.startswith(f"nigiwai/v1/{victim.branch}/")]
    last = max((json.loads(p) for t, p in mine if t.endswith("/counts")), key=lambda m: m["record"])
    assert last["total"] == {"door": {"in": victim.eye.entered, "out": victim.eye.left}}
    assert all(not any(json.loads(p)["losses"].values()) for t, p in mine if t.endswith("/health"))


def _tell(weather: Weather, ear: Ear, records: int) -> None:
    """The figures of the campaign, for docs/verification.md."""
    asked = sum(t.endswith("/request/resend") for t, _, _ in ear.heard)
    doubled = sum(t.endswith("/counts") for t, _, _ in ear.heard) - records
    told = f"{KILLS} kills of link, {weather.falls} of the broker: {records} records, none lost,"
    print(f"{told} {doubled} deliveries of one that was there, {asked} gaps asked for")  # noqa: T201
