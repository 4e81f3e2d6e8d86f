# SPDX-License-Identifier: Apache-2.0
"""How often eye is right about children, by staff's taps: what is told of it, and what cannot be worked out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nigiwai.clock import BootNs
from nigiwai.door.field import Audited, CheckOff, CheckOn, CheckResult, Tap
from nigiwai.eye.audit import Audit
from nigiwai.eye.orders import Orders
from nigiwai.eye.types import Crossing, Direction
from nigiwai.settings import Gate

S = 1_000_000_000
K = 10
DOOR = Gate(name="door", line=((0.0, 0.5), (1.0, 0.5)), inside=(0.5, 0.9))


def answers(children: int, said: int, others: int, wrong: int) -> list[tuple[bool, bool]]:
    return (
        [(True, True)] * said
        + [(True, False)] * (children - said)
        + [(False, True)] * wrong
        + [(False, False)] * (others - wrong)
    )


def test_a_batch_is_told_in_whole_tens() -> None:
    told = Audit(K).add(answers(31, 27, 64, 3))
    assert told == Audited(k=10, children=31, children_said=2, others=64, others_said=0)


@pytest.mark.parametrize(("children", "others"), [(9, 100), (100, 9), (0, 0)])
def test_fewer_than_k_of_either_wait_for_the_next_check(children: int, others: int) -> None:
    audit = Audit(K)
    assert audit.add(answers(children, 0, others, 0)) is None
    told = audit.add(answers(10, 10, 10, 0))
    assert told is not None
    assert (told.children, told.others) == (children + 10, others + 10)


def test_batches_have_nobody_in_common() -> None:
    audit = Audit(K)
    assert audit.add(answers(20, 20, 20, 0)) is not None
    assert audit.add(answers(9, 9, 9, 0)) is None


@settings(max_examples=300, deadline=None)
@given(
    st.integers(5, 14),
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=120),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_every_number_that_can_be_worked_out_may_be_none_or_k(
    k: int, found: list[tuple[bool, bool]], more_said: int, more_not: int
) -> None:
    """The attacker also has the table of just these passages and of some more: how many were said to be children."""
    told = Audit(k).add(found)
    if told is None:
        return
    ranges = {}
    for name, people, steps in (
        ("children", told.children, told.children_said),
        ("others", told.others, told.others_said),
    ):
        low, high = steps * k, min(people, steps * k + k - 1)
        ranges[name], ranges[f"{name} not said"] = (low, high), (people - high, people - low)
    in_table = sum(said for _, said in found) + more_said
    not_in_table = sum(not said for _, said in found) + more_not
    for name, total in (("children", in_table), ("others", in_table)):
        low, high = ranges[name]
        ranges[f"said in the table but not of {name}"] = (max(0, total - high), total - low)
    for name, total in (("children not said", not_in_table), ("others not said", not_in_table)):
        low, high = ranges[name]
        ranges[f"in the table's rest but not of {name}"] = (max(0, total - high), total - low)
    for name, (low, high) in ranges.items():
        assert low == 0 or high >= k, name


def pressed(taps: list[tuple[float, bool]], said: list[tuple[float, bool]], *, discard: bool = False) -> CheckResult:
    """A check of a minute: passages at these seconds, tapped as child or not a second later, and what eye said."""
    orders = Orders((DOOR,), 256)
    orders.take(CheckOn(check=1, gate="door", minutes=1), BootNs(0))
    for number, (at, child) in enumerate(taps, 1):
        orders.take(
            Tap(check=1, tap=number, direction="in", at_ms=round(at * 1_000) + 1_000, child=child),
            BootNs(round(at * S)),
        )
    for at, child in said:
        crossing = Crossing("door", Direction.IN, BootNs(round(at * S)))
        orders.see([crossing], (), (640, 360), crossing.at)
        orders.settled(crossing, child=child)
    orders.take(CheckOff(check=1, discard=discard), BootNs(50 * S))
    results = orders.due(BootNs(57 * S))
    assert not any(isinstance(r, CheckResult) and r.final for r in results), "traits are still being settled"
    final = next(r for r in orders.due(BootNs(59 * S)) if isinstance(r, CheckResult))
    assert final.final
    return final


PASSAGES = [float(i) for i in range(2, 46, 2)]  # 22, two seconds apart


def test_taps_of_children_are_compared_with_what_was_said() -> None:
    taps = [(at, i < 11) for i, at in enumerate(PASSAGES)]
    said = [(at, i < 10) for i, at in enumerate(PASSAGES)]
    assert pressed(taps, said).audited == Audited(k=10, children=11, children_said=1, others=11, others_said=0)


def test_a_check_that_is_discarded_or_has_too_few_children_tells_nothing() -> None:
    said = [(at, True) for at in PASSAGES]
    assert pressed([(at, i < 11) for i, at in enumerate(PASSAGES)], said, discard=True).audited is None
    assert pressed([(at, i < 9) for i, at in enumerate(PASSAGES)], said).audited is None


def test_where_ages_are_not_estimated_a_check_ends_sooner_and_says_nothing_of_children() -> None:
    orders = Orders((DOOR,), 256)
    orders.take(CheckOn(check=1, gate="door", minutes=1), BootNs(0))
    orders.take(CheckOff(check=1), BootNs(50 * S))
    final = next(r for r in orders.due(BootNs(53 * S)) if isinstance(r, CheckResult))
    assert final.final
    assert final.audited is None


def test_a_site_that_asks_for_more_gets_more_and_nobody_gets_less() -> None:
    assert Orders((DOOR,), 256, k=30)._audit.k == 30
    assert Orders((DOOR,), 256, k=5)._audit.k == 10
