# SPDX-License-Identifier: Apache-2.0
"""Values to columns and back."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nigiwai.link.intervals import NS_PER_MS, Gates, Interval, Placed
from nigiwai.link.messages import ClockState, Mark

Key = tuple[int, int]
"""A record by the row of its epoch and its number."""

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One numbered record of the ledger."""

    epoch: str
    key: Key
    interval: Interval
    totals: Gates
    replaces: Spans

    @property
    def number(self) -> int:
        """Its number within the epoch."""
        return self.key[1]


@dataclass(frozen=True, slots=True)
class StoredBin:
    """A bin as it lies in the ledger, with its boot's offset, if that is known."""

    run: str
    sequence: int
    offset_ns: int | None
    start_ms: int
    length_ms: int
    blind_ms: int
    gates: Gates
    marks: frozenset[Mark]
    placed_at_once: bool

    def at(self, offset_ns: int) -> Placed:
        """The bin on the wall clock."""
        return Placed(
            self.start_ms * NS_PER_MS + offset_ns,
            self.length_ms * NS_PER_MS,
            self.blind_ms * NS_PER_MS,
            self.gates,
            self.marks,
        )


def gates_text(gates: Gates) -> str:
    """Gates as a column."""
    return json.dumps({name: list(counts) for name, counts in sorted(gates.items())}, separators=(",", ":"))


def gates_of(text: str) -> dict[str, tuple[int, int]]:
    """Gates from a column."""
    return {name: (entered, left) for name, (entered, left) in json.loads(text).items()}


def marks_text(marks: Iterable[str]) -> str:
    """Marks or flags as a column."""
    return " ".join(sorted(str(m) for m in marks))


def marks_of(text: str) -> frozenset[Mark]:
    """Marks from a column."""
    return frozenset(Mark(m) for m in text.split())


def record_of(row: sqlite3.Row) -> Record:
    """A record from a row of `record` joined with its epoch's name."""
    interval = Interval(
        row["start_ns"],
        row["end_ns"],
        gates_of(row["gates"]),
        row["blind_ns"],
        marks_of(row["marks"]),
        ClockState(row["clock"]),
    )
    spans = tuple((first, last) for first, last in json.loads(row["replaces"]))
    return Record(row["name"], (row["epoch"], row["number"]), interval, gates_of(row["totals"]), spans)


def record_columns(key: Key, boot: str, interval: Interval, totals: Gates, replaces: Spans) -> Mapping[str, object]:
    """A new record's columns."""
    return {
        "epoch": key[0],
        "number": key[1],
        "boot": boot,
        "start_ns": interval.start_ns,
        "end_ns": interval.end_ns,
        "gates": gates_text(interval.gates),
        "totals": gates_text(totals),
        "blind_ns": interval.blind_ns,
        "marks": marks_text(interval.marks),
        "clock": interval.clock.value,
        "replaces": json.dumps(replaces, separators=(",", ":")),
    }


def bin_of(row: sqlite3.Row) -> StoredBin:
    """A bin from a row of `bin` joined with its boot."""
    return StoredBin(
        row["run"],
        row["sequence"],
        row["offset_ns"],
        row["start_ms"],
        row["length_ms"],
        row["blind_ms"],
        gates_of(row["gates"]),
        marks_of(row["flags"]),
        bool(row["placed"]),
    )
