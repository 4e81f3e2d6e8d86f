# SPDX-License-Identifier: Apache-2.0
"""What a full busy day sends: how many bytes, every message valid, and nothing that could be a picture."""

import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest

from nigiwai.door.records import Ack, Bin, Hello, Vitals
from nigiwai.door.tables import TableTaken, TraitTable
from nigiwai.door.traits import Band, Company, Sex, mask_of
from nigiwai.lab.broker import free_port
from nigiwai.link import keeper as keeper_module
from nigiwai.link import telling
from nigiwai.link.clock import Reading
from nigiwai.link.keeper import Keeper
from nigiwai.link.messages import PRIVACY, SENT
from nigiwai.link.mqtt.publisher import Publisher
from nigiwai.link.report import Reporter
from nigiwai.link.schema import name_of, schema_of
from nigiwai.link.status.board import Board
from nigiwai.link.topics import Topics
from nigiwai.link.traits import TableOutbox
from nigiwai.link.zone import load_zone
from nigiwai.settings import parse
from tests.conftest import PROOF
from tests.link.conftest import RAM
from tests.link.harness import Broker, Ear, wait_for
from tests.link.tap import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBLISH,
    SUBSCRIBE,
    Published,
    Tap,
    packets,
    read_publish,
)
from tests.link.world import Eye, World, opened

SCHEMAS = {name_of(kind): jsonschema.Draft202012Validator(schema_of(kind)) for kind in SENT}
BINS = 17_280 if PROOF else 720
MAX_BYTES = 160_000 + 2_840_000 * BINS // 17_280
"""3 MB for a full day; the burst that live totals may use counts in full for any part of one."""

SETTLED = 6
"""Bins between two waits for the broker: half the time after which link leaves a broker that answers nothing."""

TABLE_BINS = 180
"""A table each way every quarter of an hour: no more are ever released."""

TOLD_APART = 21

SEGMENT = 40
"""Bytes of the TCP and IP headers of one segment."""

PINGS_A_DAY = 2_880
"""Keep-alive every half minute, were there nothing else to say; the clock of this test is not the network's."""


@dataclass(frozen=True)
class Day:
    """Everything that was seen of a device: by a subscriber, and on the wire in both directions."""

    heard: list[tuple[str, bytes, bool]]
    up: bytes
    down: bytes


class Door:
    """A door through which the test hands records."""

    def __init__(self) -> None:
        self.records: list[tuple[int, Hello | Bin | Vitals | TraitTable]] = []
        self.connected, self.refused, self.acked = True, 0, 0

    def poll(self, timeout_s: float) -> list[tuple[int, Hello | Bin | Vitals | TraitTable]]:
        records, self.records = self.records, []
        return records

    def send(self, connection: int, record: Ack | TableTaken) -> None:
        self.acked += isinstance(record, Ack)

    def tell(self, record: object) -> None: ...


class Time:
    """Link's monotonic clock, moved by the test."""

    def __init__(self, world: World) -> None:
        self._world = world

    def monotonic(self) -> float:
        return 1_000.0 + self._world.boot_ns / 1e9


