# SPDX-License-Identifier: Apache-2.0
"""How bins become records. Every function runs inside the transaction that stores what it was called for, so that the
tiling, the totals and the outbox are never seen out of step.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nigiwai.link.clock import STEP_NS, Place
from nigiwai.link.intervals import (
    NS_PER_MS,
    Interval,
    Placed,
    add_gates,
    amend,
    compose,
    floor_to,
    join_spans,
    merge,
    sum_gates,
)
from nigiwai.link.messages import ClockState, Mark
from nigiwai.link.store import bins, records
from nigiwai.link.store.losses import read_note, write_note
from nigiwai.link.store.records import Epoch
from nigiwai.link.store.rows import Record, Spans, StoredBin

_DETAIL_FROM = "detail-from"


@dataclass(frozen=True, slots=True)
class Here:
    """This boot, and where it lies."""

    boot: str
    place: Place


def close_until(
    db: sqlite3.Connection,
    epoch: Epoch,
    here: Here,
    until_ns: int,
    step_ns: int,
    replaces: Spans = (),
    *,
    anew: bool = False,
) -> list[int]:
    """Records for the time from the cursor to `until_ns`; their numbers. `anew`: they were placed wrongly before.

    Bins of boots whose time was never known go into the first of them: it lies between what is known before and after.
    """
    opened = bins.open_of_boot(db, here.boot)
    placed = _placed(opened, here.place, epoch.cursor_ns)
    cursor = _cursor(db, epoch, here, placed, until_ns, step_ns)
    seen_until = epoch.seen_until_ns if cursor == epoch.cursor_ns else 0
    intervals = compose(cursor, until_ns, step_ns, placed, here.place.state, seen_until)
    intervals = [_restamped(i) if anew else _corrected(i, opened, placed) for i in intervals]
    homeless = bins.open_elsewhere(db, here.boot)
    if intervals and homeless:
        intervals[0] = _with_unknown(intervals[0], homeless, known_start=epoch.cursor_ns is not None)
    numbers = [records.append(db, epoch, here.boot, i, replaces) for i in intervals]
    if intervals:
        _assign(db, numbers, intervals, opened, placed)
        bins.assign(db, homeless, numbers[0])
        ends = [b.end_ns for b in placed if b.start_ns < until_ns]
        records.move_cursor(db, epoch.id, until_ns, max([seen_until, *ends]))
    return numbers


def _placed(opened: Sequence[StoredBin], place: Place, cursor_ns: int | None) -> list[Placed]:
    """The bins on the wall clock. One that begins just before the cursor, as the clock moved a little, begins at it."""
    placed = [b.at(place.offset_ns) for b in opened]
    if cursor_ns is None:
        return placed
    return [replace(b, start_ns=cursor_ns) if 0 < cursor_ns - b.start_ns <= STEP_NS else b for b in placed]


def _cursor(
    db: sqlite3.Connection, epoch: Epoch, here: Here, placed: Sequence[Placed], until_ns: int, step_ns: int
) -> int:
    """Where the next record starts. The epoch's very first starts with its first bin; a clock that is behind the
    cursor goes back to where this boot's bins lie.
    """
    first = min((b.start_ns for b in placed), default=until_ns)
    cursor = epoch.cursor_ns
    if cursor is None:
        cursor = first
    elif first < cursor:
        cursor = floor_to(first, step_ns)
    db.execute("UPDATE boot SET base_ns = ?, based = 1 WHERE id = ? AND based = 0", (epoch.cursor_ns, here.boot))
    return cursor


def _corrected(interval: Interval, opened: Sequence[StoredBin], placed: Sequence[Placed]) -> Interval:
    """Marks an interval whose bins came before the clock was known."""
    start = interval.start_ns or 0
    held = any(
        not b.placed_at_once and start <= p.start_ns < interval.end_ns for b, p in zip(opened, placed, strict=True)
    )
    return replace(interval, clock=ClockState.CORRECTED) if held else interval


def _restamped(interval: Interval) -> Interval:
    return replace(interval, clock=ClockState.CORRECTED, marks=interval.marks | {Mark.RESTAMPED})


def _with_unknown(interval: Interval, homeless: Sequence[StoredBin], *, known_start: bool) -> Interval:
    return replace(
        interval,
        start_ns=interval.start_ns if known_start else None,
        gates=add_gates(interval.gates, sum_gates(b.gates for b in homeless)),
        marks=interval.marks.union(*(b.marks for b in homeless)),
        clock=ClockState.UNKNOWN,
    )


def _assign(
    db: sqlite3.Connection,
    numbers: Sequence[int],
    intervals: Sequence[Interval],
    opened: Sequence[StoredBin],
    placed: Sequence[Placed],
) -> None:
    pairs = list(zip(opened, placed, strict=True))
    at = 0
    for number, interval in zip(numbers, intervals, strict=True):
        mine = []
        while at < len(pairs) and pairs[at][1].start_ns < interval.end_ns:
            mine.append(pairs[at][0])
            at += 1
        bins.assign(db, mine, number)


def close_boot(db: sqlite3.Connection, epoch: Epoch, here: Here, step_ns: int) -> list[int]:
    """Records for what is left of a boot that ended, up to the end of its last bin."""
    ends = [b.end_ns for b in _placed(bins.open_of_boot(db, here.boot), here.place, epoch.cursor_ns)]
    return close_until(db, epoch, here, max(ends), step_ns) if ends else []


def amend_late(db: sqlite3.Connection, epoch: Epoch, here: Here) -> list[int]:
    """New records for the intervals that late bins belong to; each replaces the one that was closed without them."""
    if epoch.cursor_ns is None:
        return []
    groups: dict[int, list[tuple[StoredBin, Placed]]] = {}
    found: dict[int, Record] = {}
    opened = bins.open_of_boot(db, here.boot)
    for stored, placed in zip(opened, _placed(opened, here.place, epoch.cursor_ns), strict=True):
        if placed.start_ns >= epoch.cursor_ns:
            break
        for record in records.overlapping(db, epoch.id, placed.start_ns, placed.start_ns + 1)[:1]:
            found[record.number] = record
            groups.setdefault(record.number, []).append((stored, placed))
    return [_amend_one(db, epoch, here, found[number], group) for number, group in groups.items()]


def _amend_one(
    db: sqlite3.Connection,
    epoch: Epoch,
    here: Here,
    closed: Record,
    group: Sequence[tuple[StoredBin, Placed]],
) -> int:
    interval, spans = closed.interval, records.withdraw(db, epoch, here.boot, [closed.number])
    for _, placed in group:
        interval = amend(interval, placed)
    number = records.append(db, epoch, here.boot, interval, spans)
    bins.move(db, closed.number, number)
    bins.assign(db, [b for b, _ in group], number)
    if closed.number < detail_from(db):
        note_detail_from(db, number + 1)
    return number


def place_anew(db: sqlite3.Connection, epoch: Epoch, here: Here, before: Place, step_ns: int) -> list[int]:
    """This boot's records again, where its clock turned out to lie; they replace those that lay wrong."""
    wrong = _kept_records(db, epoch.id, here.boot)
    if not wrong:
        return []
    moved_ns = here.place.offset_ns - before.offset_ns
    until = max((epoch.cursor_ns or 0) + moved_ns, floor_to(_last_end(db, here), step_ns))
    start = _start_anew(db, epoch.id, here.boot, wrong, moved_ns, until)
    spans = records.withdraw(db, epoch, here.boot, wrong)
    for first, last in join_spans(wrong):
        bins.release(db, first, last)
    anew = replace(epoch, cursor_ns=start, seen_until_ns=0)
    return close_until(db, anew, here, until, step_ns, spans, anew=True)


