# SPDX-License-Identifier: Apache-2.0
"""Tables of who came: each stored once, kept after delivery like records. All functions run inside a transaction."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from nigiwai.door.tables import Block, TraitTable


@dataclass(frozen=True, slots=True)
class StoredTable:
    """One table. Times are UTC; None where its boot was never placed on the wall clock."""

    number: int
    epoch: str
    direction: str
    start_ns: int | None
    end_ns: int | None
    k: int
    people: int
    blocks: tuple[Block, ...]
    epsilon: float | None = None


_SELECT = """
    SELECT trait_table.*, epoch.name, boot.offset_ns FROM trait_table
    JOIN epoch ON epoch.id = trait_table.epoch LEFT JOIN boot ON boot.id = trait_table.boot
"""


def store(db: sqlite3.Connection, table: TraitTable, boot: str, epoch: int, now_ns: int) -> None:
    """Stores the table; one that came before changes nothing."""
    db.execute(
        "INSERT INTO trait_table (epoch, run, run_number, boot, direction, start_ms, end_ms, k, people, blocks,"
        " arrived_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, run_number) DO NOTHING",
        (
            epoch,
            table.run,
            table.number,
            boot,
            table.direction,
            table.start_ms,
            table.end_ms,
            table.k,
            table.people,
            json.dumps(_blocks_as_json(table), separators=(",", ":")),
            now_ns,
        ),
    )


def pending(db: sqlite3.Connection, limit: int) -> list[StoredTable]:
    """The oldest tables that the broker has not taken."""
    rows = db.execute(_SELECT + "WHERE acked_ns IS NULL ORDER BY number LIMIT ?", (limit,))
    return [_table_of(row) for row in rows]


def latest(db: sqlite3.Connection, limit: int) -> list[StoredTable]:
    """The newest tables, oldest first."""
    rows = db.execute(_SELECT + "ORDER BY number DESC LIMIT ?", (limit,)).fetchall()
    return [_table_of(row) for row in reversed(rows)]


def acknowledge(db: sqlite3.Connection, numbers: Sequence[int], now_ns: int) -> None:
    """The broker took these."""
    db.executemany("UPDATE trait_table SET acked_ns = ? WHERE number = ?", [(now_ns, n) for n in numbers])


def prune(db: sqlite3.Connection, before_ns: int) -> int:
    """Forgets delivered tables that came before that time; how many."""
    return db.execute("DELETE FROM trait_table WHERE acked_ns IS NOT NULL AND arrived_ns < ?", (before_ns,)).rowcount


def _table_of(row: sqlite3.Row) -> StoredTable:
    offset_ns = row["offset_ns"]
    start_ns, end_ns = (
        (None, None)
        if offset_ns is None
        else (row["start_ms"] * 1_000_000 + offset_ns, row["end_ms"] * 1_000_000 + offset_ns)
    )
    told = json.loads(row["blocks"])
    rows, epsilon = (told["blocks"], told["epsilon"]) if isinstance(told, dict) else (told, None)
    blocks = tuple((c, s, b, n) for c, s, b, n in rows)
    return StoredTable(
        row["number"], row["name"], row["direction"], start_ns, end_ns, row["k"], row["people"], blocks, epsilon
    )


def _blocks_as_json(table: TraitTable) -> object:
    """A list of blocks; where their numbers have noise, a table with that list and epsilon."""
    if table.epsilon_percent is None:
        return table.blocks
    return {"blocks": table.blocks, "epsilon": table.epsilon_percent / 100}
