# SPDX-License-Identifier: Apache-2.0
"""Calibrates and judges a trait model as it runs on the device:

    python -m models.traits.judge fit FILE.onnx --rendered RUN/rendered.npz          # temperatures and weights
    python -m models.traits.judge report models/manifest.toml --rendered HELD.npz --real REAL.npz

`fit` uses the tenth of the rendered bodies that training left out, with statures that are wrong by as much as the
device's are. `report` says what the entry of the manifest does on people of another set. Everything is weighted so that
children and others count alike, and so does every year of age among them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.traits.crops import Crops, load
from models.traits.learn import OLDEST_CHILD, centred, chances, joined, stature_odds
from models.traits.net import FIRST_YEARS
from nigiwai.eye.likeness import MOST_ODDS, SURE, SURE_BAND, SURE_SEX

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Logits (N, 4) of bands and (N, 2) of sexes."""

    band: Floats
    sex: Floats


def answers(model: Path, crops: Crops, batch: int = 64) -> Answers:
    """What a model file says of people."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    bands, sexes = [], []
    for start in range(0, len(crops), batch):
        images = np.stack([centred(i) for i in crops.image[start : start + batch]]).transpose(0, 3, 1, 2)
        band, sex = session.run(["band", "sex"], {"image": np.ascontiguousarray(images)})
        bands.append(band)
        sexes.append(sex)
    return Answers(np.concatenate(bands).astype(np.float64), np.concatenate(sexes).astype(np.float64))


def log_softmax(logits: Floats, temperature: float) -> Floats:
    """Log probabilities."""
    x = logits / temperature
    x = x - x.max(axis=1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))


def temperature_of(logits: Floats, truth: NDArray[np.int64], weight: Floats) -> float:
    """The temperature of the least cross-entropy, to two digits."""
    grid = np.exp(np.linspace(np.log(0.4), np.log(6.0), 120))
    rows = np.arange(len(truth))
    loss = [-(weight * log_softmax(logits, t)[rows, truth]).sum() for t in grid]
    return round(float(grid[int(np.argmin(loss))]), 2)


def child_odds(band: Floats) -> Floats:
    """Log odds (N,) of being a child, of log probabilities of bands."""
    return np.asarray(band[:, 0] - np.logaddexp.reduce(band[:, 1:], axis=1))


def measured(crops: Crops, seed: int = 3) -> Floats:
    """Log odds (N,) of being a child, of statures measured once; the same each time."""
    return stature_odds(crops.stature_m, np.random.default_rng(seed))


def logistic(x: Floats, y: NDArray[np.bool_], weight: Floats, ridge: float = 1e-3) -> Floats:
    """Weights of a logistic regression by Newton's method; the constant last."""
    x = np.column_stack((x, np.ones(len(x))))
    w = np.zeros(x.shape[1])
    for _ in range(40):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(w)) / len(x)
        w += np.linalg.solve(hessian, x.T @ (weight * (y - p)))
    return w


def fit(model: Path, crops: Crops) -> dict[str, float]:
    """Temperatures and the weights of picture and stature."""
    crops = crops.take(crops.held_back())
    said, weight = answers(model, crops), chances(crops.age)
    band = np.searchsorted(FIRST_YEARS, crops.age, side="right") - 1
    temperatures = {
        "band": temperature_of(said.band, band, weight),
        "sex": temperature_of(said.sex, crops.male.astype(np.int64), weight),
    }
    odds = np.clip(child_odds(log_softmax(said.band, temperatures["band"])), -MOST_ODDS, MOST_ODDS)
    picture, stature, constant = logistic(np.column_stack((odds, measured(crops))), crops.age <= OLDEST_CHILD, weight)
    return {
        "people": len(crops), "bodies": len(set(crops.body)),
        **{f"{k} temperature": t for k, t in temperatures.items()},
        "picture_weight": round(float(picture), 3), "stature_weight": round(float(stature), 3),
        "constant": round(float(constant), 3),
    }  # fmt: skip


def two_sided(chance: Floats, child: NDArray[np.bool_], weight: Floats, sure: float = SURE) -> dict[str, float]:
    """Balanced accuracy of those not unknown, and the share of them."""
    told = (chance >= sure) | (chance <= 1 - sure)
    right = (chance >= 0.5) == child
    sides = [np.average(right[told & (child == s)], weights=weight[told & (child == s)]) for s in (True, False)]
    return {
        "balanced_accuracy": round(float(np.mean(sides)), 4),
        "coverage": round(float(np.average(told, weights=weight)), 4),
    }


