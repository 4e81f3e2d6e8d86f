# SPDX-License-Identifier: Apache-2.0
"""The audit log: what was asked of this device, by whom, and what came of it. Bounded."""

import sqlite3
from dataclasses import dataclass

KEEP = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `handle` is the asker's transaction, if there is one."""

    at_ns: int
    source: str
    command: str
    handle: str
    detail: str
    outcome: str


def write(db: sqlite3.Connection, entry: Entry) -> None:
    """Appends a line and forgets the oldest beyond KEEP."""
    cursor = db.execute(
        "INSERT INTO audit (at_ns, source, command, handle, detail, outcome) VALUES (?, ?, ?, ?, ?, ?)",
        (entry.at_ns, entry.source, entry.command, entry.handle, entry.detail, entry.outcome),
    )
    db.execute("DELETE FROM audit WHERE id <= ?", ((cursor.lastrowid or 0) - KEEP,))


def seen(db: sqlite3.Connection, handle: str) -> bool:
    """Whether that transaction is in the log."""
    return db.execute("SELECT 1 FROM audit WHERE handle = ? LIMIT 1", (handle,)).fetchone() is not None
