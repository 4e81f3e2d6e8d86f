# SPDX-License-Identifier: Apache-2.0
"""The attacker: knows the rule, every live total and every table, and no person. Finds nothing about fewer than k.

Two ways. *All histories*: for few people and a small k, every possible assignment of traits is run through the real
tally and those that publish the same are gathered; whatever all of them agree on is derived. *A way out*: for real
sizes, after any history, another history is shown that publishes the very same and in which the cell asked about holds
k or more, or nobody. Rules that are broken on purpose must fall to the first attacker.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.door.traits import Band, Company, Sex, mask_of, values_of
from nigiwai.eye.release import Block, Person, ladder
from nigiwai.eye.tally import Rule, Sheet, Table, Tally
from nigiwai.eye.types import Direction

IN, OUT = Direction.IN, Direction.OUT
Arrivals = Sequence[tuple[int, Direction]]
Attack = dict[tuple[object, ...], list[tuple[Person, ...]]]

PALETTE = [Person(c, Sex.UNKNOWN, b) for c in (Company.ALONE, Company.FAMILY_1) for b in (Band.ADULT, Band.CHILD)]
THREE = [PALETTE[0], PALETTE[2], PALETTE[3]]


def small(k: int) -> Rule:
    """Quarters of ten ticks, so that all histories can be tried."""
    return Rule(k=k, quarter_ms=10, latest_ms=20, comfort=2, least_k=1)


def published(
    tally: Tally, arrivals: Arrivals, people: Iterable[Person], end_ms: int, *, ends: bool
) -> tuple[Table, ...]:
    """Everything that is told of a history but the live totals, which are the same for all that are compared."""
    told: list[Table] = []
    for (at, direction), person in zip(arrivals, people, strict=True):
        told += tally.add(direction, person, at)
    return (*told, *(tally.end(end_ms) if ends else tally.advance(end_ms)))


def derived(
    make: Callable[[], Tally], arrivals: Arrivals, palette: Sequence[Person], k: int, *, ends: bool = True
) -> list[tuple[object, ...]]:
    """What the attacker learns: (who by time, which traits, the numbers possible), all of them within 1..k-1."""
    end = max(at for at, _ in arrivals) + 11
    same: Attack = defaultdict(list)
    for people in product(palette, repeat=len(arrivals)):
        same[published(make(), arrivals, people, end, ends=ends)].append(people)
    spans = list(combinations(range(len(arrivals) + 1), 2))
    cells = [set(c) for n in range(1, len(palette)) for c in combinations(palette, n)]
    found: list[tuple[object, ...]] = []
    for histories in same.values():
        for (first, last), cell in product(spans, cells):
            numbers = {sum(p in cell for p in people[first:last]) for people in histories}
            if min(numbers) >= 1 and max(numbers) < k:
                found.append((first, last, cell, numbers))
    return found


HISTORIES: list[tuple[int, list[Person], Arrivals]] = [
    (2, PALETTE, [(t, IN) for t in (0, 1, 2, 3, 4, 5)]),  # one table
    (3, THREE, [(t, IN) for t in (0, 1, 2, 3, 4, 5, 6)]),
    (2, PALETTE, [(t, IN) for t in (1, 2, 11, 12, 13, 14)]),  # too few at the first look, and a second table
    (3, THREE, [(t, IN) for t in (1, 4, 7, 8, 12, 13, 15, 17)]),
    (2, PALETTE, [(1, IN), (2, OUT), (3, IN), (4, OUT), (5, IN), (12, IN)]),  # both ways
    (4, THREE, [(t, IN) for t in (1, 2, 3, 4, 5, 6, 7, 8)]),
    (2, PALETTE, [(t, IN) for t in (1, 11, 21, 22, 31, 33)]),  # one by one, long open
    (2, [Person(band=b) for b in Band], [(t, IN) for t in (1, 2, 3, 4, 5)]),  # bands that are all in use
]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize(("k", "palette", "arrivals"), HISTORIES)
def test_over_all_histories_nothing_about_fewer_than_k_is_derived(
    k: int, palette: list[Person], arrivals: Arrivals, ends: bool
) -> None:
    rule = small(k)
    if any(p.band in (Band.TEEN, Band.SENIOR) for p in palette):
        rule = Rule(k, ladder(teen=True, senior=True), 10, 20, 2, 1)
    assert derived(lambda: Tally(rule, 0), arrivals, palette, k, ends=ends) == []


class TellsCells(Tally):
    """Broken: tells every cell of k or more and leaves the small ones out; the rest follows from the total."""

    def _blocks(self, counts: "dict[Person, int]") -> tuple[Block, ...]:  # type: ignore[override]
        large = {p: n for p, n in counts.items() if n >= self._rule.k}
        return tuple(Block(*(mask_of([v]) for v in p), n) for p, n in sorted(large.items()))


class ToleratesEmpty(Tally):
    """Broken: splits where a side is empty, so that a block left whole tells that one side is small and not empty."""

    def _blocks(self, counts: "dict[Person, int]") -> tuple[Block, ...]:  # type: ignore[override]
        sides: dict[bool, int] = {True: 0, False: 0}
        for person, n in counts.items():
            sides[person.band is Band.CHILD] += n
        if any(0 < n < self._rule.k for n in sides.values()):
            return (Block(0, 0, 0, sum(sides.values())),)
        return tuple(Block(0, 0, int(child), n) for child, n in sides.items() if n)


class ClosesByTraits(Tally):
    """Broken: closes a table as soon as its traits can be told, so that the moment tells who came last."""

    def add(self, direction: Direction, person: Person, at_ms: int) -> list[Table]:
        closed = super().add(direction, person, at_ms)
        sheet = self.sheets[direction]
        if len(self._blocks(sheet.counts)) > 1:
            closed.append(self._table(direction, at_ms))
            self.sheets[direction] = Sheet(at_ms, at_ms + self._rule.quarter_ms)
        return closed

    def _table(self, direction: Direction, end_ms: int) -> Table:
        sheet = self.sheets[direction]
        return Table(direction, sheet.start_ms, end_ms, sheet.people, self._blocks(sheet.counts))


@pytest.mark.parametrize("broken", [TellsCells, ToleratesEmpty, ClosesByTraits])
def test_the_attacker_breaks_a_broken_rule(broken: type[Tally]) -> None:
    k, palette, arrivals = 3, THREE, [(t, IN) for t in range(7)]
    assert derived(lambda: broken(small(k), 0), arrivals, palette, k)


def people(*, teen: bool, senior: bool, sex: bool) -> st.SearchStrategy[Person]:
    bands = [b for b in Band if (teen or b is not Band.TEEN) and (senior or b is not Band.SENIOR)]
    return st.builds(
        Person, st.sampled_from(Company), st.sampled_from(Sex if sex else [Sex.UNKNOWN]), st.sampled_from(bands)
    )


@st.composite
def days(draw: st.DrawFn) -> tuple[Rule, list[tuple[int, Direction, Person]], tuple[frozenset[object], ...]]:
    """A rule, a day of few kinds of people in changing proportions, and the cell that the attacker asks about."""
    on = {name: draw(st.booleans()) for name in ("sex", "teen", "senior")}
    rule = Rule(k=draw(st.integers(5, 12)), stages=ladder(**on), quarter_ms=100, latest_ms=300)
    someone = people(**on)
    kinds = draw(st.lists(someone, min_size=1, max_size=6))
    at, day = 0, []
    for _ in range(draw(st.integers(1, 12))):
        at += draw(st.integers(0, 60))
        direction, person = draw(st.sampled_from(Direction)), draw(st.sampled_from(kinds))
        day += [(at, direction, person)] * draw(st.integers(1, 30))
    cell = tuple(frozenset(draw(st.sets(st.sampled_from(v), min_size=1))) for v in (Company, Sex, Band))
    return rule, day, cell


@given(days(), st.booleans())
def test_after_any_day_every_cell_may_as_well_hold_k_or_nobody(
    drawn: tuple[Rule, list[tuple[int, Direction, Person]], tuple[frozenset[object], ...]], inside: bool
) -> None:
    """The other history gives everybody of a block the same traits, chosen within the cell (or outside, where the
    block is not wholly within it); the real tally then publishes the very same tables."""
    rule, day, cell = drawn
    end = day[-1][0] + 400
    arrivals = [(at, direction) for at, direction, _ in day]
    told = published(Tally(rule, 0), arrivals, [p for *_, p in day], end, ends=True)

    other = [same_for_all(block, cell, inside) for block in shares(told, arrivals, end)]

    assert published(Tally(rule, 0), arrivals, other, end, ends=True) == told
    for table in told:
        assert table.blocks == () or all(b.people >= rule.k for b in table.blocks)
        assert table.blocks == () or sum(b.people for b in table.blocks) == table.people
        mine = [p for (at, d), p in zip(arrivals, other, strict=True) if _within(table, at, d)]
        number = sum(all(v in s for v, s in zip(p, cell, strict=True)) for p in mine)
        certain = sum(b.people for b in table.blocks if covers(cell, b))
        assert number == 0 or number >= rule.k or not table.blocks
        assert inside or number == certain or not table.blocks


def _within(table: Table, at: int, direction: Direction) -> bool:
    return direction is table.direction and table.start_ms <= at < table.end_ms


def shares(told: Sequence[Table], arrivals: Arrivals, end: int) -> list[Block]:
    """A block for each passage: how the attacker may imagine who was meant, in the order of the passages."""
    anybody = Block(mask_of(Company), mask_of([Sex.UNKNOWN]), mask_of([Band.UNKNOWN]), 0)
    blocks = {id(t): [b for b in t.blocks for _ in range(b.people)] for t in told}
    mine = []
    for at, direction in arrivals:
        table = next((t for t in told if _within(t, at, direction)), None)
        waiting = blocks[id(table)] if table is not None else []
        mine.append(waiting.pop() if waiting else anybody)
    return mine


def sets_of(block: Block) -> tuple[tuple[object, ...], ...]:
    return values_of(Company, block.companies), values_of(Sex, block.sexes), values_of(Band, block.bands)


def covers(cell: tuple[frozenset[object], ...], block: Block) -> bool:
    return all(set(values) <= wanted for values, wanted in zip(sets_of(block), cell, strict=True))


def same_for_all(block: Block, cell: tuple[frozenset[object], ...], inside: bool) -> Person:
    """The block's first value of each trait, those within the cell first (or last): the same choice in every block."""
    chosen = [
        next((v for v in values if (v in wanted) is inside), values[0])
        for values, wanted in zip(sets_of(block), cell, strict=True)
    ]
    return Person(*chosen)  # type: ignore[arg-type]
