# SPDX-License-Identifier: Apache-2.0
"""Teachers' labels that are kept with the recipe, so that nobody has to spend half an hour of a core on them again.

`python -m models.training.kept CACHE NAMES...` packs NAME.teacher.npz into `labels/`; `prepare` lays them beside a set
that they were made of. Boxes are kept to a sixteenth of a pixel, weights to a hundredth.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.training.cache import ImageSet, load_set, save_labels
from models.training.errors import DataError

FOLDER = Path(__file__).parent / "labels"
STEPS_PER_PX, STEPS_PER_WEIGHT = 16, 100


def digest(data: ImageSet) -> str:
    """Which set this is, by number and size of its images and by its own labels; pictures decode a little differently
    from one library to the next, so they are left out."""
    sha = hashlib.sha256(repr((data.name, data.images.shape)).encode())
    for boxes in data.xyxy:
        sha.update(np.rint(boxes * STEPS_PER_PX).astype("<i4").tobytes() + b";")
    return sha.hexdigest()


def keep(own: ImageSet, taught: ImageSet, folder: Path = FOLDER) -> Path:
    """Writes the labels of `taught`, which were made of the set `own`; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{own.name}.npz"
    np.savez_compressed(
        path,
        digest=np.array(digest(own)),
        count=np.array([len(b) for b in taught.xyxy], np.uint16),
        xyxy=np.rint(np.concatenate(taught.xyxy) * STEPS_PER_PX).astype(np.uint16),
        weight=np.rint(np.concatenate(taught.weight) * STEPS_PER_WEIGHT).astype(np.uint8),
        ignore=np.concatenate(taught.ignore),
    )
    return path


def take(own: ImageSet, cache: Path, folder: Path = FOLDER) -> bool:
    """Lays the kept labels of that set into the cache as its teacher's; False where there are none of this very set.

    Raises DataError where the file is damaged.
    """
    path = folder / f"{own.name}.npz"
    if not path.exists():
        return False
    try:
        with path.open("rb") as stream, np.load(stream) as kept:
            if str(kept["digest"]) != digest(own):
                return False
            cuts = np.cumsum(kept["count"], dtype=np.int64)[:-1]
            xyxy = np.split(kept["xyxy"].astype(np.float32) / STEPS_PER_PX, cuts)
            weight = np.split(kept["weight"].astype(np.float32) / STEPS_PER_WEIGHT, cuts)
            ignore = np.split(kept["ignore"], cuts)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as cause:
        raise DataError(f"{path}: not kept labels ({cause}); delete it and run models.training.teacher") from cause
    save_labels(cache / f"{own.name}.teacher.npz", replace(own, xyxy=xyxy, weight=weight, ignore=ignore))
    return True


def main() -> None:
    """Command line of `kept`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("sets", nargs="+")
    args = parser.parse_args()
    for name in args.sets:
        path = keep(load_set(args.cache, name), load_set(args.cache, name, "teacher"))
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
