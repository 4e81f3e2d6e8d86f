# SPDX-License-Identifier: Apache-2.0
"""One simulated device: believable days, and faults that a consumer must stand. Pure but for what it is given to send.

Every message is built by the types that real devices use.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nigiwai import __version__
from nigiwai.door.records import CameraKind, Flag, Hello, Vitals
from nigiwai.link.intervals import NS_PER_S, Gates, Interval, add_gates, merge, sum_gates
from nigiwai.link.ledger import Standing
from nigiwai.link.lights import Facts, Lights, assess, changed
from nigiwai.link.messages import Availability, Cause, ClockState, Envelope, Losses, Mark, Resend, Response
from nigiwai.link.report import Reporter, Since, Tally, Upkeep
from nigiwai.link.store.rows import Record
from nigiwai.link.zone import day, load_zone, local, midnight_ns
from nigiwai.settings import parse

FAULTS = ("away", "double", "order", "lose", "replace", "covered")
ZONE = load_zone("Asia/Tokyo")
MINUTE_NS = 60 * NS_PER_S
HEALTH_MINUTES = 5
GATE = {"name": "door", "line": [[0.0, 0.75], [1.0, 0.75]], "inside": [0.5, 0.4]}
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
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


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
    covered_until_ns: int = 0
    today: Gates = field(default_factory=dict)
    today_begun_ns: int = 0

    def __post_init__(self) -> None:
        self.epoch = f"{self.chance.getrandbits(32):08x}"
        self.size = self.chance.choice([1.0, 3.0, 6.0, 15.0])
        settings = parse({"device": {"site": self.plan.site, "name": self.name}, "gate": [GATE]})
        self.reporter = Reporter(settings, ZONE)
        self.lights: Lights = {}

    def has(self, fault: str, probability: float) -> bool:
        """Whether that fault strikes now."""
        return fault in self.plan.faults and self.chance.random() < probability

    def count(self, start_ns: int) -> None:
        """One minute passes."""
        at = local(start_ns, ZONE)
        coming, going = visitors_a_minute(at.hour + at.minute / 60, self.size)
        inside = sum(e - o for e, o in sum_gates([self.today]).values())
        entered = _poisson(coming, self.chance)
        gates: Gates = {"door": (entered, min(_poisson(going, self.chance), inside + entered))}
        if self.has("covered", 1 / 360):
            self.covered_until_ns = start_ns + self.chance.randint(2, 20) * MINUTE_NS
        covered = start_ns < self.covered_until_ns
        if covered:
            gates = {}
        if midnight_ns(start_ns, ZONE) != self.today_begun_ns:
            self.today, self.today_begun_ns = {}, midnight_ns(start_ns, ZONE)
        self.today = add_gates(self.today, gates)
        marks = frozenset({Mark.COVERED}) if covered else frozenset[Mark]()
        blind_ns = MINUTE_NS if covered else 0
        self._append(Interval(start_ns, start_ns + MINUTE_NS, gates, blind_ns, marks, ClockState.SYNCHRONISED))
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
            Interval(
                merged.start_ns,
                merged.end_ns,
                merged.gates,
                merged.blind_ns,
                merged.marks | {Mark.AMENDED},
                merged.clock,
            ),
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
        self._tell_health(now_ns, send)

    def _tally(self, now_ns: int) -> Tally:
        inside = max(0, sum(e - o for e, o in self.today.values()))
        total = self.records[-1].totals
        known = Since(self.today_begun_ns, 0, self.today)
        return Tally(day(now_ns, ZONE), self.today_begun_ns, self.today, total, {}, inside, since=known)

    def introduce(self, send: Send) -> None:
        """What the device is."""
        hello = Hello(
            run="0" * 32,
            boot="0" * 32,
            version=__version__,
            model="rehearsal",
            model_sha256="0" * 64,
            settings_sha256=self.reporter.in_force_sha256,
            camera=CameraKind.RECORDING,
        )
        send("info", self.reporter.info(self._standing(), hello), True)

    def _standing(self) -> Standing:
        return Standing(self.epoch, None, None, len(self.records))

    def _tell_health(self, now_ns: int, send: Send) -> None:
        """Every five minutes, and with an alert when a light changes."""
        covered = now_ns - MINUTE_NS < self.covered_until_ns
        before, self.lights = self.lights, assess(_facts(covered=covered))
        turned = changed(before, self.lights)
        for subject in turned:
            send("alert", self.reporter.alert(subject, self.lights, now_ns), False)
        if turned or len(self.records) % HEALTH_MINUTES == 0:
            upkeep = Upkeep(
                queue=len(self.waiting),
                last_record=len(self.records),
                epoch=self.epoch,
                uptime_s=60 * len(self.records),
                memory_mib=45.0,
                disk_free_mib=20_000,
                temperature_c=round(self.chance.uniform(48.0, 62.0), 1),
                undervoltage=False,
                throttled=False,
                refused_records=0,
                refused_requests=0,
                losses=Losses(),
            )
            send("health", self.reporter.health(self.lights, self._vitals(), upkeep, now_ns), True)

    def _vitals(self) -> Vitals:
        minutes = len(self.records)
        return Vitals(
            at_ms=minutes * 60_000,
            frames=minutes * 480,
            dropped=0,
            inferred=minutes * 300,
            fps_milli=self.chance.randint(7_600, 8_100),
            latency_median_ms=self.chance.randint(80, 110),
            latency_p95_ms=self.chance.randint(120, 180),
            memory_kib=150_000,
            unacknowledged=0,
            lost_bins=0,
            flags=(),
        )

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


def _facts(*, covered: bool) -> Facts:
    return Facts(
        eye_connected=True,
        eye_flags=(Flag.COVERED,) if covered else (),
        broker_enabled=True,
        broker_tried=True,
        broker_connected=True,
        broker_refused=False,
        clock=ClockState.SYNCHRONISED,
        storage=Cause.NONE,
        disk_free_mib=20_000,
        temperature_c=55.0,
        undervoltage=False,
        throttled=False,
    )


def _poisson(mean: float, chance: random.Random) -> int:
    """Knuth's method; the means here are small."""
    limit, product, drawn = math.exp(-min(mean, 60.0)), chance.random(), 0
    while product > limit:
        drawn, product = drawn + 1, product * chance.random()
    return drawn
