# SPDX-License-Identifier: Apache-2.0
"""Simulated visitors whom eye looks at: whom the onlooker sees, what it says of them, and what is made of it."""

import numpy as np
import pytest

from nigiwai.clock import BootNs
from nigiwai.door.traits import Company
from nigiwai.eye.body import boxes
from nigiwai.eye.growth import usual_m
from nigiwai.eye.passers import Passer
from nigiwai.eye.portrait import Window, cut
from nigiwai.eye.stature import statures_m
from nigiwai.eye.types import Direction
from nigiwai.lab.company import Outcome, _figures, everybody, f1_interval, families, seen_families, trial
from nigiwai.lab.crowd import Moment
from nigiwai.lab.onlooker import Onlooker, measured, shipped
from nigiwai.lab.simulate import OBLIQUE
from nigiwai.lab.visitors import Visitor

DOOR = np.array([0.0, 4.5])


def visitor(age: int, group: int = 0, adults: int = 1, children: int = 1) -> Visitor:
    return Visitor(age, usual_m(age), group, adults, children)


def looked_at(ages: dict[int, int], places: dict[int, tuple[float, float]], who: int, seed: int = 1) -> float:
    """The log odds of being a child that are told of one of several people on the floor."""
    numbers = list(ages)
    known = {n: visitor(age) for n, age in ages.items()}
    xy, tall = np.array([places[n] for n in numbers]), np.array([known[n].metres for n in numbers])
    onlooker = Onlooker(known, seed)
    image = onlooker.picture(Moment(0.0, np.array(numbers), xy, tall), OBLIQUE, DOOR)
    box = boxes(OBLIQUE, xy + DOOR, tall)[numbers.index(who)]
    band, sex = onlooker.look([cut(image, Window.around(box.tolist()), onlooker.size)])
    assert np.exp(band).sum() == pytest.approx(1.0)
    assert np.exp(sex[0]) == pytest.approx([0.5, 0.5])
    return float(band[0, 0] - np.logaddexp.reduce(band[0, 1:]))


def test_the_table_is_of_the_model_that_ships() -> None:
    """Another model needs `python -m models.traits.looks` again."""
    assert measured().model_sha256 == shipped().sha256


def test_what_is_said_of_people_of_one_age_is_as_it_was_measured() -> None:
    for age in (5, 40):
        said = [looked_at({7: age}, {7: (0.0, 0.0)}, 7, seed) for seed in range(150)]
        mean, _, person_sd, look_sd = measured().at(age)
        spread = np.hypot(person_sd, look_sd)
        assert np.mean(said) == pytest.approx(mean, abs=3.5 * spread / np.sqrt(150))
        assert np.std(said) == pytest.approx(spread, rel=0.2)


def test_the_looks_at_one_person_err_alike() -> None:
    """Over many people, two looks at each: the difference is that of looks alone."""
    age, pairs = 5, []
    for seed in range(150):
        onlooker = Onlooker({1: visitor(age)}, seed)
        xy, tall = np.zeros((1, 2)), np.array([usual_m(age)])
        image = onlooker.picture(Moment(0.0, np.array([1]), xy, tall), OBLIQUE, DOOR)
        window = cut(image, Window.around(boxes(OBLIQUE, xy + DOOR, tall)[0].tolist()), onlooker.size)
        band, _ = onlooker.look([window, window])
        pairs.append(band[:, 0] - np.logaddexp.reduce(band[:, 1:], axis=1))
    _, _, person_sd, look_sd = measured().at(age)
    assert np.std(np.diff(pairs, axis=1)) == pytest.approx(np.sqrt(2) * look_sd, rel=0.2)
    assert np.corrcoef(np.array(pairs).T)[0, 1] == pytest.approx(person_sd**2 / (person_sd**2 + look_sd**2), abs=0.15)


def test_the_window_shows_whoever_is_nearer() -> None:
    """A child right before a grown-up: the grown-up's window shows the grown-up, and the child's shows the child."""
    ages, places = {1: 4, 2: 45}, {1: (0.0, -1.0), 2: (0.0, 0.0)}
    child = np.mean([looked_at(ages, places, 1, seed) for seed in range(40)])
    grown = np.mean([looked_at(ages, places, 2, seed) for seed in range(40)])
    assert child == pytest.approx(measured().at(4)[0], abs=1.2)
    assert grown == pytest.approx(measured().at(45)[0], abs=1.2)


def test_of_a_window_without_anybody_nothing_is_known() -> None:
    onlooker = Onlooker({}, 1)
    band, _ = onlooker.look([np.zeros((96, 48, 3), np.uint8)])
    assert np.exp(band[0, 0]) == pytest.approx(0.5)


def test_a_trial_looks_at_people_and_one_of_heights_does_not() -> None:
    """One short trial each: the same people pass, and the looks are what differs."""
    with_looks, without = trial(3, seconds=14.0), trial(3, seconds=14.0, heights=True)
    assert [v for v, _ in with_looks.people] == [v for v, _ in without.people]
    assert len(with_looks.people) > 0
    assert any(p.known.band is not None for _, p in with_looks.people)
    assert all(p.known.band is None for _, p in without.people)


def passage(company: Company) -> Passer:
    return Passer(1, "door", Direction.IN, BootNs(0), BootNs(0), company=company)


def test_figures_of_families_by_hand() -> None:
    """Two trials with a group 1 each: 2 people told rightly, 1 of a family missed, 1 wrongly told: F1 = 4 / (4 + 2)."""
    said, not_said = passage(Company.FAMILY_1), passage(Company.ALONE)
    first = Outcome(people=[(visitor(40, 1), said), (visitor(5, 1), said), (visitor(30, 2), not_said)])
    second = Outcome(people=[(visitor(50, 1, 1, 0), said)])
    people = everybody([first, second])

    told = families(people)

    assert len({v.group for v, _ in people}) == 3
    assert told["family_f1"] == pytest.approx(4 / 6)
    assert told["family_recall"] == pytest.approx(2 / 3)
    assert [v.age for v, _ in seen_families(people)] == [40, 5, 50], "the 30-year-old's child was not counted"
    low, high = f1_interval(people)
    assert 0.0 <= low < told["family_f1"] < high <= 1.0


@pytest.mark.parametrize("coming", [True, False])
def test_figures_look_like_people_who_come_or_leave(coming: bool) -> None:
    xy, tall = np.array([[0.0, 0.0], [0.6, -1.0]]), np.array([1.65, 1.2])
    step = 0.1 if coming else -0.1
    moment = Moment(0.0, np.array([3, 8]), xy, tall)
    figures = _figures(moment, {3: xy[0, 1] + step, 8: xy[1, 1] + step})
    around = boxes(OBLIQUE, xy + DOOR, figures)
    assert statures_m(OBLIQUE, around, np.full(2, -1.0 if coming else 1.0)) == pytest.approx(tall, rel=0.004)
    assert statures_m(OBLIQUE, around, np.full(2, 1.0 if coming else -1.0)) != pytest.approx(tall, rel=0.004)
