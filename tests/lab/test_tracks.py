# SPDX-License-Identifier: Apache-2.0
"""True tracks in three forms, and what is made of them; the measures themselves are TrackEval's."""

import importlib.util
import json
from pathlib import Path

import pytest

from nigiwai.errors import SettingsError
from nigiwai.eye.types import Track
from nigiwai.lab import tracks as module
from nigiwai.lab.tracks import TrackJudge, TracksError, read_tracks
from tests.conftest import ROOT, Nigiwai

CAVIAR = """<?xml version="1.0" encoding="UTF-8"?><dataset name="x"><frame number="0"><objectlist>
<object id="3"><orientation>90</orientation><box xc="50" yc="60" w="20" h="40"/></object></objectlist></frame>
<frame number="1"><objectlist/></frame></dataset>"""
MOT = "1,3,40,40,20,40,1,1,1.0\n2,4,0,0,10,10,0,1,1.0\n"
LINES = (
    json.dumps({"name": "x"}) + "\n" + json.dumps({"frame": 0, "people": [{"id": 3, "box": [40, 40, 60, 80]}]}) + "\n"
)
FORMS = {"a.xml": CAVIAR, "a.txt": MOT, "a.jsonl": LINES}
SIZE = (640, 360)

needs_trackeval = pytest.mark.skipif(
    importlib.util.find_spec("trackeval") is None, reason="pip install nigiwai[tracks]"
)


@pytest.mark.parametrize("name", FORMS)
def test_each_form_says_who_is_where(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name])
    assert read_tracks(tmp_path / name)[0] == {3: (40.0, 40.0, 60.0, 80.0)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xml", "<dataset"),
        ("a.xml", '<!DOCTYPE x [<!ENTITY a "b">]><dataset/>'),
        ("a.xml", '<d><frame number="0"><object id="1"/></frame></d>'),
        ("a.txt", "1,2,3\n"),
        ("a.txt", "a,b,c,d,e,f\n"),
        ("a.jsonl", "{}\n{}\n"),
        ("a.jsonl", '{}\n{"frame": 0, "people": [{"id": 1, "box": [1, 2]}]}\n'),
        ("a.csv", "1,2,3,4,5,6\n"),
    ],
)
def test_what_is_no_track_is_told_with_its_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=name):
        read_tracks(tmp_path / name)


def test_where_the_library_is_missing_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(TracksError, match=r"pip install 'nigiwai\[tracks\]'"):
        TrackJudge({})


def test_tracks_and_a_frame_rate_do_not_go_together(nigiwai: Nigiwai) -> None:
    clip = ROOT / "models" / "demo" / "entrance.mp4"
    truth = ("--truth", clip.with_suffix(".truth.jsonl"), "--settings", clip.with_suffix(".gates.toml"))
    done = nigiwai("evaluate", clip, *truth, "--tracks", clip.with_suffix(".tracks.jsonl"), "--fps", "5")
    assert done.returncode == 2
    assert "leave --fps out" in done.stderr


def track(number: int, x: float, *, seen: bool = True) -> Track:
    return Track(number, (x, 100.0, x + 40, 200.0), (x + 20, 195.0), 1.0, seen)


@needs_trackeval
def test_a_perfect_tracker_has_full_marks() -> None:
    judge = TrackJudge({i: {7: (10.0 * i, 100.0, 10.0 * i + 40, 200.0)} for i in range(20)})
    for i in range(20):
        judge.see(i, [track(1, 10.0 * i), track(2, 400, seen=False)], SIZE)
    score = judge.score()
    assert (score.people, score.tracks, score.switches) == (1, 1, 0)
    assert (score.hota, score.mota, score.idf1) == pytest.approx((1.0, 1.0, 1.0))


@needs_trackeval
def test_a_change_of_number_half_way_costs_half_of_the_identity() -> None:
    judge = TrackJudge({i: {7: (10.0 * i, 100.0, 10.0 * i + 40, 200.0)} for i in range(20)})
    for i in range(20):
        judge.see(i, [track(1 if i < 10 else 2, 10.0 * i)], SIZE)
    score = judge.score()
    # MOTA = 1 - 1 switch / 20 boxes; IDF1 = 2 * 10 / (2 * 10 + 10 + 10).
    assert (score.switches, score.mota, score.idf1) == (1, pytest.approx(0.95), pytest.approx(0.5))


@needs_trackeval
def test_true_boxes_beyond_the_picture_are_nobody() -> None:
    judge = TrackJudge({0: {7: (-90.0, 0.0, -10.0, 100.0)}})
    judge.see(0, [], SIZE)
    assert judge.score().people == 0
