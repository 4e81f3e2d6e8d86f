# SPDX-License-Identifier: Apache-2.0
"""Measures what the trait model says of people by age, for simulations that have no pictures:

    python -m models.traits.looks SHARDS/heldout-*.tar > device/nigiwai/lab/looks.json

The shipped detector finds the people of rendered pictures of a held-out set; whomever the device would look at is
looked at by the shipped model, through the device's code. What is kept are not the people but how the log odds of
being a child behave by age:

    odds = mean(age) + per_m x (stature - usual stature of that age) + person + look

`per_m` is one number for children and one for others: few people stand behind a single year. `person` is what stays
wrong with somebody over one passage (body, dress, light), `look` what changes from one picture to the next; both with
their standard deviations. Pictures of one scene are 0.4 to 1.2 s apart, as looks are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training.shards import decode_image
from models.traits.crops import pairs, view_of
from nigiwai.clock import BootNs
from nigiwai.eye.assemble import open_detector, open_trait_model
from nigiwai.eye.detector import Detector
from nigiwai.eye.growth import OLDEST_CHILD, SHOES_CM, usual_m
from nigiwai.eye.likeness import MOST_ODDS
from nigiwai.eye.overlaps import overlaps
from nigiwai.eye.portrait import upright
from nigiwai.eye.portraits import LEAST_PX, MOST_HIDDEN
from nigiwai.eye.sight import hidden_share, whole
from nigiwai.eye.stature import MOST_TILT_DEG
from nigiwai.eye.trait_model import TraitModel
from nigiwai.eye.types import Frame
from nigiwai.settings import Settings

Floats = NDArray[np.float64]

LEAST_IOU = 0.5
AGES = (*range(1, 20), 25, 35, 45, 55, 65, 75, 85)
NEAR, NEAR_GROWN = 1.0, 10.0
"""Years to each side that count towards an age, the less the further away; under 20, and from then on."""


@dataclass(frozen=True)
class Person:
    """Somebody in one scene: age, stature in m with shoes, log odds of being a child at every look."""

    age: int
    metres: float
    odds: list[float]


def people_of(shards: Sequence[Path], detector: Detector, model: TraitModel) -> list[Person]:
    """Everybody of rendered shards whom the device would look at, with all looks at them."""
    found: dict[tuple[int, int], Person] = {}
    for picture, truth in _scenes(shards):
        boxes = _worth(detector, picture, truth)
        for start in range(0, len(boxes), model.most):
            some = boxes[start : start + model.most]
            bands, _ = model.look(upright(picture, view_of(truth), np.array([box for box, _ in some]), model.size))
            for (_, who), band in zip(some, bands, strict=True):
                person = Person(who["age"], who["stature_m"] + SHOES_CM / 100, [])
                known = found.setdefault((truth["seed"], who["id"]), person)
                known.odds.append(float(band[0] - np.logaddexp.reduce(band[1:])))
    return list(found.values())


def _scenes(shards: Sequence[Path]) -> Iterator[tuple[NDArray[np.uint8], dict[str, Any]]]:
    for path in shards:
        for name, image, text in pairs(path, ".json"):
            truth = json.loads(text)
            if truth["camera"]["tilt_deg"] <= MOST_TILT_DEG and truth["people"]:
                yield decode_image(image, name), truth


def _worth(
    detector: Detector, picture: NDArray[np.uint8], truth: dict[str, Any]
) -> list[tuple[Floats, dict[str, Any]]]:
    """The boxes that the device would look at, each with whom it truly shows; boxes on nobody are left out."""
    seen = detector.detect(Frame(picture, BootNs(0)))
    boxes = seen.xyxy[seen.score >= detector.entry.thresholds.high].astype(np.float64)
    if not len(boxes):
        return []
    clear = whole(boxes, (picture.shape[1], picture.shape[0]), LEAST_PX) & (hidden_share(boxes, boxes) <= MOST_HIDDEN)
    shared = overlaps(boxes, np.array([p["box"] for p in truth["people"]]))
    best = shared.argmax(axis=1)
    mine = clear & (shared.max(axis=1) >= LEAST_IOU) & (shared.argmax(axis=0)[best] == np.arange(len(boxes)))
    return [(boxes[i], truth["people"][best[i]]) for i in np.flatnonzero(mine)]


def table_of(people: Sequence[Person]) -> dict[str, list[float]]:
    """How the log odds behave at AGES: how many people stood nearby, mean, slope, and both standard deviations."""
    age = np.array([p.age for p in people], np.float64)
    off = np.array([p.metres - usual_m(p.age) for p in people])
    looks = [np.clip(p.odds, -MOST_ODDS, MOST_ODDS) for p in people]
    odds, count = np.array([x.mean() for x in looks]), np.array([float(len(x)) for x in looks])
    within = np.array([((x - x.mean()) ** 2).sum() for x in looks])
    near = np.stack([_nearness(at, age) for at in AGES])
    per_m = np.array([_slope(age, off, odds, at <= OLDEST_CHILD) for at in AGES])
    level = odds - off * per_m[np.abs(age[:, None] - np.array(AGES)).argmin(axis=1)]
    mean = near @ level
    look = near @ within / np.maximum(near @ (count - 1), 1e-9)
    person = (near * (level - mean[:, None]) ** 2).sum(axis=1) - look * (near @ (1 / count))
    columns = {
        "near": (near > 0).sum(axis=1),
        "mean": mean,
        "per_m": per_m,
        "person_sd": np.sqrt(np.maximum(person, 0.0)),
        "look_sd": np.sqrt(look),
    }
    return {name: [round(float(x), 3) for x in column] for name, column in columns.items()}


def _nearness(at: float, age: Floats) -> Floats:
    """(N,) how much each person counts towards an age, adding up to 1."""
    weight = np.clip(1 - np.abs(age - at) / ((NEAR if at < 20 else NEAR_GROWN) + 0.5), 0, None)
    return np.asarray(weight / weight.sum())


def _slope(age: Floats, off: Floats, odds: Floats, child: bool) -> float:
    """By how much the log odds grow with a metre of height, within years of age, of children or of others."""
    mine = (age <= OLDEST_CHILD) == child
    years = [mine & (age == y) for y in np.unique(age[mine])]
    x = np.concatenate([off[y] - off[y].mean() for y in years])
    y = np.concatenate([odds[y] - odds[y].mean() for y in years])
    return float(x @ y / (x @ x))


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path, nargs="+")
    args = parser.parse_args()
    settings = Settings()
    model = open_trait_model(settings)
    if model is None:
        sys.exit("traits.model: none is set")
    people = people_of(args.shards, open_detector(settings), model)
    about = {
        "about": "made by models/traits/looks.py, which says what the columns mean",
        "model_sha256": model.entry.sha256,
        "shards": [path.name for path in args.shards],
        "people": len(people),
        "bodies": len({(p.age, p.metres) for p in people}),
        "looks": sum(len(p.odds) for p in people),
    }
    print(json.dumps({**about, "ages": AGES, **table_of(people)}))


if __name__ == "__main__":
    main()
