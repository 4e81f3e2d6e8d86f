# SPDX-License-Identifier: Apache-2.0
"""Sends what the ledger holds, and the state of the device; one step at a time on link's own thread.

    ledger ──pending──► window of a few records ──► broker ──PUBACK──► ledger: acknowledged
    state  ──latest───► when it changed, and all of it after each connection

History and state do not wait for each other: the state is one message a kind, whatever the outbox holds. A record
counts as delivered when the broker says so with a reason code below 0x80, and not before.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nigiwai.errors import LedgerError
from nigiwai.link.ledger import BEFORE_ALL
from nigiwai.link.messages import Availability, Envelope
from nigiwai.link.mqtt.connection import (
    Address,
    Answered,
    Asked,
    Connected,
    Connection,
    Flooded,
    Happening,
    Lost,
    Will,
)
from nigiwai.link.pacing import Backoff
from nigiwai.link.store.rows import Key, Record
from nigiwai.link.topics import Topics
from nigiwai.settings import Mqtt

log = logging.getLogger(__name__)

WINDOW = 32
"""Records under way at once."""

REFUSED_PAUSE_S = 30.0
"""A broker that refuses a record is asked again after this long."""

SETTLE_PAUSE_S = 1.0

STEADY_S = 10.0
"""A connection that held this long was a good one: after it the brokers are tried in order again, without delay."""

STALLED_S = 60.0
"""A broker that keeps a connection but takes nothing for so long is left; a live connection may not repeat (MQTT 5,
section 4.4)."""

TABLES_S = 1.0

_PASSING = 64
_AGAIN = 4_096
_TOPICS_SHOWN = 32


class Outbox(Protocol):
    """What the publisher needs of the ledger."""

    def pending(self, after: Key, limit: int) -> list[Record]:
        """The oldest records that the broker has not taken, beyond `after`."""
        ...

    def newest(self) -> Key:
        """The last record made."""
        ...

    def acknowledge(self, keys: Sequence[Key], now_ns: int) -> None:
        """The broker took these."""
        ...


class Tables(Protocol):
    """The tables of who came that wait to be sent, each with its number, as messages."""

    def pending(self) -> list[tuple[int, Envelope]]:
        """The oldest that the broker has not taken."""
        ...

    def acknowledge(self, numbers: Sequence[int], now_ns: int) -> None:
        """The broker took these."""
        ...


Render = Callable[[Record, bool], Envelope]
"""A record as a message; the flag says whether it is late."""


@dataclass(frozen=True, slots=True)
class State:
    """How the connection to the broker is."""

    connected: bool
    refused: bool
    why: str
    tried: bool = True


class Publisher:
    """Keeps a connection, and everything sent that should be."""

    def __init__(
        self, settings: Mqtt, topics: Topics, outbox: Outbox, render: Render, tables: Tables | None = None
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._outbox = outbox
        self._render = render
        self._addresses = [Address(settings.host, settings.port)]
        self._addresses += [Address(b.host, b.port) for b in settings.fallback]
        self._tries = 0
        self._backoff = Backoff()
        self._next_try_s = 0.0
        self._connection: Connection | None = None
        self._connected = False
        self._since_s = 0.0
        self._progress_s = 0.0
        self._state = State(connected=False, refused=False, why="", tried=False)
        self._under_way: dict[int, Key] = {}
        self._sent_until: Key = BEFORE_ALL
        self._late_until: Key = BEFORE_ALL
        self._taken: list[Key] = []
        self._settle_after_s = 0.0
        self._blocked_until_s = 0.0
        self._retained: dict[str, bytes] = {}
        self._stale: dict[str, None] = {}
        self._passing: deque[tuple[str, bytes]] = deque(maxlen=_PASSING)
        self._again: deque[Record] = deque()
        self._other: set[int] = set()
        self._tables = tables
        self._tables_under_way: dict[int, int] = {}
        self._tables_taken: list[int] = []
        self._tables_due_s = 0.0
        self.flooded = 0
        self.sent: dict[str, bytes] = {}
        """The last message that went out under each topic, to the byte; the page shows it to anybody who asks."""

    @property
    def state(self) -> State:
        """How the connection is."""
        return self._state

    @property
    def busy(self) -> bool:
        """Whether answers of the broker are awaited, so that the next step should come soon."""
        awaited = self._under_way or self._tables_under_way or self._stale or self._again
        return self._connected and bool(awaited)

    def keep(self, leaf: str, message: Envelope) -> None:
        """Sends retained state; only the latest of a kind matters."""
        self.keep_at(self._topics.of(leaf), message.to_json())

    def keep_at(self, topic: str, payload: bytes) -> None:
        """The same, anywhere in the broker's tree; an empty payload removes what was there."""
        if self._retained.get(topic) != payload:
            self._retained[topic] = payload
            self._stale[topic] = None

    def tell(self, leaf: str, message: Envelope) -> None:
        """Sends something passing; the oldest is dropped if too many wait for a connection."""
        self._passing.append((self._topics.of(leaf), message.to_json()))

    def send_again(self, records: Sequence[Record]) -> bool:
        """Queues records for sending again; whether there was room for all of them."""
        if len(self._again) + len(records) > _AGAIN:
            return False
        self._again.extend(records)
        return True

    def step(self, now_s: float, utc_ns: int) -> list[Asked]:
        """Does what can be done without waiting; returns the requests that came."""
        if self._connection is None:
            self._maybe_connect(now_s)
            return []
        asked = self._take(self._connection.happenings(), now_s, utc_ns)
        if self._connected:
            self._leave_if_stalled(now_s)
        if self._connected:
            self._send_state()
            self._send_records(now_s)
            self._send_tables(now_s)
        return asked

    def _leave_if_stalled(self, now_s: float) -> None:
        if not self._under_way:
            self._progress_s = now_s
        elif now_s - self._progress_s >= STALLED_S:
            self._on_lost(Lost(f"nothing was acknowledged for {STALLED_S:.0f} s"), now_s)

    def stop(self, patience_s: float, now_s: Callable[[], float], utc_ns: Callable[[], int]) -> None:
        """Drains the outbox for up to `patience_s`, over a connection that is just being made too; says `stopped`, and
        closes.
        """
        end = now_s() + patience_s
        self.step(now_s(), utc_ns())
        while self._connection is not None and self._left() and self.wait(end - now_s()):
            self.step(now_s(), utc_ns())
        self.keep("availability", self._availability("stopped"))
        self.step(now_s(), utc_ns())
        while self._connected and self._other and self.wait(end + 1.0 - now_s()):
            self.step(now_s(), utc_ns())
        self.close()

    def close(self) -> None:
        """Ends the connection without another word."""
        if self._connection is not None:
            self._connection.close()
        self._drop()

    def wait(self, timeout_s: float) -> bool:
        """Waits until something happens or a moment has passed; whether there was time left to wait."""
        if timeout_s <= 0.0 or self._connection is None:
            return False
        self._connection.wait(min(timeout_s, 0.1))
        return True

    def _left(self) -> bool:
        sending = self._under_way or self._tables_under_way or self._taken or self._tables_taken
        waiting = self._stale or self._again or self._unsent(1) or (self._tables and self._tables.pending())
        return bool(sending or waiting)

    def _availability(self, state: str) -> Availability:
        return Availability.model_validate({"site": self._topics.site, "device": self._topics.device, "state": state})

    def _maybe_connect(self, now_s: float) -> None:
        if now_s < self._next_try_s:
            return
        address = self._addresses[self._tries % len(self._addresses)]
        will = Will(self._topics.of("availability"), self._availability("offline").to_json())
        client_id = f"nigiwai-{self._topics.site}-{self._topics.device}"
        self._connection = Connection(address, self._settings, client_id, will)

    def _take(self, happenings: Sequence[Happening], now_s: float, utc_ns: int) -> list[Asked]:
        asked: list[Asked] = []
        for happening in happenings:
            match happening:
                case Connected():
                    self._on_connected(now_s)
                case Lost():
                    self._on_lost(happening, now_s)
                case Answered():
                    self._on_answered(happening, now_s)
                case Asked():
                    asked.append(happening)
                case Flooded():
                    self.flooded += happening.count
        self._settle(now_s, utc_ns)
        return asked

    def _settle(self, now_s: float, utc_ns: int) -> None:
        """Notes in the ledger what was delivered, again and again where it cannot be written just now."""
        if not (self._taken or self._tables_taken) or now_s < self._settle_after_s:
            return
        try:
            if self._taken:
                self._outbox.acknowledge(self._taken, utc_ns)
                self._taken.clear()
            if self._tables and self._tables_taken:
                self._tables.acknowledge(self._tables_taken, utc_ns)
                self._tables_taken.clear()
        except LedgerError:
            self._settle_after_s = now_s + SETTLE_PAUSE_S

    def _on_connected(self, now_s: float) -> None:
        connection = self._connection
        if connection is None:
            return
        if not self._state.connected:
            log.info("broker %s: connected", connection.address)
        self._connected, self._since_s, self._progress_s = True, now_s, now_s
        self._state = State(connected=True, refused=False, why="")
        self._sent_until, self._late_until = BEFORE_ALL, self._outbox.newest()
        connection.subscribe(self._topics.requests)
        self._retained[self._topics.of("availability")] = self._availability("online").to_json()
        self._stale = dict.fromkeys(self._retained)

    def _on_lost(self, lost: Lost, now_s: float) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._state.connected or self._state.why != lost.why:
            log.warning("broker %s: %s", connection.address, lost.why)
        connection.close()
        refused = lost.refused or (self._state.refused and not self._connected)
        steady = self._connected and now_s - self._since_s >= STEADY_S
        self._state = State(connected=False, refused=refused, why=lost.why)
        self._drop()
        if steady:
            self._backoff.reset()
        self._tries = 0 if steady else (self._tries + 1) % len(self._addresses)
        pause_s = self._backoff.next_s(random.random()) if self._tries == 0 else 0.0  # noqa: S311
        self._next_try_s = now_s + pause_s

    def _drop(self) -> None:
        self._connection, self._connected = None, False
        self._under_way.clear()
        self._tables_under_way.clear()
        self._other.clear()
        self._sent_until = BEFORE_ALL

    def _on_answered(self, answered: Answered, now_s: float) -> None:
        self._other.discard(answered.mid)
        self._progress_s = now_s
        if (number := self._tables_under_way.pop(answered.mid, None)) is not None:
            # One that is refused stays in the ledger and is sent again a pause later.
            self._tables_taken += [number] if answered.taken else []
        key = self._under_way.pop(answered.mid, None)
        if key is None:
            return
        if answered.taken:
            self._taken.append(key)
            return
        if not self._state.refused:
            log.warning("broker refuses records: %s", answered.why)
        self._state = State(connected=True, refused=True, why=answered.why)
        self._blocked_until_s = now_s + REFUSED_PAUSE_S
        self._sent_until = min(self._sent_until, (key[0], key[1] - 1))

    def _send_state(self) -> None:
        for topic in list(self._stale):
            mid = self._publish(topic, self._retained[topic], retain=True)
            if mid is None:
                return
            del self._stale[topic]
        while self._passing:
            if self._publish(*self._passing[0], retain=False) is None:
                return
            self._passing.popleft()

    def _publish(self, topic: str, payload: bytes, *, retain: bool) -> int | None:
        mid = self._connection.publish(topic, payload, retain=retain) if self._connection else None
        if mid is not None:
            self._other.add(mid)
            self._note_sent(topic, payload)
        return mid

    def _note_sent(self, topic: str, payload: bytes) -> None:
        if topic in self.sent or len(self.sent) < _TOPICS_SHOWN:
            self.sent[topic] = payload

    def _send_records(self, now_s: float) -> None:
        room = WINDOW - len(self._under_way)
        if room <= 0 or now_s < self._blocked_until_s:
            return
        for record in self._unsent(room):
            if not self._send_record(record, late=record.key <= self._late_until):
                return
            self._sent_until = max(self._sent_until, record.key)
            self._state = State(connected=True, refused=False, why="")
        self._resend()

    def _send_tables(self, now_s: float) -> None:
        """Sends tables, the oldest few at a time; asked of the ledger once a second."""
        if self._tables is None or self._tables_under_way or now_s < self._tables_due_s or self._connection is None:
            return
        self._tables_due_s = now_s + TABLES_S
        for number, message in self._tables.pending():
            if number in self._tables_taken:
                continue
            topic, payload = self._topics.of("traits"), message.to_json()
            mid = self._connection.publish(topic, payload)
            if mid is None:
                return
            self._note_sent(topic, payload)
            self._tables_under_way[mid] = number

    def _resend(self) -> None:
        while self._again and len(self._under_way) < WINDOW and self._send_record(self._again[0], late=True):
            self._again.popleft()

    def _unsent(self, limit: int) -> list[Record]:
        """The oldest records that the broker has not taken and that are not under way."""
        known = {*self._under_way.values(), *self._taken}
        found = self._outbox.pending(self._sent_until, limit + len(known))
        return [r for r in found if r.key not in known][:limit]

    def _send_record(self, record: Record, *, late: bool) -> bool:
        if self._connection is None:
            return False
        topic, payload = self._topics.of("counts"), self._render(record, late).to_json()
        mid = self._connection.publish(topic, payload)
        if mid is None:
            return False
        self._note_sent(topic, payload)
        self._under_way[mid] = record.key
        return True
