# SPDX-License-Identifier: Apache-2.0
"""Reference consumer: ends with the right sums whatever came twice, late, out of order or while it was away.

    python consumer.py BROKER [PORT]           keeps consumer.db; see Consumer.sums and Consumer.gaps

Records are kept as a set by (branch, epoch, number); one that another replaces never counts. See mqtt.md.
"""

import json
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt

TABLES = """
CREATE TABLE IF NOT EXISTS record (branch, epoch, number INTEGER, body, PRIMARY KEY (branch, epoch, number));
CREATE TABLE IF NOT EXISTS closed (branch, epoch, first INTEGER, last INTEGER, UNIQUE (branch, epoch, first, last));
CREATE TABLE IF NOT EXISTS last (branch, epoch, number INTEGER, PRIMARY KEY (branch, epoch));
"""
LIVE = """SELECT body FROM record r WHERE branch = ? AND NOT EXISTS (SELECT 1 FROM closed c
          WHERE c.branch = r.branch AND c.epoch = r.epoch AND r.number BETWEEN c.first AND c.last)"""
THERE = """SELECT number, number FROM record WHERE branch = ?1 AND epoch = ?2 UNION ALL
           SELECT first, last FROM closed WHERE branch = ?1 AND epoch = ?2 ORDER BY 1"""
CLOSE = "INSERT OR IGNORE INTO closed VALUES (?, ?, ?, ?)"
NOTE = "INSERT INTO last VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET number = max(number, excluded.number)"


class Consumer:
    """What was received, on disk, so that a restart loses nothing."""

    def __init__(self, path: str, ask: Callable[[str, dict[str, object]], object]) -> None:
        self.db = sqlite3.connect(path, check_same_thread=False)
        self.db.executescript(TABLES)
        self.ask = ask
        self.asked: dict[str, float] = {}
        self.spans: dict[str, tuple[str, str, int, int]] = {}

    def take(self, topic: str, payload: bytes) -> None:
        """One message. Let the broker know after this returns: what is not stored must come again."""
        site, device, leaf = topic.removeprefix("nigiwai/v1/").split("/", 2)
        branch, message = f"{site}/{device}", json.loads(payload)
        with self.db:
            if leaf == "counts":
                epoch, number = message["epoch"], message["record"]
                self.db.execute("INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?)", (branch, epoch, number, payload))
                self.db.executemany(CLOSE, [(branch, epoch, *span) for span in message["replaces"]])
                self.db.execute(NOTE, (branch, epoch, number))
            elif leaf == "health":
                self.db.execute(NOTE, (branch, message["epoch"], message["last_record"]))
            elif leaf == "info" and message["previous_epoch"]:
                self.db.execute(NOTE, (branch, message["previous_epoch"], message["previous_last"]))
            elif leaf == "response/resend":
                span = self.spans.pop(message["transaction"], None)
                if span and message["status"] == "ok" and message["sending"] == 0:  # gone for good; counted as a loss
                    self.db.execute(CLOSE, span)
        if leaf in ("counts", "health", "info"):
            self.ask_for_gaps(branch)

    def sums(self, branch: str) -> dict[str, list[int]]:
        """In and out per gate over everything that counts."""
        sums: dict[str, list[int]] = {}
        for (body,) in self.db.execute(LIVE, (branch,)):
            for gate, passed in json.loads(body)["gates"].items():
                entry = sums.setdefault(gate, [0, 0])
                entry[:] = entry[0] + passed["in"], entry[1] + passed["out"]
        return sums

    def gaps(self, branch: str) -> Iterator[tuple[str, int, int]]:
        """Spans (epoch, first, last) of numbers that were given, and neither came nor were replaced."""
        for epoch, last in self.db.execute("SELECT epoch, number FROM last WHERE branch = ?", (branch,)).fetchall():
            at = 1
            for first, until in [*self.db.execute(THERE, (branch, epoch)), (last + 1, last + 1)]:
                if first > at:
                    yield epoch, at, first - 1
                at = max(at, until + 1)

    def ask_for_gaps(self, branch: str, every_s: float = 30.0) -> None:
        """Asks the device for what is missing: one span, of a day at most, at a time."""
        gap = next(self.gaps(branch), None)
        if gap is None or time.monotonic() < self.asked.get(branch, -every_s) + every_s:
            return
        (epoch, first, last), transaction = gap, uuid.uuid4().hex
        last = min(last, first + 1_439)
        self.asked[branch], self.spans[transaction] = time.monotonic(), (branch, epoch, first, last)
        request = {"schema": "nigiwai/1", "type": "resend", "transaction": transaction}
        self.ask(f"nigiwai/v1/{branch}/request/resend", {**request, "epoch": epoch, "first": first, "last": last})


if __name__ == "__main__":
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "reference-consumer", clean_session=False)
    consumer = Consumer("consumer.db", lambda topic, request: client.publish(topic, json.dumps(request), qos=1))
    client.on_connect = lambda *_: client.subscribe("nigiwai/v1/+/+/#", qos=1)
    client.on_message = lambda _c, _d, m: consumer.take(m.topic, m.payload)
    client.connect(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_883)
    client.loop_forever()
