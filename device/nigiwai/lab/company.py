# SPDX-License-Identifier: Apache-2.0
"""How well age bands and company are told of simulated visitors: the real tracker, gates and passers, exact truth.

    python -m nigiwai.lab.company              the figures of docs/accuracy.md
    python -m nigiwai.lab.company --fit        weights for eye/companions.py, fitted on other seeds
    python -m nigiwai.lab.company --confusion  how often child and family are said of whom, on yet other seeds

Heights and a simulated trait model (onlooker.py) speak together, as on the device; with `--heights`, heights alone.
"""

import json
import sys
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.door.traits import FAMILY, Band, Company
from nigiwai.eye.body import boxes
from nigiwai.eye.companions import BESIDE_M, LEAST_BESIDE, features
from nigiwai.eye.gates import Gates
from nigiwai.eye.ground import given
from nigiwai.eye.growth import OLDEST_CHILD
from nigiwai.eye.kinship import FAMILIES
from nigiwai.eye.likeness import band_of
from nigiwai.eye.passers import APART_S, Passer, Passers
from nigiwai.eye.portraits import Portraits
from nigiwai.eye.stature import statures_m
from nigiwai.eye.tracker import Tracker
from nigiwai.lab.crowd import Crowd, Floats, Moment
from nigiwai.lab.onlooker import Onlooker, fusion
from nigiwai.lab.simulate import OBLIQUE, SHIPPED, STANDING, Faults, Watcher, sample
from nigiwai.lab.trial import START_NS, S, gate_of
from nigiwai.lab.visitors import Party, Visitor, walk_in_groups

FIT_SEEDS, TEST_SEEDS, CONFUSION_SEEDS = range(500, 518), range(3), range(700, 720)
SECONDS, TEST_SECONDS = 240.0, 120.0
FPS = 8.0
DOOR_M = 2.5
DOOR = np.array([0.0, STANDING[OBLIQUE]])
FLOW = 0.15
MOST_OFF_M = 0.8
GROUPS_EACH = 10_000


Pair = tuple[tuple[float, ...], bool]
"""What is seen of two people (companions.py), and whether they came together."""


@dataclass
class Outcome:
    """What became of one trial: for each passage the truth and the estimate; groups as sets of passages."""

    people: list[tuple[Visitor, Passer]] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    uncounted: list[Pair] = field(default_factory=list)
    """Of a passer and somebody who was not counted."""
    unmatched: int = 0

    def add(self, settled: Sequence[Passer], truth: Mapping[tuple[int, BootNs], Visitor | None]) -> None:
        """Takes passages that were let go; truth: whose each was, None where nobody's was near."""
        for passer in settled:
            visitor = truth[passer.number, passer.at]
            if visitor is None:
                self.unmatched += 1
            else:
                self.people.append((visitor, passer))

    def pair(
        self,
        passers: Passers,
        gone: Sequence[Passer],
        truth: Mapping[tuple[int, BootNs], Visitor | None],
        shows: Mapping[int, Visitor | None],
    ) -> None:
        """Takes the pairs of those who were let go just now with everybody near them; shows: whom each track shows."""
        self.pairs += _pairs(passers, gone, truth)
        self.uncounted += _uncounted(passers, gone, truth, shows)


def trial(
    seed: int, *, flow: float = FLOW, faults: Faults | None = None, seconds: float = SECONDS, heights: bool = False
) -> Outcome:
    """One simulated entrance seen obliquely; heights: nobody is looked at."""
    party = Party(Crowd(flow=flow, door_m=DOOR_M, inward=0.7), seed)
    watcher = Watcher(OBLIQUE, faults or SHIPPED, seed + 1_000_003)
    ground, onlooker = given(OBLIQUE), None if heights else Onlooker(party.known, seed + 2_000_003)
    tracker, gates = Tracker(), Gates([gate_of(OBLIQUE, DOOR_M)], OBLIQUE.size)
    passers = Passers(ground, Portraits(onlooker, OBLIQUE), fusion()) if onlooker else Passers(ground)
    outcome, truth, settled = Outcome(), dict[tuple[int, BootNs], Visitor | None](), list[Passer]()
    shows: dict[int, Visitor | None] = {}
    lately: dict[int, float] = {}
    for moment in sample(walk_in_groups(party, seconds), FPS, 0.3, seed):
        at = BootNs(START_NS + round(moment.t * S))
        shown = replace(moment, height=_figures(moment, lately))
        lately = dict(zip(moment.number.tolist(), moment.xy[:, 1].tolist(), strict=True))
        tracks = tracker.update(watcher.see(shown), at, OBLIQUE.size)
        crossings = gates.update(tracks, at)
        shows |= {t.number: _nearest(moment, ground.floor(t.foot), party) for t in tracks}
        for number in gates.passers:
            truth[number, at] = shows.get(number)
        before = passers.waiting
        image = onlooker.picture(shown, OBLIQUE, DOOR) if onlooker else None
        passers.update(tracks, crossings, gates.passers, at, image)
        gone = [p for p in before if p not in passers.waiting]
        outcome.pair(passers, gone, truth, shows)
        settled += gone
    outcome.add(settled, truth)
    return outcome


