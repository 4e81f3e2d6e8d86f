# SPDX-License-Identifier: Apache-2.0
"""The rehearsal fleet: believable days, and faults that the reference consumer stands."""

import json
import threading
from pathlib import Path

import jsonschema
import pytest

from nigiwai.errors import BrokerError
from nigiwai.lab.broker import free_port
from nigiwai.link.fleet import FAULTS, Fleet, Plan, sums, visitors_a_minute
from nigiwai.link.messages import SENT
from nigiwai.link.schema import name_of, schema_of
from tests.link.harness import Broker, consuming, wait_for
from tests.link.world import utc_ns

SCHEMAS = {name_of(kind): jsonschema.Draft202012Validator(schema_of(kind)) for kind in SENT}


def test_a_consumer_that_follows_the_document_ends_with_the_truth(broker: Broker, tmp_path: Path) -> None:
    plan = Plan(
        "127.0.0.1", broker.port, 3, 100_000, FAULTS, minutes=150, seed=3, start_ns=utc_ns("2026-11-23T00:00:00")
    )
    with consuming(tmp_path, broker.port) as (consumer, ear):
        fleet = Fleet(plan)
        stop = threading.Event()

        def held() -> dict[str, list[int]]:
            with consumer.lock:
                return {name: consumer.sums(f"rehearsal/{name}").get("door", [0, 0]) for name in fleet.devices}

        def complete() -> bool:
            for name in fleet.devices:  # a real device's health message would make it ask
                with consumer.lock:
                    consumer.ask_for_gaps(f"rehearsal/{name}")
            played = all(len(device.records) >= 150 for device in fleet.devices.values())
            return played and held() == sums(list(fleet.devices.values()))

        playing = threading.Thread(target=fleet.play, args=(stop,), kwargs={"stay": True})
        playing.start()
        wait_for(complete, "the truth", 60)
        stop.set()
        playing.join(20)

        assert sum(entered for entered, _ in held().values()) > 100
        for topic, payload, _ in ear.heard:
            leaf = topic.split("/")[4]
            if leaf != "request":
                SCHEMAS[leaf].validate(json.loads(payload))


def test_the_same_seed_plays_the_same_day() -> None:
    plan = Plan("127.0.0.1", 1, 3, start_ns=utc_ns("2026-11-23T00:00:00"))
    days = []
    for _ in range(2):
        fleet = Fleet(plan)
        for minute in range(300):
            for device in fleet.devices.values():
                device.count((plan.start_ns or 0) + minute * 60_000_000_000)
        days.append(sums(list(fleet.devices.values())))

    assert days[0] == days[1]
    assert all(entered >= left for entered, left in days[0].values())


def test_nobody_comes_at_night() -> None:
    assert visitors_a_minute(3.0, 15.0) == (0.0, 0.0)
    assert visitors_a_minute(11.0, 15.0)[0] > 5


def test_a_broker_that_is_not_there_is_named() -> None:
    port = free_port()

    with pytest.raises(BrokerError, match=rf"127\.0\.0\.1:{port}"):
        Fleet(Plan("127.0.0.1", port, 1)).play(threading.Event())
