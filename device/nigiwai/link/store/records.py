# SPDX-License-Identifier: Apache-2.0
"""Records and epochs: numbered without gaps, counted once, awaiting the broker. All functions run inside a transaction
where they write.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nigiwai.link.intervals import Gates, Interval, add_gates, join_spans, subtract_gates, sum_gates
from nigiwai.link.messages import MAX_SPANS
from nigiwai.link.store.rows import Key, Record, Spans, gates_of, gates_text, record_columns, record_of

_SELECT = "SELECT record.*, epoch.name FROM record JOIN epoch ON epoch.id = record.epoch "
_LIVE = "replaced_by IS NULL"


@dataclass(frozen=True, slots=True)
class Epoch:
    """The numbering in force, the sum of its records, and how far the tiling has come."""

    id: int
    name: str
    totals: Gates
    cursor_ns: int | None
    seen_until_ns: int


def begin_epoch(db: sqlite3.Connection, name: str, now_ns: int, totals: Gates | None = None) -> None:
    """Begins numbering at 1."""
    db.execute("INSERT INTO epoch (name, begun_ns, totals) VALUES (?, ?, ?)", (name, now_ns, gates_text(totals or {})))


def maybe_epoch(db: sqlite3.Connection) -> Epoch | None:
    """The epoch in force, if one was begun."""
    row = db.execute("SELECT * FROM epoch ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return None
    return Epoch(row["id"], row["name"], gates_of(row["totals"]), row["cursor_ns"], row["seen_until_ns"])


def epoch_before(db: sqlite3.Connection, epoch: int) -> tuple[str, int] | None:
    """The name of the epoch before and its last number."""
    row = db.execute("SELECT id, name FROM epoch WHERE id < ? ORDER BY id DESC LIMIT 1", (epoch,)).fetchone()
    return None if row is None else (row["name"], last_number(db, row["id"]))


def last_number(db: sqlite3.Connection, epoch: int) -> int:
    """The highest number given; 0 before the first."""
    (kept,) = db.execute("SELECT coalesce(max(number), 0) FROM record WHERE epoch = ?", (epoch,)).fetchone()
    noted = db.execute("SELECT value FROM note WHERE key = ?", (f"last-{epoch}",)).fetchone()
    return max(int(kept), int(noted["value"]) if noted else 0)


def move_cursor(db: sqlite3.Connection, epoch: int, cursor_ns: int, seen_until_ns: int) -> None:
    """The tiling has reached `cursor_ns`."""
    db.execute("UPDATE epoch SET cursor_ns = ?, seen_until_ns = ? WHERE id = ?", (cursor_ns, seen_until_ns, epoch))


def append(db: sqlite3.Connection, epoch: Epoch, boot: str, interval: Interval, replaces: Spans = ()) -> int:
    """Writes the next record; its number. The epoch's totals grow by what it counts."""
    number = last_number(db, epoch.id) + 1
    (before,) = db.execute("SELECT totals FROM epoch WHERE id = ?", (epoch.id,)).fetchone()
    totals = add_gates(gates_of(before), interval.gates)
    columns = record_columns((epoch.id, number), boot, interval, totals, replaces)
    names = ", ".join(columns)
    marks = ", ".join(f":{name}" for name in columns)
    db.execute(f"INSERT INTO record ({names}) VALUES ({marks})", columns)  # noqa: S608 # names are ours
    db.execute("UPDATE epoch SET totals = ? WHERE id = ?", (gates_text(totals), epoch.id))
    return number


def withdraw(db: sqlite3.Connection, epoch: Epoch, boot: str, numbers: Sequence[int]) -> Spans:
    """These records count no longer; returns what their successor must say it replaces.

    A withdrawn record that itself replaced others may never have been sent, so its successor names those too. A message
    has room for MAX_SPANS: what is more is said by records before the successor that count nothing and last no time.
    """
    rows = {n: row for n in numbers if (row := _row(db, epoch.id, n)) is not None}
    inherited = [(first, last) for row in rows.values() for first, last in json.loads(row["replaces"])]
    spans = join_spans(numbers, inherited)
    while len(spans) > MAX_SPANS:
        _withdraw_within(db, epoch.id, rows, spans[:MAX_SPANS])
        at = record_of(rows[numbers[0]]).interval
        at_ns = at.end_ns if at.start_ns is None else at.start_ns
        bearer = replace(at, start_ns=at_ns, end_ns=at_ns, gates={}, blind_ns=0, marks=frozenset())
        append(db, epoch, boot, bearer, spans[:MAX_SPANS])
        spans = spans[MAX_SPANS:]
    _withdraw_within(db, epoch.id, rows, spans)
    return spans


