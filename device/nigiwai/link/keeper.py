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
from nigiwai.door.records import Ack, Bin, Hello, Vitals
from nigiwai.door.tables import EventOver, TableTaken, TraitTable
from nigiwai.door.zones import ZoneStats
from nigiwai.enrol.trouble import Trouble, named, told
from nigiwai.errors import LedgerError
from nigiwai.link import identify, machine
from nigiwai.link.clerk import Clerk, World
from nigiwai.link.clock import Clock
from nigiwai.link.condition import Condition
from nigiwai.link.ledger import Ledger, Standing
from nigiwai.link.messages import Health, Totals
from nigiwai.link.mqtt.announcer import announce
from nigiwai.link.mqtt.commands import Commands
from nigiwai.link.mqtt.publisher import Publisher, State
from nigiwai.link.mqtt.scada import Node
from nigiwai.link.names import known_only
from nigiwai.link.report import Reporter, Tallier, Tally, Upkeep
from nigiwai.link.status.board import Board
from nigiwai.link.status.desk import Desk
from nigiwai.link.status.snapshot import Snapshot, snapshot
from nigiwai.link.telling import Present, Teller
from nigiwai.link.zone import load_zone
from nigiwai.settings import Settings

log = logging.getLogger(__name__)

TICK_S = 1.0
TIDY_S = 3_600.0
RETRY_S = 1.0
SHOW_S = 5.0
"""The page is told at least so often, so that it can tell a quiet door from a dead link."""

_OFF = State(connected=False, refused=False, why="off", tried=False)


@dataclass(slots=True)
class _Due:
    """When periodic work is next due, in seconds of the monotonic clock."""

    tick_s: float = 0.0
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
        self._condition = Condition(settings, salvaged=salvaged)
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
        self._last_bin_s = self._begun_s
        self._last_bin_ns: int | None = None
        self._changed = True
        self._teller = self._make_teller(publisher)
        self._informs: tuple[int, int | None] | None = None
        self._standing: Standing = ledger.standing()
        self._gates_known: frozenset[str] = frozenset()
        self._know_gates()

    def _make_teller(self, publisher: Publisher | None) -> Teller | None:
        if publisher is None:
            return None
        present = Present(
            utc_ns=self._utc_ns,
            standing=lambda: self._standing,
            hello=lambda: self._hello,
            tally=self._tally,
            health=self._health,
            closed=lambda: self._occupancy.closed,
        )
        over = partial(self._listener.tell, EventOver())
        return Teller(publisher, self._reporter, self._commands, over, present)

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
            self._informs = news
            if self._teller is not None:
                self._teller.inform_again()
            self._reporter.in_force_sha256 = self._clerk.aiming.in_force.sha256
            self._reporter.check = self._clerk.checking.stamp()

    def _speak(self, now_s: float) -> None:
        if self._changed or now_s >= self._due.show_s:
            self._changed, self._due.show_s = False, now_s + SHOW_S
            self._show(now_s)
        if self._teller is not None:
            self._changed |= self._teller.step(now_s)
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
        if self._publisher is not None and self._teller is not None:
            self._say_good_bye(self._publisher, self._teller, drain_s)
        if self._scada is not None:
            self._scada.stop(self._utc_ns())

    def _state(self) -> tuple[Totals, Health]:
        """The present as it would be sent now."""
        now_ns = self._utc_ns()
        totals = self._reporter.totals(self._tally(), self._standing.epoch, now_ns)
        return totals, self._health()

    def _health(self) -> Health:
        return self._reporter.health(self._condition.lights, self._condition.vitals, self._upkeep(), self._utc_ns())

    def _say_good_bye(self, publisher: Publisher, teller: Teller, drain_s: float) -> None:
        try:
            teller.keep_totals(time.monotonic())
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
                    self._condition.take(record, time.monotonic())
                case ZoneStats():
                    if self._teller is not None:
                        self._teller.zones.see(record, self._clerk.aiming.zone_names)
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
        self._condition.heal()
        for connection, stored in self._waiting:
            self._listener.send(connection, Ack(run=stored.run, sequence=stored.sequence))
        self._waiting.clear()
        self._last_bin_s, self._last_bin_ns = now_s, self._utc_ns()
        self._changed = True

    def _fail(self, error: LedgerError) -> None:
        self._condition.fail(error)
        self._changed = True

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
        place = self._ledger.place
        broker = self._publisher.state if self._publisher else _OFF
        subjects = self._condition.look(
            now_s, self._now.utc_ns, broker, place.state if place else None, eye_connected=self._listener.connected
        )
        if self._teller is not None:
            self._teller.alert(subjects, self._condition.lights, now_s)
        self._changed |= bool(subjects)

    # To the broker and the page

    def _tally(self) -> Tally:
        now_ns = self._utc_ns()
        tally = self._tallier.tally(self._ledger, now_ns, self._occupancy.mark)
        return self._clerk.checking.bounded(tally, now_ns)

    def _show(self, now_s: float) -> None:
        if not self._condition.lights:
            self._look(now_s)
        age_s = None if self._last_bin_ns is None else now_s - self._last_bin_s
        seen = Snapshot(
            settings=self._settings,
            zone=self._zone,
            now_ns=self._utc_ns(),
            tally=self._tally(),
            lights=self._condition.lights,
            vitals=self._condition.vitals,
            age_s=age_s,
            queue=self._ledger.queue_length(),
            uptime_s=int(now_s - self._begun_s),
            temperature_c=machine.temperature_c(),
            disk_free_mib=self._condition.disk_free_mib,
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
        return told() + self._condition.troubles + broker

    def _upkeep(self) -> Upkeep:
        undervoltage, throttled = machine.power()
        return Upkeep(
            queue=self._ledger.queue_length(),
            last_record=self._ledger.standing().last_record,
            epoch=self._standing.epoch,
            uptime_s=int(time.monotonic() - self._begun_s),
            memory_mib=machine.memory_mib(),
            disk_free_mib=self._condition.disk_free_mib,
            temperature_c=machine.temperature_c(),
            undervoltage=undervoltage,
            throttled=throttled,
            refused_records=self._listener.refused,
            refused_requests=self._commands.refused + (self._publisher.flooded if self._publisher else 0),
            losses=self._ledger.losses(),
        )
