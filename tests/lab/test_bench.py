# SPDX-License-Identifier: Apache-2.0
"""Timing the stages. Clocks are counted, not real: what is tested is what is added up, not how fast this machine is."""

import itertools
import json
from pathlib import Path

import pytest

from nigiwai import settings
from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.stopwatch import STAGES, Laps
from nigiwai.lab.bench import WARM_UP, bench, machine, stage_times
from tests.eye.clips import make_clip
from tests.eye.networks import brightness_model, models_folder


@pytest.fixture
def tiny(tmp_path: Path) -> settings.Settings:
    """Settings with the tests' own detector, and no gate."""
    folder = models_folder(tmp_path / "models", brightness_model())
    return settings.Settings(model=settings.Model(name="tiny", threads=1, folder=folder))


def millisecond_clock():
    """A clock that is a millisecond later whenever it is asked."""
    return itertools.count(0, 1_000_000).__next__


def test_every_stage_of_a_recording(tiny: settings.Settings, tmp_path: Path) -> None:
    clip = Recording(make_clip(tmp_path / "clip.avi", frames=20))
    report = bench(tiny, clip, seconds=60, clock_ns=millisecond_clock())
    assert [s.stage for s in report.stages] == [*STAGES, "work"]
    assert report.frames == 20 - WARM_UP
    assert (report.frame, report.size, report.model, report.threads) == ((64, 48), (64, 64), "tiny", 1)
    # The clock ticks once a stage; five of the six are work.
    assert {s.stage: s.median_ms for s in report.stages} == {**dict.fromkeys(STAGES, 1.0), "work": 5.0}
    assert report.possible_fps == 200.0


def test_it_ends_after_the_time(tiny: settings.Settings, tmp_path: Path) -> None:
    """Eight ticks a frame: the loop's own, begin, six stages."""
    clip = Recording(make_clip(tmp_path / "clip.avi", frames=20), loop=True)
    report = bench(tiny, clip, seconds=0.8, clock_ns=millisecond_clock())
    assert report.frames == pytest.approx(100, abs=2)
    assert report.fps == pytest.approx(125, abs=2)


def test_a_recording_of_fewer_frames_than_the_warm_up(tiny: settings.Settings, tmp_path: Path) -> None:
    report = bench(tiny, Recording(make_clip(tmp_path / "clip.avi", frames=3)), seconds=60)
    assert (report.frames, report.stages, report.possible_fps) == (0, (), 0.0)
    assert "0 frames" in report.as_table()


def test_table_and_json_say_the_same(tiny: settings.Settings, tmp_path: Path) -> None:
    report = bench(tiny, Recording(make_clip(tmp_path / "clip.avi")), seconds=60, clock_ns=millisecond_clock())
    as_json = json.loads(json.dumps(report.as_json()))
    table = report.as_table()
    assert as_json["stages"]["infer"] == {"median_ms": 1.0, "p95_ms": 1.0}
    assert as_json["possible_fps"] == 200.0
    for stage in STAGES:
        assert f"{stage:<10}{1:>12.2f}{1:>12.2f}" in table
    assert "MiB resident" in table
    assert 20 < as_json["resident_mib"] <= as_json["peak_mib"] + 1


def test_work_is_summed_frame_by_frame() -> None:
    """Median of the sums, not sum of the medians: 1+9, 9+1, 5+5 is 10 each."""
    watch = Laps()
    watch.times_ms = {"capture": [50.0, 50.0, 50.0], "infer": [1.0, 9.0, 5.0], "count": [9.0, 1.0, 5.0]}  # type: ignore[dict-item]
    work = list(stage_times(watch))[-1]
    assert (work.stage, work.median_ms, work.p95_ms) == ("work", 10.0, 10.0)


def test_the_machine_is_named() -> None:
    assert "cores, Linux" in machine()
