# SPDX-License-Identifier: Apache-2.0
"""A simulated trait model for simulated people: eye looks at them, and is told what the true model would say.

Simulated people have no looks, so a picture of them shows each as a rectangle of an own grey, the nearer before the
further. Whom eye looks at, when, how often, and who is too far hidden, is thus decided by eye's own code. The onlooker
sees by the grey whose window it was given and draws the answer from looks.json: how the shipped model's log odds of
being a child were measured to behave by age, with people taller than their age, and from one picture to the next
(`python -m models.traits.looks`). Pure but for that file, repeatable from a seed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nigiwai.eye.body import boxes
from nigiwai.eye.growth import usual_m
from nigiwai.eye.likeness import Fusion
from nigiwai.eye.manifest import TraitEntry, find_trait_model
from nigiwai.eye.view import View
from nigiwai.lab.crowd import Moment
from nigiwai.lab.visitors import Visitor
from nigiwai.paths import model_folders
from nigiwai.settings import Settings

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

LOOKS = Path(__file__).with_name("looks.json")
MOST_SHOWN = 255
SLIM = 0.12
"""Bodies are slimmer than their boxes: the share of the width that is left free on each side, as in simulate.py."""


@dataclass(frozen=True)
class Looks:
    """How the model's log odds of being a child behave at some ages: parallel arrays (see models/traits/looks.py)."""

    model_sha256: str
    ages: Floats
    mean: Floats
    per_m: Floats
    person_sd: Floats
    look_sd: Floats

    def at(self, age: int) -> tuple[float, float, float, float]:
        """Mean, slope per metre above the usual height, standard deviations of persons and of looks, at that age."""
        columns = (self.mean, self.per_m, self.person_sd, self.look_sd)
        mean, per_m, person, look = (float(np.interp(age, self.ages, column)) for column in columns)
        return mean, per_m, person, look


@cache
def measured() -> Looks:
    """The table that comes with this module."""
    table: dict[str, Any] = json.loads(LOOKS.read_text(encoding="utf-8"))
    names = ("ages", "mean", "per_m", "person_sd", "look_sd")
    return Looks(table["model_sha256"], *(np.array(table[name], np.float64) for name in names))


@cache
def shipped() -> TraitEntry:
    """The manifest's entry of the trait model that is on by default."""
    return find_trait_model(Settings().traits.model, model_folders())[0]


def fusion() -> Fusion:
    """How that model's answers are weighed against heights."""
    return Fusion.of(shipped())


class Onlooker:
    """Says of windows what the shipped model would say of the people in them."""

    def __init__(self, known: Mapping[int, Visitor], seed: int) -> None:
        """known: everybody's truth, by number; may grow."""
        entry = shipped()
        self.size = entry.width_px, entry.height_px
        self._known, self._rng = known, np.random.default_rng(seed)
        self._shown: list[int] = []
        self._persons: dict[int, float] = {}

    def picture(self, moment: Moment, view: View, door: Floats) -> Bytes:
        """The moment as a picture of greys (H, W, 3); door: the place of the line's middle before the camera, in m."""
        wide, high = view.size
        image = np.zeros((high, wide, 3), np.uint8)
        places = moment.xy + door
        around = boxes(view, places, moment.height)
        around[:, [0, 2]] += SLIM * (around[:, 2] - around[:, 0])[:, None] * np.array([1.0, -1.0])
        order = np.argsort(-np.hypot(*places.T))[-MOST_SHOWN:]
        self._shown = moment.number[order].tolist()
        self._persons = {n: self._persons.get(n, float(self._rng.normal())) for n in self._shown}
        for grey, box in enumerate(around[order], 1):
            if np.isfinite(box).all():
                x0, y0, x1, y1 = np.clip(np.round(box), 0, [wide, high, wide, high]).astype(int).tolist()
                image[y0:y1, x0:x1] = grey
        return image

    def look(self, windows: list[Bytes]) -> tuple[Floats, Floats]:
        """Log probabilities (N, 4) of the bands and (N, 2) of the sexes; of the bands only child or not is drawn."""
        odds = np.array([self._odds(self._who(window)) for window in windows])
        child, other = -np.logaddexp(0, -odds), -np.logaddexp(0, odds) - np.log(3)
        return np.stack((child, other, other, other), axis=1), np.full((len(windows), 2), np.log(0.5))

    def _who(self, window: Bytes) -> int | None:
        """Whom most of the middle of a window shows; None of nobody, such as a coat."""
        high, wide = window.shape[:2]
        middle = window[high // 10 : -(high // 10), wide // 4 : -(wide // 4), 0]
        counts = np.bincount(middle.ravel(), minlength=2)[1 : len(self._shown) + 1]
        return self._shown[int(counts.argmax())] if counts.any() else None

    def _odds(self, number: int | None) -> float:
        """What is said of somebody; even of nobody: what the model says of coats was not measured."""
        if number is None:
            return 0.0
        visitor = self._known[number]
        mean, per_m, person, look = measured().at(visitor.age)
        off = visitor.metres - usual_m(visitor.age)
        return mean + per_m * off + person * self._persons[number] + look * float(self._rng.normal())
