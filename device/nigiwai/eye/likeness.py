# SPDX-License-Identifier: Apache-2.0
"""What stature and picture together say of one person: how likely a child, which band, which sex. Pure.

Both speak of children and others as equally frequent, and of every year of age among them: how many really came is put
right in the sums (link/correction.py), never in the single case. Their log odds of being a child are added up with
weights fitted on rendered bodies that training never saw. The weights are below 1 together because the two err alike:
who is tall for their years also looks older.
"""

from collections.abc import Collection
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from nigiwai.door.traits import Band, Sex
from nigiwai.eye.growth import child_probability
from nigiwai.eye.manifest import TraitEntry
from nigiwai.eye.stature import Stature

Floats = NDArray[np.float64]

SURE = 0.7
"""The probability from which somebody is called a child, or no child; between, the age is unknown."""

SURE_BAND = 0.6
"""The probability from which a teen, adult or senior is told apart, where that is switched on."""

SURE_SEX = 0.8

MOST_ODDS = 8.0
"""Log odds beyond which neither source is believed: one in 3,000."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the log odds of picture and stature are added up."""

    picture: float = 1.0
    stature: float = 1.0
    constant: float = 0.0

    @staticmethod
    def of(entry: TraitEntry) -> "Fusion":
        """As a trait model's entry in the manifest says."""
        return Fusion(entry.picture_weight, entry.stature_weight, entry.constant)


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is known of one person. band (4,): log probabilities as the picture alone has them; None without a look."""

    child: float | None
    """How likely a child; None where nothing is known."""
    band: Floats | None = None
    sex: Floats | None = None


def likeness(stature: Stature | None, looks: tuple[Floats, Floats] | None, fusion: Fusion) -> Likeness:
    """What stature and the picture's log probabilities (bands, sexes) say together."""
    tall = None if stature is None else _odds(child_probability(stature.metres, stature.error_m))
    if looks is None:
        return Likeness(None if tall is None else _chance(tall))
    band, sex = looks
    seen = float(band[0] - np.logaddexp.reduce(band[1:]))
    if tall is None:
        return Likeness(_chance(seen), band, sex)
    seen = max(-MOST_ODDS, min(MOST_ODDS, seen))
    return Likeness(_chance(fusion.picture * seen + fusion.stature * tall + fusion.constant), band, sex)


def child_odds(known: Likeness) -> float:
    """The log odds of being a child; 0 where nothing is known."""
    return 0.0 if known.child is None else _odds(known.child)


def _odds(chance: float) -> float:
    chance = min(max(chance, 1e-9), 1 - 1e-9)
    return max(-MOST_ODDS, min(MOST_ODDS, log(chance / (1 - chance))))


def _chance(odds: float) -> float:
    return 1 / (1 + exp(-max(-MOST_ODDS, min(MOST_ODDS, odds))))


def band_of(known: Likeness, told: Collection[str] = ()) -> Band:
    """Child, adult (here: from 13), or unknown where that is not clear.

    told: `teen`, `senior` where these are to be told apart from adults; then somebody of whom only that is unclear is
    unknown as a whole.
    """
    if known.child is None or 1 - SURE < known.child < SURE:
        return Band.UNKNOWN
    if known.child >= SURE:
        return Band.CHILD
    if not {"teen", "senior"} & set(told):
        return Band.ADULT
    return Band.UNKNOWN if known.band is None else _grown(known.band, told)


def _grown(band: Floats, told: Collection[str]) -> Band:
    chances = dict(zip((Band.TEEN, Band.ADULT, Band.SENIOR), np.exp(band[1:]) / np.exp(band[1:]).sum(), strict=True))
    for other in (Band.TEEN, Band.SENIOR):
        if other.value not in told:
            chances[Band.ADULT] += chances.pop(other)
    best = max(chances, key=lambda value: chances[value])
    return best if chances[best] >= SURE_BAND else Band.UNKNOWN


def sex_of(known: Likeness) -> Sex:
    """Female, male, or unknown where that is not clear."""
    if known.sex is None:
        return Sex.UNKNOWN
    female, male = np.exp(known.sex).tolist()
    return Sex.FEMALE if female >= SURE_SEX else Sex.MALE if male >= SURE_SEX else Sex.UNKNOWN
