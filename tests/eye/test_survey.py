# SPDX-License-Identifier: Apache-2.0
"""Where the camera hangs, from simulated people followed by the real tracker; the gate's width and band in metres."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from nigiwai.clock import BootNs
from nigiwai.commands import view as view_command
from nigiwai.errors import CameraError
from nigiwai.eye.body import boxes
from nigiwai.eye.gates import CLEAR_M, HYSTERESIS, Gates
from nigiwai.eye.ground import Ground, Refusal, bands_px, given
from nigiwai.eye.survey import EACH, MOST, Survey
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.types import Track
from nigiwai.eye.view import View
from nigiwai.lab.crowd import Crowd, walk
from nigiwai.lab.simulate import OBLIQUE, STANDING, STRAIGHT_DOWN, TILTED, Faults, Watcher, sample
from nigiwai.lab.trial import gate_of
from tests.conftest import ROOT, Nigiwai

S = 1_000_000_000


def surveyed(view: View, seconds: float, flow: float = 0.3) -> Survey:
    """What a survey gathers of simulated people, a tenth of them children, with a mediocre detector."""
    survey, tracker = Survey(), Tracker()
    watcher = Watcher(view, Faults(), 5)
    for moment in sample(walk(Crowd(flow=flow, children=0.1), seconds, 3), 8.0, 0.3):
        at = BootNs(round((moment.t + 10) * S))
        survey.see(tracker.update(watcher.see(moment), at, view.size), view.size, at)
    return survey


def test_a_view_is_estimated_from_the_people_who_walk_by() -> None:
    found = surveyed(OBLIQUE, 150.0).estimate(OBLIQUE.fov_deg)
    assert isinstance(found, Ground)
    assert found.view.height_m == pytest.approx(OBLIQUE.height_m, abs=3 * found.height_sd_m)
    assert found.view.tilt_deg == pytest.approx(OBLIQUE.tilt_deg, abs=max(4.0, 3 * found.tilt_sd_deg))
    door = [(x * 640, y * 384) for x, y in gate_of(OBLIQUE, 2.0).line]
    assert found.length_m(door) == pytest.approx(2.2, rel=0.15)
    assert 0.02 < found.scale_sd < 0.15


def test_a_camera_overhead_is_refused_and_not_taken_for_another_view() -> None:
    found = surveyed(STRAIGHT_DOWN, 60.0).estimate(STRAIGHT_DOWN.fov_deg)
    assert isinstance(found, Refusal)
    assert "from above" in found.why


def test_before_anybody_came_it_says_so() -> None:
    found = Survey().estimate(66.0)
    assert isinstance(found, Refusal)
    assert "only 0 whole people" in found.why


def test_who_stands_about_is_looked_at_a_few_times_only() -> None:
    survey = Survey()
    still = Track(1, (300, 100, 340, 200), (320, 192), 1.0, True)
    for i in range(200):
        survey.see([still], (640, 360), BootNs(i * S))
    assert len(survey) == EACH


def test_what_is_kept_is_bounded() -> None:
    survey = Survey()
    for i in range(MOST + 50):
        survey.see([Track(i, (300, 100, 340, 200), (320, 192), 1.0, True)], (640, 360), BootNs(i * S))
    assert len(survey) == MOST
    assert len(survey._looks) <= 1


@pytest.mark.parametrize("view", [STRAIGHT_DOWN, TILTED, OBLIQUE], ids=["straight down", "60 degrees", "30 degrees"])
def test_a_band_is_what_25_cm_look_like(view: View) -> None:
    """Half of the way that an adult's standing point moves between 25 cm before and 25 cm behind the line."""
    line = np.array([(x * view.size[0], y * view.size[1]) for x, y in gate_of(view, 2.0).line])
    found = bands_px(view, line, CLEAR_M)
    assert found is not None
    points, band = found
    middle = len(points) // 2
    floor = view.project(np.array([[0.0, STANDING[view] + way * CLEAR_M, 0.0] for way in (-1, 1)]))
    on_floor = abs(float(floor[0, 1] - floor[1, 1])) / 2
    # Overhead the shoulders move faster than the floor; from the side toes and floor move alike.
    assert 0.9 * on_floor < band[middle] < 1.8 * on_floor
    assert (band[middle] > 1.4 * on_floor) == (view is STRAIGHT_DOWN)


