# SPDX-License-Identifier: Apache-2.0
"""Trains the person detector: a trunk at a constant rate, and decay branches of it that give weights to ship.

    python -m models.training.train trunk RUN --cache CACHE [--synthetic DIR] [--minutes M]
    python -m models.training.train decay RUN --cache CACHE --start TRUNK/last.pt --minutes 12

RUN is a folder: settings.json, log.jsonl, curves.png, last.pt (resumed from when it is there). Interrupting a run
(Ctrl-C or SIGTERM) writes a checkpoint first. The same script runs on CPU and CUDA.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from models.training import checkpoint
from models.training.augment import DECAY, TRUNK, Recipe
from models.training.cache import load_set
from models.training.checkpoint import Progress
from models.training.curves import draw
from models.training.data import Sources, loader, truth_of
from models.training.errors import CheckpointError
from models.training.judge import look
from models.training.loss import Losses, losses
from models.training.net import Net, Shape
from models.training.optim import optimisers
from models.training.precision import mixed
from models.training.schedule import decay_rate, ema_keep, trunk_rate
from models.training.team import Team, gather


@dataclass(frozen=True)
class Settings:
    """All that a run depends on, written to its folder."""

    phase: str  # trunk or decay
    minutes: float = 600.0
    batch: int = 48
    lr: float = 2e-3
    weight_decay: float = 0.05
    average: float = 0.998  # of the moving average, per step: it remembers about 500 steps
    mosaics_until: float = 0.0  # share of a decay after which pictures come whole; a long decay keeps mosaics longer
    seed: int = 3
    threads: int = 1
    processes: int = 2  # each makes and learns batch / processes images a step
    workers: int = 1
    save_s: float = 300.0
    look_s: float = 600.0
    steps_max: int = 1_000_000


class Run:
    """One run in one folder: models, optimisers, log."""

    def __init__(
        self, folder: Path, settings: Settings, sources: Sources, start: Path | None, shape: Shape,
        team: Team | None = None,
    ) -> None:  # fmt: skip
        self.team = team or Team()
        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.folder, self.settings, self.sources = folder, settings, sources
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = Net(shape).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimisers = optimisers(self.model, settings.lr, settings.weight_decay)
        folder.mkdir(parents=True, exist_ok=True)
        self.progress = self._restore(start)
        self.first = self.progress if settings.phase == "trunk" or start is None else self.branched(start)
        self.stop = False
        (folder / "settings.json").write_text(json.dumps(asdict(settings) | {"sources": str(sources)}, indent=1))

    def _restore(self, start: Path | None) -> Progress:
        last = self.folder / "last.pt"
        source = last if last.exists() else start
        if source is None:
            return Progress()
        progress = checkpoint.restore(source, self.model, self.average, self.optimisers)
        self.say(f"continues from {source}: step {progress.step}, {progress.samples} samples")
        return progress

    def branched(self, start: Path) -> Progress:
        """Where the branch left the trunk; its own time is counted from there."""
        return Progress(**checkpoint.read(start)["progress"])

    def say(self, text: str) -> None:
        """One line on standard output, by the leader."""
        if self.team.leads:
            print(f"{time.strftime('%H:%M:%S')} {self.settings.phase} {text}", flush=True)

    def log(self, **row: object) -> None:
        """One line of the run's log, by the leader."""
        if not self.team.leads:
            return
        with (self.folder / "log.jsonl").open("a") as stream:
            stream.write(json.dumps(row) + "\n")

    def save(self) -> None:
        """Writes the run's checkpoint, by the leader."""
        if self.team.leads:
            checkpoint.save(self.folder / "last.pt", self.model, self.average, self.optimisers, self.progress)

    def share_done(self) -> float:
        """Share 0..1 of the time that this phase was given."""
        by_time = (self.progress.seconds - self.first.seconds) / (self.settings.minutes * 60)
        by_steps = (self.progress.step - self.first.step) / self.settings.steps_max
        return min(1.0, max(by_time, by_steps))

    def set_rate(self) -> float:
        """Sets and returns the learning rate of this step."""
        trunk = self.settings.phase == "trunk"
        share = trunk_rate(self.progress.step) if trunk else decay_rate(self.share_done())
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.settings.lr * share
        return self.settings.lr * share

    def step(self, batch: dict[str, Tensor], began: float) -> Losses:
        """One update of weights and average, and of the progress. `began` is when the step's batch was asked for.

        Raises FloatingPointError where the loss is not finite.
        """
        image = batch["image"].to(self.device).contiguous(memory_format=torch.channels_last).float() / 255
        with mixed(self.device):
            outputs = self.model(image)
        loss = losses(outputs, truth_of(batch, self.device))
        if not math.isfinite(float(loss.total.detach())):
            raise FloatingPointError(f"loss is not finite at step {self.progress.step}")
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        wish, seconds = self.team.average(self.model, [float(self.stop), time.monotonic() - began])
        self.stop = wish > 0
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.blend()
        p = self.progress
        self.progress = Progress(p.step + 1, p.samples + len(image) * self.team.size, p.seconds + seconds)
        return loss

    @torch.no_grad()
    def blend(self) -> None:
        """Moves the average towards the weights; counters of the norms are copied."""
        keep = ema_keep(self.progress.step, self.settings.average)
        for mean, value in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)

    def look(self) -> None:
        """Accuracy of the average on the validation images, if they are in the cache."""
        if not self.team.leads or not (self.sources.cache / "valid.images.npy").exists():
            return
        found = look(self.average, load_set(self.sources.cache, "valid"))
        self.log(step=self.progress.step, samples=self.progress.samples, seconds=self.progress.seconds, **found)
        self.say(f"valid {found}")

    def run(self) -> None:
        """Trains until the phase's time is used or somebody asks to stop; always leaves a checkpoint."""
        mosaics = self.has_mosaics()
        batches = self.batches(TRUNK if mosaics else DECAY)
        saved = looked = time.monotonic()
        meter = Meter(self)
        while not self.stop and self.share_done() < 1.0:
            if mosaics and not self.has_mosaics():
                mosaics, batches = False, self.batches(DECAY)
                self.say("goes on without mosaics")
            began = time.monotonic()
            rate = self.set_rate()
            loss = self.step(next(batches), began)
            now = time.monotonic()
            meter.update(loss, rate, now - began)
            if self.progress.step % 500 == 0:
                self.team.align(self.model)
            if now - saved > self.settings.save_s:
                saved = now
                self.save()
            if now - looked > self.settings.look_s:
                self.look()
                looked = time.monotonic()
        self.save()
        self.look()
        if self.team.leads:
            draw(self.folder)
        self.say("ends, checkpoint written")

    def has_mosaics(self) -> bool:
        """Whether pictures are cut together: always in the trunk, in a decay for its first share."""
        return self.settings.phase == "trunk" or self.share_done() < self.settings.mosaics_until

    def batches(self, recipe: Recipe) -> Iterator[dict[str, Tensor]]:
        """This member's batches from the run's present step on; members draw different ones."""
        settings, team = self.settings, self.team
        seed = (settings.seed + (settings.phase == "decay")) * 16 + team.rank
        share = settings.batch // team.size
        return loader(self.sources, recipe, share, seed, self.progress.step, settings.workers)


