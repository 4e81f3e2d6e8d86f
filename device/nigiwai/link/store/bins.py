# SPDX-License-Identifier: Apache-2.0
"""Bins: each stored once, however often and however merged it comes. All functions run inside a transaction."""

import sqlite3
from collections.abc import Iterable, Sequence

from nigiwai.door.records import Bin
from nigiwai.link.intervals import Gates, subtract_gates, sum_gates
from nigiwai.link.store.losses import add_loss
from nigiwai.link.store.rows import StoredBin, bin_of, gates_of, gates_text, marks_text

_SELECT = """
    SELECT bin.*, boot.offset_ns FROM bin LEFT JOIN boot ON boot.id = bin.boot
"""


def greet(db: sqlite3.Connection, run: str, boot: str) -> None:
    """Remembers which boot a run of eye belongs to."""
    db.execute("INSERT INTO boot (id) VALUES (?) ON CONFLICT DO NOTHING", (boot,))
    db.execute("INSERT INTO run (id, boot) VALUES (?, ?) ON CONFLICT DO NOTHING", (run, boot))


def store(db: sqlite3.Connection, new: Bin, *, placed: bool) -> bool:
    """Stores what of `new` is not here yet; whether anything was. Bins that eye lost before it are counted as lost."""
    run = db.execute("SELECT * FROM run WHERE id = ?", (new.run,)).fetchone()
    if run is None or new.sequence <= run["pruned_until"]:
        return False
    there = _overlapping(db, new)
    if _covered(there, max(new.first_sequence, run["pruned_until"] + 1), new.sequence):
        return False
    gates = subtract_gates(_gates(new), sum_gates(gates_of(row["gates"]) for row in there))
    _insert(db, new, run["boot"], gates, placed=placed)
    add_loss(db, "bins", new.first_sequence - run["last"] - 1)
    db.execute("UPDATE run SET last = max(last, ?) WHERE id = ?", (new.sequence, new.run))
    return True


def _overlapping(db: sqlite3.Connection, new: Bin) -> list[sqlite3.Row]:
    return db.execute(
        "SELECT first_sequence, sequence, gates FROM bin"
        " WHERE run = ? AND sequence >= ? AND first_sequence <= ? ORDER BY sequence",
        (new.run, new.first_sequence, new.sequence),
    ).fetchall()


def _covered(there: Sequence[sqlite3.Row], first: int, last: int) -> bool:
    """Whether the stored bins hold every sequence first..last."""
    at = first
    for row in there:
        if row["first_sequence"] > at:
            return False
        at = max(at, row["sequence"] + 1)
    return at > last


def _gates(new: Bin) -> Gates:
    return sum_gates({g.gate: (g.entered, g.left)} for g in new.gates)


def _insert(db: sqlite3.Connection, new: Bin, boot: str, gates: Gates, *, placed: bool) -> None:
    db.execute(
        "INSERT OR REPLACE INTO bin (run, sequence, first_sequence, boot, start_ms, length_ms, blind_ms, flags, gates,"
        " placed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.run,
            new.sequence,
            new.first_sequence,
            boot,
            new.start_ms,
            new.length_ms,
            min(new.blind_ms, new.length_ms),
            marks_text(f.value for f in new.flags),
            gates_text(gates),
            int(placed),
        ),
    )


def open_of_boot(db: sqlite3.Connection, boot: str) -> list[StoredBin]:
    """This boot's bins that are in no record yet, in order of time."""
    rows = db.execute(_SELECT + "WHERE record IS NULL AND bin.boot = ? ORDER BY start_ms, sequence", (boot,))
    return [bin_of(row) for row in rows]


def open_elsewhere(db: sqlite3.Connection, boot: str) -> list[StoredBin]:
    """Other boots' bins that are in no record yet."""
    rows = db.execute(_SELECT + "WHERE record IS NULL AND bin.boot <> ? ORDER BY bin.boot, start_ms", (boot,))
    return [bin_of(row) for row in rows]


def all_open(db: sqlite3.Connection) -> list[StoredBin]:
    """Every bin that is in no record yet."""
    return [bin_of(row) for row in db.execute(_SELECT + "WHERE record IS NULL")]


def assign(db: sqlite3.Connection, bins: Iterable[StoredBin], number: int) -> None:
    """These bins are in that record from here on."""
    db.executemany(
        "UPDATE bin SET record = ? WHERE run = ? AND sequence = ?", [(number, b.run, b.sequence) for b in bins]
    )


def move(db: sqlite3.Connection, old: int, new: int) -> None:
    """The bins of record `old` are in `new` from here on."""
    db.execute("UPDATE bin SET record = ? WHERE record = ?", (new, old))


def release(db: sqlite3.Connection, first: int, last: int) -> None:
    """The bins of these records are in none again."""
    db.execute("UPDATE bin SET record = NULL WHERE record BETWEEN ? AND ?", (first, last))


def prune(db: sqlite3.Connection, below_record: int) -> int:
    """Forgets the detail of records below that number; how many bins that were."""
    db.execute(
        "UPDATE run SET pruned_until = max(pruned_until, coalesce("
        "(SELECT max(sequence) FROM bin WHERE bin.run = run.id AND record < ?), 0))",
        (below_record,),
    )
    return db.execute("DELETE FROM bin WHERE record < ?", (below_record,)).rowcount
