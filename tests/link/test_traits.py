# SPDX-License-Identifier: Apache-2.0
"""Tables of who came: through the door, into the ledger, to the broker, each once and none lost."""

import json
import re
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from nigiwai.door.codec import decode_from_eye, encode
from nigiwai.door.field import Audited
from nigiwai.door.tables import TraitTable
from nigiwai.door.traits import ALL_COMPANIES, FAMILY, Band, Company, Sex, mask_of
from nigiwai.errors import DoorError
from nigiwai.link import schema
from nigiwai.link.auditing import added
from nigiwai.link.known_errors import BY_HEIGHT, WITH_MODEL, known_errors
from nigiwai.link.ledger import Ledger
from nigiwai.link.messages import Traits
from nigiwai.link.store.hand import Noted
from nigiwai.link.store.traits import StoredTable
from nigiwai.link.traits import message_of
from nigiwai.settings import parse
from tests.conftest import ROOT
from tests.link.harness import Broker, Ear, FakeEye, Link, wait_for
from tests.link.world import World, rules

SETTINGS = parse({"device": {"site": "ward", "name": "gate-1"}})
FAMILIES = mask_of(FAMILY)
REST = ALL_COMPANIES & ~FAMILIES
CHILD, OLDER = mask_of([Band.CHILD]), mask_of([Band.ADULT, Band.UNKNOWN])
ANY = CHILD | OLDER
NO_SEX = mask_of([Sex.UNKNOWN])
BLOCKS = (
    (FAMILIES, NO_SEX, CHILD, 40),
    (FAMILIES, NO_SEX, OLDER, 60),
    (REST, NO_SEX, CHILD, 10),
    (REST, NO_SEX, OLDER, 90),
)
STORED = StoredTable(7, "0" * 8, "in", 1_795_000_000_000_000_000, 1_795_000_900_000_000_000, 10, 200, BLOCKS)


