# SPDX-License-Identifier: Apache-2.0
"""Builds every message from what link knows. Pure but for the tally's memory of the records it has added up."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, Literal

from nigiwai import __version__
from nigiwai.door.records import Hello, Vitals
from nigiwai.door.zones import ZoneStats
from nigiwai.link.intervals import NS_PER_S, Gates, add_gates, subtract_gates, sum_gates
from nigiwai.link.ledger import BEFORE_ALL, Ledger, Standing
from nigiwai.link.lights import Lights
from nigiwai.link.messages import (
    Alert,
    Cause,
    Checked,
    Closing,
    Counts,
    Health,
    Info,
    Losses,
    Occupancy,
    Passed,
    Subject,
    Totals,
    ZoneNow,
    Zones,
)
from nigiwai.link.store.rows import Key, Record
from nigiwai.link.zone import day, midnight_ns, reset_ns, stamp, stamp_s
from nigiwai.settings import Settings

QUARTER_NS = 900 * NS_PER_S


def passed(gates: Gates) -> dict[str, Passed]:
    """Gates as they stand in a message."""
    return {name: Passed(entered=entered, left=left) for name, (entered, left) in gates.items()}


def _checked(check: Mapping[str, Any]) -> Checked:
    """The last accuracy check as every later message stands under it."""
    error = check["error"]
    return Checked(
        at=check["at"],
        gate=check["gate"],
        passages=check["both"]["taps"],
        verdict=check["verdict"],
        limit=check["limit"],
        error=error["percent"],
        low=error["low"],
        high=error["high"],
    )


def inside(gates: Gates) -> int:
    """In minus out over all gates; may be negative."""
    return sum(entered - left for entered, left in gates.values())


@dataclass(frozen=True, slots=True)
class Mark:
    """People inside were `inside` when the period's gates stood at `gates`, at `at_ns`; holds for that period."""

    period_ns: int
    inside: int
    gates: Gates
    at_ns: int

    def holds(self, period_ns: int) -> bool:
        """Whether it is of the period that began then."""
        return self.period_ns == period_ns


@dataclass(frozen=True, slots=True)
class Since:
    """What is known of the people inside: `began` at `at_ns`, and the passages since."""

    at_ns: int = 0
    began: int = 0
    gates: Gates = field(default_factory=dict)

    @property
    def passed(self) -> tuple[int, int]:
        """How many entered and how many left, over all gates."""
        entered, left = (sum(pair[i] for pair in self.gates.values()) for i in (0, 1))
        return entered, left

    @property
    def remaining(self) -> int:
        """Began and entered less left; negative where more left than are known to have come."""
        return self.began + inside(self.gates)


def since(period_ns: int, period: Gates, mark: Mark | None) -> Since:
    """From the mark where it holds, else from the period's beginning with nobody inside.

    A clock that is set later may move passages from before the mark out of the period; fewer than none have passed
    since the mark at no gate. Totals, closing balance and bounds all go by this.
    """
    if mark is None or not mark.holds(period_ns):
        return Since(period_ns, 0, period)
    return Since(mark.at_ns, mark.inside, subtract_gates(period, mark.gates))


@dataclass(frozen=True, slots=True)
class Tally:
    """The day so far. `low` and `high` bound the people inside; `basis` says by what: an accuracy check, or assumption.

    period: the passages since `period_ns`, when the number of people inside was last begun anew by schedule; since:
    those since it was last known.
    """

    day: str
    midnight_ns: int
    today: Gates
    total: Gates
    quarters: Mapping[int, Gates]
    inside: int
    low: int | None = None
    high: int | None = None
    period_ns: int = 0
    period: Gates = field(default_factory=dict)
    since: Since = Since()
    basis: Literal["check", "assumed"] | None = None

    @property
    def checked(self) -> tuple[int | None, int | None]:
        """`low` and `high` where an accuracy check stands behind them, as the page shows them."""
        return (self.low, self.high) if self.basis == "check" else (None, None)


