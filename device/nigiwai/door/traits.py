# SPDX-License-Identifier: Apache-2.0
"""Who came, as closed lists: in what company, of which sex, of which age. Both rooms use these words only.

A table never holds a person, it holds *blocks*: sets of trait values with one number. A set is written as a whole
number whose bits are the members in the order of the list, so that a record has one encoding and a table of many blocks
fits through the door.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

_Value = TypeVar("_Value", bound=StrEnum)


class Company(StrEnum):
    """With whom somebody came. `family`: at least one child and one adult, by the number of children in the group."""

    ALONE = "alone"
    ADULTS = "adults"
    FAMILY_1 = "family_1"
    FAMILY_2 = "family_2"
    FAMILY_3 = "family_3_or_more"
    CHILDREN = "children"
    UNKNOWN = "unknown"


class Sex(StrEnum):
    """Sex as estimated; `unknown` for everybody unless the estimate is switched on."""

    FEMALE = "female"
    MALE = "male"
    UNKNOWN = "unknown"


class Band(StrEnum):
    """Age: child to 12 years, teen 13 to 19, adult 20 to 64, senior 65 and over.

    While teen and senior are switched off, `adult` is everybody from 13.
    """

    CHILD = "child"
    TEEN = "teen"
    ADULT = "adult"
    SENIOR = "senior"
    UNKNOWN = "unknown"


FROM_YEAR = {Band.CHILD: 0, Band.TEEN: 13, Band.ADULT: 20, Band.SENIOR: 65}
"""From which year of age on somebody belongs to a band, until the next one begins."""

FAMILY = frozenset({Company.FAMILY_1, Company.FAMILY_2, Company.FAMILY_3})


def mask_of(values: Iterable[StrEnum]) -> int:
    """The set as a number: bit i stands for member i of the values' own list. Of nothing it is 0."""
    return sum(1 << list(type(v)).index(v) for v in set(values))


def values_of(kind: type[_Value], mask: int) -> tuple[_Value, ...]:
    """The members of the set, in the order of the list."""
    members: Sequence[_Value] = list(kind)
    return tuple(v for i, v in enumerate(members) if mask >> i & 1)


ALL_COMPANIES = mask_of(Company)
ALL_SEXES = mask_of(Sex)
ALL_BANDS = mask_of(Band)
