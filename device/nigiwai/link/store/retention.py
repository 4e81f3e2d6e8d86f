# SPDX-License-Identifier: Apache-2.0
"""Keeps the file within its bound. What goes first is what is missed least:

1. delivered records older than `keep_ns`, and the bins of records that are no longer placed anew
2. where the file is too large: the rest of the bins, then the oldest delivered records (counted as `expired`)
3. then undelivered records, oldest first, merged by the hour, by the day, at last all into one (`merged`)

Sums are never dropped: a merged record counts what the records counted that it replaces.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from nigiwai.link.intervals import NS_PER_S
from nigiwai.link.store import bins, closing, records, traits
from nigiwai.link.store.losses import add_loss, write_note
from nigiwai.link.store.records import Epoch
from nigiwai.link.store.rows import Key, Record

DETAIL_NS = 48 * 3_600 * NS_PER_S
_BATCH = 2_000
_COARSER_NS = (3_600 * NS_PER_S, 86_400 * NS_PER_S, 2**62)


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be kept. `keep_ns` is None while the clock cannot say how old anything is."""

    now_ns: int
    keep_ns: int | None
    size_bytes: int

    @property
    def old_ns(self) -> int:
        """What was delivered before this moment was kept long enough."""
        return -(2**62) if self.keep_ns is None else self.now_ns - self.keep_ns


def tidy(db: sqlite3.Connection, epoch: Epoch, boot: str, limits: Limits) -> bool:
    """Whether a record was made."""
    _forget_old(db, epoch.id, limits)
    if used_bytes(db) <= limits.size_bytes:
        return False
    _forget_bins(db, epoch.id, limits.now_ns)
    _expire(db, epoch.id, limits)
    made = False
    for step_ns in _COARSER_NS:
        while used_bytes(db) > limits.size_bytes and _merge_oldest(db, epoch, boot, step_ns):
            made = True
    return made


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def _forget_old(db: sqlite3.Connection, epoch: int, limits: Limits) -> None:
    _note_last(db, epoch)
    db.execute(
        "DELETE FROM record WHERE acked_ns < ? OR (replaced_by IS NOT NULL AND end_ns < ?)", (limits.old_ns,) * 2
    )
    traits.prune(db, limits.old_ns)
    _forget_bins(db, epoch, limits.now_ns - DETAIL_NS)


def _note_last(db: sqlite3.Connection, epoch: int) -> None:
    write_note(db, f"last-{epoch}", str(records.last_number(db, epoch)))


def _forget_bins(db: sqlite3.Connection, epoch: int, before_ns: int) -> None:
    """Forgets the bins of records that ended before that."""
    (below,) = db.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM record WHERE epoch = ? AND end_ns < ?", (epoch, before_ns)
    ).fetchone()
    if bins.prune(db, below):
        closing.note_detail_from(db, below)


def _expire(db: sqlite3.Connection, epoch: int, limits: Limits) -> None:
    """Replaced records go without being counted as a loss: nobody needs them any more."""
    _note_last(db, epoch)
    while used_bytes(db) > limits.size_bytes:
        gone = db.execute(
            "DELETE FROM record WHERE (epoch, number) IN (SELECT epoch, number FROM record"
            " WHERE acked_ns IS NOT NULL OR replaced_by IS NOT NULL ORDER BY epoch, number LIMIT ?)"
            " RETURNING replaced_by IS NULL",
            (_BATCH,),
        ).fetchall()
        if not gone:
            return
        add_loss(db, "expired", sum(row[0] for row in gone))


def _merge_oldest(db: sqlite3.Connection, epoch: Epoch, boot: str, step_ns: int) -> bool:
    """Merges the oldest undelivered records that share a step; whether there was anything to merge."""
    for group in _groups(records.pending(db, (epoch.id, 0), _BATCH), step_ns):
        if len(group) > 1:
            closing.coarsen(db, epoch, group, boot)
            _forget_replaced(db, [r.key for r in group])
            add_loss(db, "merged", len(group))
            return True
    return False


def _groups(found: Sequence[Record], step_ns: int) -> Iterator[list[Record]]:
    """Records that lie in the same step; those that last no time only say what others replace, and stay."""
    lasting = (r for r in found if r.interval.start_ns != r.interval.end_ns)
    for _, group in groupby(lasting, key=lambda r: (r.interval.start_ns or 0) // step_ns):
        yield list(group)


def _forget_replaced(db: sqlite3.Connection, keys: Sequence[Key]) -> None:
    db.executemany("DELETE FROM record WHERE epoch = ? AND number = ?", keys)