def test_a_line_above_the_horizon_has_no_band() -> None:
    assert bands_px(OBLIQUE, np.array([[0.0, -400.0], [640.0, -400.0]]), CLEAR_M) is None


def test_a_measured_view_widens_the_band_of_a_child() -> None:
    """Somebody small, who turns back 20 cm behind the line, passed it by their own size and did not by the floor's."""
    gate = gate_of(OBLIQUE, 2.0)
    y, size = gate.line[0][1] * OBLIQUE.size[1], OBLIQUE.size
    band = bands_px(OBLIQUE, np.array([(x * 640, y) for x, _ in gate.line]), CLEAR_M)
    assert band is not None
    high = 0.9 * float(band[1].min()) / HYSTERESIS

    def counted(ground: Ground | None) -> int:
        gates, total = Gates([gate], size, ground), 0
        for i, way in enumerate((60, 30, 0, -0.95 * float(band[1].min()), 0, 30, 60)):
            foot = (320.0, y + way)
            seen = Track(1, (320 - 0.2 * high, foot[1] - high, 320 + 0.2 * high, foot[1]), foot, 1.0, True)
            total += len(gates.update([seen], BootNs((i + 1) * S)))
        return total

    assert counted(None) == 2
    assert counted(given(OBLIQUE)) == 0


# --- the command --------------------------------------------------------------------------------------------------

CLIP = ROOT / "models" / "demo" / "entrance.mp4"


def test_the_command_measures_the_bundled_clip(nigiwai: Nigiwai) -> None:
    """2.8 m high, 30 degrees down; its fifteen people, five of them children, are on average less than 1.62 m tall."""
    done = nigiwai("view", CLIP, "--settings", CLIP.with_suffix(".gates.toml"), "--fov", "84", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["height_m"] == pytest.approx(2.8, abs=3 * found["height_sd_m"])
    assert found["tilt_deg"] == pytest.approx(30, abs=4)
    assert set(found["gates_m"]) == {"door"}


def test_the_command_asks_for_the_lens(nigiwai: Nigiwai) -> None:
    done = nigiwai("view", CLIP, "--settings", CLIP.with_suffix(".gates.toml"))
    assert done.returncode == 2
    assert "--fov" in done.stderr


def test_the_command_says_plainly_when_a_view_cannot_be_measured(nigiwai: Nigiwai, tmp_path: Path) -> None:
    from tests.eye.clips import make_clip

    empty = make_clip(tmp_path / "empty.avi", size=(320, 240))
    done = nigiwai("view", empty, "--settings", CLIP.with_suffix(".gates.toml"), "--fov", "66")
    assert done.returncode == 4
    assert "cannot be measured: only 0 whole people" in done.stderr


@pytest.mark.parametrize(("then", "ends"), [(CameraError, CameraError), (KeyboardInterrupt, click.Abort)])
def test_what_was_measured_before_a_camera_was_lost_is_told(
    monkeypatch: pytest.MonkeyPatch,
    then: type[BaseException],
    ends: type[BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def watch(_frames: object, _chosen: object, survey: Survey) -> Iterator[float]:
        for number, metres in enumerate(np.linspace(2.0, 6.0, 40)):
            box = boxes(OBLIQUE, np.array([[0.0, metres]]), np.array([1.62]))[0].tolist()
            survey.see([Track(number, tuple(box), (0.0, 0.0), 1.0, True)], OBLIQUE.size, BootNs(number * S))
            yield metres
        raise then("no such device")

    monkeypatch.setattr(view_command, "_watch", watch)
    arguments = [str(CLIP), "--settings", str(CLIP.with_suffix(".gates.toml")), "--fov", "70", "--json"]
    with pytest.raises(ends):
        view_command.command.main(arguments, standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["height_m"] == pytest.approx(3.0, rel=0.1)
