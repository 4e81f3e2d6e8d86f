# SPDX-License-Identifier: Apache-2.0
"""What a classifier that errs in a known way has really seen: adjusted classify-and-count with 95 % intervals. Pure.

Of N people a share p are truly of the kind asked about. The classifier says so of a share `hit` of those and of a share
`false` of the others; whoever it does not know counts as not said. Then it says so of q = p hit + (1 - p) false, hence

    p = (q - false) / (hit - false)                                         (Rogan and Gladen 1978; Forman 2008)

and, since hit and false were measured on m people of each sort themselves (Lang and Reiczigel 2014),

    var p = [ c1 p hit (1 - hit) / N + c0 (1 - p) false (1 - false) / N          chance in these N people
            + c1 p^2 hit (1 - hit) / m1 + c0 (1 - p)^2 false (1 - false) / m0 ]  chance in the measurement
            / (hit - false)^2

c is the number of people that one decision makes right or wrong together, sum of s^2 / sum of s over groups of s: a
family whose child is overlooked is wrong as a whole. The interval is for the share among these N people, not for some
larger population. Only released numbers enter, so nothing is told that was not told before.
"""

from dataclasses import dataclass
from math import exp, sqrt

NORMAL_95 = 1.959964
LEAST_CONTRAST = 0.2
"""A classifier whose hit and false rates differ by less says too little to be corrected."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured share, of how many people, and how many people share one decision on average."""

    share: float
    people: int
    together: float = 1.0
    rounded: float = 0.0
    """Half of the range that the share was rounded to, where no more may be told."""

    @property
    def spread(self) -> float:
        """The variance of one person's decision, times how many share it."""
        # A share of 0 or 1 measured on m people is not certain: one more of each is assumed (Agresti and Coull 1998).
        sure = (self.share * self.people + 1) / (self.people + 2)
        return self.together * sure * (1 - sure)

    @property
    def doubt(self) -> float:
        """The variance of the measured share itself: chance in those measured, and an even spread over the rounding."""
        return self.spread / self.people + self.rounded**2 / 3


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a classifier says a thing of those of whom it is true, and of the others."""

    hit: Rate
    false: Rate


@dataclass(frozen=True, slots=True)
class Share:
    """An estimated share with its 95 % interval, all within 0..1."""

    low: float
    middle: float
    high: float


def noise_variance(epsilon: float) -> float:
    """The variance of the noise on one block's number (eye/noise.py): two-sided geometric, of scale 2 / epsilon."""
    a = exp(-epsilon / 2)
    return 2 * a / (1 - a) ** 2


def corrected(said: int, people: int, confusion: Confusion, noise: float = 0.0) -> Share | None:
    """The share of `people` of whom it is true, where it was said of `said`; None where that cannot be told.

    noise: the variance of `said` for noise that was added on purpose.

    Raises ValueError unless 0 <= said <= people.
    """
    if not 0 <= said <= people:
        raise ValueError(f"said of {said} of {people} people")
    hit, false = confusion.hit, confusion.false
    contrast = hit.share - false.share
    if people == 0 or contrast < LEAST_CONTRAST:
        return None
    middle = (said / people - false.share) / contrast
    p = min(1.0, max(0.0, middle))
    here = (p * hit.spread + (1 - p) * false.spread) / people
    there = p * p * hit.doubt + (1 - p) ** 2 * false.doubt
    reach = NORMAL_95 * sqrt(here + there + noise / people**2) / contrast
    return Share(*(min(1.0, max(0.0, x)) for x in (middle - reach, middle, middle + reach)))
