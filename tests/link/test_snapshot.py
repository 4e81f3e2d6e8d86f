# SPDX-License-Identifier: Apache-2.0
"""What the page's JSON says, and who relies on it."""

import pytest

from nigiwai.link.messages import Cause, Light, Subject
from nigiwai.link.report import Tally
from nigiwai.link.status.snapshot import Snapshot, snapshot, without_ledger
from nigiwai.link.zone import day, load_zone, midnight_ns
from nigiwai.settings import parse

NOW = 1_790_000_000_000_000_000
ZONE = load_zone("Asia/Tokyo")
SETTINGS = parse({"gate": [{"name": "door", "line": [[0.1, 0.6], [0.9, 0.6]], "inside": [0.5, 0.9]}]})


@pytest.mark.parametrize("event", [True, False])
def test_an_update_can_see_that_an_event_is_under_way(event: bool) -> None:
    tally = Tally(day(NOW, ZONE), midnight_ns(NOW, ZONE), {}, {}, {}, 0)
    lights = dict.fromkeys(Subject, (Light.UNKNOWN, Cause.NONE))
    shown = snapshot(Snapshot(SETTINGS, ZONE, NOW, tally, lights, None, None, 0, 0, event=event))
    assert shown["event"] is event


def test_without_a_ledger_no_event_is_known() -> None:
    assert without_ledger(SETTINGS, ZONE, NOW, Cause.NONE)["event"] is False
