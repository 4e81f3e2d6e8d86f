# SPDX-License-Identifier: Apache-2.0
"""Link's loop, one step at a time: bins into the ledger, acknowledgements back, state and records out.

A bin is acknowledged after its commit. While the ledger cannot be written, bins wait here (eye sends at most a window
of them ahead), and beyond that in eye; the light turns red and counting goes on.
"""

import logging
import time
from dataclasses import dataclass
from functools import partial

from nigiwai.door.listener import Listener, Received
from nigiwai.door.records import Ack, Bin, Flag, Hello, Vitals
from nigiwai.door.tables import EventOver, TableTaken, TraitTable
from nigiwai.door.zones import ZoneStats
from nigiwai.enrol.trouble import Trouble, named, told
from nigiwai.errors import LedgerError
from nigiwai.link import identify, machine
from nigiwai.link.certificate_files import Certificates
from nigiwai.link.clerk import Clerk, World
from nigiwai.link.clock import Clock
from nigiwai.link.ledger import Ledger, Standing
from nigiwai.link.lights import Facts, Lights, assess, changed
from nigiwai.link.messages import Cause, Health, Light, Totals
from nigiwai.link.mqtt.announcer import announce
from nigiwai.link.mqtt.commands import Commands
from nigiwai.link.mqtt.publisher import Publisher, State
from nigiwai.link.mqtt.scada import Node
from nigiwai.link.names import known_only
from nigiwai.link.pacing import Budget
from nigiwai.link.report import Reporter, Tallier, Tally, Upkeep
from nigiwai.link.status.board import Board
from nigiwai.link.status.desk import Desk
from nigiwai.link.status.snapshot import Snapshot, snapshot
from nigiwai.link.store.file import DamagedError, FullError
from nigiwai.link.store.hand import Noted
from nigiwai.link.zone import load_zone
from nigiwai.settings import Settings

log = logging.getLogger(__name__)

TICK_S = 1.0
TOTALS_S = 5.0
HEALTH_S = 300.0
ZONES_S = 60.0
HEALTH_GAP_S = 10.0
"""A light that flickers is not worth more than this."""

ALERTS = (20.0, 1 / 60)
"""Alerts at once, and a second in the long run; health holds the state in any case."""

INFOS = (10.0, 1 / 60)
"""The same for `info`, which changes with every eye that says hello."""

TIDY_S = 3_600.0
RETRY_S = 1.0
VITALS_FRESH_S = 15.0
SHOW_S = 5.0
"""The page is told at least so often, so that it can tell a quiet door from a dead link."""

TOTALS_BUDGET_BYTES = (150_000.0, 15.0)
"""Burst and bytes a second in the long run: 1.5 MB a day at most, of the 3 MB that a device may send."""

WIRE_BYTES = 135.0
"""What a message costs beside its payload: topic, packet, PUBACK, and TCP and IP headers both ways (test_wire.py)."""

_OFF = State(connected=False, refused=False, why="off", tried=False)


@dataclass(slots=True)
class _Due:
    """When periodic work is next due, in seconds of the monotonic clock."""

    tick_s: float = 0.0
    totals_s: float = 0.0
    health_s: float = 0.0
    zones_s: float = 0.0
    tidy_s: float = 60.0
    show_s: float = 0.0


