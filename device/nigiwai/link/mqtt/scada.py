# SPDX-License-Identifier: Apache-2.0
"""A Sparkplug B edge node beside the publisher, for those with an industrial SCADA. Off unless set.

It has a connection of its own, since its last will is another one. What must not be lost goes through the publisher and
its acknowledgements; Sparkplug's data is QoS 0 by its rules, so intervals are sent again from a noted one after a
connection broke, and a SCADA that sees one twice sees the same time stamp and value.
"""

import logging
import random
from collections.abc import Callable, Sequence
from typing import Protocol

from nigiwai.link.intervals import NS_PER_MS
from nigiwai.link.messages import Counts, Health, Totals
from nigiwai.link.mqtt import sparkplug
from nigiwai.link.mqtt.connection import Address, Asked, Connected, Connection, Lost, Will
from nigiwai.link.mqtt.sparkplug import Ids, Metric, Value
from nigiwai.link.pacing import Backoff, Budget
from nigiwai.link.store.rows import Key, Record
from nigiwai.settings import Sparkplug

log = logging.getLogger(__name__)

STATE_S = 5.0
STEADY_S = 10.0
REBIRTHS = (5.0, 0.1)
"""Rebirths at once, and a second in the long run."""

_BATCH = 32
_MODULUS = 256
_BIRTH_NOTE = "sparkplug-birth"
_SENT_NOTE = "sparkplug-sent"


class Book(Protocol):
    """What the node needs of the ledger."""

    def newest(self) -> Key:
        """The last record made."""
        ...

    def following(self, after: Key, limit: int) -> Sequence[Record]:
        """The records that count, beyond `after`, whether the broker took them or not."""
        ...

    def read_note(self, key: str) -> str | None:
        """What was last noted under `key`."""
        ...

    def write_note(self, key: str, value: str) -> None:
        """Notes `value` under `key`."""
        ...


State = Callable[[], tuple[Totals, Health]]
Render = Callable[[Record, bool], Counts]


