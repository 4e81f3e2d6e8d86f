# SPDX-License-Identifier: Apache-2.0
"""Standing height in Japan by age and sex.

Sources
- 5 to 17 years: MEXT 学校保健統計調査 (School Health Statistics Survey), 2019 (Reiwa 1), national means;
  table 24-2 of the Japan Statistical Yearbook 2021. Standard deviations: the same survey, national table of 2006
  (they hardly move).
- 20 to 69 years: MHLW 国民健康・栄養調査 (National Health and Nutrition Survey), 2019, means per decade.
- 75 years and over: the same survey, 2018 and 2019, medians and quartiles as printed in 日本人の食事摂取基準 2025.
- 1 to 4 years: MHLW 乳幼児身体発育調査 (Infant Growth Survey), 2010, medians, rounded to 0.5 cm.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Sex = Literal["f", "m"]

INFANT_AGES = (1, 2, 3, 4)
INFANT_CM: dict[Sex, tuple[float, ...]] = {"m": (75.0, 86.5, 95.0, 102.0), "f": (73.5, 85.5, 94.0, 101.0)}

SCHOOL_AGES = tuple(range(5, 18))
SCHOOL_CM: dict[Sex, tuple[float, ...]] = {
    "m": (110.3, 116.5, 122.6, 128.1, 133.5, 139.0, 145.2, 152.8, 160.0, 165.4, 168.3, 169.9, 170.6),
    "f": (109.4, 115.6, 121.4, 127.3, 133.4, 140.2, 146.6, 151.9, 154.8, 156.5, 157.2, 157.7, 157.9),
}
SCHOOL_SD_CM: dict[Sex, tuple[float, ...]] = {
    "m": (4.73, 4.96, 5.19, 5.38, 5.74, 6.20, 7.14, 8.08, 7.69, 6.73, 5.95, 5.79, 5.81),
    "f": (4.72, 4.90, 5.17, 5.51, 6.18, 6.79, 6.76, 5.96, 5.42, 5.32, 5.29, 5.33, 5.36),
}

ADULT_AGES = (25, 35, 45, 55, 65, 80)
ADULT_CM: dict[Sex, tuple[float, ...]] = {
    "m": (171.5, 171.5, 171.5, 169.9, 167.4, 162.0),
    "f": (157.5, 158.2, 158.1, 156.9, 154.0, 148.3),
}
ADULT_SD_CM: dict[Sex, float] = {"m": 5.9, "f": 5.7}
ELDER_SD_CM = 6.2  # (166.0 - 157.6) / 1.349, quartiles of men of 75 and over; women: the same

SD_LIMIT = 2.2  # statures are drawn within this many standard deviations


@dataclass(frozen=True)
class Human:
    """Who a body is: age in whole years, sex, stature in metres without shoes."""

    age: int
    sex: Sex
    stature_m: float


def mean_stature_m(age: float, sex: Sex) -> float:
    """Mean standing height in metres, linear between the tabled ages, constant outside 1..80 years."""
    ages = INFANT_AGES + SCHOOL_AGES + ADULT_AGES
    return float(np.interp(age, ages, INFANT_CM[sex] + SCHOOL_CM[sex] + ADULT_CM[sex])) / 100


def stature_sd_m(age: float, sex: Sex) -> float:
    """Standard deviation of standing height in metres; under 5 years the 5-year coefficient of variation."""
    if age < SCHOOL_AGES[0]:
        return SCHOOL_SD_CM[sex][0] / SCHOOL_CM[sex][0] * mean_stature_m(age, sex)
    ages = (*SCHOOL_AGES, 25, 65, 80)
    values = (*SCHOOL_SD_CM[sex], ADULT_SD_CM[sex], ADULT_SD_CM[sex], ELDER_SD_CM)
    return float(np.interp(age, ages, values)) / 100


def draw_stature_m(age: float, sex: Sex, rng: np.random.Generator) -> float:
    """A stature in metres for this age and sex: normal, cut at SD_LIMIT deviations."""
    z = float(np.clip(rng.normal(), -SD_LIMIT, SD_LIMIT))
    return mean_stature_m(age, sex) + z * stature_sd_m(age, sex)


def draw_human(rng: np.random.Generator, low_age: int, high_age: int) -> Human:
    """A human of either sex with an age in [low_age, high_age] years."""
    age = int(rng.integers(low_age, high_age + 1))
    sex: Sex = "f" if rng.random() < 0.5 else "m"
    return Human(age, sex, round(draw_stature_m(age, sex, rng), 3))
