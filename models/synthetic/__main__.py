# SPDX-License-Identifier: Apache-2.0
"""Command line of the synthetic entrance: bodies, training shards, the bundled clip, footage with truth."""

import argparse
from pathlib import Path

from models.synthetic import scene
from models.synthetic.bodies import SETS, load_bodies
from models.synthetic.footage import VIEWS
from models.synthetic.render import Renderer
from models.synthetic.shards import write_shard

# First scene seed of each set; a shard takes up to 1000 seeds, so the sets never meet.
SCENE_SEEDS = {"train": 0, "heldout": 50_000_000, "demo": 90_000_000, "sample": 95_000_000}


def bake(args: argparse.Namespace) -> None:
    """Bake bodies into the cache."""
    from models.synthetic.bake import bake_set

    bake_set(args.set, args.count, first=args.first, years=args.years)


def shards(args: argparse.Namespace) -> None:
    """Write shards first..first+count-1 that are not there yet."""
    bodies, renderer = load_bodies(args.set), Renderer()
    args.out.mkdir(parents=True, exist_ok=True)
    for number in range(args.first, args.first + args.count):
        path = args.out / f"{args.set}-{number:04d}.tar"
        if path.exists():
            print(f"{path}: there already")
            continue
        rate = write_shard(
            path,
            renderer,
            bodies,
            SCENE_SEEDS[args.set] + number * 1000,
            args.frames,
            (args.width, args.height),
            args.mix,
        )
        print(f"{path}: {args.frames} frames, {rate:.2f} a second", flush=True)


def clip(args: argparse.Namespace) -> None:
    """Write the bundled clip."""
    from models.synthetic.clip import make_clip

    make_clip(load_bodies("demo"), args.out, args.every)


def footage(args: argparse.Namespace) -> None:
    """Write one recording with truth."""
    from models.synthetic.footage import make_footage

    name = f"{args.view}-{args.rate:g}-{args.seed}".replace(".", "_")  # what follows a dot would be taken for a suffix
    bodies, kind = load_bodies(args.set), args.view
    make_footage(
        name, bodies, args.out, args.seed, kind, args.rate, args.seconds, args.fps,
        oldest_child=args.oldest_child, line_m=args.line, told=args.told,
    )  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(prog="python -m models.synthetic", description=__doc__)
    commands = top.add_subparsers(required=True)
    one = commands.add_parser(
        "bake", help="bake dressed bodies into the cache (needs torch, anny, fast-simplification)"
    )
    one.add_argument("--set", choices=sorted(SETS), default="train")
    one.add_argument("--first", type=int, default=0, help="number of the first body")
    one.add_argument("--count", type=int, default=150, help="how many bodies (default %(default)s)")
    one.add_argument("--years", type=int, nargs=2, metavar=("FIRST", "LAST"), help="of these ages only")
    one.set_defaults(run=bake)
    one = commands.add_parser("shards", help="write training shards NAME-XXXX.tar")
    one.add_argument("--set", choices=sorted(SETS), default="train")
    one.add_argument("--first", type=int, default=0, help="number of the first shard")
    one.add_argument("--count", type=int, default=1, help="how many shards")
    one.add_argument("--frames", type=int, default=200, help="frames in a shard (default %(default)s)")
    kinds = one.add_mutually_exclusive_group()
    one.set_defaults(mix=scene.EVERYDAY)
    for name, mix, told in (
        ("--steep", scene.STEEP, "six scenes in seven from steeply above or straight down"),
        ("--decoys", scene.DECOYS, "scenes full of prams, cases, stands, coats, posters and mannequins"),
        ("--ages", scene.AGES, "children of every age as frequent as others, cameras up to 66 degrees down"),
        ("--throng", scene.THRONG, "as --steep, with as many people as there is room for"),
        ("--alike", scene.ALIKE, "as --ages, with ages only at which a child is as tall as somebody grown"),
        ("--empty", scene.EMPTY, "scenes without people, for counting false boxes"),
    ):
        kinds.add_argument(name, dest="mix", action="store_const", const=mix, help=told)
    one.add_argument("--width", type=int, default=416)
    one.add_argument("--height", type=int, default=256)
    one.add_argument("--out", type=Path, default=Path("runs/synthetic"))
    one.set_defaults(run=shards)
    one = commands.add_parser("clip", help="write the bundled clip and its truth")
    one.add_argument("--out", type=Path, default=Path("models/demo"))
    one.add_argument("--every", type=int, default=1, help="draw only every n-th frame, for a look")
    one.set_defaults(run=clip)
    one = commands.add_parser("footage", help="write a longer recording with crossings and tracks")
    one.add_argument("--set", choices=sorted(SETS), default="heldout")
    one.add_argument("--view", choices=VIEWS, default="oblique", help="30, 45, 60 or 90 degrees down")
    one.add_argument("--line", type=float, help="where people are counted, metres beyond the door; less than 0: inside")
    one.add_argument(
        "--told", action="store_true", help="[view] in the settings beside it, as if somebody had measured"
    )
    one.add_argument("--rate", type=float, default=0.4, help="people per metre of door and second, up to 1.8")
    one.add_argument("--seconds", type=float, default=60.0)
    one.add_argument("--fps", type=int, default=15)
    one.add_argument("--oldest-child", type=int, default=11, help="in families; 12-year-olds come with 12 only")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--out", type=Path, default=Path("runs/synthetic"))
    one.set_defaults(run=footage)
    return top


def main(argv: list[str] | None = None) -> None:
    """Run one command."""
    args = parser().parse_args(argv)
    args.run(args)


if __name__ == "__main__":
    main()
