# SPDX-License-Identifier: Apache-2.0
"""Home Assistant finds the device by itself, reads its numbers, and forgets it cleanly."""

import json
from pathlib import Path
from typing import Any

import pytest

from nigiwai.link.mqtt.discovery import discovery, discovery_topic
from nigiwai.link.topics import Topics
from tests.link.harness import BRANCH, Broker, Ear, FakeEye, Link, wait_for

jinja2 = pytest.importorskip("jinja2", reason="Home Assistant's templates are Jinja's")

TOPIC = "homeassistant/device/nigiwai_ward_gate-1/config"


def _states(ear: Ear) -> dict[str, str]:
    """What Home Assistant would show: each component's template on the last message of its topic."""
    announced = json.loads([p for t, p, _ in ear.heard if t == TOPIC][-1])
    return {key: _render(ear, part) for key, part in announced["components"].items()}


def _render(ear: Ear, part: dict[str, Any]) -> str:
    payload = [p for t, p, _ in ear.heard if t == part["state_topic"]][-1]
    template = jinja2.Environment(autoescape=False).from_string(part["value_template"])
    return str(template.render(value_json=json.loads(payload)))


def test_numbers_appear_by_themselves_and_go_cleanly(tmp_path: Path, broker: Broker) -> None:
    link = Link(tmp_path, broker.port, interval_s=10, mqtt="home_assistant = true")
    ear = Ear(broker.port, "#")
    link.start()
    eye = FakeEye(link.socket)
    for _ in range(4):
        eye.count(2, 1)
    eye.deliver()
    link.stop()
    wait_for(
        lambda: ear.messages("availability")[-1:] and ear.messages("availability")[-1]["state"] == "stopped", "stop"
    )

    states = _states(ear)
    assert (states["inside"], states["door_in"], states["door_out"]) == ("4", "8", "4")
    assert states["camera"] in ("ON", "OFF")

    without = Link(tmp_path, broker.port, interval_s=10)
    without.start()
    wait_for(lambda: [p for t, p, _ in ear.heard if t == TOPIC][-1] == b"", "the device to be removed")
    without.stop()
    late = Ear(broker.port, "homeassistant/#", "late")
    wait_for(late.subscribed.is_set, "subscription")
    assert late.heard == []
    eye.close()
    late.close()
    ear.close()


def test_ids_are_what_home_assistant_allows() -> None:
    announced = json.loads(discovery(Topics("ward", "gate-1"), ("door", "back_door")))

    assert discovery_topic(Topics("ward", "gate-1")) == TOPIC
    assert {"device", "origin", "components"} <= announced.keys()
    ids = [part["unique_id"] for part in announced["components"].values()]
    assert len(set(ids)) == len(ids)
    assert all(set(i) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") for i in ids)
    assert all("platform" in part for part in announced["components"].values())
    assert announced["availability"][0]["topic"] == f"nigiwai/v1/{BRANCH}/availability"
