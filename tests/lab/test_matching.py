# SPDX-License-Identifier: Apache-2.0
"""Matching counted with true passages, and the figures made of it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.errors import SettingsError
from nigiwai.lab.evaluate import evaluate, read_truth, table, to_json
from nigiwai.lab.matching import Event, match, wilson


def door(*times: float, direction: str = "in") -> list[Event]:
    return [Event(t, "door", direction) for t in times]


CASES = {
    # counted, true, (pairs, extra, missed)
    "nothing": ([], [], (0, 0, 0)),
    "exact": (door(1), door(1), (1, 0, 0)),
    "a second late is in time": (door(2.0), door(1.0), (1, 0, 0)),
    "later is not": (door(2.01), door(1.0), (0, 1, 1)),
    "counted twice": (door(1.0, 1.1), door(1.0), (1, 1, 0)),
    "two at once": (door(1.0, 1.0), door(1.0, 1.0), (2, 0, 0)),
    "a chain that a greedy nearest match would break": (door(1.9, 2.9), door(1.0, 2.0), (2, 0, 0)),
    "the wrong way": (door(1.0, direction="out"), door(1.0), (0, 1, 1)),
    "another gate": ([Event(1.0, "side", "in")], door(1.0), (0, 1, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_matching(name: str) -> None:
    counted, true, expected = CASES[name]
    found = match(counted, true)
    assert (len(found.pairs), len(found.extra), len(found.missed)) == expected


times = st.lists(st.floats(0, 20), max_size=7)


@given(times, times)
def test_no_matching_finds_more_pairs(counted: list[float], true: list[float]) -> None:
    def most(rest: tuple[float, ...], free: tuple[float, ...]) -> int:
        if not rest:
            return 0
        best = most(rest[1:], free)
        for i, t in enumerate(free):
            if abs(rest[0] - t) <= 1.0:
                best = max(best, 1 + most(rest[1:], free[:i] + free[i + 1 :]))
        return best

    if len(counted) > 5 or len(true) > 5:
        return
    assert len(match(door(*counted), door(*true)).pairs) == most(tuple(counted), tuple(true))


def test_wilson_is_the_textbooks() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson(81, 263)[1:] == pytest.approx((0.2553, 0.3662), abs=2e-4)
    assert wilson(0, 0) == (None, None, None)
    assert wilson(7, 7)[2] == pytest.approx(1.0)


def test_scores_say_how_wrong_and_how_late() -> None:
    result = evaluate(door(1.2, 5.4, 9.0), [*door(1.0, 5.0), *door(7.0, direction="out")], ["door"])
    total, inward, outward = result.scores
    assert (total.true, total.counted, total.matched, total.error) == (3, 3, 2, 0)
    assert (inward.error, outward.error) == (1, -1)
    assert inward.offset_s == pytest.approx(0.3)
    assert inward.offset_worst_s == pytest.approx(0.4)
    assert total.f1.value == pytest.approx(2 * 2 / (3 + 3))
    assert json.loads(json.dumps(to_json(result)))["scores"][0]["f1"]["value"] == pytest.approx(2 / 3)
    assert "missed       7.00 s  door out" in table(result)


def test_truth_that_does_not_fit_the_settings_is_told_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "x.truth.jsonl"
    path.write_text(
        '{"t": 1, "gate": "door", "direction": "in"}\n{"t": 2, "gate": "dor", "direction": "in"}\n\n'
        '{"t": -1, "gate": "door", "direction": "in"}\n{"t": 2, "gate": "door", "direction": "up"}\nnot json\n[1]\n'
    )
    with pytest.raises(SettingsError) as caught:
        read_truth(path, ["door"])
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "4", "5", "6", "7"]
    assert "'dor': the settings have no such gate; known there: door" in lines[0]


def test_a_missing_truth_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--truth"):
        read_truth(tmp_path / "none.jsonl", ["door"])
