# SPDX-License-Identifier: Apache-2.0
"""What staff noted by hand, and the accuracy checks: apart from the counts, which nothing here ever changes."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

KEEP = 10_000


@dataclass(frozen=True, slots=True)
class Noted:
    """One line. `kind` is the deed's word; `body` what it said."""

    at_ns: int
    kind: str
    body: dict[str, Any]


def write(db: sqlite3.Connection, noted: Noted) -> None:
    """Appends a line and forgets the oldest beyond KEEP."""
    cursor = db.execute(
        "INSERT INTO hand (at_ns, kind, body) VALUES (?, ?, ?)",
        (noted.at_ns, noted.kind, json.dumps(noted.body, ensure_ascii=False)),
    )
    db.execute("DELETE FROM hand WHERE id <= ?", ((cursor.lastrowid or 0) - KEEP,))


def since(db: sqlite3.Connection, start_ns: int) -> list[Noted]:
    """What was noted from that moment on, in order."""
    rows = db.execute("SELECT at_ns, kind, body FROM hand WHERE at_ns >= ? ORDER BY id", (start_ns,))
    return [Noted(row["at_ns"], row["kind"], json.loads(row["body"])) for row in rows]


def latest(db: sqlite3.Connection, kind: str) -> Noted | None:
    """The last line of that kind."""
    row = db.execute("SELECT at_ns, body FROM hand WHERE kind = ? ORDER BY id DESC LIMIT 1", (kind,)).fetchone()
    return None if row is None else Noted(row["at_ns"], kind, json.loads(row["body"]))
