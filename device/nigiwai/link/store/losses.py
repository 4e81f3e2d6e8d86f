# SPDX-License-Identifier: Apache-2.0
"""Counters of what could not be kept, the audit log, and single notes."""

import sqlite3

from nigiwai.link.messages import Losses


def add_loss(db: sqlite3.Connection, kind: str, count: int) -> None:
    """Adds to a counter of `Losses`; nothing for a count of zero or less."""
    if count > 0:
        db.execute(
            "INSERT INTO loss (kind, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (kind, count),
        )


def losses(db: sqlite3.Connection) -> Losses:
    """All counters."""
    return Losses.model_validate({row["kind"]: row["count"] for row in db.execute("SELECT * FROM loss")})


def read_note(db: sqlite3.Connection, key: str) -> str | None:
    """What was last noted under `key`."""
    row = db.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row["value"])


def write_note(db: sqlite3.Connection, key: str, value: str) -> None:
    """Notes `value` under `key`."""
    db.execute(
        "INSERT INTO note (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
    )
