# SPDX-License-Identifier: Apache-2.0
"""Error against frame rate and against crowding, on simulated people; writes docs/accuracy.md and its pictures.

    python -m nigiwai.lab.curves --passages 1000 --out docs

The same seeds give the same figures on any machine. What is simulated, and what is not, is said in the page itself.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from nigiwai.eye.view import View
from nigiwai.lab.crowd import Crowd
from nigiwai.lab.evaluate import Evaluation
from nigiwai.lab.matching import wilson
from nigiwai.lab.simulate import OBLIQUE, STRAIGHT_DOWN, TILTED
from nigiwai.lab.trial import Trial, run

VIEWS: dict[str, View] = {"straight down": STRAIGHT_DOWN, "30 degrees off": TILTED, "30 degrees down": OBLIQUE}
RATES = (30.0, 15.0, 8.0, 5.0, 3.0)
FLOWS = (0.3, 0.6, 0.9, 1.2, 1.5, 1.8)
USUAL_FLOW = 0.4
USUAL_FPS = 12.0
SLICE_S = 100.0
"""A condition is tried in slices of this length, each with its own seed, until there are passages enough."""

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a80")


@dataclass(frozen=True, slots=True)
class Point:
    """One condition's result: sums over its slices, and counts per direction."""

    view: str
    fps: float
    flow: float
    true: int
    matched: int
    extra: int
    missed: int
    true_in: int
    counted_in: int
    true_out: int
    counted_out: int

    @property
    def f1(self) -> float:
        """F1 of the crossings; 0 where nothing happened."""
        wrong = self.extra + self.missed
        return 2 * self.matched / (2 * self.matched + wrong) if self.matched + wrong else 0.0

    @property
    def f1_low(self) -> float:
        """Lower end of its 95 % interval."""
        low = wilson(self.matched, self.matched + self.extra + self.missed).low or 0.0
        return 2 * low / (1 + low)

    def error(self, direction: str) -> float:
        """Signed count error as a share of the true passages in one direction."""
        true, counted = (self.true_in, self.counted_in) if direction == "in" else (self.true_out, self.counted_out)
        return (counted - true) / true if true else 0.0


def measure(name: str, fps: float, flow: float, passages: int, *, measured: bool = False) -> Point:
    """One condition, tried until `passages` true ones are there; measured: as where the settings tell the view."""
    trial = Trial(VIEWS[name], Crowd(flow=flow), fps, measured=measured)
    point = Point(name, fps, flow, 0, 0, 0, 0, 0, 0, 0, 0)
    seed = 0
    while point.true < passages:
        point = _add(point, run(trial, SLICE_S, seed))
        seed += 1
    return point


def _add(p: Point, e: Evaluation) -> Point:
    total, inward, outward = e.scores
    return replace(
        p,
        true=p.true + total.true,
        matched=p.matched + total.matched,
        extra=p.extra + len(e.extra),
        missed=p.missed + len(e.missed),
        true_in=p.true_in + inward.true,
        counted_in=p.counted_in + inward.counted,
        true_out=p.true_out + outward.true,
        counted_out=p.counted_out + outward.counted,
    )


def chart(title: str, x_label: str, lines: dict[str, list[tuple[float, float]]], floor: float) -> str:
    """An SVG line chart of F1 (floor..1) over x, one line a view."""
    xs = [x for line in lines.values() for x, _ in line]
    low, high = min(xs), max(xs)

    def place(x: float, y: float) -> tuple[float, float]:
        return 60 + 460 * (x - low) / ((high - low) or 1), 250 - 200 * (max(y, floor) - floor) / (1 - floor)

    parts = [f'<text x="60" y="28" font-size="15">{title}</text>']
    for k in range(6):
        y = floor + k * (1 - floor) / 5
        height = place(low, y)[1]
        parts.append(f'<line x1="60" x2="520" y1="{height:.0f}" y2="{height:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="52" y="{height + 4:.0f}" text-anchor="end">{y:.2f}</text>')
    parts += [f'<text x="{place(x, 1)[0]:.0f}" y="270" text-anchor="middle">{x:g}</text>' for x in sorted(set(xs))]
    parts.append(f'<text x="290" y="292" text-anchor="middle">{x_label}</text>')
    for (name, line), colour in zip(lines.items(), COLOURS, strict=False):
        dots = [place(x, y) for x, y in sorted(line)]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
            + " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
            + '"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots]
        parts.append(f'<text x="530" y="{dots[-1][1] + 4:.0f}" fill="{colour}">{name}</text>')
    body = "\n".join(parts)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 300" font-family="sans-serif" font-size="12">\n'
        f'<rect width="660" height="300" fill="white"/>\n{body}\n</svg>\n'
    )


