# SPDX-License-Identifier: Apache-2.0
"""All figures of one detector on one set, and the tables made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.evaluation.metrics import Picture, average_precision, judge, precision_recall
from models.evaluation.reference import Found
from models.evaluation.sets import EvalSet

Detect = Callable[[NDArray[np.uint8]], Found]
Row = dict[str, float | str | int]

SIZES = (("small", 0.0, 0.1), ("medium", 0.1, 0.3), ("large", 0.3, 1.01))  # of the image's height
VISIBLE = (("clear", 0.75, 1.01), ("partly", 0.5, 0.75), ("hidden", 0.25, 0.5))  # share of the person that is seen
IOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))


@dataclass(frozen=True)
class Judged:
    """A picture with what slices need: the relative height and the visible share of each person."""

    picture: Picture
    height: NDArray[np.float32]
    visible: NDArray[np.float32]
    child: NDArray[np.bool_]
    steep: NDArray[np.bool_]


CHILD_AGE = 13
STEEP_DEG = 60.0


def look(detect: Detect, data: EvalSet) -> list[Judged]:
    """Runs the detector over the set."""
    rows = []
    for item in data.items:
        found = detect(item.image)
        height = (item.xyxy[:, 3] - item.xyxy[:, 1]) / item.image.shape[0]
        note, none = data.notes.get(item.name), np.zeros(len(height), np.bool_)
        fits = note is not None and len(note.ages) == len(height)
        child = note.ages < CHILD_AGE if note and fits else none
        steep = none | (note.tilt_deg >= STEEP_DEG) if note else none
        picture = Picture(found.xyxy, found.score, item.xyxy, item.ignore)
        rows.append(Judged(picture, height, item.visible, child, steep))
    return rows


def only(judged: Judged, chosen: NDArray[np.bool_]) -> Picture:
    """The picture with all people but the chosen ones ignored."""
    return replace(judged.picture, ignore=judged.picture.ignore | ~chosen)


def figures(name: str, data: EvalSet, judged: list[Judged], score_min: float) -> Row:
    """One row: AP at 0.5, 0.75 and averaged over 0.5..0.95, at the operating threshold precision and recall, slices."""
    pictures = [j.picture for j in judged]
    verdicts = [judge(pictures, t) for t in IOUS]
    precision, recall = precision_recall(verdicts[0], score_min)
    row: Row = {"model": name, "set": data.name, "images": len(pictures), "people": verdicts[0].people}
    row |= {"AP50": average_precision(verdicts[0]), "AP75": average_precision(verdicts[5])}
    row |= {"AP": float(np.mean([average_precision(v) for v in verdicts]))}
    row |= {"precision": precision, "recall": recall}
    for label, low, high in SIZES:
        part = judge([only(j, (j.height >= low) & (j.height < high)) for j in judged], 0.5)
        row[f"AP50 {label}"] = average_precision(part) if part.people else float("nan")
    if any((j.visible < 1).any() for j in judged):
        for label, low, high in VISIBLE:
            part = judge([only(j, (j.visible >= low) & (j.visible < high)) for j in judged], 0.5)
            row[f"recall {label}"] = precision_recall(part, score_min)[1]
        row |= halves(judged, score_min)
    empty = [p for p in pictures if not len(p.people)]
    if empty:
        row["false per empty image"] = float(np.mean([(p.score >= score_min).sum() for p in empty]))
        row["empty images"] = len(empty)
    return row


def halves(judged: list[Judged], score_min: float) -> Row:
    """Recall of the people who are at least half seen: all, children, and those under a steep camera."""

    def recall(chosen: Callable[[Judged], NDArray[np.bool_]]) -> float:
        part = judge([only(j, (j.visible >= 0.5) & chosen(j)) for j in judged], 0.5)
        return precision_recall(part, score_min)[1] if part.people else float("nan")

    return {
        "recall half seen": recall(lambda j: j.visible >= 0.5),
        "of children": recall(lambda j: j.child),
        "from above": recall(lambda j: j.steep),
    }


def markdown(rows: list[Row]) -> str:
    """A table with a column for every figure that any row has; three decimals, a dash where a row has none."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def cell(value: float | str | int | None) -> str:
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return "-"
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(row.get(c)) for c in columns) + " |" for row in rows]
    return "\n".join(lines)
