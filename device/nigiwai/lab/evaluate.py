# SPDX-License-Identifier: Apache-2.0
"""How right a count is: counted passages against true ones, as numbers, as JSON and as a table. Pure but for `read_*`.

{"t": 17.2, "gate": "door", "direction": "in"}     one passage a line, t in seconds of the recording
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from nigiwai.errors import SettingsError
from nigiwai.lab.matching import TOLERANCE_S, Event, Matches, Share, f1, match, wilson

DIRECTIONS = ("in", "out")


@dataclass(frozen=True, slots=True)
class Score:
    """How right one gate and direction is, or all together (gate and direction "all").

    error: counted - true, signed; error_share: the same over true, None without truth. offset_s: mean of counted minus
    true times over the matched; offset_worst_s: the largest without sign.
    """

    gate: str
    direction: str
    true: int
    counted: int
    matched: int
    precision: Share
    recall: Share
    f1: Share
    error: int
    error_share: float | None
    offset_s: float | None
    offset_worst_s: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All scores of one recording, the sum first, and the passages that do not match."""

    tolerance_s: float
    scores: tuple[Score, ...]
    extra: tuple[Event, ...]
    missed: tuple[Event, ...]

    @property
    def total(self) -> Score:
        """All gates and directions together."""
        return self.scores[0]


def evaluate(
    counted: Iterable[Event], true: Iterable[Event], gates: Sequence[str], tolerance_s: float = TOLERANCE_S
) -> Evaluation:
    """How right `counted` is; `gates` are the gates to report, in order."""
    found = match(counted, true, tolerance_s)
    kinds = [(gate, direction) for gate in gates for direction in DIRECTIONS]
    parts = [_score(found, gate, direction) for gate, direction in kinds]
    return Evaluation(tolerance_s, (_score(found, "all", "all"), *parts), found.extra, found.missed)


def _score(found: Matches, gate: str, direction: str) -> Score:
    """The score of one kind of passage, or of all."""

    def wanted(event: Event) -> bool:
        return gate == "all" or (event.gate, event.direction) == (gate, direction)

    kind = Matches(
        tuple(p for p in found.pairs if wanted(p[1])),
        tuple(e for e in found.extra if wanted(e)),
        tuple(e for e in found.missed if wanted(e)),
    )
    matched = len(kind.pairs)
    counted, true = matched + len(kind.extra), matched + len(kind.missed)
    lags = [c.t - t.t for c, t in kind.pairs]
    return Score(
        gate,
        direction,
        true,
        counted,
        matched,
        wilson(matched, counted),
        wilson(matched, true),
        f1(kind),
        counted - true,
        (counted - true) / true if true else None,
        fmean(lags) if lags else None,
        max(map(abs, lags), default=None),
    )


def read_truth(path: Path, gates: Sequence[str]) -> list[Event]:
    """The passages in a truth or events file. Raises SettingsError that names every mistake and its line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"{path}: the truth cannot be read ({e}); give the file with --truth") from None
    events, mistakes = [], []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                events.append(_event(line, gates))
            except ValueError as e:
                mistakes.append(f"{path}:{number}: {e}")
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return events


def _event(line: str, gates: Sequence[str]) -> Event:
    """One line. Raises ValueError with what is wrong and what is allowed."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as e:
        raise ValueError(f"not JSON ({e.msg})") from None
    if not isinstance(row, dict) or not {"t", "gate", "direction"} <= row.keys():
        raise ValueError('a passage needs "t", "gate" and "direction"')
    t, gate, direction = row["t"], row["gate"], row["direction"]
    if isinstance(t, bool) or not isinstance(t, int | float) or not 0 <= t < 1e9:
        raise ValueError(f"t = {t!r}: must be seconds of the recording, 0 or more")
    if gate not in gates:
        raise ValueError(f"gate = {gate!r}: the settings have no such gate; known there: {', '.join(gates) or 'none'}")
    if direction not in DIRECTIONS:
        raise ValueError(f'direction = {direction!r}: must be "in" or "out"')
    return Event(float(t), gate, direction)


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """What `--json` prints: plain values, shares as value, low and high, times in seconds."""
    scores = []
    for score in evaluation.scores:
        row = asdict(score)
        row.update({k: getattr(score, k)._asdict() for k in ("precision", "recall", "f1")})
        scores.append(row)
    return {
        "schema": 1,
        "tolerance_s": evaluation.tolerance_s,
        "scores": scores,
        "extra": [e._asdict() for e in evaluation.extra],
        "missed": [e._asdict() for e in evaluation.missed],
    }


def table(evaluation: Evaluation) -> str:
    """The same to read: one line per gate and direction, the sum last, then what does not match."""
    counts = f"{'gate':16} {'dir':4} {'true':>5} {'count':>5} {'match':>5}"
    head = f"{counts}  {'precision':20} {'recall':20} {'F1':20} {'error':>6} {'offset':>8}"
    rows = [_row(s) for s in (*evaluation.scores[1:], evaluation.total)]
    wrong = [f"extra   {_spot(e)}" for e in evaluation.extra] + [f"missed  {_spot(e)}" for e in evaluation.missed]
    note = f"a passage matches within {evaluation.tolerance_s:g} s; in brackets 95 % intervals (Wilson)"
    return "\n".join([head, *rows, note, *wrong])


def _row(s: Score) -> str:
    offset = "-" if s.offset_s is None else f"{s.offset_s:+.2f} s"
    shares = " ".join(f"{_share(x):20}" for x in (s.precision, s.recall, s.f1))
    return f"{s.gate:16} {s.direction:4} {s.true:5} {s.counted:5} {s.matched:5}  {shares} {s.error:+6} {offset:>8}"


def _share(share: Share) -> str:
    if share.value is None:
        return "-"
    return f"{share.value:.3f} [{share.low:.3f}-{share.high:.3f}]"


def _spot(event: Event) -> str:
    return f"{event.t:9.2f} s  {event.gate} {event.direction}"