def _figures(moment: Moment, lately: Mapping[int, float]) -> Floats:
    """How tall (N,) simulate.py's figures must be to look like people who walk: they have neither heads nor stride.

    lately: how far ahead everybody was at the moment before, Y in m; so it is known who walks away and who comes.
    """
    around = boxes(OBLIQUE, moment.xy + DOOR, moment.height)
    before = np.array([lately.get(n, y) for n, y in zip(moment.number.tolist(), moment.xy[:, 1].tolist(), strict=True)])
    taken_for = statures_m(OBLIQUE, around, np.where(moment.xy[:, 1] < before, -1.0, 1.0))
    return np.where(np.isfinite(taken_for), moment.height**2 / taken_for, moment.height)


def _nearest(moment: Moment, foot: tuple[float, float], party: Party) -> Visitor | None:
    if not len(moment.number):
        return None
    off = np.hypot(*(moment.xy + DOOR - np.array(foot)).T)
    best = int(off.argmin())
    return party.known[int(moment.number[best])] if off[best] < MOST_OFF_M else None


def _pairs(passers: Passers, gone: Sequence[Passer], truth: Mapping[tuple[int, BootNs], Visitor | None]) -> list[Pair]:
    """The features of those who were let go just now with everybody who passed near them in time."""
    found: list[Pair] = []
    for a in gone:
        for b in passers.waiting:
            x, y = truth[a.number, a.at], truth[b.number, b.at]
            apart = abs(a.at - b.at) / 1e9
            if x is None or y is None or apart > APART_S or a.direction is not b.direction:
                continue
            seen = features(passers.ways.of(a.number), passers.ways.of(b.number))
            if seen is not None:
                found.append(((*seen, apart), x.group == y.group))
    return found


def _uncounted(
    passers: Passers,
    gone: Sequence[Passer],
    truth: Mapping[tuple[int, BootNs], Visitor | None],
    shows: Mapping[int, Visitor | None],
) -> list[Pair]:
    """The same with those who were followed and not counted; a second box on one and the same person is no company."""
    found: list[Pair] = []
    for a in gone:
        for b in passers.uncounted(a):
            x, y = truth[a.number, a.at], shows.get(b.number)
            seen = features(passers.ways.of(a.number), passers.ways.of(b.number), LEAST_BESIDE)
            if x is not None and y is not None and seen is not None and seen[0] >= BESIDE_M:
                found.append(((*seen, 0.0), x.group == y.group and x != y))
    return found


def fit(pairs: Sequence[Pair], ridge: float = 1e-2) -> Floats:
    """Logistic regression by Newton's method: the constant first."""
    x = np.array([(1.0, *seen) for seen, _ in pairs])
    y = np.array([same for _, same in pairs], np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(weights))
        weights += np.linalg.solve(hessian, x.T @ (y - p) - ridge * weights)
    return weights


def fit_trials() -> list[Outcome]:
    """The trials on whose pairs weights are fitted; nobody is looked at, since looks are no part of it."""
    return [trial(seed, heights=True) for seed in FIT_SEEDS]


