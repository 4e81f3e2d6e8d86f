# SPDX-License-Identifier: Apache-2.0
"""Released tables of who came, as they pass the door. Their blocks never hold fewer than k people (eye/release.py).

    from eye   TraitTable
    to eye     TableTaken, EventOver

A table is known by (run, number). Link answers it after its commit; eye sends again what was not answered.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nigiwai.door.records import BootMs, Hex32, Record
from nigiwai.door.traits import ALL_BANDS, ALL_COMPANIES, ALL_SEXES

MOST_BLOCKS = 105
"""Everything told apart, the experimental traits too: five bands of three sexes in seven kinds of company. Without
those it is 21. So many blocks of four numbers, none above 9,999, just fit in a packet."""

MOST_PEOPLE = 1_000_000
"""In one table; many times what passes a door in a day."""

TableNumber = Annotated[int, Field(ge=1, le=2**31)]
People = Annotated[int, Field(ge=1, le=MOST_PEOPLE)]
Block = tuple[
    Annotated[int, Field(ge=1, le=ALL_COMPANIES)],
    Annotated[int, Field(ge=1, le=ALL_SEXES)],
    Annotated[int, Field(ge=1, le=ALL_BANDS)],
    People,
]
"""The sets of company, sex and band as numbers (traits.py), and how many people."""


class TraitTable(Record):
    """Who passed in one direction from start to end of boot time: `people` in all, in blocks of `k` or more.

    No blocks: too few people, or too short a time, to say anything.
    """

    kind: Literal["trait_table"] = "trait_table"
    run: Hex32
    number: TableNumber
    direction: Literal["in", "out"]
    start_ms: BootMs
    end_ms: BootMs
    k: Annotated[int, Field(ge=5, le=1_000)]
    people: People
    blocks: Annotated[tuple[Block, ...], Field(max_length=MOST_BLOCKS)]
    epsilon_percent: Annotated[int, Field(ge=5, le=1_000)] | None = None
    """With how much noise on the blocks' numbers (eye/noise.py), in hundredths; None without."""

    @model_validator(mode="after")
    def _adds_up(self) -> "TraitTable":
        if self.end_ms < self.start_ms:
            raise ValueError("end before start")
        if self.blocks and sum(b[3] for b in self.blocks) != self.people:
            raise ValueError("the blocks do not hold everybody once")
        if any(b[3] < self.k for b in self.blocks):
            raise ValueError("a block of fewer than k people")
        return self


class TableTaken(Record):
    """Link has committed the table (run, number)."""

    kind: Literal["table_taken"] = "table_taken"
    run: Hex32
    number: TableNumber


class EventOver(Record):
    """The event is over: close the open tables."""

    kind: Literal["event_over"] = "event_over"


AN_HOUR = 16
RATES: dict[str, tuple[float, float]] = {"trait_table": (24, AN_HOUR / 3_600)}
"""Twice as many as eye makes; after an outage all that it kept at once."""
