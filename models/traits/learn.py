# SPDX-License-Identifier: Apache-2.0
"""Trains the trait model: `python -m models.traits.learn RUN --rendered FILES --real FILE --minutes 20`

Rendered people teach age and sex, real ones the sex as the teacher sees it. Rendered people are drawn so that children
and others are equally frequent, and so is each year of age among them: what the network then says is what a stature
says too (nigiwai.eye.growth), and the two can be put together. It is also asked what it adds to a stature measured as
well as the device does (`beside`): so it learns most from those whom a stature does not tell. Writes RUN/traits.pt
(moving average) and RUN/log.jsonl.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.training.errors import CheckpointError, DataError
from models.training.optim import optimisers
from models.training.precision import mixed
from models.training.schedule import decay_rate, ema_keep, trunk_rate
from models.traits.crops import KEPT, KEPT_GROW, Crops, load
from models.traits.net import HEIGHT, WIDTH, Shape, TraitNet, band_of, years_of
from nigiwai.eye.growth import SHOES_CM
from nigiwai.eye.likeness import Fusion, child_odds, likeness
from nigiwai.eye.portrait import GROW
from nigiwai.eye.stature import Stature

OLDEST_CHILD, OLDEST = 12, 80

STATURE_SD_M = 0.045
"""How wrong statures are on the device, seen with its own detector (docs/accuracy.md), and what it believes of them."""
FORM = 1


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on."""

    minutes: float = 20.0
    steps_max: int = 1_000_000
    batch: int = 128
    real_share: float = 0.2
    lr: float = 2e-3
    weight_decay: float = 0.05
    average: float = 0.998
    smoothing: float = 0.02
    beside: float = 1.0  # the weight of what the picture adds to a stature
    seed: int = 5
    threads: int = 1


def joined(parts: list[Crops]) -> Crops:
    """Several sets as one."""
    return Crops(*(np.concatenate([getattr(p, name) for p in parts]) for name in Crops.__dataclass_fields__))


def chances(age: NDArray[np.int16]) -> NDArray[np.float64]:
    """How often each rendered person (N,) is drawn: half children, half others, each year of age alike."""
    years = np.minimum(age.astype(int), OLDEST)
    count = np.bincount(years, minlength=OLDEST + 1)
    child = years <= OLDEST_CHILD
    kinds = [len(np.unique(years[child])), len(np.unique(years[~child]))]
    weight = np.where(child, 1 / max(1, kinds[0]), 1 / max(1, kinds[1])) / np.maximum(count[years], 1)
    return np.asarray(weight / weight.sum())