def fitted(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """How many pairs there are, and the weights fitted to them, for WEIGHTS and UNCOUNTED of eye/companions.py."""
    told = {"both": [p for o in outcomes for p in o.pairs], "uncounted": [p for o in outcomes for p in o.uncounted]}
    return {
        name: {"pairs": len(pairs), "weights": [round(w, 2) for w in fit(pairs).tolist()]}
        for name, pairs in told.items()
    }


def true_company(visitor: Visitor) -> Company:
    """The kind of group that the visitor truly came with."""
    if visitor.adults and visitor.children:
        return FAMILIES[min(visitor.children, len(FAMILIES)) - 1]
    if visitor.adults + visitor.children == 1:
        return Company.ALONE
    return Company.ADULTS if visitor.adults else Company.CHILDREN


def figures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Every figure of docs/accuracy.md over all trials."""
    people = everybody(outcomes)
    known = [
        (v.age <= OLDEST_CHILD, band_of(p.known) is Band.CHILD)
        for v, p in people
        if band_of(p.known) is not Band.UNKNOWN
    ]
    hits = [np.mean([told is child for child, told in known if child is truth]) for truth in (True, False)]
    off = [abs(p.stature.metres - v.metres) for v, p in people if p.stature]
    right = [p.company is true_company(v) for v, p in people if p.company is not Company.UNKNOWN]
    return {
        "people": len(people),
        "unmatched": sum(o.unmatched for o in outcomes),
        "band_balanced_accuracy": float(np.mean(hits)),
        "band_coverage": len(known) / len(people),
        "stature_median_error_m": float(np.median(off)),
        "stature_coverage": len(off) / len(people),
        "company_accuracy": float(np.mean(right)),
        "company_coverage": len(right) / len(people),
        **families(people),
        **dict(zip(("family_f1_low", "family_f1_high"), f1_interval(people), strict=True)),
    }


def everybody(outcomes: Sequence[Outcome]) -> list[tuple[Visitor, Passer]]:
    """Everybody of all trials, the groups numbered anew: groups of two trials are no group."""
    return [(replace(v, group=v.group + GROUPS_EACH * i), p) for i, o in enumerate(outcomes) for v, p in o.people]


def f1_interval(people: Sequence[tuple[Visitor, Passer]], times: int = 2_000) -> tuple[float, float]:
    """The 95 % interval of the families' F1: groups drawn anew with replacement, since their members err together."""
    numbers = sorted({v.group for v, _ in people})
    row = {group: i for i, group in enumerate(numbers)}
    told = np.zeros((len(numbers), 3))
    for v, p in people:
        true, said = true_company(v) in FAMILY, p.company in FAMILY
        told[row[v.group]] += (true and said, true and not said, said and not true)
    rng = np.random.default_rng(0)
    both, missed, wrong = told[rng.integers(0, len(told), (times, len(told)))].sum(axis=1).T
    low, high = np.percentile(2 * both / np.maximum(2 * both + missed + wrong, 1), [2.5, 97.5])
    return float(low), float(high)


def families(people: Sequence[tuple[Visitor, Passer]]) -> dict[str, float]:
    """People who came, and were said to have come, as parent and child."""
    pairs = Counter((true_company(v) in FAMILY, p.company in FAMILY) for v, p in people)
    both, missed, wrong = pairs[True, True], pairs[True, False], pairs[False, True]
    return {
        "family_recall": both / (both + missed),
        "family_precision": both / (both + wrong),
        "family_f1": 2 * both / (2 * both + missed + wrong),
    }


def confusions(outcomes: Sequence[Outcome]) -> dict[str, list[list[float]]]:
    """For child and family, of those who are and of the others, the share of whom it is said, how many they were, and
    how many people share one decision. Of rendered people link corrects by it (link/known_errors.py).
    """
    people = everybody(outcomes)
    child = [(n, v.age <= OLDEST_CHILD, band_of(p.known) is Band.CHILD) for n, (v, p) in enumerate(people)]
    family = [(v.group, true_company(v) in FAMILY, p.company in FAMILY) for v, p in people]
    return {"child": _rates(child), "family": _rates(family)}


def _rates(told: Sequence[tuple[Hashable, bool, bool]]) -> list[list[float]]:
    """told: by whom a decision is shared, what is true, what was said."""
    rates = []
    for truth in (True, False):
        mine = [(shared, said) for shared, true, said in told if true is truth]
        sizes = Counter(shared for shared, _ in mine)
        together = sum(n * n for n in sizes.values()) / len(mine)
        rates.append([round(sum(said for _, said in mine) / len(mine), 3), len(mine), round(together, 2)])
    return rates


def seen_families(people: Sequence[tuple[Visitor, Passer]]) -> list[tuple[Visitor, Passer]]:
    """All but the families of whom no child was counted: of these nobody can tell what they are."""
    with_child = {v.group for v, _ in people if v.age <= OLDEST_CHILD}
    return [(v, p) for v, p in people if not v.children or v.group in with_child]


def report(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """`figures`, and what the families' are without those whom nobody can tell, rounded."""
    seen = families(seen_families(everybody(outcomes)))
    told = figures(outcomes) | {f"{k}_whose_child_was_counted": v for k, v in seen.items()}
    return {key: round(value, 3) for key, value in told.items()}


def main(arguments: Sequence[str]) -> None:
    """Prints figures, confusions or fitted weights, as JSON."""
    heights = "--heights" in arguments
    result: dict[str, object]
    if "--fit" in arguments:
        result = fitted(fit_trials())
    elif "--confusion" in arguments:
        outcomes = [trial(seed, heights=heights) for seed in CONFUSION_SEEDS]
        result = {"figures": report(outcomes), "confusions": confusions(outcomes)}
    else:
        result = dict(report([trial(seed, seconds=TEST_SECONDS, heights=heights) for seed in TEST_SEEDS]))
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