def _last_end(db: sqlite3.Connection, here: Here) -> int:
    """Where this boot's last bin ends."""
    (end_ms,) = db.execute(
        "SELECT coalesce(max(start_ms + length_ms), 0) FROM bin WHERE boot = ?", (here.boot,)
    ).fetchone()
    return int(end_ms) * NS_PER_MS + here.place.offset_ns


def _start_anew(
    db: sqlite3.Connection, epoch: int, boot: str, wrong: Sequence[int], moved_ns: int, until_ns: int
) -> int | None:
    """Where this boot's records begin again: at the end of the boot before; or, where only the later ones can be placed
    anew or that end lies ahead, as far as the clock moved from where they began. None: with the first bin.
    """
    based = db.execute("SELECT base_ns FROM boot WHERE id = ? AND based = 1", (boot,)).fetchone()
    (kept_as_is,) = db.execute(
        "SELECT count(*) FROM record WHERE epoch = ? AND boot = ? AND replaced_by IS NULL AND number < ?",
        (epoch, boot, wrong[0]),
    ).fetchone()
    if based is not None and not kept_as_is and (based["base_ns"] or 0) < until_ns:
        return None if based["base_ns"] is None else int(based["base_ns"])
    (start,) = db.execute(
        "SELECT coalesce(start_ns, end_ns - 1) FROM record WHERE epoch = ? AND number = ?", (epoch, wrong[0])
    ).fetchone()
    return int(start) + moved_ns


def _kept_records(db: sqlite3.Connection, epoch: int, boot: str) -> list[int]:
    """This boot's records that count, from the first whose bins are all kept."""
    rows = db.execute(
        "SELECT number FROM record WHERE epoch = ? AND boot = ? AND replaced_by IS NULL AND number >= ?"
        " ORDER BY number",
        (epoch, boot, detail_from(db)),
    )
    return [row["number"] for row in rows]


def coarsen(db: sqlite3.Connection, epoch: Epoch, found: Sequence[Record], boot: str) -> int:
    """One record in place of these; its number. It has no bins, so a clock that is set later cannot place it anew."""
    spans = records.withdraw(db, epoch, boot, [r.number for r in found])
    number = records.append(db, epoch, boot, merge([r.interval for r in found]), spans)
    for record in found:
        bins.move(db, record.number, number)
    note_detail_from(db, number + 1)
    return number


def note_detail_from(db: sqlite3.Connection, number: int) -> None:
    """Bins of records below `number` are gone, or some of them: those records cannot be placed anew."""
    write_note(db, _DETAIL_FROM, str(max(number, detail_from(db))))


def detail_from(db: sqlite3.Connection) -> int:
    """From which number on records can be placed anew: all their bins are kept."""
    return int(read_note(db, _DETAIL_FROM) or 0)


def begin_detail(db: sqlite3.Connection) -> None:
    """Numbering has begun anew, and with it what can be placed anew."""
    write_note(db, _DETAIL_FROM, "0")
