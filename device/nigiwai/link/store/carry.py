# SPDX-License-Identifier: Apache-2.0
"""Takes over the readable rows of a damaged file. Records keep their epoch and number, so that consumers know them."""

import sqlite3
from collections.abc import Sequence

from nigiwai.link.store.closing import begin_detail
from nigiwai.link.store.losses import add_loss
from nigiwai.link.store.records import begin_epoch

Table = tuple[str, list[dict[str, object]]]


def carry_over(db: sqlite3.Connection, tables: Sequence[Table], epoch_name: str, now_ns: int) -> int:
    """Writes the rows into this new ledger and begins an epoch after theirs; how many records are missing."""
    db.execute("DELETE FROM epoch")
    for table, rows in tables:
        for row in rows:
            _insert(db, table, row)
    _name_lost_epochs(db, now_ns)
    missing = _missing(db)
    begin_anew(db, epoch_name, now_ns)
    add_loss(db, "salvaged", max(1, missing))
    return missing


def begin_anew(db: sqlite3.Connection, epoch_name: str, now_ns: int) -> None:
    """Begins an epoch where the tiling of the one before has come to."""
    # Bins in records of an epoch that ended are only needed to know them again.
    db.execute("UPDATE bin SET record = 0 WHERE record IS NOT NULL")
    last = db.execute("SELECT cursor_ns, seen_until_ns FROM epoch ORDER BY id DESC LIMIT 1").fetchone()
    begin_epoch(db, epoch_name, now_ns)
    begin_detail(db)
    if last is not None:
        db.execute("UPDATE epoch SET cursor_ns = ?, seen_until_ns = ? WHERE name = ?", (last[0], last[1], epoch_name))


def _insert(db: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    names = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    db.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608


def _name_lost_epochs(db: sqlite3.Connection, now_ns: int) -> None:
    """Epochs whose row was lost but not their records get a name made of their number."""
    for row in db.execute("SELECT DISTINCT epoch FROM record WHERE epoch NOT IN (SELECT id FROM epoch)").fetchall():
        db.execute(
            "INSERT INTO epoch (id, name, begun_ns) VALUES (?, ?, ?)", (row["epoch"], f"{row['epoch']:08x}", now_ns)
        )


def _missing(db: sqlite3.Connection) -> int:
    """Numbers between the first and the last kept of each epoch that are not there."""
    rows = db.execute("SELECT max(number) - min(number) + 1 - count(*) FROM record GROUP BY epoch").fetchall()
    return sum(int(row[0]) for row in rows)
