# SPDX-License-Identifier: Apache-2.0
"""The contract: generated files are up to date and strict, and the reference consumer is right whatever the order."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nigiwai.door.allowance import RATES
from nigiwai.door.records import MAX_GATES, CameraKind, Flag
from nigiwai.door.tables import AN_HOUR, MOST_BLOCKS, MOST_PEOPLE
from nigiwai.door.traits import ALL_BANDS, ALL_COMPANIES, ALL_SEXES
from nigiwai.door.zones import CLASSES, MOST_VISITS, ZoneStats, ZoneSums
from nigiwai.link import schema
from nigiwai.link.lights import Facts, assess
from nigiwai.link.messages import REQUESTS, SENT, Cause, Envelope
from nigiwai.link.report import Reporter, Tallier, Upkeep
from nigiwai.link.telling import HEALTH_GAP_S, INFOS, ZONES_S
from nigiwai.link.zone import load_zone
from nigiwai.settings import parse
from tests.link.harness import reference_consumer
from tests.link.world import Eye, S, World, everything, opened, run_minutes

DOCS = Path(__file__).resolve().parents[2] / "docs"
TABLE = {"device": {"site": "ward", "name": "gate-1"}}
REPORTER = Reporter(parse(TABLE), load_zone("Asia/Tokyo"))
FACTS = Facts(
    eye_connected=True,
    eye_flags=(),
    broker_enabled=True,
    broker_tried=True,
    broker_connected=True,
    broker_refused=False,
    clock=None,
    storage=Cause.STORAGE_FULL,
    disk_free_mib=1,
    temperature_c=81.0,
    undervoltage=True,
    throttled=False,
)


_STATED = r"With eight gates at most ([0-9,]+) bits an hour.*?with one gate ([0-9,]+)"

ZONES = ZoneStats(at_ms=5, zones=(ZoneSums(zone="hall", people=3, queue=1, most=2, dwell=(MOST_VISITS,) * CLASSES),))


def test_generated_files_are_up_to_date() -> None:
    """If this fails: python -m nigiwai.link.schema docs/schema"""
    assert {p.name: p.read_text(encoding="utf-8") for p in (DOCS / "schema").iterdir()} == schema.files()


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = schema.asyncapi()
    for reference in (node["$ref"] for node in _nodes(document) if "$ref" in node):
        if reference.startswith("./"):
            assert reference[2:] in schema.files()
            continue
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


def test_the_broker_lets_a_device_write_every_topic_it_has() -> None:
    rules = (DOCS.parent / "provisioning" / "broker" / "access.conf").read_text(encoding="utf-8")
    leaves = {schema.name_of(kind) for kind in SENT} - {"response"}
    allowed = {
        line.rsplit("/", 1)[1] for line in rules.splitlines() if line.startswith("pattern write") and "+" not in line
    }
    assert allowed == leaves


def test_every_topic_that_the_document_names_has_its_channel() -> None:
    tree = (DOCS / "mqtt.md").read_text(encoding="utf-8").split("nigiwai/v1/SITE/DEVICE/\n")[1].split("\n\n")[0]
    named = {line.split()[0].replace("COMMAND", "{command}") for line in tree.splitlines()}
    addresses = {c["address"].split("/", 4)[4] for c in schema.asyncapi()["channels"].values()}
    assert named == addresses


@pytest.mark.parametrize("kind", [*SENT, *REQUESTS.values()], ids=schema.name_of)
def test_every_object_is_closed_and_every_string_bounded(kind: type[Envelope]) -> None:
    found = schema.schema_of(kind)
    jsonschema.Draft202012Validator.check_schema(found)

    for node in _nodes(found):
        if node.get("type") == "object":
            assert node.get("additionalProperties") is False or "propertyNames" in node, node
        if node.get("type") == "string":
            assert "pattern" in node or "enum" in node or "const" in node or node.get("maxLength", 999) <= 240, node
        if node.get("type") == "array":
            assert "maxItems" in node, node


def test_strings_that_patterns_allow_are_short() -> None:
    """No pattern lets more than a name, a digest or a time stamp through."""
    unbounded = [
        node["pattern"]
        for kind in SENT
        for node in _nodes(schema.schema_of(kind))
        if "pattern" in node and ("+" in node["pattern"].replace("[+-]", "") or "*" in node["pattern"])
    ]
    assert unbounded == []


def _nodes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [n for item in node for n in _nodes(item)]
    if not isinstance(node, dict):
        return []
    return [node, *(n for value in node.values() for n in _nodes(value))]


def test_every_message_validates(tmp_path: Path) -> None:
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(1, 0)] * 3)
    tally = Tallier(load_zone("Asia/Tokyo"), ("door",)).tally(ledger, world.true_utc_ns, None)
    lights = assess(FACTS)
    upkeep = Upkeep(1, 2, "0" * 8, 3, 45.5, None, None, None, None, 0, 0, ledger.losses())
    made: list[Envelope] = [
        *(REPORTER.counts(r, True) for r in everything(ledger)),
        REPORTER.totals(tally, "0" * 8, world.true_utc_ns),
        REPORTER.closing(5, {"why": "event", "since_ns": 1, "began": 0, "entered": 2, "left": 3, "remaining": -1}),
        REPORTER.info(ledger.standing(), eye.hello()),
        REPORTER.info(ledger.standing(), None),
        REPORTER.health(lights, None, upkeep, world.true_utc_ns),
        REPORTER.zones(ZONES, {"hall": 4}, eye.hello().run, world.true_utc_ns),
        *(REPORTER.alert(subject, lights, world.true_utc_ns) for subject in lights),
    ]

    for message in made:
        jsonschema.Draft202012Validator(schema.schema_of(type(message))).validate(json.loads(message.to_json()))
        assert type(message).model_validate_json(message.to_json()) == message


MINUTES_A_YEAR = 525_600


def _whisper_bits_an_hour(gates: int) -> float:
    """What a hostile eye could hide in what an honest link publishes, from the bounds of the door's records.

    Each bin that passes the door may come late and amend a record of its own choice; live totals say no more than that.
    """
    a_bin = 2 * gates * math.log2(10_001) + math.log2(601) + len(Flag) + math.log2(MINUTES_A_YEAR)
    bins = a_bin * RATES["bin"][1] * 3_600
    blocks = AN_HOUR * MOST_BLOCKS * math.log2((ALL_COMPANIES + 1) * (ALL_SEXES + 1) * (ALL_BANDS + 1) * MOST_PEOPLE)
    vitals = math.log2(1e6) + 2 * math.log2(600_001) + 40 + 26 + len(Flag)
    who = 256 + 32 * math.log2(38) + 3 * math.log2(10_000) + math.log2(len(CameraKind))
    return bins + blocks + vitals * 3_600 / HEALTH_GAP_S + who * INFOS[1] * 3_600


def test_a_whisper_is_as_small_as_the_document_says() -> None:
    text = " ".join((DOCS / "mqtt.md").read_text(encoding="utf-8").split())
    eight, one = (int(n.replace(",", "")) for n in re.search(_STATED, text).groups())  # type: ignore[union-attr]

    assert 0.9 * eight < _whisper_bits_an_hour(MAX_GATES) <= eight
    assert 0.9 * one < _whisper_bits_an_hour(1) <= one
    assert f"at most {eight:,} bits an hour reach the network" in " ".join(
        (DOCS / "privacy.md").read_text(encoding="utf-8").split()
    )
    assert (3 * math.log2(10_001) + CLASSES * math.log2(MOST_VISITS + 1)) * 3_600 / ZONES_S <= 12_000


def test_anybody_can_have_the_contract_written_from_a_release(tmp_path: Path) -> None:
    """The files are those of docs/schema, made by the package alone."""
    command = [sys.executable, "-m", "nigiwai.link.schema", str(tmp_path / "contract")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(DOCS.parent / "device")})

    written = {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "contract").iterdir()}
    assert written == {p.name: p.read_text(encoding="utf-8") for p in (DOCS / "schema").iterdir()}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """An hour with a late bin, a wrong clock set, and a merge: everything ever published."""
    path = tmp_path_factory.mktemp("stream")
    world = World(wrong_ns=-99_000 * S, synchronised=False)
    eye, ledger = Eye(world), opened(path, world)
    ledger.greet(eye.hello())
    made: dict[int, bytes] = {}

    def note() -> None:
        made.update({r.number: REPORTER.counts(r, False).to_json() for r in everything(ledger)})

    run_minutes(ledger, eye, [(3, 1)] * 4)
    late = eye.bin(5, 5)
    note()
    world.forward(120)
    ledger.tick(world.now(), 120 * S)
    note()
    ledger.commit([late])
    note()
    world.wrong_ns, world.synchronised = 0, True
    ledger.tick(world.now(), 0)
    note()
    run_minutes(ledger, eye, [(2, 2)] * 3)
    note()
    ledger.close()
    return [made[n] for n in sorted(made)]


EXPECTED = {"door": [3 * 4 + 5 + 2 * 3, 1 * 4 + 5 + 2 * 3]}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_reference_consumer_is_right_in_any_order(stream: list[bytes], data: st.DataObject) -> None:
    order = data.draw(st.permutations([*stream, *data.draw(st.lists(st.sampled_from(stream), max_size=5))]))
    consumer = reference_consumer().Consumer(":memory:", lambda *_: None)

    for payload in order:
        consumer.take("nigiwai/v1/ward/gate-1/counts", payload)

    assert consumer.sums("ward/gate-1") == EXPECTED
    assert [*consumer.gaps("ward/gate-1")] == []
    consumer.db.close()


def test_the_reference_consumer_finds_and_asks_for_its_gaps(stream: list[bytes]) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    consumer = reference_consumer().Consumer(":memory:", lambda *a: asked.append(a))
    last = json.loads(stream[-1])

    consumer.take("nigiwai/v1/ward/gate-1/counts", stream[-1])

    ((topic, request),) = asked
    assert topic == "nigiwai/v1/ward/gate-1/request/resend"
    assert (request["first"], request["last"]) == (1, last["record"] - 1)
    REQUESTS["resend"].model_validate(request)
    consumer.db.close()


def test_the_reference_consumer_is_short() -> None:
    assert len((DOCS / "consumer.py").read_text(encoding="utf-8").splitlines()) <= 100
