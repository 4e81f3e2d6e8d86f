# SPDX-License-Identifier: Apache-2.0
"""link is killed at random moments while Mosquitto comes and goes: a consumer that follows the document ends with the
truth.

The moments are random in time, from the first instruction of a start to long after the last acknowledgement, and know
nothing of what link is doing; so are those at which the broker is stopped, killed and started. NIGIWAI_PROOF=1 kills a
thousand times; NIGIWAI_KILLS sets another number.
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
from tests.link.harness import BRANCH, Broker, Ear, FakeEye, Link, consuming, wait_for

KILLS = int(os.environ.get("NIGIWAI_KILLS", "1000" if PROOF else "8"))
SEED = int(os.environ.get("NIGIWAI_SEED", "20261123"))
LONGEST_S = 2.0
"""A start takes about a second of it."""

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


def _until(deadline_s: float, eye: FakeEye, weather: Weather, chance: random.Random) -> None:
    """Eye goes on counting, whatever becomes of link and the broker."""
    while time.monotonic() < deadline_s:
        if chance.random() < 0.1 and eye.pump() < UNACKNOWLEDGED:
            eye.count(chance.randint(0, 3), chance.randint(0, 3))
        eye.pump()
        weather.pass_by()
        time.sleep(PULSE_S)


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * KILLS)
def test_kills_lose_and_double_nothing(broker: Broker, link: Link, tmp_path: Path, started: ExitStack) -> None:
    chance = random.Random(SEED)  # noqa: S311
    weather = Weather(broker, random.Random(SEED + 1))  # noqa: S311
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    with consuming(tmp_path, broker.port) as (consumer, ear):
        for _ in range(KILLS):
            link.start()
            _until(time.monotonic() + chance.uniform(0.0, LONGEST_S), eye, weather, chance)
            link.stop(signal.SIGKILL)
        weather.clear()
        link.start()
        eye.count(1, 1)
        wait_for(lambda: eye.pump() == 0, "link to take what waits, two bins a second", 300)
        assert link.stop() == 0
        link.start()
        expected = {"door": [eye.entered, eye.left]}

        def done() -> bool:
            with consumer.lock:
                return consumer.sums(BRANCH) == expected and not [*consumer.gaps(BRANCH)]

        wait_for(done, f"the consumer to have {expected}, seed {SEED}", 60 + KILLS / 5)
        with consumer.lock:
            epochs = consumer.db.execute("SELECT count(DISTINCT epoch), count(*) FROM record").fetchone()
        _tell(weather, ear, *epochs)
        assert epochs[0] == 1
        last = max((json.loads(p) for t, p, _ in ear.heard if t.endswith("/counts")), key=lambda m: m["record"])
        assert last["total"] == {"door": {"in": eye.entered, "out": eye.left}}
        assert all(not any(m["losses"].values()) for m in ear.messages("health"))


def _tell(weather: Weather, ear: Ear, epochs: int, records: int) -> None:
    """The figures of the campaign, for docs/verification.md."""
    asked = sum(t.endswith("/request/resend") for t, _, _ in ear.heard)
    doubled = sum(t.endswith("/counts") for t, _, _ in ear.heard) - records
    told = f"{KILLS} kills of link, {weather.falls} of the broker: {records} records in {epochs} epoch,"
    print(f"{told} {doubled} of them twice or more on the wire, {asked} gaps asked for")  # noqa: T201
