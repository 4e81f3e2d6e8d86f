# SPDX-License-Identifier: Apache-2.0
"""Who came, in tables of k people or more; and how many are in each zone, for how long."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nigiwai.door.records import MAX_GATES, Name
from nigiwai.door.tables import MOST_BLOCKS
from nigiwai.door.traits import Band, Company, Sex
from nigiwai.door.zones import CLASSES
from nigiwai.link.messages.base import Envelope, Epoch, Number, Part, Stamp, Total


class TraitBlock(Part):
    """`people` passages by people in one of these companies, of one of these sexes and bands; which, is not told."""

    company: Annotated[tuple[Company, ...], Field(min_length=1, max_length=len(Company))]
    sex: Annotated[tuple[Sex, ...], Field(min_length=1, max_length=len(Sex))]
    band: Annotated[tuple[Band, ...], Field(min_length=1, max_length=len(Band))]
    people: Annotated[int, Field(ge=5, le=1_000_000)]


Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class Estimate(Part):
    """The share of a table's people of whom something is true, corrected for the classifier's known errors.

    `said`: of how many it was said. low, high: the 95 % interval. basis: where the errors were measured; `simulation`
    is no evidence of accuracy at a real entrance.
    """

    said: Total
    share: Unit
    low: Unit
    high: Unit
    basis: Literal["simulation", "audit"]


class Traits(Envelope):
    """Who passed in one direction: one table, whose blocks hold everybody once and each at least `k` people."""

    type: Literal["traits"] = "traits"
    epoch: Epoch
    table: Number = Field(description="With the epoch, names the table for ever; numbers may be left out.")
    direction: Literal["in", "out"]
    start: Stamp | None = Field(description="Null where the time was never known.")
    end: Stamp | None
    k: Annotated[int, Field(ge=5, le=1_000)]
    people: Annotated[int, Field(ge=1, le=1_000_000)]
    withheld: bool = Field(description="There were too few people, or the time was too short, to tell blocks.")
    blocks: Annotated[tuple[TraitBlock, ...], Field(max_length=MOST_BLOCKS)]
    experimental: Annotated[tuple[Literal["sex", "teen", "senior"], ...], Field(max_length=3)] = Field(
        (), description="What is told although nothing shows yet that it is right about real people; off by default."
    )
    epsilon: Annotated[float, Field(ge=0.05, le=10.0)] | None = Field(
        None, description="Of the noise on the blocks' numbers (differential privacy); null where they have none."
    )
    children: Estimate | None = Field(
        None, description="Aged 12 or less; null where the blocks do not tell them apart."
    )
    families: Estimate | None = Field(None, description="In company of both a child and an adult; null likewise.")


class ZoneNow(Part):
    """One zone: people in it, of them queueing, the most at once since the last message, and visits by length.

    `visits`: of up to 5, 15, 30, 60, 120, 300, 600, 1800 s and longer, all since `run` began.
    """

    zone: Name
    people: Total
    queue: Total
    most: Total
    visits: Annotated[tuple[Total, ...], Field(min_length=CLASSES, max_length=CLASSES)]


class Zones(Envelope):
    """The zones now. Retained; once a minute while there are any."""

    type: Literal["zones"] = "zones"
    at: Stamp
    run: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")] = Field(
        description="Changes when eye starts again, whose visits count from zero."
    )
    zones: Annotated[tuple[ZoneNow, ...], Field(max_length=MAX_GATES)]
