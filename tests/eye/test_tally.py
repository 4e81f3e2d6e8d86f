# SPDX-License-Identifier: Apache-2.0
"""Tables of who came, by hand."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.door.traits import ALL_COMPANIES, FAMILY, Band, Company, Sex, mask_of, values_of
from nigiwai.eye.release import Person, coarsened, ladder, released
from nigiwai.eye.tally import QUARTER_MS, Rule, Tally
from nigiwai.eye.types import Direction

ALONE = Person(Company.ALONE, Sex.UNKNOWN, Band.ADULT)
PARENT_1, CHILD_1 = (Person(Company.FAMILY_1, Sex.UNKNOWN, b) for b in (Band.ADULT, Band.CHILD))
PARENT_2, CHILD_2 = (Person(Company.FAMILY_2, Sex.UNKNOWN, b) for b in (Band.ADULT, Band.CHILD))
NOBODY_KNOWS = Person()
PLAIN = ladder()

ANY_BAND = mask_of([Band.CHILD, Band.ADULT, Band.UNKNOWN])
OLDER = mask_of([Band.ADULT, Band.UNKNOWN])
SEXLESS = mask_of([Sex.UNKNOWN])
FAMILIES = mask_of(FAMILY)
REST = ALL_COMPANIES & ~FAMILIES


def blocks(counts: dict[Person, int], k: int = 10) -> list[tuple[int, int, int]]:
    """Companies, bands and people of the blocks."""
    return [(b.companies, b.bands, b.people) for b in released(counts, k, PLAIN)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, []),
        ({ALONE: 9}, []),  # fewer than k: nothing
        ({ALONE: 10}, [(ALL_COMPANIES, ANY_BAND, 10)]),  # no side but one: nothing but the number
        ({ALONE: 10, PARENT_1: 9}, [(ALL_COMPANIES, ANY_BAND, 19)]),  # 9 in families: company and age stay merged
        ({ALONE: 10, PARENT_1: 5, CHILD_1: 5}, [(FAMILIES, ANY_BAND, 10), (REST, ANY_BAND, 10)]),
        (
            {ALONE: 30, PARENT_1: 12, CHILD_1: 12},
            [(FAMILIES, mask_of([Band.CHILD]), 12), (FAMILIES, OLDER, 12), (REST, ANY_BAND, 30)],
        ),
        (  # everybody is of a family, which is not said; so their number of children is not either
            {PARENT_1: 20, CHILD_1: 20, PARENT_2: 9, CHILD_2: 18},
            [(ALL_COMPANIES, mask_of([Band.CHILD]), 38), (ALL_COMPANIES, OLDER, 29)],
        ),
        (  # 9 parents of two: the number of children is told of the children only
            {ALONE: 10, PARENT_1: 20, CHILD_1: 20, PARENT_2: 9, CHILD_2: 18},
            [
                (mask_of([Company.FAMILY_1]), mask_of([Band.CHILD]), 20),
                (mask_of([Company.FAMILY_2, Company.FAMILY_3]), mask_of([Band.CHILD]), 18),
                (FAMILIES, OLDER, 29),
                (REST, ANY_BAND, 10),
            ],
        ),
        (  # unknown is a column like any other
            {NOBODY_KNOWS: 11, ALONE: 12, CHILD_1: 15},
            [
                (FAMILIES, ANY_BAND, 15),
                (mask_of([Company.ALONE]), ANY_BAND, 12),
                (REST & ~mask_of([Company.ALONE]), ANY_BAND, 11),
            ],
        ),
    ],
)
def test_blocks_by_hand(counts: dict[Person, int], expected: list[tuple[int, int, int]]) -> None:
    assert blocks(counts) == expected


def test_everything_switched_on_is_told_down_to_the_last_rung() -> None:
    stages = ladder(sex=True, teen=True, senior=True)
    everybody = {Person(c, s, b): 10 for c in Company for s in Sex for b in Band}
    told = released(everybody, 10, stages)
    assert len(told) == 7 * 3 * 5
    assert {b.people for b in told} == {10}


@given(
    st.dictionaries(
        st.builds(Person, st.sampled_from(Company), st.just(Sex.UNKNOWN), st.sampled_from(Band)), st.integers(0, 40)
    )
)
def test_blocks_hold_everybody_once_and_never_fewer_than_k(drawn: dict[Person, int]) -> None:
    stages = ladder(teen=True, senior=True)
    counts = Counter(drawn)
    told = released(counts, 10, stages)
    total = counts.total()
    assert sum(b.people for b in told) == (total if total >= 10 else 0)
    assert all(b.people >= 10 for b in told)
    for person, n in counts.items():
        homes = [b for b in told if all(mask_of([v]) & s for v, s in zip(person, b[:3], strict=True))]
        assert len(homes) == (1 if total >= 10 else 0), n


def test_what_is_switched_off_is_refused_and_can_be_made_coarser() -> None:
    teen = Person(Company.ALONE, Sex.FEMALE, Band.TEEN)
    with pytest.raises(ValueError, match="switched off"):
        released({teen: 20}, 10, PLAIN)
    assert coarsened(teen, PLAIN) == ALONE
    assert coarsened(teen, ladder(sex=True, teen=True)) == teen
    assert coarsened(NOBODY_KNOWS, PLAIN) == NOBODY_KNOWS


def test_sets_are_written_as_numbers() -> None:
    assert mask_of([Band.CHILD, Band.ADULT]) == 0b101
    assert values_of(Band, 0b101) == (Band.CHILD, Band.ADULT)
    assert mask_of([]) == 0


IN, OUT = Direction.IN, Direction.OUT


def arrive(tally: Tally, n: int, at_ms: int, person: Person = ALONE, direction: Direction = IN) -> list[int]:
    """Lets `n` pass; how many people each table held that closed meanwhile."""
    return [t.people for _ in range(n) for t in tally.add(direction, person, at_ms)]


def test_a_full_table_closes_at_the_quarter_and_not_before() -> None:
    tally = Tally(Rule(), 0)
    assert arrive(tally, 60, 1_000) == []
    assert tally.advance(QUARTER_MS - 1) == []
    (table,) = tally.advance(QUARTER_MS)
    assert (table.direction, table.start_ms, table.end_ms, table.people) == (IN, 0, QUARTER_MS, 60)


def test_who_passes_after_the_quarter_is_in_the_next_table() -> None:
    tally = Tally(Rule(), 0)
    arrive(tally, 50, 1_000)
    assert arrive(tally, 1, QUARTER_MS + 5) == [50]
    assert tally.sheets[IN].people == 1
    assert tally.sheets[IN].start_ms == QUARTER_MS


@pytest.mark.parametrize(
    ("people", "quarters"),
    [(50, 1), (49, 4), (10, 4), (9, None)],  # five times k at once; k after an hour; fewer wait for more
)
def test_when_a_table_closes_depends_on_the_number_only(people: int, quarters: int | None) -> None:
    tally = Tally(Rule(), 0)
    arrive(tally, people, 0)
    closed = tally.advance(100 * QUARTER_MS)
    assert [t.end_ms // QUARTER_MS for t in closed] == ([] if quarters is None else [quarters])


def test_leftovers_are_carried_on_until_there_are_enough() -> None:
    """Nine in the evening, one in the morning, half a day later: one table of ten."""
    tally = Tally(Rule(), 0)
    arrive(tally, 9, 0)
    morning = 48 * QUARTER_MS
    assert tally.advance(morning) == []
    arrive(tally, 1, morning)
    (table,) = tally.advance(morning + QUARTER_MS)
    assert (table.start_ms, table.people) == (0, 10)


def test_the_end_of_an_event_tells_what_it_may_and_says_how_many_are_withheld() -> None:
    tally = Tally(Rule(), 0)
    arrive(tally, 10, 0, direction=IN)
    arrive(tally, 9, 0, direction=OUT)
    came, went = tally.end(QUARTER_MS + 7)
    assert (came.people, [b.people for b in came.blocks]) == (10, [10])
    assert (went.people, went.blocks) == (9, ())
    assert tally.end(QUARTER_MS + 8) == []


def test_an_event_shorter_than_a_quarter_tells_nothing() -> None:
    tally = Tally(Rule(), 0)
    arrive(tally, 500, 0)
    assert [(t.people, t.blocks) for t in tally.end(QUARTER_MS - 1)] == [(500, ())]


@given(st.lists(st.tuples(st.integers(0, 3 * QUARTER_MS), st.sampled_from(Direction)), max_size=80), st.booleans())
def test_every_passage_is_in_exactly_one_table(steps: list[tuple[int, Direction]], half: bool) -> None:
    tally, now, told = Tally(Rule(k=5), 0), 0, []
    for step, direction in steps:
        now += step // 20
        told += tally.add(direction, CHILD_1 if half else ALONE, now)
    told += tally.end(now)
    for direction in Direction:
        tables = [t for t in told if t.direction is direction]
        assert sum(t.people for t in tables) == sum(d is direction for _, d in steps)
        assert all(a.end_ms <= b.start_ms for a, b in pairwise(tables))


def test_k_below_five_is_refused() -> None:
    with pytest.raises(ValueError, match="k = 4: at least 5"):
        Rule(k=4)
