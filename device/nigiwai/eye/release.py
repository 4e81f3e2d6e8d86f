# SPDX-License-Identifier: Apache-2.0
r"""Which cells of a table of traits may be told: the release rule. Pure.

Begin with one block that holds everybody, and split it down a fixed ladder. A split is told only if *both* of its sides
hold at least k people; otherwise the block stays whole in that respect and the next rung is tried:

    company   family | rest     alone | rest     adults | rest     children | unknown
    sex       female | rest     male | unknown                                              (only where switched on)
    band      child, teen | rest     child | teen     adult, senior | unknown     adult | senior
    children  one | more     two | three or more

Read from below this merges number of children first, then bands, then sex, then company. An empty side counts as too
small. That costs detail (that nobody came alone cannot be said), and buys the guarantee, because the rule itself is
public: if only sides of 1 to k - 1 were hidden, a block left whole would tell that one of them is such a side.

Why nothing about fewer than k can be derived. An attacker who knows the rule learns for each block that was left whole
only "one side has fewer than k". Take any combination of traits, and let everybody in each block have one and the same
value of what was not split: every such "one side has fewer than k" holds, since one side is empty. So each block may
lie wholly within the combination asked about, or wholly without, and its number can be 0 or at least k as far as the
attacker can tell (tests/eye/test_attack.py tries all histories to find a counter-example).

Not covered: everybody in a block being alike to somebody who knows them (homogeneity), and what is known from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nigiwai.door.traits import ALL_BANDS, ALL_COMPANIES, ALL_SEXES, FAMILY, Band, Company, Sex, mask_of

LEAST_K = 5
"""No setting goes below this."""


class Person(NamedTuple):
    """What is taken to be true of one passage; it has no field for who, where or when."""

    company: Company = Company.UNKNOWN
    sex: Sex = Sex.UNKNOWN
    band: Band = Band.UNKNOWN


class Block(NamedTuple):
    """`people` passages whose traits lie in the three sets (door/traits.py has how a set is written)."""

    companies: int
    sexes: int
    bands: int
    people: int


@dataclass(frozen=True, slots=True)
class Rung:
    """One split: of blocks whose set in column `column` is `whole`, into `part` and the rest."""

    column: int
    whole: int
    part: int


Stage = tuple[Rung, ...]
"""The rungs of one step of the ladder; tried in order where they fit, until one is refused."""

_COMPANY, _SEX, _BAND = 0, 1, 2


def ladder(*, sex: bool = False, teen: bool = False, senior: bool = False) -> tuple[Stage, ...]:
    """The ladder for what is switched on, the coarsest step first."""
    band: list[Rung] = []
    young = mask_of([Band.CHILD, Band.TEEN] if teen else [Band.CHILD])
    old = mask_of([Band.ADULT, Band.SENIOR] if senior else [Band.ADULT])
    possible = young | old | mask_of([Band.UNKNOWN])
    band.append(Rung(_BAND, possible, young))
    band += [Rung(_BAND, young, mask_of([Band.CHILD]))] if teen else []
    band.append(Rung(_BAND, old | mask_of([Band.UNKNOWN]), old))
    band += [Rung(_BAND, old, mask_of([Band.ADULT]))] if senior else []
    return (_companies(), *([_sexes()] if sex else []), tuple(band), _children())


def _companies() -> Stage:
    adults, children, unknown = (mask_of([c]) for c in (Company.ADULTS, Company.CHILDREN, Company.UNKNOWN))
    rest = mask_of([Company.ALONE]) | adults | children | unknown
    return (
        Rung(_COMPANY, ALL_COMPANIES, mask_of(FAMILY)),
        Rung(_COMPANY, rest, mask_of([Company.ALONE])),
        Rung(_COMPANY, adults | children | unknown, adults),
        Rung(_COMPANY, children | unknown, children),
    )


def _sexes() -> Stage:
    male, unknown = mask_of([Sex.MALE]), mask_of([Sex.UNKNOWN])
    return (Rung(_SEX, ALL_SEXES, mask_of([Sex.FEMALE])), Rung(_SEX, male | unknown, male))


def _children() -> Stage:
    more = mask_of([Company.FAMILY_2, Company.FAMILY_3])
    return (
        Rung(_COMPANY, mask_of(FAMILY), mask_of([Company.FAMILY_1])),
        Rung(_COMPANY, more, mask_of([Company.FAMILY_2])),
    )


def possible(stages: tuple[Stage, ...]) -> Block:
    """The block of everybody, of no people: the sets of all values that these stages know."""
    bands = [rung.whole for stage in stages for rung in stage if rung.column == _BAND]
    sexes = [rung.whole for stage in stages for rung in stage if rung.column == _SEX]
    return Block(ALL_COMPANIES, sexes[0] if sexes else mask_of([Sex.UNKNOWN]), bands[0] if bands else ALL_BANDS, 0)


def coarsened(person: Person, stages: tuple[Stage, ...]) -> Person:
    """The person in words that these stages know: a teen or senior is an adult, a sex unknown, while switched off."""
    known = possible(stages)
    sex = person.sex if mask_of([person.sex]) & known.sexes else Sex.UNKNOWN
    band = person.band if mask_of([person.band]) & known.bands else Band.ADULT
    return Person(person.company, sex, band)


def released(counts: Mapping[Person, int], k: int, stages: tuple[Stage, ...]) -> tuple[Block, ...]:
    """The blocks that may be told, in the ladder's order; none if fewer than `k` people are in the table.

    Together they hold everybody once. Raises ValueError for a value that the stages do not know.
    """
    cells = [(tuple(mask_of([v]) for v in person), n) for person, n in counts.items() if n]
    everybody = possible(stages)
    if any(not all(bit & allowed for bit, allowed in zip(cell, everybody[:3], strict=True)) for cell, _ in cells):
        raise ValueError("a person has a trait that is switched off")
    if sum(n for _, n in cells) < k:
        return ()
    return tuple(_descend(everybody[:3], cells, k, stages))


_Sets = tuple[int, int, int]
_Cells = list[tuple[tuple[int, ...], int]]


def _descend(sets: _Sets, cells: _Cells, k: int, stages: tuple[Stage, ...]) -> list[Block]:
    if not stages:
        return [Block(*sets, sum(n for _, n in cells))]
    rung = next((r for r in stages[0] if sets[r.column] == r.whole), None)
    if rung is None:
        return _descend(sets, cells, k, stages[1:])
    here = [cell for cell in cells if cell[0][rung.column] & rung.part]
    there = [cell for cell in cells if not cell[0][rung.column] & rung.part]
    if min(sum(n for _, n in here), sum(n for _, n in there)) < k:
        return _descend(sets, cells, k, stages[1:])
    first, second = (_with(sets, rung.column, part) for part in (rung.part, rung.whole & ~rung.part))
    return _descend(first, here, k, stages) + _descend(second, there, k, stages)


def _with(sets: _Sets, column: int, value: int) -> _Sets:
    changed = list(sets)
    changed[column] = value
    return changed[0], changed[1], changed[2]
