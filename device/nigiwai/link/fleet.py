# SPDX-License-Identifier: Apache-2.0
"""A rehearsal fleet: many devices with believable days, for headquarters to practise on and for load tests.

Every message is built by the types that real devices use. Faults are those a consumer must stand: devices that go away
and send late, records that come twice, out of order or not at all until they are asked for, and records that replace.
"""

import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from nigiwai.errors import BrokerError
from nigiwai.link.intervals import NS_PER_S, Gates, Interval, add_gates, merge, sum_gates
from nigiwai.link.messages import Availability, ClockState, Envelope, Mark, Resend, Response
from nigiwai.link.report import Reporter, Tally
from nigiwai.link.store.rows import Record
from nigiwai.link.zone import day, load_zone, local, midnight_ns
from nigiwai.settings import parse

log = logging.getLogger(__name__)

FAULTS = ("away", "double", "order", "lose", "replace")
ZONE = load_zone("Asia/Tokyo")
MINUTE_NS = 60 * NS_PER_S
_CONNECTIONS = 32
Send = Callable[[str, Envelope, bool], None]
"""Topic leaf, message, retained."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played. `speed`: simulated seconds a second. `minutes`: of simulated time; None for ever."""

    host: str
    port: int
    devices: int
    speed: float = 1.0
    faults: tuple[str, ...] = ()
    minutes: int | None = None
    seed: int = 1
    site: str = "rehearsal"
    start_ns: int | None = None


def visitors_a_minute(hour: float, size: float) -> tuple[float, float]:
    """How many come in and go out in a minute at that hour of a day open from nine to six, busiest before noon."""
    if not 8.75 <= hour <= 18.5:
        return 0.0, 0.0
    coming = size * (math.exp(-(((hour - 10.8) / 1.3) ** 2)) + 0.7 * math.exp(-(((hour - 14.2) / 1.5) ** 2)))
    going = size * (0.75 * math.exp(-(((hour - 12.3) / 1.4) ** 2)) + 0.95 * math.exp(-(((hour - 16.2) / 1.3) ** 2)))
    return coming, going


@dataclass
class Simulated:
    """One device: what it counted, what it has sent, and what is wrong with it."""

    name: str
    plan: Plan
    chance: random.Random
    epoch: str = ""
    records: list[Record] = field(default_factory=list)
    waiting: list[Record] = field(default_factory=list)
    away_until_ns: int = 0
    today: Gates = field(default_factory=dict)
    today_begun_ns: int = 0

    def __post_init__(self) -> None:
        self.epoch = f"{self.chance.getrandbits(32):08x}"
        self.size = self.chance.choice([1.0, 3.0, 6.0, 15.0])
        self.reporter = Reporter(parse({"device": {"site": self.plan.site, "name": self.name}}), ZONE)

    def has(self, fault: str, probability: float) -> bool:
        """Whether that fault strikes now."""
        return fault in self.plan.faults and self.chance.random() < probability

    def count(self, start_ns: int) -> None:
        """One minute passes."""
        at = local(start_ns, ZONE)
        coming, going = visitors_a_minute(at.hour + at.minute / 60, self.size)
        inside = sum(e - o for e, o in sum_gates([self.today]).values())
        entered = _poisson(coming, self.chance)
        gates = {"door": (entered, min(_poisson(going, self.chance), inside + entered))}
        if midnight_ns(start_ns, ZONE) != self.today_begun_ns:
            self.today, self.today_begun_ns = {}, midnight_ns(start_ns, ZONE)
        self.today = add_gates(self.today, gates)
        self._append(Interval(start_ns, start_ns + MINUTE_NS, gates, 0, frozenset(), ClockState.SYNCHRONISED))
        if self.has("replace", 1 / 120) and len(self.records) >= 10:
            self._replace_last(5)
        if self.has("away", 1 / 240):
            self.away_until_ns = start_ns + self.chance.randint(5, 90) * MINUTE_NS

    def _append(self, interval: Interval, replaces: tuple[tuple[int, int], ...] = ()) -> None:
        before = self.records[-1].totals if self.records else {}
        totals = before if replaces else add_gates(before, interval.gates)
        record = Record(self.epoch, (1, len(self.records) + 1), interval, totals, replaces)
        self.records.append(record)
        self.waiting.append(record)

    def _replace_last(self, count: int) -> None:
        """The last records in one, as a device merges them; none of them replaces another."""
        old = self.records[-count:]
        if any(r.replaces for r in old):
            return
        merged = merge([r.interval for r in old])
        self._append(
            Interval(merged.start_ns, merged.end_ns, merged.gates, 0, merged.marks | {Mark.AMENDED}, merged.clock),
            ((old[0].number, old[-1].number),),
        )

    def speak(self, now_ns: int, send: Send) -> None:
        """Sends what waits, unless it is away."""
        if now_ns < self.away_until_ns:
            return
        late = len(self.waiting) > 2
        if self.has("order", 0.2):
            self.chance.shuffle(self.waiting)
        for record in self.waiting:
            message = self.reporter.counts(record, late)
            if not self.has("lose", 0.01):
                send("counts", message, False)
            if self.has("double", 0.02):
                send("counts", message, False)
        self.waiting.clear()
        if self.records:
            send("totals", self.reporter.totals(self._tally(now_ns), self.epoch, now_ns), True)

    def _tally(self, now_ns: int) -> Tally:
        inside = max(0, sum(e - o for e, o in self.today.values()))
        total = self.records[-1].totals
        return Tally(day(now_ns, ZONE), self.today_begun_ns, self.today, total, {}, inside)

    def greet(self, state: str) -> Availability:
        """The availability message."""
        return Availability.model_validate({"site": self.plan.site, "device": self.name, "state": state})

    def answer(self, payload: bytes, send: Send) -> None:
        """A resend request; anything else is ignored."""
        try:
            request = Resend.model_validate_json(payload)
        except ValidationError:
            return
        replaced = {n for r in self.records for first, last in r.replaces for n in range(first, last + 1)}
        found = [r for r in self.records[request.first - 1 : request.last] if r.number not in replaced]
        known = request.epoch == self.epoch
        send("response/resend", self._response(request, len(found) if known else 0, known=known), False)
        for record in found if known else []:
            send("counts", self.reporter.counts(record, True), False)

    def _response(self, request: Resend, sending: int, *, known: bool) -> Response:
        table: dict[str, Any] = {"status": "ok" if known else "error", "error": "none" if known else "unknown_epoch"}
        asked = request.last - request.first + 1
        table |= {"sending": sending, "gone": max(0, asked - sending) if known else 0}
        names = {"site": self.plan.site, "device": self.name, "command": "resend", "transaction": request.transaction}
        return Response.model_validate({**names, **table})


