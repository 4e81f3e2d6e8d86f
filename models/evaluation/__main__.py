# SPDX-License-Identifier: Apache-2.0
"""`python -m models.evaluation --data ../shared/data` prints one table of all detectors on all sets.

Detectors: models/nigiwai-person.{int8,fp32}.onnx and the reference models that are in DATA/models. With --json, the
same rows are written as JSON. Wobble is measured on the recordings in DATA/footage and on the bundled clip. Times are
the least of many runs by turns with two threads; run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from models.evaluation.ours import Ours
from models.evaluation.reference import DECODERS, Reference
from models.evaluation.report import Detect, Row, figures, look, markdown
from models.evaluation.sets import load_all, video_frames
from models.evaluation.times import times
from models.evaluation.tracked import Tracked
from models.evaluation.wobble import wobble, wobble_against
from models.training.errors import DataError, Skipped
from nigiwai.eye.manifest import MANIFEST, load_manifest

MODELS = Path(__file__).resolve().parents[1]
RECORDINGS = (
    ("intel-people-detection.mp4", 12.0, (416, 256)),
    ("caviar-one-leave-shop-corridor.mpg", 25.0, (384, 288)),
    ("entrance.mp4", 15.0, (416, 256)),
)
TRACKED = ", tracked"
DEMO = MODELS / "demo"
Open = Callable[[tuple[int, int]], Detect]


def detectors(ours: list[Path], references: Path | None, threads: int) -> dict[str, Open]:
    """For each detector's name, a function that opens it at an input size (references have one size only)."""

    def own(path: Path) -> Open:
        return lambda size: Ours(path, *size, threads=threads).detect

    def peer(path: Path) -> Open:
        made: list[Reference] = []

        def opened(_: tuple[int, int]) -> Detect:
            made[:] = made or [Reference(path, threads)]
            return made[0].detect

        return opened

    found = {path.stem: own(path) for path in ours if path.exists()}
    for name in DECODERS:
        if references and (references / f"{name}.onnx").exists():
            found[name] = peer(references / f"{name}.onnx")
    return found


def with_tracker(found: dict[str, Open], rate_hz: float) -> dict[str, Open]:
    """The detectors, and the shipped one followed by the device's tracker as well."""
    limits = {entry.file.removesuffix(".onnx"): entry.thresholds for entry in load_manifest(MODELS / MANIFEST).model}

    def followed(name: str) -> Open:
        return lambda size: Tracked(found[name](size), rate_hz, limits[name]).detect

    return found | {name + TRACKED: followed(name) for name in found if name.endswith(".int8") and name in limits}


def wobbles(found: dict[str, Open], footage: Path, score_min: float) -> list[Row]:
    """Wobble of every detector on every recording that is there, and of the shipped one's tracks."""
    rows: list[Row] = []
    for file, rate_hz, size in RECORDINGS:
        folder = DEMO if (DEMO / file).exists() else footage
        if not (folder / file).exists():
            continue
        frames = list(video_frames(folder / file))
        tracks = folder / file.replace(".mp4", ".tracks.jsonl")
        for name, opened in with_tracker(found, rate_hz).items():
            exact = folder == DEMO
            detect = opened(size)
            w = (
                wobble_against(detect, frames, tracks, rate_hz, score_min, standing=name.endswith(TRACKED))
                if exact
                else wobble(detect, frames, rate_hz, score_min)
            )
            row: Row = {"model": name, "recording": file, "wobble rms": w.rms, "wobble p95": w.p95, "boxes": w.frames}
            rows.append(row)
    return rows


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=MODELS.parent.parent / "shared" / "data")
    parser.add_argument("--synthetic", type=Path, help="folder with heldout*.tar")
    parser.add_argument("--models", type=Path, nargs="*", default=sorted(MODELS.glob("nigiwai-person.*.onnx")))
    parser.add_argument("--score", type=float, default=0.4, help="operating threshold")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-references", action="store_true")
    parser.add_argument("--rounds", type=int, default=150, help="runs for the times (default %(default)s; 0: none)")
    parser.add_argument("--no-wobble", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Runs the evaluation; exit status 1 where no set is there."""
    args, skipped = parse(), Skipped()
    references = None if args.no_references else args.data / "models"
    found = detectors(args.models, references, args.threads)
    paths = [p for p in args.models if p.exists()]
    if references:
        paths += [p for name in DECODERS if (p := references / f"{name}.onnx").exists()]
    speeds = times(paths, rounds=args.rounds) if args.rounds else []
    rows: list[Row] = []
    for data in load_all(args.data, args.synthetic, skipped):
        for name, opened in found.items():
            rows.append(figures(name, data, look(opened(data.size), data), args.score))
            print(f"{data.name}: {name} done", file=sys.stderr, flush=True)
    try:
        shakes = [] if args.no_wobble else wobbles(found, args.data / "footage", args.score)
    except DataError as error:
        shakes = []
        skipped.add("footage", str(error))
    for name in dict.fromkeys(str(row["set"]) for row in rows):
        print(markdown([row for row in rows if row["set"] == name]), end="\n\n")
    print(markdown(speeds), end="\n\n")
    print(markdown(shakes), f"\n\nscore >= {args.score}; left out: {skipped.summary()}")
    if args.json:
        args.json.write_text(
            json.dumps({"score": args.score, "sets": rows, "wobble": shakes, "times": speeds}, indent=1)
        )
    return 0 if rows else 1


if __name__ == "__main__":
    raise SystemExit(main())