def table(eye: FakeEye, number: int, people: int = 200) -> TraitTable:
    fields = {"run": eye.run, "number": number, "direction": "in", "start_ms": 1_000, "end_ms": 901_000, "k": 10}
    blocks = ((FAMILIES, NO_SEX, ANY, people // 2), (REST, NO_SEX, ANY, people - people // 2))
    return TraitTable.model_validate(fields | {"people": people, "blocks": blocks})


def test_a_table_is_told_in_words_with_corrected_shares() -> None:
    told = message_of(STORED, SETTINGS)
    assert [(len(b.company), b.band, b.people) for b in told.blocks] == [
        (3, (Band.CHILD,), 40),
        (3, (Band.ADULT, Band.UNKNOWN), 60),
        (4, (Band.CHILD,), 10),
        (4, (Band.ADULT, Band.UNKNOWN), 90),
    ]
    assert told.blocks[0].company == (Company.FAMILY_1, Company.FAMILY_2, Company.FAMILY_3)
    assert told.children is not None
    assert told.families is not None
    assert (told.children.said, told.families.said) == (50, 100)
    for estimate in (told.children, told.families):
        assert 0 <= estimate.low < estimate.share < estimate.high <= 1
        assert estimate.basis == "simulation"
    jsonschema.Draft202012Validator(schema.schema_of(Traits)).validate(json.loads(told.to_json()))


AUDITED = {"children": 120, "children_low": 100, "children_high": 109, "others": 200, "others_low": 0, "others_high": 9}


def test_the_shares_are_corrected_by_what_the_models_card_says() -> None:
    card = (ROOT / "models/cards/nigiwai-traits.md").read_text(encoding="utf-8")
    row = (
        r"^\| (child|in a family), (\d+) degrees down, (with this model|heights alone)"
        + 2 * r" \| (\S+) of (\d+)"
        + r" \|$"
    )
    said = {(what, float(tilt), how): numbers for what, tilt, how, *numbers in re.findall(row, card, re.MULTILINE)}
    used = {}
    for how, measured in (("with this model", WITH_MODEL), ("heights alone", BY_HEIGHT)):
        for tilt, known in measured.items():
            for what, c in (("child", known.child), ("in a family", known.family)):
                rates = (c.hit.share, c.hit.people, c.false.share, c.false.people)
                used[what, tilt, how] = [f"{rate:g}" for rate in rates]
    assert said == used


@pytest.mark.parametrize(
    ("tilt_deg", "nearest"), [(15.0, 30.0), (37.0, 30.0), (38.0, 45.0), (56.0, 60.0), (80.0, 60.0)]
)
def test_errors_are_those_of_the_nearest_view_that_was_measured(tilt_deg: float, nearest: float) -> None:
    view = {"height_m": 3.0, "tilt_deg": tilt_deg, "fov_deg": 70.0}
    assert known_errors(parse({"view": view})) is WITH_MODEL[nearest]
    assert known_errors(parse({"view": view, "traits": {"model": ""}})) is BY_HEIGHT[nearest]


def test_a_sites_own_audit_replaces_the_simulation_for_children_only() -> None:
    told = message_of(STORED, SETTINGS, Noted(0, "audit", AUDITED))
    assert told.children is not None
    assert told.families is not None
    assert (told.children.basis, told.families.basis) == ("audit", "simulation")
    # hit 104.5 / 120, false 4.5 / 200: (50 / 200 - 0.0225) / (0.8708 - 0.0225)
    assert told.children.share == pytest.approx(0.2682, abs=1e-4)
    assert told.children.low < 0.2682 < told.children.high
    jsonschema.Draft202012Validator(schema.schema_of(Traits)).validate(json.loads(told.to_json()))


@pytest.mark.parametrize(
    "change",
    [
        {"children": 49, "children_low": 40, "children_high": 49},  # too few children
        {"others": 49},
        {"others_low": 150, "others_high": 159},  # says child of nearly everybody
    ],
)
def test_an_audit_of_too_few_or_that_tells_nothing_changes_nothing(change: dict[str, int]) -> None:
    told = message_of(STORED, SETTINGS, Noted(0, "audit", AUDITED | change))
    assert told == message_of(STORED, SETTINGS)


def test_batches_of_an_audit_are_added_up() -> None:
    one = Audited(k=10, children=31, children_said=2, others=64, others_said=0)
    first = added(None, one)
    assert first == {
        "children": 31, "children_low": 20, "children_high": 29, "others": 64, "others_low": 0, "others_high": 9
    }  # fmt: skip
    twice = added(Noted(1, "audit", first), Audited(k=10, children=12, children_said=1, others=10, others_said=0))
    assert (twice["children"], twice["children_low"], twice["children_high"]) == (43, 30, 41)
    assert (twice["others"], twice["others_low"], twice["others_high"]) == (74, 0, 18)


@pytest.mark.parametrize("change", [{"children": 9}, {"others": 3}, {"children_said": 4}, {"k": 4}])
def test_a_batch_about_fewer_than_k_is_refused_at_the_door(change: dict[str, int]) -> None:
    fields = {"k": 10, "children": 31, "children_said": 2, "others": 64, "others_said": 0}
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's
        Audited.model_validate(fields | change)


def test_what_is_experimental_says_so() -> None:
    settings = parse({"device": {"site": "ward", "name": "gate-1"}, "traits": {"experimental": ["sex", "teen"]}})
    assert message_of(STORED, settings).experimental == ("sex", "teen")
    assert message_of(STORED, SETTINGS).experimental == ()


def test_blocks_that_do_not_tell_children_apart_give_no_share_of_children() -> None:
    told = message_of(replace(STORED, blocks=((FAMILIES, NO_SEX, ANY, 100), (REST, NO_SEX, ANY, 100))), SETTINGS)
    assert told.children is None
    assert told.families is not None


def test_what_is_withheld_says_how_many_and_nothing_else() -> None:
    told = message_of(replace(STORED, people=7, blocks=(), start_ns=None, end_ns=None), SETTINGS)
    assert (told.withheld, told.people, told.blocks, told.children, told.families) == (True, 7, (), None, None)
    assert (told.start, told.end) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.replace(b",100]", b",9]", 1),  # a block of fewer than k, and one missing
        lambda p: p.replace(b'"people":200', b'"people":201'),
        lambda p: p.replace(b'"k":10', b'"k":4'),
        lambda p: p.replace(b'"end_ms":901000', b'"end_ms":900'),
        lambda p: p.replace(b"[28,", b"[0,", 1),
    ],
)
def test_a_table_that_breaks_the_rule_does_not_pass_the_door(change: object, eye: FakeEye) -> None:
    packet = encode(table(eye, 1))
    assert decode_from_eye(packet) == table(eye, 1)
    changed = change(packet)  # type: ignore[operator]
    assert changed != packet
    with pytest.raises(DoorError):
        decode_from_eye(changed)


