# SPDX-License-Identifier: Apache-2.0
"""An MQTT consumer that knows nothing of link's code: it reads the published JSON as headquarters would."""

import json
import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from nigiwai.errors import BrokerError
from nigiwai.lab.broker import HOST, RunningBroker

Sums = dict[str, dict[str, int]]
"""Per gate: {"in": n, "out": n}."""


class Subscriber:
    """Adds up one device's `counts` records, each once, and shows its live `totals`."""

    def __init__(self, broker: RunningBroker, branch: str, on_totals: Callable[[Sums], None] | None = None) -> None:
        self._branch = branch
        self._on_totals = on_totals
        self._records: dict[tuple[str, int], Sums] = {}
        self.subscribed = threading.Event()
        self.stopped = threading.Event()
        protocol = mqtt.MQTTv5 if broker.version == "5" else mqtt.MQTTv311
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="nigiwai-demo-subscriber", protocol=protocol)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{branch}/#", qos=1)
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._take(message.topic, message.payload)
        try:
            self._client.connect(HOST, broker.port)
        except OSError as e:
            raise BrokerError(f"{broker.name} on port {broker.port} does not answer ({e.strerror or e})") from None
        self._client.loop_start()

    @property
    def published(self) -> Sums:
        """The sums over every record received, none counted twice and none that a later one replaces."""
        sums: Sums = {}
        for gates in self._records.values():
            for gate, passed in gates.items():
                entry = sums.setdefault(gate, {"in": 0, "out": 0})
                entry["in"] += passed["in"]
                entry["out"] += passed["out"]
        return sums

    def close(self) -> None:
        """Disconnects."""
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, topic: str, payload: bytes | bytearray) -> None:
        leaf = topic.removeprefix(f"{self._branch}/")
        message: dict[str, Any] = json.loads(payload)
        if leaf == "counts":
            self._add(message)
        elif leaf == "totals" and self._on_totals:
            self._on_totals(message["total"])
        elif leaf == "availability" and message["state"] == "stopped":
            self.stopped.set()

    def _add(self, message: dict[str, Any]) -> None:
        epoch = message["epoch"]
        for first, last in message["replaces"]:
            for number in range(first, last + 1):
                self._records.pop((epoch, number), None)
        self._records[epoch, message["record"]] = message["gates"]
