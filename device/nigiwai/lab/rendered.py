# SPDX-License-Identifier: Apache-2.0
"""How well it is told who came in rendered recordings, by the whole of eye: detector, tracker, gates, heights, looks.

    python -m nigiwai.lab.rendered RECORDING.mp4... [--traits NAME | --heights]
    python -m nigiwai.lab.rendered RECORDING.mp4... --fit    the weights of eye/companions.py, by simulated visitors too

A recording of `python -m models.synthetic footage` comes with NAME.tracks.jsonl (who is where, how old, with whom) and
NAME.gates.toml. Figures of rendered people: never to be quoted as accuracy at a real entrance.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.errors import NigiwaiError
from nigiwai.eye.assemble import open_detector, open_pipeline, open_trait_model
from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.ground import given
from nigiwai.eye.growth import OLDEST_CHILD, SHOES_CM
from nigiwai.eye.likeness import Fusion
from nigiwai.eye.overlaps import overlaps
from nigiwai.eye.passers import Passer, Passers
from nigiwai.eye.pipeline import Pipeline
from nigiwai.eye.portraits import Portraits
from nigiwai.eye.sight import Box, best_box
from nigiwai.eye.trait_model import TraitModel
from nigiwai.eye.types import Frame
from nigiwai.eye.view import View
from nigiwai.lab.company import Outcome, confusions, fit_trials, fitted, report
from nigiwai.lab.visitors import Visitor
from nigiwai.settings import Settings, load
from nigiwai.settings import View as ViewSettings

LEAST_IOU = 0.3
ENDS_AT = BootNs(3_600_000_000_000)
"""When every recording ends, as if it had been taken then. People are measured five times a second, and on which frames
that falls goes by the clock: so a recording gives the same figures whenever it is asked."""

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Truth:
    """Who is where: for each frame the people's numbers and boxes, and everybody's visitor."""

    view: View
    frames: list[tuple[float, list[tuple[int, Box]]]]
    visitors: dict[int, Visitor]

    def at(self, seconds: float, box: Sequence[float]) -> Visitor | None:
        """Whose box this is at that time; None where nobody's is near."""
        times = [t for t, _ in self.frames]
        _, people = self.frames[int(np.abs(np.array(times) - seconds).argmin())]
        if not people:
            return None
        shared = overlaps(np.array([there for _, there in people]), np.array([box]))[:, 0]
        best = int(shared.argmax())
        return None if shared[best] < LEAST_IOU else self.visitors[people[best][0]]


def load_truth(path: Path, size: tuple[int, int]) -> Truth:
    """The truth beside a recording of that picture size. Raises NigiwaiError where it cannot be read."""
    try:
        head, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as e:
        raise NigiwaiError(f"{path}: cannot be read ({e}); it comes with a rendered recording") from None
    people = {p["id"]: p for row in rows for p in row["people"]}
    visitors = {}
    for number, p in people.items():
        ages = [other["age"] for other in people.values() if other["group"] == p["group"]]
        children = sum(age <= OLDEST_CHILD for age in ages)
        tall = p["stature_m"] + SHOES_CM / 100
        visitors[number] = Visitor(p["age"], tall, p["group"], len(ages) - children, children)
    frames = [(row["t"], [(p["id"], tuple(p["box"])) for p in row["people"]]) for row in rows]
    return Truth(true_view(head["camera"], size), frames, visitors)


def true_view(camera: Mapping[str, float], size: tuple[int, int]) -> View:
    """The view of pictures of that size, of the camera that `models.synthetic` writes beside what it renders."""
    return View(camera["height_m"], camera["tilt_deg"], camera["hfov_deg"], size, camera["distortion"])


def watch(recording: Path, settings: Settings, model: TraitModel | None) -> Outcome:
    """What became of one recording's passages; the view is that of the truth, as if somebody had measured it."""
    folder, name = recording.parent, recording.stem
    source = Recording(recording, pace="fast", clock=lambda: ENDS_AT)
    frames = _frames(source)
    first = next(frames)
    truth = load_truth(folder / f"{name}.tracks.jsonl", (first.width, first.height))
    settings = replace_gates(settings, folder / f"{name}.gates.toml").model_copy(update={"view": _told(truth.view)})
    pipeline = open_pipeline(settings, open_detector(settings))
    passers = _passers(truth.view, model)
    outcome, who, settled = Outcome(), dict[tuple[int, BootNs], Visitor | None](), list[Passer]()
    shows: dict[int, Visitor | None] = {}
    at = first.at
    for frame in chain((first,), frames):
        at, before = frame.at, passers.waiting
        _see(pipeline, passers, truth, who, frame, source.seconds(at))
        shows |= _shown(pipeline, truth, source.seconds(at))
        gone = [p for p in before if p not in passers.waiting]
        outcome.pair(passers, gone, who, shows)
        settled += gone
    settled += passers.waiting
    passers.settle(at, everybody=True)
    outcome.add(settled, who)
    return outcome


def _told(view: View) -> ViewSettings:
    """A view as the settings would tell it."""
    return ViewSettings(
        height_m=view.height_m, tilt_deg=view.tilt_deg, fov_deg=view.fov_deg, distortion=view.distortion
    )


def _passers(view: View, model: TraitModel | None) -> Passers:
    ground = given(view)
    if model is None:
        return Passers(ground)
    return Passers(ground, Portraits(model, view), Fusion.of(model.entry))


def _frames(source: Recording) -> Iterator[Frame]:
    while (frame := source.read(_PATIENCE_S)) is not None:
        yield frame


def _see(
    pipeline: Pipeline,
    passers: Passers,
    truth: Truth,
    who: dict[tuple[int, BootNs], Visitor | None],
    frame: Frame,
    seconds: float,
) -> None:
    inferred = pipeline.inferred
    crossings = pipeline.update(frame)
    if pipeline.inferred == inferred:
        passers.settle(frame.at)
        return
    boxes = {t.number: best_box(t) for t in pipeline.tracks}
    for number in pipeline.passers:
        who[number, frame.at] = truth.at(seconds, boxes[number]) if number in boxes else None
    passers.update(pipeline.tracks, crossings, pipeline.passers, frame.at, frame.image)


def _shown(pipeline: Pipeline, truth: Truth, seconds: float) -> dict[int, Visitor]:
    """Whom each track shows, but for those that show nobody now."""
    found = ((t.number, truth.at(seconds, best_box(t))) for t in pipeline.tracks)
    return {number: visitor for number, visitor in found if visitor is not None}


def replace_gates(settings: Settings, path: Path) -> Settings:
    """The settings with the gates of another file."""
    return settings.model_copy(update={"gate": load(path).gate})


def main(arguments: Sequence[str]) -> None:
    """Command line: prints figures, confusions and how many people were looked at, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--traits", default="nigiwai-traits", help="the trait model")
    parser.add_argument("--heights", action="store_true", help="no trait model: heights alone")
    parser.add_argument("--fit", action="store_true", help="weights for who walks together instead of figures")
    args = parser.parse_args(arguments)
    settings = Settings.model_validate({"traits": {"model": "" if args.heights else args.traits}})
    model = open_trait_model(settings)
    outcomes = [watch(path, settings, model) for path in args.recordings]
    result: dict[str, object] = {"figures": report(outcomes), "confusions": confusions(outcomes)}
    if args.fit:
        result = fitted([*fit_trials(), *outcomes])
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