class Keeper:
    """Everything link does between two waits."""

    def __init__(
        self,
        settings: Settings,
        listener: Listener,
        ledger: Ledger,
        publisher: Publisher | None,
        reporter: Reporter,
        board: Board,
        clock: Clock,
        *,
        desk: Desk | None = None,
        scada: Node | None = None,
        salvaged: bool = False,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._ledger = ledger
        self._publisher = publisher
        self._scada = scada
        self._reporter = reporter
        self._board = board
        self._certificates = Certificates(settings.mqtt)
        self._clock = clock
        zone = load_zone(settings.ledger.timezone)
        self._tallier = Tallier(zone, tuple(g.name for g in settings.gate), settings.occupancy.reset_at)
        self._commands = Commands(settings, ledger, self._tally, partial(identify.ask, settings.door.socket.parent))
        self._zone = zone
        self._occupancy = self._commands.occupancy
        world = World(self._tally, self._occupancy.set_inside, self._occupancy.close, listener.tell)
        self._clerk = Clerk(settings, ledger, desk or Desk(), zone, world)
        self._begun_s = time.monotonic()
        self._due = _Due(tidy_s=self._begun_s + 60.0)
        self._now = clock()
        self._waiting: list[tuple[int, Bin]] = []
        self._retry_s = 0.0
        self._hello: Hello | None = None
        self._ungreeted: list[Hello] = []
        self._vitals: Vitals | None = None
        self._vitals_s = 0.0
        self._zones: ZoneStats | None = None
        self._most: dict[str, int] = {}
        self._last_bin_s = self._begun_s
        self._last_bin_ns: int | None = None
        self._lights: Lights = {}
        self._storage = Cause.STORAGE_SALVAGED if salvaged else Cause.NONE
        self._budget = Budget(*TOTALS_BUDGET_BYTES)
        self._alerts = Budget(*ALERTS)
        self._infos = Budget(*INFOS)
        self._health_s = -HEALTH_GAP_S
        self._changed = True
        self._told: tuple[object, ...] = ()
        self._told_closing: Noted | None = None
        self._informed: tuple[Standing, Hello | None] | None = None
        self._informs: tuple[int, int | None] | None = None
        self._standing: Standing = ledger.standing()
        self._gates_known: frozenset[str] = frozenset()
        self._know_gates()

    @property
    def busy(self) -> bool:
        """Whether the next step should come at once."""
        return self._publisher is not None and self._publisher.busy

    @property
    def restart_asked(self) -> bool:
        """Whether headquarters asked for a restart."""
        return self._commands.restart_asked

    def step(self, timeout_s: float) -> None:
        """Waits for eye, up to `timeout_s`, and does what is due."""
        self._take(self._listener.poll(timeout_s))
        self._serve_staff()
        now_s = time.monotonic()
        if self._waiting and now_s >= self._retry_s:
            self._commit(now_s)
        if now_s >= self._due.tick_s:
            self._due.tick_s = now_s + TICK_S
            self._tick(now_s)
        try:
            self._speak(now_s)
        except LedgerError as e:
            self._fail(e)

    def _serve_staff(self) -> None:
        """What staff asked for on the page; what they changed is told at once."""
        self._changed |= self._clerk.serve(self._utc_ns())
        if self._reporter.drawn != (drawn := (self._clerk.aiming.names, self._clerk.aiming.zone_names)):
            self._reporter.drawn, self._tallier.names = drawn, drawn[0]
            self._know_gates()
        if self._informs != (news := (self._clerk.aiming.version, self._clerk.checking.checked_ns)):
            self._informs, self._informed = news, None
            self._reporter.in_force_sha256 = self._clerk.aiming.in_force.sha256
            self._reporter.check = self._clerk.checking.stamp()

    def _speak(self, now_s: float) -> None:
        if self._changed or now_s >= self._due.show_s:
            self._changed, self._due.show_s = False, now_s + SHOW_S
            self._show(now_s)
        if self._publisher is not None:
            self._publish(self._publisher, now_s)
        if self._scada is not None:
            self._scada.step(now_s, self._utc_ns(), self._state)

    def stop(self, drain_s: float) -> None:
        """Takes what eye has sent, closes the open interval, sends what it can, and says `stopped`."""
        self._take(self._listener.poll(0.0))
        self._now = self._clock()
        try:
            if self._waiting:
                self._commit(time.monotonic())
            self._ledger.finish()
        except LedgerError as e:
            log.error("%s", e)
        if self._publisher is not None:
            self._say_good_bye(self._publisher, drain_s)
        if self._scada is not None:
            self._scada.stop(self._utc_ns())

    def _state(self) -> tuple[Totals, Health]:
        """The present as it would be sent now."""
        now_ns = self._utc_ns()
        totals = self._reporter.totals(self._tally(), self._standing.epoch, now_ns)
        return totals, self._reporter.health(self._lights, self._vitals, self._upkeep(), now_ns)

    def _say_good_bye(self, publisher: Publisher, drain_s: float) -> None:
        try:
            self._keep_totals(publisher)
            publisher.stop(drain_s, time.monotonic, self._utc_ns)
        except LedgerError as e:  # what the ledger cannot be asked stays in it; the will says that we are gone
            log.error("%s", e)
            publisher.close()

    # From eye

    def _take(self, received: list[Received]) -> None:
        for connection, record in received:
            match record:
                case Hello():
                    self._greet(record)
                case Vitals():
                    self._vitals, self._vitals_s = record, time.monotonic()
                case ZoneStats():
                    self._see_zones(record)
                case Bin():
                    self._waiting.append((connection, known_only(record, self._gates_known)))
                case TraitTable():
                    self._keep_table(connection, record)
                case _:
                    self._clerk.take(record, self._utc_ns())
        if received:
            self._now = self._clock()
            self._retry_s = min(self._retry_s, time.monotonic())

    def _keep_table(self, connection: int, table: TraitTable) -> None:
        """Stores a table and says so; where that fails, eye sends it again on its next connection."""
        try:
            if self._hello is not None:
                self._ledger.keep_table(table, self._hello.boot, self._utc_ns())
        except LedgerError as e:
            self._fail(e)
            return
        self._listener.send(connection, TableTaken(run=table.run, number=table.number))

    def _see_zones(self, stats: ZoneStats) -> None:
        """Keeps the latest until it is told, and the most people at once over all that came meanwhile."""
        if tuple(z.zone for z in stats.zones) != self._clerk.aiming.zone_names:
            return  # eye has not taken the latest zones yet, or says what nobody asked
        self._zones = stats
        self._most |= {z.zone: max(z.most, self._most.get(z.zone, 0)) for z in stats.zones}

    def _know_gates(self) -> None:
        """Learns the gates in force, and tells Home Assistant; no name that eye made up is ever stored or sent."""
        names = self._clerk.aiming.names
        try:
            self._gates_known = self._ledger.know_gates(names)
            self._standing = self._ledger.standing()
            if self._publisher is not None:
                announce(self._settings, self._ledger, self._publisher, names, self._gates_known)
        except LedgerError as e:
            self._gates_known |= frozenset(names)
            self._fail(e)

    def _greet(self, hello: Hello) -> None:
        if hello.boot != self._now.boot:
            log.warning("eye speaks of another boot; the time of its bins is not known")
        if hello != self._hello:
            self._ungreeted.append(hello)  # bins of the run before may still wait for the disk
        self._hello = hello
        self._changed = True
        self._clerk.eye_came()
        log.info("eye %s, model %s %s", hello.version, hello.model, hello.model_sha256[:12])

    def _commit(self, now_s: float) -> None:
        """Stores what waits, then acknowledges it; tried again a little later where that fails."""
        try:
            while self._ungreeted:
                self._ledger.greet(self._ungreeted[0])
                del self._ungreeted[0]
            self._ledger.commit([b for _, b in self._waiting])
        except LedgerError as e:
            self._retry_s = now_s + RETRY_S
            self._fail(e)
            return
        self._heal()
        for connection, stored in self._waiting:
            self._listener.send(connection, Ack(run=stored.run, sequence=stored.sequence))
        self._waiting.clear()
        self._last_bin_s, self._last_bin_ns = now_s, self._utc_ns()
        self._changed = True

    def _fail(self, error: LedgerError) -> None:
        """Raises where only a new start helps: it salvages the file, and eye keeps its bins until then."""
        if isinstance(error, DamagedError):
            raise error
        if self._storage not in (Cause.STORAGE_FAILED, Cause.STORAGE_FULL):
            log.error("%s%s", "" if isinstance(error, FullError) else f"{Trouble.CARD}: ", error)
        self._storage = Cause.STORAGE_FULL if isinstance(error, FullError) else Cause.STORAGE_FAILED
        self._changed = True

    def _heal(self) -> None:
        if self._storage in (Cause.STORAGE_FAILED, Cause.STORAGE_FULL):
            log.info("the ledger can be written again")
            self._storage = Cause.NONE

    # From time

    def _tick(self, now_s: float) -> None:
        self._now = self._clock()
        silent_ns = int((now_s - self._last_bin_s) * 1e9)
        try:
            self._changed |= self._ledger.tick(self._now, silent_ns)
            self._changed |= self._occupancy.step(
                self._zone, self._settings.occupancy.reset_at, self._clerk.aiming.names, self._utc_ns()
            )
            if now_s >= self._due.tidy_s:
                self._due.tidy_s = now_s + TIDY_S
                self._ledger.tidy(self._utc_ns())
        except LedgerError as e:
            self._fail(e)
        self._look(now_s)

    def _utc_ns(self) -> int:
        place = self._ledger.place
        return place.utc_ns(self._now.boot_ns) if place else self._now.utc_ns

    def _look(self, now_s: float) -> None:
        """The lights; a change of one is told at once."""
        before, self._lights = self._lights, assess(self._facts(now_s))
        subjects = changed(before, self._lights)
        for subject in subjects:
            light, cause = self._lights[subject]
            log.log(logging.INFO if light is Light.OK else logging.WARNING, "%s: %s (%s)", subject, light, cause)
            if self._publisher is not None and self._alerts.take(1.0, now_s):
                self._publisher.tell("alert", self._reporter.alert(subject, self._lights, self._utc_ns()))
        if subjects:
            self._changed, self._due.health_s = True, max(now_s, self._health_s + HEALTH_GAP_S)

    def _facts(self, now_s: float) -> Facts:
        broker = self._publisher.state if self._publisher else _OFF
        fresh = self._vitals is not None and now_s - self._vitals_s < VITALS_FRESH_S
        undervoltage, throttled = machine.power()
        place = self._ledger.place
        flags: tuple[Flag, ...] = self._vitals.flags if self._vitals else ()
        if not fresh:  # that there is no camera are an eye's last words, and hold until another says otherwise
            flags = tuple(flag for flag in flags if flag is Flag.CAMERA_LOST)
        return Facts(
            eye_connected=self._listener.connected,
            eye_flags=flags,
            broker_enabled=self._publisher is not None,
            broker_tried=broker.tried,
            broker_connected=broker.connected,
            broker_refused=broker.refused,
            certificate=next(iter(self._certificates.look(self._now.utc_ns)), None),
            clock=place.state if place else None,
            storage=self._storage,
            disk_free_mib=machine.disk_free_mib(self._settings.ledger.path.parent),
            temperature_c=machine.temperature_c(),
            undervoltage=undervoltage,
            throttled=throttled,
        )

    # To the broker and the page

    def _tally(self) -> Tally:
        now_ns = self._utc_ns()
        tally = self._tallier.tally(self._ledger, now_ns, self._occupancy.mark)
        return self._clerk.checking.bounded(tally, now_ns)

    def _show(self, now_s: float) -> None:
        if not self._lights:
            self._look(now_s)
        age_s = None if self._last_bin_ns is None else now_s - self._last_bin_s
        seen = Snapshot(
            settings=self._settings,
            zone=self._zone,
            now_ns=self._utc_ns(),
            tally=self._tally(),
            lights=self._lights,
            vitals=self._vitals,
            age_s=age_s,
            queue=self._ledger.queue_length(),
            uptime_s=int(now_s - self._begun_s),
            temperature_c=machine.temperature_c(),
            disk_free_mib=machine.disk_free_mib(self._settings.ledger.path.parent),
            check=self._clerk.checking.stamp(),
            event=self._ledger.event,
            troubles=self._troubles(),
        )
        self._board.show(snapshot(seen))
        senders = (s for s in (self._publisher, self._scada) if s is not None)
        self._board.show_sent({topic: payload for s in senders for topic, payload in s.sent.items()})

    def _troubles(self) -> tuple[Trouble, ...]:
        """What stands on the label's list and holds now, but for the card, of which the light tells."""
        broker = named(self._publisher.state.why) if self._publisher else ()
        return told() + tuple(flaw.trouble for flaw in self._certificates.flaws) + broker

    def _publish(self, publisher: Publisher, now_s: float) -> None:
        for asked in publisher.step(now_s, self._utc_ns()):
            self._answer(publisher, asked.topic, asked.payload, now_s, retained=asked.retained)
        if now_s >= self._due.totals_s:
            self._due.totals_s = now_s + TOTALS_S
            self._keep_totals(publisher)
        if self._informed != (told := (self._standing, self._hello)) and self._infos.take(1.0, now_s):
            self._informed = told
            publisher.keep("info", self._reporter.info(self._standing, self._hello))
        if now_s >= self._due.health_s:
            self._health_s, self._due.health_s = now_s, now_s + HEALTH_S
            publisher.keep("health", self._reporter.health(self._lights, self._vitals, self._upkeep(), self._utc_ns()))

        if (closed := self._occupancy.closed) is not None and closed is not self._told_closing:
            self._told_closing = closed
            publisher.keep("closing", self._reporter.closing(closed.at_ns, closed.body))
        if self._zones is not None and self._hello is not None and now_s >= self._due.zones_s:
            self._due.zones_s = now_s + ZONES_S
            zones, self._zones = self._zones, None
            publisher.keep("zones", self._reporter.zones(zones, self._most, self._hello.run, self._utc_ns()))
            self._most = {}

    def _answer(self, publisher: Publisher, topic: str, payload: bytes, now_s: float, *, retained: bool) -> None:
        answer = self._commands.take(topic, payload, now_s, self._utc_ns(), retained=retained)
        if self._commands.event_over:
            self._commands.event_over = False
            self._listener.tell(EventOver())
        if answer is None:
            return
        if answer.records and not publisher.send_again(answer.records):
            answer = answer.too_often()
        publisher.tell(f"response/{answer.response.command}", answer.response)
        self._changed |= answer.effect is not None

    def _keep_totals(self, publisher: Publisher) -> None:
        """Sends the sums where they changed; on a long busy day less often than every five seconds."""
        now_ns, tally = self._utc_ns(), self._tally()
        told = (tally.day, tally.today, tally.total, tally.inside, tally.since.at_ns, tally.basis)
        if told == self._told:
            return
        message = self._reporter.totals(tally, self._standing.epoch, now_ns)
        if self._budget.take(len(message.to_json()) + WIRE_BYTES, time.monotonic()):
            self._told = told
            publisher.keep("totals", message)

    def _upkeep(self) -> Upkeep:
        undervoltage, throttled = machine.power()
        return Upkeep(
            queue=self._ledger.queue_length(),
            last_record=self._ledger.standing().last_record,
            epoch=self._standing.epoch,
            uptime_s=int(time.monotonic() - self._begun_s),
            memory_mib=machine.memory_mib(),
            disk_free_mib=machine.disk_free_mib(self._settings.ledger.path.parent),
            temperature_c=machine.temperature_c(),
            undervoltage=undervoltage,
            throttled=throttled,
            refused_records=self._listener.refused,
            refused_requests=self._commands.refused + (self._publisher.flooded if self._publisher else 0),
            losses=self._ledger.losses(),
        )
