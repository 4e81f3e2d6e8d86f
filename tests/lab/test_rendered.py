# SPDX-License-Identifier: Apache-2.0
"""The whole of eye on a rendered recording: the bundled clip, whose people are known."""

import shutil
from pathlib import Path

import pytest

from nigiwai.errors import NigiwaiError
from nigiwai.eye.assemble import open_trait_model
from nigiwai.lab import rendered
from nigiwai.lab.company import Outcome, everybody, families, report
from nigiwai.lab.rendered import load_truth, watch
from nigiwai.settings import Settings
from tests.conftest import ROOT

CLIP = ROOT / "models" / "demo" / "entrance.mp4"


def watched() -> Outcome:
    """What becomes of the clip's people."""
    settings = Settings()
    return watch(CLIP, settings, open_trait_model(settings))


def test_the_clips_visitors_are_told_and_the_same_at_any_time_of_day() -> None:
    first, second = watched(), watched()

    told = report([first])
    assert told == report([second])
    assert [p.at for _, p in first.people] == [p.at for _, p in second.people]
    assert told["people"] == 14
    assert told["unmatched"] == 0
    assert told["band_balanced_accuracy"] == 1.0
    assert told["band_coverage"] > 0.85
    assert families(everybody([first]))["family_f1"] == 1.0


def test_a_recording_without_its_truth_is_named(tmp_path: Path) -> None:
    with pytest.raises(NigiwaiError, match=r"walk\.tracks\.jsonl: cannot be read .*rendered recording"):
        load_truth(tmp_path / "walk.tracks.jsonl", (640, 360))


def test_the_command_prints_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in (".mp4", ".gates.toml", ".tracks.jsonl"):
        shutil.copy(CLIP.with_suffix(ending), tmp_path / f"walk{ending}")

    rendered.main([str(tmp_path / "walk.mp4"), "--heights"])

    assert '"family_f1"' in capsys.readouterr().out