@dataclass
class Tallier:
    """Adds up the day; closed records are added up again only when there is a new one or a new day."""

    zone: tzinfo
    names: tuple[str, ...]
    reset_at: str = "00:00"
    """When people inside begin at zero, on the site's clock; a whole quarter of an hour."""

    _begun: tuple[int, int] = (-1, -1)
    _until: Key = BEFORE_ALL
    _quarters: dict[int, Gates] = field(default_factory=dict)

    def tally(self, ledger: Ledger, now_ns: int, mark: Mark | None, until_ns: int | None = None) -> Tally:
        """The day so far, open intervals included. Bins whose time is not known yet are taken for now.

        until_ns: leave out what began then or later; a whole quarter of an hour.
        """
        begun, period_ns = midnight_ns(now_ns, self.zone), reset_ns(now_ns, self.zone, self.reset_at)
        first = min(begun, period_ns)
        self._add_up(ledger, begun, first)
        quarters = dict(self._quarters)
        for start_ns, gates in ledger.opened():
            at = now_ns if start_ns is None else start_ns
            if at >= first:
                _add(quarters, begun, at, gates)
        end = None if until_ns is None else (until_ns - begun) // QUARTER_NS
        quarters = {i: g for i, g in quarters.items() if end is None or i < end}
        none: Gates = dict.fromkeys(self.names, (0, 0))
        todays = {i: g for i, g in quarters.items() if i >= 0}
        from_quarter = (period_ns - begun) // QUARTER_NS
        period = add_gates(none, sum_gates([g for i, g in quarters.items() if i >= from_quarter]))
        today = add_gates(none, sum_gates(todays.values()))
        found = Tally(day(now_ns, self.zone), begun, today, add_gates(none, ledger.total()), todays, 0)
        known = since(period_ns, period, mark)
        return replace(found, inside=max(0, known.remaining), period_ns=period_ns, period=period, since=known)

    def _add_up(self, ledger: Ledger, begun: int, first: int) -> None:
        newest = ledger.newest()
        if ((begun, first), newest) == (self._begun, self._until):
            return
        found = ledger.closed_since(first, self._until) if (begun, first) == self._begun else None
        if found is None:
            self._quarters = {}
            found = ledger.closed_since(first) or []
        self._begun, self._until = (begun, first), newest
        for start_ns, gates in found:
            _add(self._quarters, begun, start_ns, gates)


