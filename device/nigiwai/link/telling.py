# SPDX-License-Identifier: Apache-2.0
"""What is told to the broker and how often: live sums, state, zones, alerts, closing balances, answers to requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nigiwai.door.records import Hello
from nigiwai.door.zones import ZoneStats
from nigiwai.link.ledger import Standing
from nigiwai.link.lights import Lights
from nigiwai.link.messages import Health, Subject
from nigiwai.link.mqtt.commands import Commands
from nigiwai.link.mqtt.connection import Asked
from nigiwai.link.mqtt.publisher import Publisher
from nigiwai.link.pacing import Budget
from nigiwai.link.report import Reporter, Tally
from nigiwai.link.store.hand import Noted

TOTALS_S = 5.0
HEALTH_S = 300.0
ZONES_S = 60.0
HEALTH_GAP_S = 10.0
"""A light that flickers is not worth more than this."""

ALERTS = (20.0, 1 / 60)
"""Alerts at once, and a second in the long run; health holds the state in any case."""

INFOS = (10.0, 1 / 60)
"""The same for `info`, which changes with every eye that says hello."""

TOTALS_BUDGET_BYTES = (150_000.0, 15.0)
"""Burst and bytes a second in the long run: 1.5 MB a day at most, of the 3 MB that a device may send."""

WIRE_BYTES = 135.0
"""What a message costs beside its payload: topic, packet, PUBACK, and TCP and IP headers both ways (test_wire.py)."""


@dataclass(frozen=True, slots=True)
class Present:
    """How to ask for what is so now."""

    utc_ns: Callable[[], int]
    standing: Callable[[], Standing]
    hello: Callable[[], Hello | None]
    tally: Callable[[], Tally]
    health: Callable[[], Health]
    closed: Callable[[], Noted | None]


class ZoneNews:
    """What eye told of the zones since the last message."""

    def __init__(self) -> None:
        self._zones: ZoneStats | None = None
        self._most: dict[str, int] = {}

    def see(self, stats: ZoneStats, names: tuple[str, ...]) -> None:
        """Keeps the latest until it is told, and the most people at once over all that came meanwhile."""
        if tuple(z.zone for z in stats.zones) != names:
            return  # eye has not taken the latest zones yet, or says what nobody asked
        self._zones = stats
        self._most |= {z.zone: max(z.most, self._most.get(z.zone, 0)) for z in stats.zones}

    def take(self) -> tuple[ZoneStats, dict[str, int]] | None:
        """The latest and the most; None where nothing came."""
        if self._zones is None:
            return None
        news, self._zones, self._most = (self._zones, self._most), None, {}
        return news


class Teller:
    """Tells the broker what is due."""

    def __init__(
        self,
        publisher: Publisher,
        reporter: Reporter,
        commands: Commands,
        event_over: Callable[[], object],
        present: Present,
    ) -> None:
        """event_over: what to do when headquarters ends an event."""
        self._publisher, self._reporter, self._commands = publisher, reporter, commands
        self._event_over, self._present = event_over, present
        self._budget = Budget(*TOTALS_BUDGET_BYTES)
        self._alerts = Budget(*ALERTS)
        self._infos = Budget(*INFOS)
        self._totals_due_s = self._health_due_s = self._zones_due_s = 0.0
        self._health_s = -HEALTH_GAP_S
        self._told: tuple[object, ...] = ()
        self._told_closing: Noted | None = None
        self._informed: tuple[Standing, Hello | None] | None = None
        self.zones = ZoneNews()

    def inform_again(self) -> None:
        """What `info` says has changed."""
        self._informed = None

    def alert(self, subjects: Sequence[Subject], lights: Lights, now_s: float) -> None:
        """Lights have changed: that is told at once, and health soon after."""
        for subject in subjects:
            if self._alerts.take(1.0, now_s):
                self._publisher.tell("alert", self._reporter.alert(subject, lights, self._present.utc_ns()))
        if subjects:
            self._health_due_s = max(now_s, self._health_s + HEALTH_GAP_S)

    def step(self, now_s: float) -> bool:
        """Sends what is due and answers what was asked; whether an answer changed something."""
        publisher, present, effective = self._publisher, self._present, False
        for asked in publisher.step(now_s, present.utc_ns()):
            effective |= self._answer(asked, now_s)
        if now_s >= self._totals_due_s:
            self._totals_due_s = now_s + TOTALS_S
            self.keep_totals(now_s)
        if self._informed != (told := (present.standing(), present.hello())) and self._infos.take(1.0, now_s):
            self._informed = told
            publisher.keep("info", self._reporter.info(*told))
        if now_s >= self._health_due_s:
            self._health_s, self._health_due_s = now_s, now_s + HEALTH_S
            publisher.keep("health", present.health())
        if (closed := present.closed()) is not None and closed is not self._told_closing:
            self._told_closing = closed
            publisher.keep("closing", self._reporter.closing(closed.at_ns, closed.body))
        self._tell_zones(now_s)
        return effective

    def _tell_zones(self, now_s: float) -> None:
        hello = self._present.hello()
        if hello is None or now_s < self._zones_due_s or (news := self.zones.take()) is None:
            return
        self._zones_due_s = now_s + ZONES_S
        self._publisher.keep("zones", self._reporter.zones(*news, hello.run, self._present.utc_ns()))

    def _answer(self, asked: Asked, now_s: float) -> bool:
        answer = self._commands.take(asked.topic, asked.payload, now_s, self._present.utc_ns(), retained=asked.retained)
        if self._commands.event_over:
            self._commands.event_over = False
            self._event_over()
        if answer is None:
            return False
        if answer.records and not self._publisher.send_again(answer.records):
            answer = answer.too_often()
        self._publisher.tell(f"response/{answer.response.command}", answer.response)
        return answer.effect is not None

    def keep_totals(self, now_s: float) -> None:
        """Sends the sums where they changed; on a long busy day less often than every five seconds."""
        tally = self._present.tally()
        told = (tally.day, tally.today, tally.total, tally.inside, tally.since.at_ns, tally.basis)
        if told == self._told:
            return
        message = self._reporter.totals(tally, self._present.standing().epoch, self._present.utc_ns())
        if self._budget.take(len(message.to_json()) + WIRE_BYTES, now_s):
            self._told = told
            self._publisher.keep("totals", message)