class Node:
    """Connects, gives birth, and says what changed."""

    def __init__(self, settings: Sparkplug, ids: Ids, book: Book, render: Render, gates: Sequence[str]) -> None:
        """Raises SettingsError where the protobuf library is missing."""
        sparkplug.check_library()
        self._settings, self._ids, self._book, self._render = settings, ids, book, render
        self._gates = tuple(gates)
        self._backoff = Backoff()
        self._rebirths = Budget(*REBIRTHS)
        self._connection: Connection | None = None
        self._connected = False
        self._why = ""
        self._since_s = self._next_try_s = self._state_s = self._noted_s = 0.0
        self._birth_number = self._sequence = 0
        self._will = Will("", b"")
        self._shown: dict[str, Value] = {}
        self._sent = self._settled = _key_of(book.read_note(_SENT_NOTE)) or book.newest()
        self._late_until = self._sent
        self.refused = 0
        self.sent: dict[str, bytes] = {}
        """The last message under each topic, the last will included, which the broker has from the beginning."""

    def step(self, now_s: float, utc_ns: int, state: State) -> None:
        """Does what can be done without waiting."""
        if self._connection is None:
            self._maybe_connect(now_s, utc_ns)
            return
        for happening in self._connection.happenings():
            match happening:
                case Connected():
                    self._on_connected(now_s, utc_ns, state)
                case Lost():
                    self._on_lost(happening, now_s)
                    return
                case Asked():
                    self._on_asked(happening, now_s, utc_ns, state)
                case _:
                    pass
        if self._connected:
            self._send_intervals(now_s, utc_ns)
            self._send_state(now_s, utc_ns, state)

    def stop(self, utc_ns: int) -> None:
        """Says that this node dies, as its will would, and goes."""
        if self._connection is not None:
            if self._connected:
                topic, payload = self._ids.topic("NDEATH"), self._death(utc_ns)
                if self._connection.publish(topic, payload) is not None:
                    self.sent[topic] = payload
            self._connection.close()
        self._connection, self._connected = None, False

    def _maybe_connect(self, now_s: float, utc_ns: int) -> None:
        if now_s < self._next_try_s:
            return
        self._birth_number = (int(self._book.read_note(_BIRTH_NOTE) or -1) + 1) % _MODULUS
        self._book.write_note(_BIRTH_NOTE, str(self._birth_number))
        self._note_sent()
        self._will = Will(self._ids.topic("NDEATH"), self._death(utc_ns), retain=False)
        client_id = f"nigiwai-scada-{self._ids.group}-{self._ids.node}"
        address = Address(self._settings.host, self._settings.port)
        self._connection = Connection(address, self._settings, client_id, self._will)

    def _death(self, utc_ns: int) -> bytes:
        at_ms = utc_ns // NS_PER_MS
        return sparkplug.encode([sparkplug.birth_number(self._birth_number, at_ms)], at_ms, None)

    def _on_connected(self, now_s: float, utc_ns: int, state: State) -> None:
        if self._connection is None:
            return
        log.info("sparkplug %s: connected", self._connection.address)
        self.sent[self._will.topic] = self._will.payload
        self._connected, self._since_s, self._why = True, now_s, ""
        self._sent, self._late_until = self._settled, self._book.newest()
        self._connection.subscribe(self._ids.topic("NCMD"))
        self._give_birth(utc_ns, state)

    def _on_lost(self, lost: Lost, now_s: float) -> None:
        if self._connection is not None:
            if self._why != lost.why:
                log.warning("sparkplug %s: %s", self._connection.address, lost.why)
            self._connection.close()
        if self._connected and now_s - self._since_s >= STEADY_S:
            self._backoff.reset()
        self._connection, self._connected, self._why = None, False, lost.why
        self._next_try_s = now_s + self._backoff.next_s(random.random())  # noqa: S311

    def _on_asked(self, asked: Asked, now_s: float, utc_ns: int, state: State) -> None:
        """The only command there is: a new birth certificate."""
        if sparkplug.rebirth_asked(asked.payload) and self._rebirths.take(1.0, now_s):
            self._give_birth(utc_ns, state)
        else:
            self.refused += 1

    def _give_birth(self, utc_ns: int, state: State) -> None:
        at_ms = utc_ns // NS_PER_MS
        present = sparkplug.state_metrics(*state(), at_ms)
        self._shown = {m.name: m.value for m in present}
        self._sequence = -1
        control = Metric(sparkplug.REBIRTH, sparkplug.Type.BOOLEAN, False, at_ms)
        names = sparkplug.interval_names(self._gates, at_ms)
        self._publish("NBIRTH", [sparkplug.birth_number(self._birth_number, at_ms), control, *present, *names], at_ms)

    def _publish(self, kind: str, metrics: Sequence[Metric], at_ms: int) -> bool:
        if self._connection is None:
            return False
        sequence = (self._sequence + 1) % _MODULUS
        topic, payload = self._ids.topic(kind), sparkplug.encode(metrics, at_ms, sequence)
        if self._connection.publish(topic, payload, qos=0) is None:
            return False
        self.sent[topic] = payload
        self._sequence = sequence
        return True

    def _send_state(self, now_s: float, utc_ns: int, state: State) -> None:
        """Only what changed since it was last said, at most every five seconds."""
        if now_s < self._state_s:
            return
        self._state_s = now_s + STATE_S
        at_ms = utc_ns // NS_PER_MS
        present = sparkplug.state_metrics(*state(), at_ms)
        if any(m.name not in self._shown for m in present):
            self._give_birth(utc_ns, state)  # a metric that no birth certificate named may not come (section 6.4.3)
        elif (new := [m for m in present if self._shown[m.name] != m.value]) and self._publish("NDATA", new, at_ms):
            self._shown |= {m.name: m.value for m in new}

    def _send_intervals(self, now_s: float, utc_ns: int) -> None:
        for record in self._book.following(self._sent, _BATCH):
            message = self._render(record, record.key <= self._late_until)
            message = message.model_copy(update={"gates": {g: p for g, p in message.gates.items() if g in self._gates}})
            metrics = sparkplug.interval_metrics(message, record.interval.end_ns // NS_PER_MS)
            if not self._publish("NDATA", metrics, utc_ns // NS_PER_MS):
                return
            self._sent, self._noted_s = record.key, now_s + STEADY_S
        if self._settled != self._sent and now_s >= self._noted_s:
            self._settled = self._sent
            self._note_sent()

    def _note_sent(self) -> None:
        self._book.write_note(_SENT_NOTE, f"{self._settled[0]} {self._settled[1]}")


def _key_of(note: str | None) -> Key | None:
    if note is None:
        return None
    epoch, number = note.split()
    return int(epoch), int(number)
