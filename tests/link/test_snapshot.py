# SPDX-License-Identifier: Apache-2.0
"""What the page's JSON says, and who relies on it."""

import ssl

import pytest

from nigiwai.enrol.trouble import REMEDIES, Trouble, named
from nigiwai.link.messages import Cause, Light, Subject
from nigiwai.link.mqtt.connection import explain
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


def test_troubles_are_told_with_the_labels_code_in_both_languages() -> None:
    tally = Tally(day(NOW, ZONE), midnight_ns(NOW, ZONE), {}, {}, {}, 0)
    lights = dict.fromkeys(Subject, (Light.UNKNOWN, Cause.NONE))
    lights[Subject.STORAGE] = (Light.BAD, Cause.STORAGE_FAILED)
    shown = snapshot(Snapshot(SETTINGS, ZONE, NOW, tally, lights, None, None, 0, 0, troubles=(Trouble.OLDER,)))
    assert [t["code"] for t in shown["troubles"]] == ["E18", "E22"]
    assert (shown["troubles"][1]["ja"], shown["troubles"][1]["en"]) == REMEDIES[Trouble.OLDER]


def test_a_brokers_certificate_that_is_early_or_over_is_told_with_the_labels_code() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 9, "certificate is not yet valid"
    assert named(explain(error)) == (Trouble.CLOCK,)
    error.verify_code = 10
    assert named(explain(error)) == (Trouble.SITE_OVER,)
    error.verify_code = 20
    assert named(explain(error)) == ()


def test_without_a_ledger_no_event_is_known() -> None:
    assert without_ledger(SETTINGS, ZONE, NOW, Cause.NONE)["event"] is False
