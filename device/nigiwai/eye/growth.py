# SPDX-License-Identifier: Apache-2.0
"""How tall people in Japan are at what age, and what a measured stature says about being a child. Pure.

Sources
- 5 to 17 years: MEXT 学校保健統計調査 (School Health Statistics Survey) 2019, national means of height; standard
  deviations from its national table of 2006 (they hardly move).
- 20 to 69 years: MHLW 国民健康・栄養調査 (National Health and Nutrition Survey) 2019, means per decade; 75 and over:
  the same of 2018 and 2019, as printed in 日本人の食事摂取基準 2025.
- 1 to 4 years: MHLW 乳幼児身体発育調査 (Infant Growth Survey) 2010, medians to 0.5 cm.
"""

from functools import cache
from itertools import pairwise
from math import erf, pi, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

AGES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 25, 35, 45, 55, 65, 80)
MEAN_CM: dict[str, tuple[float, ...]] = {
    "m": (75.0, 86.5, 95.0, 102.0, 110.3, 116.5, 122.6, 128.1, 133.5, 139.0, 145.2, 152.8, 160.0, 165.4, 168.3, 169.9,
          170.6, 171.5, 171.5, 171.5, 169.9, 167.4, 162.0),
    "f": (73.5, 85.5, 94.0, 101.0, 109.4, 115.6, 121.4, 127.3, 133.4, 140.2, 146.6, 151.9, 154.8, 156.5, 157.2, 157.7,
          157.9, 157.5, 158.2, 158.1, 156.9, 154.0, 148.3),
}  # fmt: skip
SD_CM: dict[str, tuple[float, ...]] = {
    "m": (3.2, 3.7, 4.1, 4.4, 4.73, 4.96, 5.19, 5.38, 5.74, 6.20, 7.14, 8.08, 7.69, 6.73, 5.95, 5.79,
          5.81, 5.9, 5.9, 5.9, 5.9, 5.9, 6.2),
    "f": (3.2, 3.7, 4.1, 4.4, 4.72, 4.90, 5.17, 5.51, 6.18, 6.79, 6.76, 5.96, 5.42, 5.32, 5.29, 5.33,
          5.36, 5.7, 5.7, 5.7, 5.7, 5.7, 6.2),
}  # fmt: skip
"""Standard deviations at AGES; under 5 years the 5-year coefficient of variation."""

OLDEST_CHILD = 12
OLDEST = 80
YOUNGEST_WALKER = 1
SHOES_CM = 2.5


def _between(ages: tuple[int, ...], values: tuple[float, ...], age: int) -> float:
    for (a, low), (b, high) in pairwise(zip(ages, values, strict=True)):
        if a <= age <= b:
            return low + (high - low) * (age - a) / (b - a)
    return values[-1]


def usual_m(age: int) -> float:
    """How tall people of that age are on average, women and men alike frequent, with shoes, in m."""
    return sum(_between(AGES, MEAN_CM[sex], age) + SHOES_CM for sex in ("m", "f")) / 200


@cache
def _people(first: int, last: int) -> tuple[Floats, Floats]:
    """Means and standard deviations in cm, shoes on, for each sex and year of age first..last, all equally likely."""
    everybody = [(sex, age) for sex in ("m", "f") for age in range(first, last + 1)]
    means = np.array([_between(AGES, MEAN_CM[sex], age) + SHOES_CM for sex, age in everybody])
    return means, np.array([_between(AGES, SD_CM[sex], age) for sex, age in everybody])


def _density(people: tuple[Floats, Floats], stature_cm: float, error_cm: float) -> float:
    means, sds = people
    spread = np.sqrt(sds * sds + error_cm * error_cm)
    total = float((np.exp(-0.5 * ((stature_cm - means) / spread) ** 2) / spread).sum())
    return total / len(means) / sqrt(2 * pi)


def child_probability(stature_m: float, error_m: float) -> float:
    """How likely somebody this tall (shoes on, standard error `error_m`) is at most 12 years old.

    Children and others are taken to be equally frequent, and so is each year of age among them: how many really came is
    put right in the sums (correction.py), never in the single case. 0.5 where the stature says nothing.
    """
    child = _density(_people(YOUNGEST_WALKER, OLDEST_CHILD), 100 * stature_m, 100 * error_m)
    other = _density(_people(OLDEST_CHILD + 1, OLDEST), 100 * stature_m, 100 * error_m)
    return child / (child + other) if child + other > 0 else (1.0 if stature_m < 1.4 else 0.0)


def share_below(stature_m: float, first: int, last: int) -> float:
    """The share of people of first..last years who are, with shoes, less tall than that."""
    means, sds = (values.tolist() for values in _people(first, last))
    tall = 100 * stature_m
    return sum((1 + erf((tall - mean) / sd / sqrt(2))) / 2 for mean, sd in zip(means, sds, strict=True)) / len(means)
