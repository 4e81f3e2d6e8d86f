# SPDX-License-Identifier: Apache-2.0
"""A run's log as a picture: `python -m models.training.curves RUN...` writes RUN/curves.png (needs matplotlib)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

PANELS = (("score", "box", "bins"), ("ap50", "ap75"), ("images_s",))


def rows_of(log: Path) -> list[dict[str, float]]:
    """The log's rows; a last line cut off by an interruption is left out."""
    rows = []
    for line in log.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            print(f"{log}: a broken line is left out")
    return rows


def draw(folder: Path) -> Path | None:
    """Draws losses, accuracy and speed over samples; None, with a word, where matplotlib or a log is missing."""
    log = folder / "log.jsonl"
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("curves: matplotlib is not installed, no picture")
        return None
    if not log.exists():
        print(f"curves: {log} is missing, no picture")
        return None
    rows = rows_of(log)
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(15, 4))
    for axis, keys in zip(axes, PANELS, strict=True):
        for key in keys:
            samples = [row["samples"] / 1000 for row in rows if key in row]
            axis.plot(samples, [row[key] for row in rows if key in row], label=key, marker=".")
        axis.set_xlabel("thousand samples")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(folder / "curves.png", dpi=80)
    pyplot.close(figure)
    return folder / "curves.png"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        draw(Path(name))