@pytest.fixture(scope="module")
def day() -> Iterator[Day]:
    """A day on which somebody passes in every single bin, sent to a real broker over a tapped line without TLS."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=RAM if RAM.is_dir() else None)))
        port = free_port()
        broker = Broker(folder, f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n", port)
        stack.callback(broker.stop)
        tap = Tap(broker.port)
        stack.callback(tap.close)
        ear = Ear(broker.port, "#")
        stack.callback(ear.close)
        _play(folder, stack.enter_context(pytest.MonkeyPatch.context()), tap.port)
        wait_for(lambda: [p for t, p, _ in ear.heard if t.endswith("/availability") and b"stopped" in p], "the end")
        wait_for(lambda: tap.up and tap.up[-1][:1] == b"\xe0", "the good-bye")
        yield Day(ear.heard, b"".join(tap.up), b"".join(tap.down))


def _play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    world = World()
    monkeypatch.setattr(keeper_module, "time", Time(world))
    gate = {"name": "main-entrance", "line": [[0.0, 0.75], [1.0, 0.75]], "inside": [0.5, 0.4]}
    table = {"device": {"site": "minato-ward", "name": "gate-1"}, "gate": [gate]}
    settings = parse({**table, "ledger": {"path": tmp_path / "ledger.db"}, "mqtt": {"host": "127.0.0.1", "port": port}})
    ledger = opened(tmp_path, world)
    ledger._db.execute("PRAGMA synchronous = OFF")
    reporter = Reporter(settings, load_zone("Asia/Tokyo"))
    tables = TableOutbox(settings, ledger)
    publisher = Publisher(settings.mqtt, Topics("minato-ward", "gate-1"), ledger, reporter.counts, tables)
    door, eye, chance = Door(), Eye(world), random.Random(1)  # noqa: S311
    keeper = Keeper(settings, door, ledger, publisher, reporter, Board(), lambda: _reading(world))  # type: ignore[arg-type]
    door.records.append((1, eye.hello()))
    keeper.step(0.0)
    wait_for(lambda: (keeper.step(0.0), publisher.state.connected)[1], "the connection")
    for i in range(BINS):
        counted = eye.bin(chance.randint(1, 3), chance.randint(0, 3))
        counted = counted.model_copy(update={"gates": (counted.gates[0].model_copy(update={"gate": "main-entrance"}),)})
        door.records += [(1, counted), *([(1, _vitals(i))] if i % 2 == 0 else [])]
        if i % TABLE_BINS == TABLE_BINS - 1:
            door.records += [(1, _table(eye, i, direction)) for direction in ("in", "out")]
        keeper.step(0.0)
        if i % SETTLED == 0:
            _settle(publisher, keeper)
    keeper.stop(1.0)
    ledger.close()
    assert door.acked == BINS


def _table(eye: Eye, i: int, direction: str) -> TraitTable:
    """As many blocks as eye ever tells apart: child, adult and unknown, each in every kind of company."""
    wholes = [(mask_of([company]), mask_of([Sex.UNKNOWN]), mask_of([band])) for company in Company for band in Band]
    blocks = tuple((*whole, 1_000 + n) for n, whole in enumerate(wholes[:TOLD_APART]))
    return TraitTable.model_validate(
        {
            "run": eye.run,
            "number": 2 * (i // TABLE_BINS) + (direction == "out") + 1,
            "direction": direction,
            "start_ms": (i + 1 - TABLE_BINS) * 5_000,
            "end_ms": (i + 1) * 5_000,
            "k": 10,
            "people": sum(b[3] for b in blocks),
            "blocks": blocks,
        }
    )


def _settle(publisher: Publisher, keeper: Keeper) -> None:
    """Until the broker has answered everything; simulated time stands still meanwhile."""
    while publisher.busy or publisher._other:
        publisher.wait(1.0)
        keeper.step(0.0)


def _reading(world: World) -> Reading:
    return world.now()


def _vitals(i: int) -> Vitals:
    return Vitals(
        at_ms=i * 5_000,
        frames=i * 75,
        dropped=i,
        inferred=i * 70,
        fps_milli=14_900 + i % 100,
        latency_median_ms=60 + i % 9,
        latency_p95_ms=110 + i % 9,
        memory_kib=150_000 + i,
        unacknowledged=0,
        lost_bins=0,
        flags=(),
    )


def _published(day: Day) -> list[Published]:
    return [read_publish(p) for p in packets(day.up) if p.kind == PUBLISH]


@pytest.mark.slow
def test_every_byte_that_leaves_is_a_message_of_the_contract(day: Day) -> None:
    """What the wire carries is what a subscriber hears; no packet, property or padding hides anything beside it."""
    sent = [p for p in packets(day.up) if p.kind != PUBLISH]
    published = _published(day)

    assert [(p.topic, p.payload) for p in published] == [(t, p) for t, p, _ in day.heard]
    assert all(p.properties == b"" and p.qos == 1 for p in published)
    assert [p.kind for p in sent if p.kind != PINGREQ] == [CONNECT, SUBSCRIBE, DISCONNECT]
    assert all(len(p.body) <= 400 for p in sent)
    assert all(p.body == b"" for p in sent if p.kind == PINGREQ)


@pytest.mark.slow
def test_every_message_of_a_day_is_valid_small_and_of_a_known_topic(day: Day) -> None:
    for message in _published(day):
        prefix, leaf = message.topic.rsplit("/", 1)
        assert prefix == "nigiwai/v1/minato-ward/gate-1"
        SCHEMAS[leaf].validate(json.loads(message.payload))
        assert len(message.payload) <= (2_600 if leaf == "traits" else 1_200)
        assert message.retain == (leaf in ("availability", "info", "totals", "health"))


@pytest.mark.slow
def test_a_full_busy_day_stays_within_its_bytes(day: Day) -> None:
    sizes: dict[str, list[int]] = {}
    for message in _published(day):
        sizes.setdefault(message.topic.rsplit("/", 1)[1], []).append(len(message.payload))
    answers = sum(1 for p in packets(day.down) if p.kind == PUBACK)
    segments = SEGMENT * (len(_published(day)) + answers)
    pings = PINGS_A_DAY * BINS // 17_280 * 2 * (2 + SEGMENT)

    total = len(day.up) + len(day.down) + segments + pings
    print({leaf: (len(s), sum(s)) for leaf, s in sizes.items()}, total)  # noqa: T201 # the figure of this bench
    assert total <= MAX_BYTES
    counts = [json.loads(p.payload) for p in _published(day) if p.topic.endswith("/counts")]
    assert [m["record"] for m in counts] == list(range(1, len(counts) + 1))
    assert all(a["end"] == b["start"] for a, b in pairwise(counts))
    assert not any(m["late"] for m in counts)


@pytest.mark.slow
def test_messages_come_no_oftener_than_the_stated_capacity_takes_for_granted(day: Day) -> None:
    """docs/mqtt.md adds up what a whisper could carry from these rates."""
    hours = BINS * 5 / 3_600
    a_day: dict[str, int] = {}
    for message in _published(day):
        leaf = message.topic.rsplit("/", 1)[1]
        a_day[leaf] = a_day.get(leaf, 0) + 1

    assert a_day["totals"] <= hours * 3_600 / telling.TOTALS_S + 1
    assert a_day["health"] <= hours * 3_600 / telling.HEALTH_GAP_S + 1
    assert a_day["counts"] <= hours * 60 + 1
    assert a_day["traits"] == 2 * (BINS // TABLE_BINS)
    assert a_day.get("alert", 0) <= telling.ALERTS[0] + hours * 60


WORDS = frozenset(
    """schema site device type state software interval_s gates zones settings_sha256 camera model model_sha256 epoch
    previous_epoch previous_last k privacy at day today total occupancy now low high in out record start end blind_s
    since began why entered left remaining
    flags clock late replaces broker storage power cause fps latency_median_ms latency_p95_ms frames_dropped
    eye_memory_mib link_memory_mib disk_free_mib temperature_c throttled undervoltage queue last_record uptime_s
    refused_records refused_requests losses bins merged expired salvaged subject light check table direction people
    withheld blocks company sex band children families said share basis experimental epsilon
    main-entrance""".split()  # noqa: SIM905 # one a line would hide the list
)


@pytest.mark.slow
def test_no_field_is_meant_for_a_picture_a_track_or_a_coordinate(day: Day) -> None:
    """Every name that occurs in a day is on this list; a new one has to be thought about here."""
    names = {name for message in _published(day) for name in _names(json.loads(message.payload))}

    assert names <= WORDS


def _names(node: object) -> list[str]:
    if isinstance(node, list):
        return [n for item in node for n in _names(item)]
    if isinstance(node, dict):
        return [*map(str, node), *(n for value in node.values() for n in _names(value))]
    return []


@pytest.mark.slow
def test_strings_of_a_day_hold_nothing_but_names_times_and_words(day: Day) -> None:
    strings = {s for message in _published(day) for s in _strings(json.loads(message.payload))} - {PRIVACY}

    assert max(len(s) for s in strings) <= 64
    assert all(s.isascii() for s in strings)


def _strings(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    if isinstance(node, list):
        return [s for item in node for s in _strings(item)]
    if isinstance(node, dict):
        return [s for item in node.values() for s in _strings(item)]
    return []