def report(model: Path, entry: dict[str, float], crops: Crops, real: Crops | None) -> dict[str, object]:
    """What the model does on these people: child or not by picture, by stature and by both; sex; bands; by age."""
    said, weight = answers(model, crops), chances(crops.age)
    band, sex = log_softmax(said.band, entry["band"]), log_softmax(said.sex, entry["sex"])
    child = crops.age <= OLDEST_CHILD
    seen, tall = np.clip(child_odds(band), -MOST_ODDS, MOST_ODDS), measured(crops)
    both = 1 / (1 + np.exp(-(entry["picture"] * seen + entry["stature"] * tall + entry["constant"])))
    result: dict[str, object] = {
        "people": len(crops),
        "bodies": len(set(crops.body)),
        "picture": two_sided(1 / (1 + np.exp(-seen)), child, weight),
        "stature": two_sided(1 / (1 + np.exp(-tall)), child, weight),
        "both": two_sided(both, child, weight),
        "sex": sided(np.exp(sex[:, 1]), crops.male > 0.5, SURE_SEX),
        "by_age": by_age(both, crops.age),
        "grown": grown(band, crops.age),
    }
    if real is not None:
        told = np.exp(log_softmax(answers(model, real).sex, entry["sex"])[:, 1])
        firm = (real.male > 0.8) | (real.male < 0.2)
        result["sex, real people, against a teacher that is sure"] = sided(told[firm], real.male[firm] > 0.5, SURE_SEX)
    return result


def sided(chance: Floats, truth: NDArray[np.bool_], sure: float) -> dict[str, float]:
    """As `two_sided`, everybody counting alike."""
    return {"people": len(chance), **two_sided(chance, truth, np.ones(len(chance)), sure)}


def by_age(chance: Floats, age: NDArray[np.int16]) -> dict[str, list[float]]:
    """Per year of age: people, share not unknown, share of these that is right."""
    rows: dict[str, list[float]] = {}
    for low, high in [(y, y) for y in range(1, 20)] + [(20, 29), (30, 49), (50, 64), (65, 79), (80, 99)]:
        mine = (age >= low) & (age <= high)
        told = mine & ((chance >= SURE) | (chance <= 1 - SURE))
        if mine.any():
            right = ((chance >= 0.5) == (age <= OLDEST_CHILD))[told]
            name = f"{low}" if low == high else f"{low}-{high}"
            rows[name] = [
                int(mine.sum()),
                round(told.sum() / mine.sum(), 3),
                round(float(right.mean()) if told.any() else 0, 3),
            ]
    return rows


def grown(band: Floats, age: NDArray[np.int16]) -> dict[str, list[float]]:
    """Of people from 13, by band: how many, share not unknown, share of these that is right."""
    old = age > OLDEST_CHILD
    chance = np.exp(band[old, 1:]) / np.exp(band[old, 1:]).sum(axis=1, keepdims=True)
    truth = np.searchsorted(FIRST_YEARS[1:], age[old], side="right") - 1
    told, said = chance.max(axis=1) >= SURE_BAND, chance.argmax(axis=1)
    rows: dict[str, list[float]] = {}
    for k, name in enumerate(("teen", "adult", "senior")):
        mine = truth == k
        if (mine & told).any():
            right = (said == truth)[mine & told]
            rows[name] = [int(mine.sum()), round(float(told[mine].mean()), 3), round(float(right.mean()), 3)]
    return rows


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fit", "report"))
    parser.add_argument("model", type=Path, help="fit: an ONNX file; report: a manifest")
    parser.add_argument("--rendered", type=Path, nargs="+", required=True)
    parser.add_argument("--real", type=Path)
    args = parser.parse_args()
    crops = joined([load(p) for p in args.rendered])
    if args.what == "fit":
        print(json.dumps(fit(args.model, crops), indent=1))
        return
    from nigiwai.eye.manifest import load_manifest

    entry = load_manifest(args.model).traits[0]
    numbers = {
        "band": entry.outputs.band.temperature, "sex": entry.outputs.sex.temperature,
        "picture": entry.picture_weight, "stature": entry.stature_weight, "constant": entry.constant,
    }  # fmt: skip
    real = load(args.real) if args.real else None
    print(json.dumps(report(args.model.parent / entry.file, numbers, crops, real), indent=1))


if __name__ == "__main__":
    main()