def test_tables_reach_headquarters_once_over_kills_and_outages(link: Link, eye: FakeEye, broker: Broker) -> None:
    ear = Ear(broker.port)
    link.start()
    eye.count()
    eye.caller.add_table(table(eye, 1))
    eye.deliver()
    wait_for(lambda: eye.pump() == 0 and not eye.caller.tables, "link to take the table")
    wait_for(lambda: len(ear.messages("traits")) == 1, "the first table")

    link.stop(signal.SIGKILL)
    eye.caller.add_table(table(eye, 1))  # its acknowledgement may have been lost: it comes twice
    eye.caller.add_table(table(eye, 2, people=300))
    link.start()
    wait_for(lambda: eye.pump() == 0 and not eye.caller.tables, "link to take the second")
    wait_for(lambda: {m["people"] for m in ear.messages("traits")} == {200, 300}, "the second table")

    heard = {m["table"]: m for m in ear.messages("traits")}
    assert [m["people"] for m in heard.values()] == [200, 300]
    assert all(m["start"] is not None for m in heard.values())
    ear.close()


def test_a_table_waits_for_a_broker_that_is_away(link: Link, eye: FakeEye, broker: Broker) -> None:
    broker.stop()
    link.start()
    eye.count()
    eye.caller.add_table(table(eye, 1))
    wait_for(lambda: eye.pump() == 0 and not eye.caller.tables, "link to take the table")
    link.stop(signal.SIGKILL)
    broker.start()
    ear = Ear(broker.port)
    link.start()
    wait_for(lambda: ear.messages("traits"), "the table")
    assert ear.messages("traits")[0]["people"] == 200
    ear.close()


def test_the_end_of_an_event_is_told_to_eye(tmp_path: object, broker: Broker) -> None:
    assert isinstance(tmp_path, type(broker._folder))
    link = Link(tmp_path, broker.port, mqtt='commands = ["event"]')
    eye = FakeEye(link.socket)
    link.start()
    try:
        eye.count()
        eye.deliver()
        ear = Ear(broker.port)
        # Link says so only after it has subscribed to requests; whatever is asked before is heard by nobody.
        wait_for(lambda: [m for m in ear.messages("availability") if m["state"] == "online"], "link to be online")
        request = {"schema": "nigiwai/1", "type": "event", "transaction": "t1", "action": "end"}
        ear.client.publish("nigiwai/v1/ward/gate-1/request/event", json.dumps(request), qos=1)
        heard: list[str] = []

        def over() -> bool:
            eye.pump()
            heard.extend(o.kind for o in eye.caller.take_orders())
            return "event_over" in heard

        wait_for(over, "eye to hear of it")
        ear.close()
    finally:
        eye.close()
        link.stop()


def test_noise_is_declared_and_makes_the_interval_wider() -> None:
    plain, noisy = (message_of(replace(STORED, epsilon=e), SETTINGS) for e in (None, 0.5))
    assert (plain.epsilon, noisy.epsilon) == (None, 0.5)
    assert plain.families is not None
    assert noisy.families is not None
    assert noisy.families.share == plain.families.share
    assert noisy.families.high - noisy.families.low > plain.families.high - plain.families.low


@pytest.mark.parametrize("percent", [None, 50])
def test_a_table_is_stored_with_its_noise(tmp_path: Path, percent: int | None) -> None:
    with closing(Ledger(tmp_path / "ledger.db", rules(), World().now())) as ledger:
        kept = table(FakeEye(tmp_path / "none.sock"), 1).model_copy(update={"epsilon_percent": percent})
        ledger.keep_table(kept, "0" * 32, 1)
        (stored,) = ledger.pending_tables(8)
    assert stored.epsilon == (None if percent is None else 0.5)
    assert sum(b[3] for b in stored.blocks) == stored.people