class Meter:
    """Smoothed losses and speed, said and logged every 50 steps."""

    def __init__(self, run: Run) -> None:
        self.run, self.mean = run, dict.fromkeys(("score", "box", "bins", "positives", "images_s"), math.nan)

    def update(self, loss: Losses, rate: float, seconds: float) -> None:
        """Takes one step into account."""
        settings, step = self.run.settings, self.run.progress.step
        values = (
            float(loss.score),
            float(loss.box),
            float(loss.bins),
            loss.positives,
            settings.batch / seconds,
        )
        for key, value in zip(self.mean, values, strict=True):
            old = self.mean[key]
            self.mean[key] = value if math.isnan(old) else 0.97 * old + 0.03 * value
        if step % 50 == 0:
            mean = {key: round(value, 3) for key, value in self.mean.items()}
            left_min = (1 - self.run.share_done()) * settings.minutes
            progress = self.run.progress
            self.run.log(step=step, samples=progress.samples, seconds=round(progress.seconds), rate=rate, **mean)
            self.run.say(f"step {step} rate {rate:.5f} {mean} {left_min:.0f} min left")


def stoppable(run: Run) -> None:
    """Lets Ctrl-C and SIGTERM end the run after the step in progress."""

    def ask(*_: object) -> None:
        run.stop = True

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)


def share_of(text: str) -> float:
    """A share of the pictures from the command line. Raises ArgumentTypeError for anything but 0 to 10."""
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 10:
        raise argparse.ArgumentTypeError(f"{text}: give a number from 0 (none) to 10 (ten to each real image)")
    return share


def parse() -> argparse.Namespace:
    """The command line; see the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", choices=("trunk", "decay"))
    parser.add_argument("run", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path)
    parser.add_argument(
        "--synthetic-share",
        type=share_of,
        default=Sources.synthetic_share,
        help="how often a rendered frame is drawn, real images are 1 (default %(default)s)",
    )
    parser.add_argument("--start", type=Path, help="checkpoint to branch or to continue from")
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--batch", type=int, default=Settings.batch)
    parser.add_argument("--lr", type=float, default=Settings.lr)
    parser.add_argument("--average", type=float, default=Settings.average)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--mosaics-until", type=float, default=Settings.mosaics_until)
    parser.add_argument("--processes", type=int, default=Settings.processes)
    parser.add_argument("--steps", type=int, default=Settings.steps_max)
    parser.add_argument("--look-s", type=float, default=Settings.look_s)
    return parser.parse_args()


def main() -> None:
    """Runs a phase from the command line."""
    args = parse()
    if args.phase == "decay" and args.start is None:
        raise CheckpointError("a decay branches from a trunk: give --start TRUNK/last.pt")
    settings = Settings(
        args.phase, args.minutes, args.batch, args.lr, average=args.average, seed=args.seed,
        steps_max=args.steps, look_s=args.look_s, processes=args.processes,
        mosaics_until=args.mosaics_until,
    )  # fmt: skip
    sources = Sources(args.cache, args.synthetic, synthetic_share=args.synthetic_share)
    gather(settings.processes, partial(work, args.run, settings, sources, args.start))


def work(folder: Path, settings: Settings, sources: Sources, start: Path | None, team: Team) -> None:
    """One member's part of a run."""
    run = Run(folder, settings, sources, start, Shape(), team)
    stoppable(run)
    run.run()


if __name__ == "__main__":
    main()