def _withdraw_within(db: sqlite3.Connection, epoch: int, rows: Mapping[int, sqlite3.Row], spans: Spans) -> None:
    """Those of the rows that lie within the spans count no longer."""
    gone = [n for n in rows if any(first <= n <= last for first, last in spans)]
    (before,) = db.execute("SELECT totals FROM epoch WHERE id = ?", (epoch,)).fetchone()
    totals = subtract_gates(gates_of(before), sum_gates(gates_of(rows[n]["gates"]) for n in gone))
    db.execute("UPDATE epoch SET totals = ? WHERE id = ?", (gates_text(totals), epoch))
    successor = last_number(db, epoch) + 1
    db.executemany(
        "UPDATE record SET replaced_by = ? WHERE epoch = ? AND number = ?", [(successor, epoch, n) for n in gone]
    )


def _row(db: sqlite3.Connection, epoch: int, number: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        _SELECT + f"WHERE epoch = ? AND number = ? AND {_LIVE}",
        (epoch, number),
    ).fetchone()
    return row


def pending(db: sqlite3.Connection, after: Key, limit: int) -> list[Record]:
    """The oldest records that count and that the broker has not taken, beyond `after`."""
    rows = db.execute(
        _SELECT + f"WHERE acked_ns IS NULL AND {_LIVE} AND (epoch, number) > (?, ?) ORDER BY epoch, number LIMIT ?",
        (*after, limit),
    )
    return [record_of(row) for row in rows]


def following(db: sqlite3.Connection, after: Key, limit: int) -> list[Record]:
    """The oldest records that count beyond `after`."""
    rows = db.execute(
        _SELECT + f"WHERE {_LIVE} AND (epoch, number) > (?, ?) ORDER BY epoch, number LIMIT ?", (*after, limit)
    )
    return [record_of(row) for row in rows]


def queue_length(db: sqlite3.Connection) -> int:
    """How many records the broker has not taken."""
    (count,) = db.execute(f"SELECT count(*) FROM record WHERE acked_ns IS NULL AND {_LIVE}").fetchone()  # noqa: S608
    return int(count)


def acknowledge(db: sqlite3.Connection, keys: Iterable[Key], now_ns: int) -> None:
    """The broker took these."""
    db.executemany(
        "UPDATE record SET acked_ns = ? WHERE epoch = ? AND number = ? AND acked_ns IS NULL",
        [(now_ns, *key) for key in keys],
    )


def date_anew(db: sqlite3.Connection, first_ns: int, last_ns: int, moved_ns: int) -> None:
    """Acknowledgements dated first..last were dated by a clock that has moved by `moved_ns` since."""
    db.execute(
        "UPDATE record SET acked_ns = acked_ns + ? WHERE acked_ns BETWEEN ? AND ?", (moved_ns, first_ns, last_ns)
    )


def span(db: sqlite3.Connection, epoch_name: str, first: int, last: int) -> list[Record]:
    """The records first..last of an epoch that are kept and count."""
    rows = db.execute(
        _SELECT + f"WHERE epoch.name = ? AND number BETWEEN ? AND ? AND {_LIVE} ORDER BY number",
        (epoch_name, first, last),
    )
    return [record_of(row) for row in rows]


def overlapping(db: sqlite3.Connection, epoch: int, start_ns: int, end_ns: int) -> list[Record]:
    """The records that count and share time with start..end."""
    rows = db.execute(
        _SELECT + f"WHERE epoch = ? AND {_LIVE} AND end_ns > ? AND (start_ns IS NULL OR start_ns < ?)"
        " ORDER BY number DESC LIMIT 100",
        (epoch, start_ns, end_ns),
    )
    return [record_of(row) for row in rows]


def since(db: sqlite3.Connection, start_ns: int, after: Key = (0, 0)) -> list[tuple[int, Gates]]:
    """Start and gates of the records beyond `after`, of any epoch, that count and start at or after `start_ns`."""
    rows = db.execute(
        f"SELECT start_ns, gates FROM record WHERE (epoch, number) > (?, ?) AND {_LIVE} AND start_ns >= ?",  # noqa: S608
        (*after, start_ns),
    )
    return [(row["start_ns"], gates_of(row["gates"])) for row in rows]


def blind_since(db: sqlite3.Connection, start_ns: int) -> list[tuple[int, int]]:
    """Start and blind time of the records that count, from `start_ns` on, where there was any."""
    found = db.execute(
        "SELECT start_ns, blind_ns FROM record WHERE start_ns >= ? AND replaced_by IS NULL AND blind_ns > 0",
        (start_ns,),
    )
    return [(row["start_ns"], row["blind_ns"]) for row in found]


def replaced_after(db: sqlite3.Connection, epoch: int, after: int) -> bool:
    """Whether a record beyond `after` replaces any."""
    row = db.execute(
        "SELECT 1 FROM record WHERE epoch = ? AND number > ? AND replaces <> '[]' LIMIT 1", (epoch, after)
    ).fetchone()
    return row is not None