def _poisson(mean: float, chance: random.Random) -> int:
    """Knuth's method; the means here are small."""
    limit, product, drawn = math.exp(-min(mean, 60.0)), chance.random(), 0
    while product > limit:
        drawn, product = drawn + 1, product * chance.random()
    return drawn


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
        self.sent = 0

    def play(self, stop: threading.Event, *, stay: bool = False) -> None:
        """Plays until `stop` is set or the plan is over; with `stay` it then answers requests until `stop` is set.

        Raises BrokerError if the broker cannot be reached.
        """
        self._connect()
        try:
            self._greet("online")
            for start_ns in self._minutes(stop):
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
        for i in range(min(_CONNECTIONS, self._plan.devices)):
            client = mqtt.Client(CallbackAPIVersion.VERSION2, f"nigiwai-fleet-{self._plan.site}-{i}")
            client.on_message = lambda _c, _d, m: self._asked(m.topic, bytes(m.payload))
            client.max_inflight_messages_set(200)
            try:
                client.connect(self._plan.host, self._plan.port)
            except OSError as e:
                self._disconnect()
                where = f"{self._plan.host}:{self._plan.port}"
                raise BrokerError(f"broker {where}: {e.strerror or e}; start it or name another") from None
            client.loop_start()
            self._clients.append(client)
        self._clients[0].subscribe(f"nigiwai/v1/{self._plan.site}/+/request/resend", qos=1)

    def _disconnect(self) -> None:
        for client in self._clients:
            _drain(client)
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
            client.publish(f"{branch}/{leaf}", message.to_json(), qos=1, retain=retain)

        return send


def _drain(client: mqtt.Client, patience_s: float = 10.0) -> None:
    """Waits until the broker has taken everything."""
    last = client.publish("nigiwai/v1/fleet", b"", qos=1)
    deadline = time.monotonic() + patience_s
    while not last.is_published() and time.monotonic() < deadline:
        last.wait_for_publish(0.1)


def sums(devices: Sequence[Simulated]) -> dict[str, list[int]]:
    """The truth, by device: in and out over everything counted."""
    return {d.name: [sum(column) for column in zip(*_live(d), strict=True)] for d in devices}


def _live(device: Simulated) -> list[tuple[int, int]]:
    return [r.interval.gates["door"] for r in device.records if not r.replaces] or [(0, 0)]


def to_json(fleet: Fleet) -> str:
    """What was played, for comparing with what headquarters has."""
    return json.dumps({"sent": fleet.sent, "true": sums(list(fleet.devices.values()))})
