# SPDX-License-Identifier: Apache-2.0
"""Who passed, summed up over at least a quarter of an hour, and told once. Pure.

Two tables are open at any time, one a direction; each passage enters exactly one table. A table closes at a whole
quarter of an hour after it was opened, and whether it does depends only on how many passed that way, which everybody
who reads the live counts knows already: at 5 k people, or from k on when an hour is over. If it closed as soon as the
*traits* allow it, the moment would tell the trait of the last to come. What it then says, release.py decides.

A table with too few people stays open, over midnight and over the end of the opening hours. What is left at the end of
an event is told if it may be, or withheld, and the table says how many were.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from nigiwai.eye.release import LEAST_K, Block, Person, Stage, ladder, released
from nigiwai.eye.types import Direction

QUARTER_MS = 900_000
LATEST_MS = 4 * QUARTER_MS
COMFORT = 5
"""A table is closed after a quarter of an hour if it holds this many times k people: then most cells reach k."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What the settings say about releasing."""

    k: int = 10
    stages: tuple[Stage, ...] = field(default_factory=ladder)
    quarter_ms: int = QUARTER_MS
    latest_ms: int = LATEST_MS
    comfort: int = COMFORT
    least_k: int = LEAST_K
    """Only tests, which have to try every history, set it lower."""

    def __post_init__(self) -> None:
        if self.k < self.least_k:
            raise ValueError(f"k = {self.k}: at least {self.least_k}")


@dataclass(frozen=True, slots=True)
class Table:
    """One closed table: everybody who passed in `direction` from start to end, in ms of boot time.

    blocks hold `people` in all; none if they were withheld.
    """

    direction: Direction
    start_ms: int
    end_ms: int
    people: int
    blocks: tuple[Block, ...]


@dataclass(slots=True)
class Sheet:
    """The table that is open in one direction; `due_ms` is when it is looked at next."""

    start_ms: int
    due_ms: int
    counts: Counter[Person] = field(default_factory=Counter)

    @property
    def people(self) -> int:
        """How many are in it."""
        return self.counts.total()


class Tally:
    """The open tables. Times never go backwards; a person is added at the time of the passage."""

    def __init__(self, rule: Rule, start_ms: int, sheets: Mapping[Direction, Sheet] | None = None) -> None:
        """sheets: what an earlier run left, to be carried on."""
        self._rule = rule
        self.sheets = dict(sheets) if sheets else {d: _fresh(start_ms, rule) for d in Direction}

    def add(self, direction: Direction, person: Person, at_ms: int) -> list[Table]:
        """Takes in one passage; returns the tables that were over before it."""
        closed = self.advance(at_ms)
        self.sheets[direction].counts[person] += 1
        return closed

    def advance(self, now_ms: int) -> list[Table]:
        """The tables that were over by `now_ms`, oldest first."""
        closed = []
        for direction, sheet in self.sheets.items():
            while now_ms >= self.sheets[direction].due_ms:
                sheet = self.sheets[direction]
                due = sheet.due_ms
                if self._full(sheet, due):
                    closed.append(self._table(direction, due))
                    self.sheets[direction] = _fresh(due, self._rule)
                else:
                    sheet.due_ms += self._rule.quarter_ms
        return sorted(closed, key=lambda t: t.end_ms)

    def end(self, now_ms: int) -> list[Table]:
        """Closes everything at the end of an event; what may not be told is withheld."""
        closed = self.advance(now_ms)
        for direction, sheet in self.sheets.items():
            if sheet.people:
                closed.append(self._table(direction, now_ms))
            self.sheets[direction] = _fresh(now_ms, self._rule)
        return closed

    def _full(self, sheet: Sheet, now_ms: int) -> bool:
        rule = self._rule
        late = now_ms - sheet.start_ms >= rule.latest_ms
        return sheet.people >= (rule.k if late else rule.comfort * rule.k)

    def _table(self, direction: Direction, end_ms: int) -> Table:
        sheet, rule = self.sheets[direction], self._rule
        long_enough = end_ms - sheet.start_ms >= rule.quarter_ms
        blocks = self._blocks(sheet.counts) if long_enough else ()
        return Table(direction, sheet.start_ms, end_ms, sheet.people, blocks)

    def _blocks(self, counts: Mapping[Person, int]) -> tuple[Block, ...]:
        return released(counts, self._rule.k, self._rule.stages)


def _fresh(start_ms: int, rule: Rule) -> Sheet:
    return Sheet(start_ms, start_ms + rule.quarter_ms)
