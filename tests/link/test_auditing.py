# SPDX-License-Identifier: Apache-2.0
"""From the result of an accuracy check to a share that is corrected by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nigiwai.door.field import Audited, CheckOff, CheckOn, CheckResult, Matched, Order
from nigiwai.link.auditing import AUDIT, audited_so_far, confusion_of
from nigiwai.link.checking import Checking
from nigiwai.link.ledger import Ledger
from nigiwai.link.status.deeds import EndCheck, StartCheck
from nigiwai.link.zone import load_zone
from nigiwai.settings import parse
from tests.link.world import World, rules

SETTINGS = parse({"device": {"site": "ward", "name": "gate-1"}})
BATCH = Audited(k=10, children=31, children_said=2, others=64, others_said=0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.db", rules(), World().now())
    yield opened
    opened.close()


def check(ledger: Ledger, batch: Audited | None, *, discard: bool = False) -> list[Order]:
    """One check from its start to its result."""
    orders: list[Order] = []

    def tell(order: Order) -> bool:
        orders.append(order)
        return True

    checking = Checking(SETTINGS, ledger, load_zone("Asia/Tokyo"), tell)
    checking.do(StartCheck(what="start_check", gate="door", minutes=10), 1_000, 1)
    checking.do(EndCheck(what="end_check", discard=discard), 2_000, 2)
    begun = orders[0]
    assert isinstance(begun, CheckOn)
    seen = Matched(taps=95, counted=95, matched=95)
    none = Matched(taps=0, counted=0, matched=0)
    fields = {"check": begun.check, "gate": "door", "final": True, "length_s": 600, "entered": seen, "left": none}
    checking.take(CheckResult.model_validate(fields | {"audited": batch}), 3)
    return orders


def test_batches_are_summed_until_they_replace_the_simulation(ledger: Ledger) -> None:
    assert audited_so_far(None) == {"children": 0, "others": 0, "least": 50}
    check(ledger, BATCH)
    assert audited_so_far(ledger.latest_hand(AUDIT)) == {"children": 31, "others": 64, "least": 50}
    first = ledger.latest_hand(AUDIT)
    assert first is not None
    assert confusion_of(first) is None, "31 children are too few"
    check(ledger, BATCH)
    both = ledger.latest_hand(AUDIT)
    assert both is not None
    found = confusion_of(both)
    assert found is not None
    assert (found.hit.people, found.false.people) == (62, 128)
    assert found.hit.share == pytest.approx((40 + 58) / 2 / 62)


@pytest.mark.parametrize(("batch", "discard"), [(None, False), (BATCH, True)])
def test_a_check_without_a_batch_or_a_discarded_one_leaves_no_trace(
    ledger: Ledger, batch: Audited | None, discard: bool
) -> None:
    orders = check(ledger, batch, discard=discard)
    assert ledger.latest_hand(AUDIT) is None
    assert [o.discard for o in orders if isinstance(o, CheckOff)] == [discard]
