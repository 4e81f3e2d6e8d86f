# SPDX-License-Identifier: Apache-2.0
"""A rehearsal fleet: many devices with believable days, for headquarters to practise on and for load tests.

Faults are those a consumer must stand: devices that go away and send late, cameras that are covered, records that come
twice, out of order or not at all until they are asked for, and records that replace.
"""

import json
import random
import threading
import time
from collections.abc import Iterator, Sequence

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from nigiwai.errors import BrokerError
from nigiwai.link.messages import Envelope
from nigiwai.link.mqtt.connection import explain, tls_context
from nigiwai.link.rehearsal import FAULTS, MINUTE_NS, Plan, Send, Simulated, visitors_a_minute
from nigiwai.settings import Mqtt, read_secret

__all__ = ["FAULTS", "Fleet", "Plan", "sums", "to_json", "visitors_a_minute"]

_CONNECTIONS = 32
_PATIENCE_S = 10.0


class Fleet:
    """The devices and their connections; some devices share one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        source = random.Random(plan.seed)  # noqa: S311 # a rehearsal, repeatable on purpose
        self.devices = {
            name: Simulated(name, plan, random.Random(source.random()))  # noqa: S311
            for name in (f"device-{i:04d}" for i in range(1, plan.devices + 1))
        }
        self._lock = threading.Lock()
        self._clients: list[mqtt.Client] = []
        self._last: dict[mqtt.Client, mqtt.MQTTMessageInfo] = {}
        self._refusal = ""
        self.sent = 0

    def play(self, stop: threading.Event, *, stay: bool = False) -> None:
        """Plays until `stop` is set or the plan is over; with `stay` it then answers requests until `stop` is set.

        Raises BrokerError if the broker cannot be reached, or refuses the fleet or what it sends.
        """
        self._connect()
        try:
            self._greet("online")
            for name, device in self.devices.items():
                device.introduce(self._sender(name))
            for start_ns in self._minutes(stop):
                self._demand_taken()
                for name, device in self.devices.items():
                    with self._lock:
                        device.count(start_ns)
                        device.speak(start_ns + MINUTE_NS, self._sender(name))
            self._catch_up()
            if stay:
                stop.wait()
        finally:
            self._greet("stopped")
            self._disconnect()
        self._demand_taken()

    def _demand_taken(self) -> None:
        """Raises BrokerError where the broker refused what was sent; a short play is over before its answers come."""
        if self._refusal:
            raise BrokerError(self._refusal)

    def _minutes(self, stop: threading.Event) -> Iterator[int]:
        """Simulated minutes, at the plan's pace."""
        plan = self._plan
        now_ns = plan.start_ns if plan.start_ns is not None else time.time_ns()
        begun_ns, begun_s, played = now_ns - now_ns % MINUTE_NS, time.monotonic(), 0
        while not stop.is_set() and (plan.minutes is None or played < plan.minutes):
            yield begun_ns + played * MINUTE_NS
            played += 1
            stop.wait(max(0.0, begun_s + played * 60.0 / plan.speed - time.monotonic()))

    def _catch_up(self) -> None:
        """Nobody is away at the end, and the last record of each is heard, so that all gaps before it show."""
        for name, device in self.devices.items():
            with self._lock:
                device.away_until_ns = 0
                device.speak(time.time_ns(), self._sender(name))
                self._sender(name)("counts", device.reporter.counts(device.records[-1], True), False)

    def _connect(self) -> None:
        """A certificate's or a user's name may be forced upon the client id, so only nameless fleets share the load."""
        named = self._plan.cert_file is not None or self._plan.username is not None
        for i in range(1 if named else min(_CONNECTIONS, self._plan.devices)):
            client = self._client(f"nigiwai-fleet-{self._plan.site}-{i}")
            self._clients.append(client)
            try:
                self._enter(client)
            except BrokerError:
                self._disconnect()
                raise
        self._clients[0].subscribe(f"nigiwai/v1/{self._plan.site}/+/request/resend", qos=1)

    def _client(self, client_id: str) -> mqtt.Client:
        plan = self._plan
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        client.on_message = lambda _c, _d, m: self._asked(m.topic, bytes(m.payload))
        client.on_publish = lambda _c, _d, _m, reason, _p: self._on_publish(reason)
        client.max_inflight_messages_set(200)
        access = Mqtt(
            host=plan.host, port=plan.port, ca_file=plan.ca_file, cert_file=plan.cert_file, key_file=plan.key_file
        )
        if access.ca_file is not None:
            client.tls_set_context(tls_context(access))
        if plan.username is not None:
            secret = read_secret(plan.password_file) if plan.password_file is not None else None
            client.username_pw_set(plan.username, secret.get_secret_value() if secret else None)
        return client

    def _enter(self, client: mqtt.Client) -> None:
        """Connects, and waits until the broker has said yes. Raises BrokerError."""
        where, said, answered = f"{self._plan.host}:{self._plan.port}", [""], threading.Event()

        def on_connect(_c: object, _d: object, _f: object, reason: ReasonCode, _p: object) -> None:
            said[0] = str(reason) if reason.is_failure else ""
            answered.set()

        def on_disconnect(_c: object, _d: object, _f: object, reason: ReasonCode, _p: object) -> None:
            if not answered.is_set():
                said[0] = f"it hung up ({reason}); does it want a certificate or a user?"
                answered.set()

        client.on_connect, client.on_disconnect = on_connect, on_disconnect
        try:
            client.connect(self._plan.host, self._plan.port)
        except OSError as e:
            raise BrokerError(f"broker {where}: {explain(e)}; start it or name another") from None
        client.loop_start()
        if not answered.wait(_PATIENCE_S) or said[0]:
            raise BrokerError(f"broker {where}: {said[0] or 'no answer'}; start it or name another")

    def _on_publish(self, reason: ReasonCode) -> None:
        if reason.is_failure and not self._refusal:
            self._refusal = (
                f"broker {self._plan.host}:{self._plan.port} refuses nigiwai/v1/{self._plan.site}/... ({reason});"
                " give this user the rule of provisioning/broker/README.md, or name another --site"
            )

    def _disconnect(self) -> None:
        for client in self._clients:
            if (last := self._last.get(client)) is not None:
                _drain(last)
            client.disconnect()
            client.loop_stop()
        self._clients.clear()

    def _greet(self, state: str) -> None:
        for name, device in self.devices.items():
            self._sender(name)("availability", device.greet(state), True)

    def _asked(self, topic: str, payload: bytes) -> None:
        name = topic.split("/")[3]
        if name in self.devices:
            with self._lock:
                self.devices[name].answer(payload, self._sender(name))

    def _sender(self, name: str) -> Send:
        client = self._clients[int(name[-4:]) % len(self._clients)]
        branch = f"nigiwai/v1/{self._plan.site}/{name}"

        def send(leaf: str, message: Envelope, retain: bool) -> None:
            self.sent += 1
            self._last[client] = client.publish(f"{branch}/{leaf}", message.to_json(), qos=1, retain=retain)

        return send


def _drain(last: mqtt.MQTTMessageInfo) -> None:
    """Waits until the broker has taken the last message, and so all before it."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if last.is_published():
                return
            last.wait_for_publish(0.1)
        except (RuntimeError, ValueError):  # the connection went; nothing more comes of it
            return


def sums(devices: Sequence[Simulated]) -> dict[str, list[int]]:
    """The truth, by device: in and out over everything counted."""
    return {d.name: [sum(column) for column in zip(*_live(d), strict=True)] for d in devices}


def _live(device: Simulated) -> list[tuple[int, int]]:
    return [r.interval.gates.get("door", (0, 0)) for r in device.records if not r.replaces] or [(0, 0)]


def to_json(fleet: Fleet) -> str:
    """What was played, for comparing with what headquarters has."""
    return json.dumps({"sent": fleet.sent, "true": sums(list(fleet.devices.values()))})