def rows(points: Iterable[Point]) -> str:
    """A table in Markdown."""
    head = "| view | fps | persons/m/s | passages | F1 (95 % from) | in, out error | missed | extra |"
    return "\n".join(
        [head, "|---|---|---|---|---|---|---|---|"]
        + [
            f"| {p.view} | {p.fps:g} | {p.flow:g} | {p.true} | {p.f1:.3f} ({p.f1_low:.3f})"
            f" | {p.error('in'):+.1%}, {p.error('out'):+.1%} | {p.missed} | {p.extra} |"
            for p in points
        ]
    )


def write(points: Sequence[Point], out: Path) -> None:
    """The pictures, the figures as JSON, and the tables between the marks of accuracy.md."""
    pictures = out / "img"
    pictures.mkdir(parents=True, exist_ok=True)
    by_rate = [p for p in points if p.flow == USUAL_FLOW]
    by_flow = [p for p in points if p.fps == USUAL_FPS]
    for name, label, part in (
        ("rate", "frames a second", by_rate),
        ("crowding", "persons a second and metre", by_flow),
    ):
        lines = {
            v: [(p.fps if name == "rate" else p.flow, p.f1) for p in part if p.view == v]
            for v in dict.fromkeys(p.view for p in part)
        }
        if lines:
            svg = chart(f"F1 of crossings against {label}", label, lines, 0.7)
            (pictures / f"f1-{name}.svg").write_text(svg, encoding="utf-8")
    (pictures / "accuracy.json").write_text(json.dumps([asdict(p) for p in points], indent=1) + "\n", encoding="utf-8")
    page = out / "accuracy.md"
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- figures -->\n")
    _, _, after = rest.partition("<!-- end -->")
    page.write_text(f"{before}<!-- figures -->\n{rows(points)}\n<!-- end -->{after}", encoding="utf-8")


@click.command()
@click.option("--passages", default=1000, show_default=True, help="True passages per condition, at least.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("docs"), show_default=True)
@click.option("--view", "names", multiple=True, type=click.Choice(list(VIEWS)), help="Only these views.")
@click.option("--fps", "rates", multiple=True, type=float, help="Only these frame rates, at the usual flow.")
@click.option("--flow", "flows", multiple=True, type=float, help="Only these flows, at the usual frame rate.")
@click.option("--measured", is_flag=True, help="As where [view] is set; the figures are told and not written.")
def main(
    passages: int, out: Path, names: tuple[str, ...], rates: tuple[float, ...], flows: tuple[float, ...], measured: bool
) -> None:
    """Tries every condition and writes the page; what was tried before and is not tried again is kept."""
    chosen = not rates and not flows
    conditions = [(f, USUAL_FLOW) for f in (rates or (RATES if chosen else ()))]
    conditions += [(USUAL_FPS, f) for f in (flows or (FLOWS if chosen else ()))]
    kept = out / "img" / "accuracy.json"
    points = [Point(**p) for p in json.loads(kept.read_text())] if kept.exists() else []
    for name in names or VIEWS:
        for fps, flow in conditions:
            point = measure(name, fps, flow, passages, measured=measured)
            if not measured:
                points = [p for p in points if (p.view, p.fps, p.flow) != (name, fps, flow)] + [point]
                order = {v: i for i, v in enumerate(VIEWS)}
                write(sorted(points, key=lambda p: (order[p.view], p.flow, -p.fps)), out)
            sys.stderr.write(
                f"{name}, {fps:g} fps, {flow:g} persons/m/s: {point.true} passages, F1 {point.f1:.3f},"
                f" in {point.error('in'):+.1%}, out {point.error('out'):+.1%}\n"
            )


if __name__ == "__main__":
    main()
