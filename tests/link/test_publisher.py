# SPDX-License-Identifier: Apache-2.0
"""Which broker is tried when, how long is waited, and what is done about one that answers nothing."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest

from nigiwai.lab.broker import free_port
from nigiwai.link.ledger import Ledger
from nigiwai.link.mqtt import publisher as module
from nigiwai.link.mqtt.connection import Address, Answered, Connected, Happening, Lost
from nigiwai.link.mqtt.publisher import STALLED_S, STEADY_S, WINDOW, Publisher
from nigiwai.link.report import Reporter
from nigiwai.link.topics import Topics
from nigiwai.link.zone import load_zone
from nigiwai.settings import parse
from tests.link.harness import Broker, Ear, FakeEye, Link, wait_for
from tests.link.world import Eye, World, opened, run_minutes

SETTINGS = parse(
    {
        "device": {"site": "ward", "name": "gate-1"},
        "mqtt": {"host": "a", "port": 1, "fallback": [{"host": "b", "port": 2}, {"host": "c", "port": 3}]},
    }
)


class Line:
    """A connection whose other end the test plays."""

    all: ClassVar[list["Line"]] = []

    def __init__(self, address: Address, *_: object) -> None:
        self.address = address
        self.events: list[Happening] = []
        self.sent: list[tuple[str, bytes]] = []
        Line.all.append(self)

    def happenings(self) -> list[Happening]:
        events, self.events = self.events, []
        return events

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        self.sent.append((topic, payload))
        return len(self.sent)

    def subscribe(self, pattern: str) -> None: ...

    def close(self) -> None: ...

    @property
    def records(self) -> list[bytes]:
        return [p for t, p in self.sent if t.endswith("/counts")]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)] * 50)
    yield ledger
    ledger.close()


@pytest.fixture
def publisher(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    Line.all = []
    monkeypatch.setattr(module, "Connection", Line)
    monkeypatch.setattr(module.random, "random", lambda: 1.0)
    reporter = Reporter(SETTINGS, load_zone("Asia/Tokyo"))
    return Publisher(SETTINGS.mqtt, Topics("ward", "gate-1"), ledger, reporter.counts)


def say(publisher: Publisher, now_s: float, *events: Happening) -> None:
    """The newest connection's other end says this, and the publisher hears it."""
    Line.all[-1].events += events
    publisher.step(now_s, 0)


def hosts() -> str:
    return "".join(line.address.host for line in Line.all)


def test_brokers_are_tried_in_order_and_the_pause_doubles_after_each_round(publisher: Publisher) -> None:
    now_s, tried_s = 0.0, []
    while len(Line.all) < 12:
        before = len(Line.all)
        publisher.step(now_s, 0)
        if len(Line.all) > before:
            tried_s.append(now_s)
            say(publisher, now_s, Lost("away"))
        now_s += 0.5

    assert hosts() == "abc" * 4
    rounds = tried_s[::3]
    assert [round(b - a) for a, b in pairwise(rounds)] == [2, 3, 5]  # 1, 2, 4 s and two steps


def test_after_a_good_connection_the_first_broker_comes_first_again(publisher: Publisher) -> None:
    publisher.step(0.0, 0)
    say(publisher, 0.0, Lost("away"))
    publisher.step(0.1, 0)
    say(publisher, 0.1, Connected())
    say(publisher, 0.1 + STEADY_S, Lost("gone"))
    publisher.step(2.0 + STEADY_S, 0)

    assert hosts() == "aba"


def test_a_broker_that_hangs_up_at_once_is_followed_by_the_next(publisher: Publisher) -> None:
    for now_s in (0.0, 0.1, 0.2):
        publisher.step(now_s, 0)
        say(publisher, now_s, Connected())
        say(publisher, now_s, Lost("kicked"))
    publisher.step(0.3, 0)

    assert hosts() == "abc"


def test_a_broker_that_acknowledges_nothing_is_left(publisher: Publisher, ledger: Ledger) -> None:
    publisher.step(0.0, 0)
    say(publisher, 0.0, Connected())
    assert len(Line.all[0].records) == WINDOW
    publisher.step(STALLED_S - 1.0, 0)
    assert publisher.state.connected

    publisher.step(STALLED_S, 0)

    assert not publisher.state.connected
    assert ledger.queue_length() == 50
    publisher.step(STALLED_S + 200.0, 0)
    assert hosts() == "aa"


def test_progress_keeps_a_slow_broker(publisher: Publisher, ledger: Ledger) -> None:
    publisher.step(0.0, 0)
    say(publisher, 0.0, Connected())
    for mid in range(1, WINDOW):
        say(publisher, mid * (STALLED_S - 1.0), Answered(mid, True, ""))

    assert publisher.state.connected
    assert ledger.queue_length() < 50


def test_a_record_goes_to_the_second_broker_when_the_first_is_away(broker: Broker, tmp_path: Path) -> None:
    fallback = f'fallback = [{{host = "127.0.0.1", port = {broker.port}}}]'
    link = Link(tmp_path, free_port(), interval_s=10, mqtt=fallback)
    ear = Ear(broker.port)
    link.start()
    eye = FakeEye(link.socket)
    for _ in range(4):
        eye.count(1, 0)
    eye.deliver()

    wait_for(lambda: ear.messages("counts"), "a record at the second broker")

    assert link.stop() == 0
    ear.close()
    eye.close()
