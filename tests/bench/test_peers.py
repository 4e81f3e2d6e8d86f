# SPDX-License-Identifier: Apache-2.0
"""The comparison with the peers, on `make proof` only: it downloads them, and runs for minutes.

The bounds are floors under what was reached (docs/accuracy.md), not the goals.
"""

from typing import Any

import pytest

from tests.bench.environment import compare
from tests.conftest import PROOF, SHARED

pytestmark = [
    pytest.mark.skipif(not PROOF, reason="the comparison downloads its peers: NIGIWAI_PROOF=1, or make proof"),
    pytest.mark.footage,
]


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    if not (SHARED / "data" / "models" / "yolox-nano-416.onnx").is_file():
        pytest.skip(f"{SHARED}/data is missing: no peers' network and no recordings here")
    return compare()


def test_every_frame_costs_two_fifths_of_the_peers_at_most(measured: dict[str, Any]) -> None:
    for one in measured["recordings"]:
        assert one["ms"]["every frame"] < 0.4 * one["ms"]["peers"], one


def test_as_it_runs_it_costs_a_fifth_of_the_peers_at_most(measured: dict[str, Any]) -> None:
    for one in measured["recordings"]:
        assert one["ms"]["sparing"] < 0.2 * one["ms"]["peers"], one


def test_sparing_frames_changes_no_score(measured: dict[str, Any]) -> None:
    for one in measured["recordings"]:
        assert one["f1"]["sparing"] == one["f1"]["every frame"], one


def test_thirty_people_cost_less_than_bytetrack_takes_for_them(measured: dict[str, Any]) -> None:
    thirty = measured["thirty"]
    assert thirty["tracker and gates"] < 0.85 * thirty["bytetrack"]


def test_an_empty_view_costs_a_twenty_fifth_and_counts_nobody(measured: dict[str, Any]) -> None:
    empty = measured["empty"]
    assert empty["counted"] == {"peers": 0, "every frame": 0, "sparing": 0}
    assert empty["inferred"] < 0.1 * empty["frames"]
    assert empty["ms"]["sparing"] < 0.04 * empty["ms"]["peers"]
