# SPDX-License-Identifier: Apache-2.0
"""How well people are followed, by the MOTChallenge's measures, where the truth has everybody's box in every frame.

HOTA (Luiten et al. 2021), CLEAR MOT and IDF1 are computed by TrackEval, the MOTChallenge's own library, which is an
extra (`nigiwai[tracks]`). Judged are the frames that the detector saw, and of the tracks those that it saw then. Boxes
match from an overlap of 0.5 on; true boxes are clipped to the picture, as a detector's are.
"""

import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring

import numpy as np
from numpy.typing import NDArray

from nigiwai.errors import NigiwaiError, SettingsError
from nigiwai.eye.overlaps import overlaps
from nigiwai.eye.types import Track

Floats = NDArray[np.float64]
Boxes = dict[int, tuple[float, float, float, float]]
"""Left, top, right, bottom in px by the person's number."""

_NONE = np.zeros((0, 4))


class TracksError(NigiwaiError):
    """Tracks cannot be judged here."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class TrackScore:
    """The measures, each 0..1 but MOTA, which may be negative. switches: how often a person got another number."""

    frames: int
    people: int
    tracks: int
    hota: float
    detection: float
    association: float
    mota: float
    idf1: float
    switches: int


def read_tracks(path: Path) -> dict[int, Boxes]:
    """True boxes by frame, from 0: .xml as CAVIAR has it, .txt as MOTChallenge has, .jsonl as models/synthetic writes.

    Raises SettingsError that names the file and what is wrong.
    """
    kinds: dict[str, Callable[[str], Iterator[tuple[int, Boxes]]]] = {".xml": _caviar, ".txt": _mot, ".jsonl": _lines}
    if path.suffix not in kinds:
        raise SettingsError(f"{path}: must end in {', '.join(kinds)}; that says how the tracks are written")
    try:
        frames: dict[int, Boxes] = {}
        for frame, boxes in kinds[path.suffix](path.read_text(encoding="utf-8")):
            frames.setdefault(frame, {}).update(boxes)
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"{path}: the tracks cannot be read ({e})") from None
    except (ParseError, ValueError, TypeError, KeyError, AttributeError) as e:
        raise SettingsError(f"{path}: not tracks as {path.suffix} has them ({type(e).__name__}: {e})") from None
    return frames


def _caviar(text: str) -> Iterator[tuple[int, Boxes]]:
    """CVML: centre, width and height."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("declares entities, which tracks need not")
    for frame in fromstring(text).iter("frame"):  # noqa: S314 - the operator's own file, and without entities
        boxes = {}
        for found in frame.iter("object"):
            box = found.find("box")
            if box is None:
                raise ValueError(f"frame {frame.attrib['number']}: an object has no box")
            x, y, wide, high = (float(box.attrib[k]) for k in ("xc", "yc", "w", "h"))
            boxes[int(found.attrib["id"])] = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
        yield int(frame.attrib["number"]), boxes


def _mot(text: str) -> Iterator[tuple[int, Boxes]]:
    """frame (from 1), number, left, top, width, height, whether it counts, ..."""
    for line in filter(str.strip, text.splitlines()):
        frame, number, x, y, wide, high, *rest = (float(part) for part in line.split(","))
        if not rest or rest[0]:
            yield int(frame) - 1, {int(number): (x, y, x + wide, y + high)}


def _lines(text: str) -> Iterator[tuple[int, Boxes]]:
    """A heading, then a frame a line."""
    for line in text.splitlines()[1:]:
        row = json.loads(line)
        boxes = {}
        for person in row["people"]:
            left, top, right, bottom = map(float, person["box"])
            boxes[int(person["id"])] = (left, top, right, bottom)
        yield int(row["frame"]), boxes


class TrackJudge:
    """Gathers truth and tracks frame by frame; bounded by the recording."""

    def __init__(self, true: dict[int, Boxes]) -> None:
        """Raises TracksError where the library is missing."""
        try:
            self._metrics: Any = importlib.import_module("trackeval.metrics")
        except ImportError:
            raise TracksError(
                "--tracks: the measures of tracks need TrackEval; install it with: pip install 'nigiwai[tracks]'"
            ) from None
        self._true = true
        self._frames: list[tuple[list[int], Floats, list[int], Floats]] = []

    def see(self, frame: int, tracks: Sequence[Track], size: tuple[int, int]) -> None:
        """Takes a frame that the detector saw, counted from 0."""
        true, seen = self._true.get(frame, {}), [t for t in tracks if t.seen]
        limit = np.array([*size, *size], np.float64)
        boxes = np.clip(np.array(list(true.values()), np.float64).reshape(-1, 4), 0, limit)
        whole = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        numbers = [n for n, there in zip(true, whole.tolist(), strict=True) if there]
        found = np.clip(np.array([t.xyxy for t in seen]).reshape(-1, 4), 0, limit) if seen else _NONE
        self._frames.append((numbers, boxes[whole], [t.number for t in seen], found))

    def score(self) -> TrackScore:
        """The measures over all frames."""
        people = _renumbered(numbers for numbers, *_ in self._frames)
        tracks = _renumbered(numbers for _, _, numbers, _ in self._frames)
        data = {
            "num_timesteps": len(self._frames),
            "num_gt_ids": len(people),
            "num_tracker_ids": len(tracks),
            "num_gt_dets": sum(len(numbers) for numbers, *_ in self._frames),
            "num_tracker_dets": sum(len(numbers) for _, _, numbers, _ in self._frames),
            "gt_ids": [np.array([people[n] for n in numbers], int) for numbers, *_ in self._frames],
            "tracker_ids": [np.array([tracks[n] for n in numbers], int) for _, _, numbers, _ in self._frames],
            "similarity_scores": [overlaps(true, found) for _, true, _, found in self._frames],
        }
        quiet = {"PRINT_CONFIG": False, "THRESHOLD": 0.5}
        hota = self._metrics.HOTA().eval_sequence(data)
        clear = self._metrics.CLEAR(quiet).eval_sequence(data)
        identity = self._metrics.Identity(quiet).eval_sequence(data)
        return TrackScore(
            frames=len(self._frames),
            people=len(people),
            tracks=len(tracks),
            hota=float(np.mean(hota["HOTA"])),
            detection=float(np.mean(hota["DetA"])),
            association=float(np.mean(hota["AssA"])),
            mota=float(clear["MOTA"]),
            idf1=float(identity["IDF1"]),
            switches=int(clear["IDSW"]),
        )


def _renumbered(frames: Iterator[list[int]]) -> dict[int, int]:
    """Numbers from 0 on, as the library wants them."""
    return {n: i for i, n in enumerate(sorted({n for numbers in frames for n in numbers}))}


def to_line(score: TrackScore) -> str:
    """One line to read."""
    return (
        f"tracks over {score.frames} frames: HOTA {score.hota:.3f} (detection {score.detection:.3f}, association"
        f" {score.association:.3f}), MOTA {score.mota:.3f}, IDF1 {score.idf1:.3f}, {score.switches} changes of number;"
        f" {score.people} people, {score.tracks} tracks"
    )
