# SPDX-License-Identifier: Apache-2.0
"""The simulator tells the truth, repeats itself, and tracker and gates reach their floors on it.

`make proof` takes a thousand passages a condition and holds the goals; otherwise a minute, and floors below the goals
by what so few passages can miss by chance.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from nigiwai.eye.tracker import Tracker, TrackerConfig
from nigiwai.eye.view import View
from nigiwai.lab import curves
from nigiwai.lab.crowd import Crowd, Moment, Referee, walk
from nigiwai.lab.matching import Event
from nigiwai.lab.simulate import OBLIQUE, PERFECT, STRAIGHT_DOWN, TILTED, Faults, Watcher, sample
from nigiwai.lab.trial import Trial, film, gate_of, run
from tests.conftest import PROOF


def seen_at(ys: list[float]) -> list[Event]:
    referee = Referee()
    for i, y in enumerate(ys):
        referee.watch(Moment(float(i), np.array([7]), np.array([[0.0, y]]), np.array([1.7])))
    return referee.events


@pytest.mark.parametrize(
    ("ys", "expected"),
    [
        ([-1, 1], [Event(0.5, "door", "in")]),
        ([3, -1], [Event(0.75, "door", "out")]),
        ([-1, 0.2, -1], []),
        ([-1, 0.2, -0.1, 0.1, 1], [Event(2.5, "door", "in")]),
        ([-1, 1, -1], [Event(0.5, "door", "in"), Event(1.5, "door", "out")]),
    ],
)
def test_the_referee_knows_who_passed(ys: list[float], expected: list[Event]) -> None:
    seen = seen_at(ys)
    assert [e[1:] for e in seen] == [e[1:] for e in expected]
    assert [e.t for e in seen] == pytest.approx([e.t for e in expected])


def test_people_come_walk_and_go_and_the_floor_empties() -> None:
    moments = list(walk(Crowd(flow=0.5), 40, 1))
    assert max(len(m.number) for m in moments) < 40
    assert {n for m in moments for n in m.number.tolist()} > set(moments[-1].number.tolist())


def test_the_same_seed_is_the_same_film() -> None:
    trial = Trial(TILTED, Crowd(flow=0.8), 5)
    (a, true_a), (b, true_b) = film(trial, 10, 3), film(trial, 10, 3)
    assert true_a == true_b
    assert all(np.array_equal(x.xyxy, y.xyxy) and s == t for (s, x), (t, y) in zip(a, b, strict=True))


@pytest.mark.parametrize("view", [STRAIGHT_DOWN, TILTED, OBLIQUE])
def test_a_perfect_detector_sees_everybody_whole(view: View) -> None:
    moment = Moment(0.0, np.array([1, 2]), np.array([[-0.5, 0.5], [0.5, -0.5]]), np.array([1.7, 1.2]))
    assert len(Watcher(view, PERFECT, 1).see(moment)) == 2


def edges(faults: Faults, xy: list[tuple[float, float]], seeds: int = 120) -> np.ndarray:  # type: ignore[type-arg]
    """How wrong the edges (seeds, 4) of the furthest of some people are, in heights of the box."""
    moment = Moment(0.0, np.arange(len(xy)), np.array(xy), np.full(len(xy), 1.65))
    (true, *_) = sorted(Watcher(OBLIQUE, PERFECT, 0).see(moment).xyxy.tolist(), key=lambda box: box[1])
    seen = [
        min(Watcher(OBLIQUE, faults, seed).see(moment).xyxy.tolist(), key=lambda box: box[1]) for seed in range(seeds)
    ]
    return (np.array(seen) - true) / (true[3] - true[1])


def test_each_edge_is_as_wrong_as_is_said() -> None:
    wobble, bias = (0.01, 0.02, 0.01, 0.04), (0.02, 0.01, 0.02, 0.03)
    spread = edges(replace(PERFECT, wobble=wobble, bias=bias), [(0.0, 0.0)]).std(axis=0)
    assert spread == pytest.approx(np.hypot(wobble, bias), rel=0.25)


def test_the_feet_of_the_half_hidden_are_guessed_and_those_of_the_free_are_not() -> None:
    """Behind somebody a step aside, seen by less than 60 %; the head is where it was."""
    guessing = replace(PERFECT, hidden=0.3)
    free, hidden = edges(guessing, [(0.0, 0.6)]), edges(guessing, [(0.0, 0.6), (0.2, -0.1)])
    assert np.abs(free).max() < 0.01
    assert hidden[:, 3].std() > 0.03
    assert np.abs(hidden[:, 1]).max() < 0.01


def test_sampling_keeps_the_rate_whatever_the_jitter() -> None:
    moments = [Moment(i / 30, np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros(0)) for i in range(900)]
    assert len(list(sample(moments, 8, jitter=0.5))) == pytest.approx(240, abs=8)


def test_a_gate_lies_where_the_door_is() -> None:
    gate = gate_of(STRAIGHT_DOWN, 2.0)
    assert gate.line[0][1] == pytest.approx(0.5)
    assert gate.inside[1] < 0.5


@pytest.mark.parametrize(("fps", "floor", "goal"), [(8.0, 0.93, 0.98), (5.0, 0.9, 0.95), (3.0, 0.8, 0.9)])
def test_floors_at_low_frame_rates(fps: float, floor: float, goal: float) -> None:
    if PROOF:
        assert curves.measure("30 degrees off", fps, curves.USUAL_FLOW, 1000).f1 >= goal
    else:
        assert (run(Trial(TILTED, Crowd(flow=curves.USUAL_FLOW), fps), 45, 0).total.f1.value or 0) >= floor


@pytest.mark.parametrize(
    ("view", "measured", "above"), [(TILTED, True, True), (TILTED, False, False), (OBLIQUE, True, False)]
)
def test_who_is_seen_from_above_is_followed_as_such_where_the_view_is_measured(
    monkeypatch: pytest.MonkeyPatch, view: View, measured: bool, above: bool
) -> None:
    used: list[TrackerConfig] = []

    def tracker(config: TrackerConfig) -> Tracker:
        used.append(config)
        return Tracker(config)

    monkeypatch.setattr("nigiwai.lab.trial.Tracker", tracker)
    run(Trial(view, Crowd(flow=0.3), 5.0, measured=measured), 6.0, 0)
    assert used == [TrackerConfig().from_above() if above else TrackerConfig()]


def test_measured_figures_are_told_and_not_written(tmp_path: Path) -> None:
    said = CliRunner().invoke(
        curves.main,
        ["--measured", "--passages", "5", "--flow", "0.6", "--view", "straight down", "--out", str(tmp_path)],
    )
    assert said.exit_code == 0
    assert "passages, F1 " in said.stderr
    assert not list(tmp_path.iterdir())


def test_the_page_and_its_pictures_are_written(tmp_path: Path) -> None:
    page = tmp_path / "accuracy.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- end -->\nafter\n")
    points = [curves.Point("straight down", f, 0.4, 100, 99, 1, 1, 50, 51, 50, 49) for f in (30.0, 3.0)]
    curves.write(points, tmp_path)
    assert "old" not in page.read_text()
    assert "| straight down | 3 | 0.4 | 100 | 0.990" in page.read_text()
    assert page.read_text().endswith("after\n")
    assert (tmp_path / "img" / "f1-rate.svg").read_text().startswith("<svg")


def test_the_command_explains_itself() -> None:
    assert "--passages" in CliRunner().invoke(curves.main, ["--help"]).output