def _add(quarters: dict[int, Gates], begun: int, at: int, gates: Gates) -> None:
    index = (at - begun) // QUARTER_NS
    quarters[index] = add_gates(quarters.get(index, {}), gates)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What health tells beyond lights and vitals."""

    queue: int
    last_record: int
    epoch: str
    uptime_s: int
    memory_mib: float
    disk_free_mib: int | None
    temperature_c: float | None
    undervoltage: bool | None
    throttled: bool | None
    refused_records: int
    refused_requests: int
    losses: Losses


class Reporter:
    """Everything this device says, each message built in one place."""

    def __init__(self, settings: Settings, zone: tzinfo) -> None:
        self._settings = settings
        self._zone = zone
        self._site, self._device = settings.device.site, settings.device.name
        self.drawn = (tuple(g.name for g in settings.gate), tuple(z.name for z in settings.zone))
        """The names of the gates and the zones in force."""

        self.in_force_sha256 = settings.sha256
        self.check: Mapping[str, Any] | None = None
        """The last accuracy check, as link keeps it."""

    def counts(self, record: Record, late: bool) -> Counts:  # the outbox's only flag
        """One record of the ledger."""
        interval = record.interval
        return Counts(
            site=self._site,
            device=self._device,
            epoch=record.epoch,
            record=record.number,
            start=None if interval.start_ns is None else stamp(interval.start_ns, self._zone),
            end=stamp(interval.end_ns, self._zone),
            gates=passed(interval.gates),
            total=passed(record.totals),
            blind_s=round(interval.blind_ns / NS_PER_S, 1),
            flags=tuple(sorted(interval.marks)),
            clock=interval.clock,
            late=late,
            replaces=record.replaces,
        )

    def totals(self, tally: Tally, epoch: str, now_ns: int) -> Totals:
        """The live sums."""
        return Totals(
            site=self._site,
            device=self._device,
            epoch=epoch,
            at=stamp_s(now_ns, self._zone),
            day=tally.day,
            today=passed(tally.today),
            total=passed(tally.total),
            occupancy=Occupancy(
                now=tally.inside,
                low=tally.low,
                high=tally.high,
                basis=tally.basis,
                since=stamp_s(tally.since.at_ns, self._zone),
                began=tally.since.began,
            ),
        )

    def closing(self, at_ns: int, body: Mapping[str, Any]) -> Closing:
        """The balance of a period that is over, as the ledger has it."""
        begun_ns = body.get("since_ns")
        return Closing(
            site=self._site,
            device=self._device,
            at=stamp_s(at_ns, self._zone),
            since=None if begun_ns is None else stamp_s(begun_ns, self._zone),
            **{key: body[key] for key in ("why", "began", "entered", "left", "remaining")},
        )

    def info(self, standing: Standing, hello: Hello | None) -> Info:
        """What the device is."""
        return Info(
            site=self._site,
            device=self._device,
            software=__version__,
            interval_s=self._settings.ledger.interval_s,
            gates=self.drawn[0],
            zones=self.drawn[1],
            settings_sha256=self.in_force_sha256,
            camera=hello.camera if hello else None,
            model=hello.model if hello else None,
            model_sha256=hello.model_sha256 if hello else None,
            epoch=standing.epoch,
            previous_epoch=standing.previous_epoch,
            previous_last=standing.previous_last,
            k=self._settings.traits.k,
            check=None if self.check is None else _checked(self.check),
        )

    def health(self, lights: Lights, vitals: Vitals | None, upkeep: Upkeep, now_ns: int) -> Health:
        """How the device is."""
        return Health(
            site=self._site,
            device=self._device,
            at=stamp_s(now_ns, self._zone),
            camera=lights[Subject.CAMERA][0],
            broker=lights[Subject.BROKER][0],
            clock=lights[Subject.CLOCK][0],
            storage=lights[Subject.STORAGE][0],
            power=lights[Subject.POWER][0],
            cause={s: cause for s, (_, cause) in lights.items() if cause is not Cause.NONE},
            fps=vitals.fps_milli / 1_000 if vitals else None,
            latency_median_ms=vitals.latency_median_ms if vitals else None,
            latency_p95_ms=vitals.latency_p95_ms if vitals else None,
            frames_dropped=vitals.dropped if vitals else None,
            eye_memory_mib=round(vitals.memory_kib / 1_024, 1) if vitals else None,
            link_memory_mib=upkeep.memory_mib,
            disk_free_mib=upkeep.disk_free_mib,
            temperature_c=upkeep.temperature_c,
            throttled=upkeep.throttled,
            undervoltage=upkeep.undervoltage,
            queue=upkeep.queue,
            last_record=upkeep.last_record,
            epoch=upkeep.epoch,
            uptime_s=upkeep.uptime_s,
            refused_records=upkeep.refused_records,
            refused_requests=upkeep.refused_requests,
            losses=upkeep.losses,
        )

    def zones(self, stats: ZoneStats, most: dict[str, int], run: str, now_ns: int) -> Zones:
        """The zones; `most` people at once in each since the last message."""
        return Zones(
            site=self._site,
            device=self._device,
            at=stamp_s(now_ns, self._zone),
            run=run[:8],
            zones=tuple(
                ZoneNow(zone=z.zone, people=z.people, queue=z.queue, most=most.get(z.zone, z.most), visits=z.dwell)
                for z in stats.zones
            ),
        )

    def alert(self, subject: Subject, lights: Lights, now_ns: int) -> Alert:
        """A light changed."""
        light, cause = lights[subject]
        at = stamp_s(now_ns, self._zone)
        return Alert(site=self._site, device=self._device, at=at, subject=subject, light=light, cause=cause)