def view_of(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A kept window as a device might cut and see it: moved, turned, scaled, mirrored, soft, in other light."""
    scale = HEIGHT / (KEPT[1] / KEPT_GROW * GROW) * float(np.exp(rng.normal(0, 0.06)))
    x, y = KEPT[0] / 2 + rng.normal(0, 2.0), KEPT[1] / 2 + rng.normal(0, 3.0)
    if rng.random() < 0.12:  # the lower part is hidden, so the box ends higher
        lost = rng.uniform(0.05, 0.25)
        scale, y = scale / (1 - lost), y - lost * KEPT[1] / KEPT_GROW / 2
    side, lean = -1.0 if rng.random() < 0.5 else 1.0, rng.normal(0, 0.07)
    way = scale * np.array([[side * math.cos(lean), -math.sin(lean)], [side * math.sin(lean), math.cos(lean)]])
    turn = np.column_stack((way, np.array([WIDTH / 2, HEIGHT / 2]) - way @ (x, y)))
    seen = cv2.warpAffine(image, turn, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.5:
        small = float(rng.uniform(0.3, 1.0))
        tiny = cv2.resize(seen, (round(WIDTH * small), round(HEIGHT * small)), interpolation=cv2.INTER_AREA)
        seen = cv2.resize(tiny, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    light = seen.astype(np.float32)
    light = (light - 128) * rng.uniform(0.7, 1.3) + 128 * rng.uniform(0.65, 1.35)
    light *= np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    if rng.random() < 0.15:
        light[:] = light.mean(axis=2, keepdims=True)
    light += rng.normal(0, rng.uniform(0, 8), light.shape).astype(np.float32)
    return np.asarray(np.clip(light, 0, 255), np.uint8)


def centred(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A kept window as the device cuts it when the box is exact."""
    scale = HEIGHT / (KEPT[1] / KEPT_GROW * GROW)
    turn = np.array([[scale, 0, WIDTH / 2 - scale * KEPT[0] / 2], [0, scale, HEIGHT / 2 - scale * KEPT[1] / 2]])
    seen = cv2.warpAffine(image, turn, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, np.uint8)


def tensor_of(images: list[NDArray[np.uint8]]) -> Tensor:
    """Pictures (B, 3, 96, 48), 0..1."""
    stack = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return stack.contiguous(memory_format=torch.channels_last).float() / 255


@dataclass(frozen=True)
class Truth:
    """What is known of a batch (B,): ages, -1 where not known; how likely male; log odds by a measured stature."""

    age: Tensor
    male: Tensor
    tall: Tensor


def losses(outputs: tuple[Tensor, Tensor, Tensor], truth: Truth, recipe: Recipe) -> Tensor:
    """The loss of a batch."""
    band, sex, years = outputs
    known = truth.age >= 0
    total = 0.5 * F.cross_entropy(sex, torch.stack((1 - truth.male, truth.male), 1))
    if known.any():
        band, age = band[known], truth.age[known]
        total = total + F.cross_entropy(band, band_of(age), label_smoothing=recipe.smoothing)
        total = total + F.smooth_l1_loss(years[known, 0], years_of(age.float()))
        seen = band[:, 0] - torch.logsumexp(band[:, 1:], 1)
        child = (age <= OLDEST_CHILD).float()
        total = total + recipe.beside * F.binary_cross_entropy_with_logits(seen + truth.tall[known], child)
    return total


def stature_odds(stature_m: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    """Log odds (N,) of being a child, of statures as the device would measure them; of NaN 0."""
    told = stature_m + SHOES_CM / 100 + rng.normal(0, STATURE_SD_M, len(stature_m))
    return np.nan_to_num(np.interp(told, *_odds_by_stature()), nan=0.0)


@cache
def _odds_by_stature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    metres = np.arange(0.5, 2.2, 0.01)
    alone = [likeness(Stature(m, STATURE_SD_M), None, Fusion()) for m in metres.tolist()]
    return metres, np.array([child_odds(known) for known in alone])


class Lesson:
    """One run."""

    def __init__(
        self, recipe: Recipe, rendered: Crops, real: Crops | None, shape: Shape | None = None, start: Path | None = None
    ) -> None:
        torch.set_num_threads(recipe.threads)
        torch.manual_seed(recipe.seed)
        self.recipe, self.real, self.rng = recipe, real, np.random.default_rng(recipe.seed)
        self.rendered = rendered.take(~rendered.held_back())
        self.chances = chances(self.rendered.age)
        begun = TraitNet(shape) if start is None else load_net(start).train()
        self.model = begun.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimisers = optimisers(self.model, recipe.lr, recipe.weight_decay)

    def batch(self) -> tuple[Tensor, Truth]:
        """Pictures and what is known of them."""
        n_real = round(self.recipe.batch * self.recipe.real_share) if self.real is not None else 0
        picks = [(self.rendered, self.rng.choice(len(self.rendered), self.recipe.batch - n_real, p=self.chances))]
        if self.real is not None and n_real:
            picks.append((self.real, self.rng.integers(len(self.real), size=n_real)))
        images = [view_of(crops.image[i], self.rng) for crops, rows in picks for i in rows.tolist()]
        age = np.concatenate([crops.age[rows] for crops, rows in picks]).astype(np.int64)
        male = np.concatenate([crops.male[rows] for crops, rows in picks]).astype(np.float32)
        tall = np.concatenate([stature_odds(crops.stature_m[rows], self.rng) for crops, rows in picks])
        known = Truth(torch.from_numpy(age), torch.from_numpy(male), torch.from_numpy(tall.astype(np.float32)))
        return tensor_of(images), known

    def step(self, number: int, share: float) -> float:
        """One update; returns the loss. Raises FloatingPointError where it is not finite."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.recipe.lr * decay_rate(share) * trunk_rate(number)
            optimiser.zero_grad(set_to_none=True)
        image, truth = self.batch()
        with mixed(torch.device("cpu")):
            outputs = self.model(image)
        loss = losses(tuple(o.float() for o in outputs), truth, self.recipe)  # type: ignore[arg-type]
        if not math.isfinite(float(loss.detach())):
            raise FloatingPointError(f"loss is not finite at step {number}")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self._blend(number)
        return float(loss.detach())

    def _blend(self, number: int) -> None:
        keep = ema_keep(number, self.recipe.average)
        with torch.no_grad():
            for mine, now in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
                if mine.dtype.is_floating_point:
                    mine.lerp_(now, 1 - keep)
                else:
                    mine.copy_(now)

    def run(self, folder: Path) -> None:
        """Learns until the time or the steps are over."""
        folder.mkdir(parents=True, exist_ok=True)
        began, number, mean = time.monotonic(), 0, 0.0
        while (share := self._share(began, number)) < 1:
            loss = self.step(number, share)
            mean = loss if number == 0 else 0.98 * mean + 0.02 * loss
            number += 1
            if number % 100 == 0:
                row = {"step": number, "loss": round(mean, 4), "seconds": round(time.monotonic() - began)}
                print(json.dumps(row), flush=True)
                with (folder / "log.jsonl").open("a") as log:
                    log.write(json.dumps(row) + "\n")
        save(self.average, self.recipe, number, folder / "traits.pt")

    def _share(self, began: float, number: int) -> float:
        by_time = (time.monotonic() - began) / 60 / self.recipe.minutes
        return min(1.0, max(by_time, number / self.recipe.steps_max))


def save(model: TraitNet, recipe: Recipe, steps: int, path: Path) -> None:
    """Writes weights in half precision, with what they are."""
    weights = {k: v.half() if v.dtype == torch.float32 else v for k, v in model.state_dict().items()}
    torch.save({"form": FORM, "shape": model.shape.as_dict(), "recipe": asdict(recipe), "steps": steps,
                "weights": weights}, path)  # fmt: skip


def load_net(path: Path) -> TraitNet:
    """The network of a checkpoint, for use. Raises CheckpointError where it is none of ours."""
    try:
        state = torch.load(path, weights_only=True)
        if state["form"] != FORM:
            raise CheckpointError(f"{path}: form {state['form']!r}, {FORM} is needed")
        shape = state["shape"] | {"blocks": tuple(state["shape"]["blocks"])}
        net = TraitNet(Shape(**shape))
        net.load_state_dict({k: v.float() if v.dtype == torch.float16 else v for k, v in state["weights"].items()})
    except (OSError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: not a checkpoint of the trait model ({error})") from None
    return net.eval()


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rendered", type=Path, nargs="+", required=True)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--minutes", type=float, default=Recipe.minutes)
    parser.add_argument("--threads", type=int, default=Recipe.threads)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--beside", type=float, default=Recipe.beside, help="weight of what is added to a stature")
    parser.add_argument("--start", type=Path, help="goes on from the weights of an earlier run")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        rendered = joined([load(p) for p in args.rendered])
        real = load(args.real) if args.real else None
    except DataError as error:
        sys.exit(str(error))
    recipe = Recipe(minutes=args.minutes, threads=args.threads, beside=args.beside, seed=args.seed)
    Lesson(recipe, rendered, real, start=args.start).run(args.run)


if __name__ == "__main__":
    main()
