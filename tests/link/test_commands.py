# SPDX-License-Identifier: Apache-2.0
"""Requests over MQTT: few, strict, audited, and harmless whatever comes."""

import json
import random
import signal
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from nigiwai.errors import LedgerError
from nigiwai.link.ledger import Ledger
from nigiwai.link.messages import REQUESTS
from nigiwai.link.mqtt.commands import Commands
from nigiwai.link.report import Tallier, Tally
from nigiwai.link.zone import load_zone
from nigiwai.settings import parse
from tests.conftest import PROOF
from tests.link.harness import BRANCH, Broker, Ear, FakeEye, Link, wait_for
from tests.link.world import Eye, World, opened, run_minutes

TOPIC = f"nigiwai/v1/{BRANCH}/request/"


class Asked:
    """Commands on a ledger with three records."""

    def __init__(self, path: Path, *enabled: str) -> None:
        self.world = World()
        self.eye, self.ledger = Eye(self.world), opened(path, self.world)
        self.ledger.greet(self.eye.hello())
        run_minutes(self.ledger, self.eye, [(3, 1)] * 3)
        table = {"device": {"site": "ward", "name": "gate-1"}, "mqtt": {"commands": list(enabled)}}
        self.blinked = 0
        self.commands = Commands(parse(table), self.ledger, self.tally, self._blink)
        self.now_s = 0.0

    def _blink(self) -> bool:
        self.blinked += 1
        return self.blinked == 1

    def tally(self) -> Tally:
        return Tallier(load_zone("Asia/Tokyo"), ("door",)).tally(
            self.ledger, self.world.true_utc_ns, self.commands.occupancy.mark
        )

    def ask(self, command: str, *, retained: bool = False, **fields: Any) -> Any:
        payload = json.dumps({"schema": "nigiwai/1", "type": command, **fields}).encode()
        return self.raw(f"{TOPIC}{command}", payload, retained=retained)

    def raw(self, topic: str, payload: bytes, *, retained: bool = False) -> Any:
        self.now_s += 10.0
        return self.commands.take(topic, payload, self.now_s, self.world.true_utc_ns, retained=retained)

    def resend(self, transaction: str, first: int = 1, last: int = 3, **fields: Any) -> Any:
        epoch = fields.pop("epoch", self.ledger.standing().epoch)
        return self.ask("resend", transaction=transaction, epoch=epoch, first=first, last=last, **fields)


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path, "resend")


def test_records_are_sent_again_on_request(asked: Asked) -> None:
    answer = asked.resend("a")

    assert (answer.response.status, answer.response.sending, answer.response.gone) == ("ok", 3, 0)
    assert [r.number for r in answer.records] == [1, 2, 3]


@pytest.mark.parametrize(
    ("first", "last", "epoch", "error"),
    [(3, 1, None, "range"), (1, 1_441, None, "range"), (1, 2, "00000000", "unknown_epoch")],
)
def test_a_span_that_makes_no_sense_is_refused(asked: Asked, first: int, last: int, epoch: str, error: str) -> None:
    answer = asked.resend("a", first, last, **({"epoch": epoch} if epoch else {}))

    assert (answer.response.status, answer.response.error) == ("error", error)
    assert not answer.records


def test_what_was_retained_or_seen_before_is_refused(asked: Asked) -> None:
    assert asked.resend("a", retained=True).response.error == "retained"
    assert asked.resend("b").response.error == "none"
    assert asked.resend("b").response.error == "seen_before"


def test_a_seen_transaction_is_known_after_a_restart(asked: Asked, tmp_path: Path) -> None:
    asked.resend("a")
    asked.ledger.close()
    again = opened(tmp_path, asked.world)

    assert again.seen_transaction("a")


def test_what_is_not_enabled_is_refused(asked: Asked) -> None:
    assert asked.ask("restart", transaction="a").response.error == "not_enabled"
    assert not asked.commands.restart_asked


def test_occupancy_can_be_set(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "set_occupancy", "event")
    assert asked.tally().inside == 6

    asked.ask("set_occupancy", transaction="a", inside=100)
    assert asked.tally().inside == 100
    run_minutes(asked.ledger, asked.eye, [(5, 0)])
    assert asked.tally().inside == 105

    assert not asked.ledger.event
    asked.ask("event", transaction="b", action="start")
    assert asked.tally().inside == 0
    assert asked.ledger.event
    asked.ask("event", transaction="c", action="end")
    assert not asked.ledger.event


def test_identify_blinks_and_says_where_it_cannot(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "identify")

    assert asked.ask("identify", transaction="a").response.status == "ok"
    assert asked.ask("identify", transaction="b").response.error == "failed"
    assert asked.blinked == 2


def test_nothing_happens_that_the_audit_log_does_not_hold(tmp_path: Path) -> None:
    """Where the log cannot be written, the request has no effect."""
    asked = Asked(tmp_path, "restart", "set_occupancy")
    asked.ledger._db.execute("PRAGMA query_only = ON")

    with pytest.raises(LedgerError):
        asked.ask("restart", transaction="a")
    with pytest.raises(LedgerError):
        asked.ask("set_occupancy", transaction="b", inside=5)

    assert not asked.commands.restart_asked
    assert asked.commands.occupancy.mark is None


def test_a_flood_is_one_line_a_minute_in_the_audit_log(asked: Asked) -> None:
    for i in range(300):
        asked.now_s -= 9.999
        asked.resend(f"t{i}")

    rows = asked.ledger._db.execute("SELECT outcome FROM audit").fetchall()
    assert [row[0] for row in rows] == ["ok"] * 20 + ["too_often"]


def test_requests_are_rate_limited(asked: Asked) -> None:
    asked.now_s = 0
    answers = []
    for i in range(40):
        asked.now_s -= 10.0
        answers.append(asked.resend(f"t{i}").response.error)

    assert answers.count("none") == 20
    assert set(answers[20:]) == {"too_often"}


def test_everything_asked_is_in_the_audit_log(asked: Asked) -> None:
    asked.resend("a")
    asked.ask("restart", transaction="b")

    rows = asked.ledger._db.execute("SELECT source, command, handle, outcome FROM audit").fetchall()
    assert [tuple(row) for row in rows] == [("mqtt", "resend", "a", "ok"), ("mqtt", "restart", "b", "not_enabled")]


def _state(ledger: Ledger) -> tuple[Any, ...]:
    return ledger.total(), ledger.standing(), ledger.queue_length(), ledger.losses()


def test_malformed_requests_have_no_effect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Random bytes, truncated and mutated requests, foreign topics: no answer, no change, a bounded log."""
    asked = Asked(tmp_path, *REQUESTS)
    before = _state(asked.ledger)
    chance = random.Random(11)  # noqa: S311
    good = json.dumps(
        {"schema": "nigiwai/1", "type": "resend", "transaction": "x", "epoch": "0" * 8, "first": 1, "last": 2}
    )
    count = 100_000 if PROOF else 10_000

    for _ in range(count):
        asked.now_s -= 9.9
        assert asked.raw(*_malformed(chance, good)) is None

    assert asked.commands.refused == count
    assert _state(asked.ledger) == before
    assert asked.ledger._db.execute("SELECT count(*) FROM audit").fetchone()[0] == 0
    assert len(caplog.records) <= 1 + count // 500
    assert sum(len(r.getMessage()) for r in caplog.records) < 100 * (1 + count // 500)


def _malformed(chance: random.Random, good: str) -> tuple[str, bytes]:
    topic = TOPIC + chance.choice([*REQUESTS, "", "resend/extra", "RESEND", "\u0000", "settings", "image"])
    match chance.randrange(6):
        case 0:
            return topic, chance.randbytes(chance.randint(0, 300))
        case 1:
            return topic, good[: chance.randint(0, len(good) - 1)].encode()
        case 2:
            return topic, (b"[" * chance.randint(1, 3_000)) + b"1"
        case 3:
            table = {**json.loads(good), chance.choice(["first", "last", "epoch", "transaction", "type"]): None}
            return topic, json.dumps(table).encode()
        case 4:
            table = {
                **json.loads(good),
                "extra": chance.random(),
                "first": chance.choice([-1, "1", 1.5, 1e400, [], {}]),
            }
            return topic, json.dumps(table).encode()
        case _:
            return chance.choice(["nigiwai/v1/other/gate-1/request/resend", "#", "", TOPIC[:-1]]), good.encode()


def test_a_consumer_that_asks_gets_its_records_again(broker: Broker, link: Link, eye: FakeEye) -> None:
    link.start()
    for _ in range(12):
        eye.count(1, 0)
    eye.deliver()
    ear = Ear(broker.port)
    wait_for(lambda: ear.messages("info"), "info")
    epoch = ear.messages("info")[-1]["epoch"]
    request = {"schema": "nigiwai/1", "type": "resend", "transaction": "t-1", "epoch": epoch, "first": 2, "last": 4}

    ear.client.publish(f"{TOPIC}resend", json.dumps(request), qos=1)

    wait_for(lambda: ear.messages("response/resend"), "the answer")
    assert ear.messages("response/resend")[0]["sending"] == 3
    wait_for(lambda: [m["record"] for m in ear.messages("counts") if m["late"]][-3:] == [2, 3, 4], "the records")
    ear.close()


def test_the_end_of_an_event_is_told_with_its_balance_and_kept_by_the_broker(broker: Broker, tmp_path: Path) -> None:
    link = Link(tmp_path, broker.port, interval_s=10, mqtt='commands = ["event"]', page_port=-1)
    eye, ear = FakeEye(link.socket), Ear(broker.port)
    link.start()
    try:
        eye.count(7, 0)
        eye.deliver()
        wait_for(lambda: ear.messages("info"), "link to be connected")
        for action, counted in (("start", (5, 2)), ("end", (0, 0))):
            request = {"schema": "nigiwai/1", "type": "event", "transaction": action, "action": action}
            ear.client.publish(f"{TOPIC}event", json.dumps(request), qos=1)
            wait_for(lambda: action in [m["transaction"] for m in ear.messages("response/event")], action)  # noqa: B023
            eye.count(*counted)
            eye.deliver()
        late = Ear(broker.port, client_id="late")
        wait_for(lambda: late.messages("closing"), "the closing balance")
        late.close()
    finally:
        link.stop(signal.SIGKILL)
        ear.close()
        eye.close()
    (closing,) = {json.dumps(m) for m in late.messages("closing")}
    said = json.loads(closing)
    assert (said["why"], said["began"], said["entered"], said["left"], said["remaining"]) == ("event", 0, 5, 2, 3)
    assert said["since"] <= said["at"]
    assert [retained for topic, _, retained in late.heard if topic.endswith("/closing")] == [True]


FLOOD = 100_000 if PROOF else 3_000
ASK_AGAIN_S = 30.0
"""As the reference consumer does."""


@pytest.mark.slow
@pytest.mark.timeout(120 + FLOOD // 100)
def test_a_flood_of_malformed_requests_over_the_wire_has_no_effect(
    broker: Broker, tmp_path: Path, started: ExitStack
) -> None:
    """Topics, payloads and properties that nobody meant, through a real broker to a link that takes every command: it
    lives, nothing changes, its log stays short, and it still answers who asks properly.
    """
    link = Link(tmp_path, broker.port, interval_s=10, mqtt=f"commands = {json.dumps(list(REQUESTS))}")
    started.callback(link.stop, signal.SIGKILL)
    link.start()
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    for _ in range(4):
        eye.count(1, 0)
    eye.deliver()
    ear = Ear(broker.port, "nigiwai/v1/+/+/response/#")
    started.callback(ear.close)
    chance = random.Random(17)  # noqa: S311
    good = json.dumps(_good(link, broker, started))

    for i in range(FLOOD):
        topic, payload = _malformed(chance, good)
        if not topic or not set(topic).isdisjoint("\0#+"):  # no broker takes these
            topic, payload = f"{TOPIC}resend", payload[:-1]
        sent = ear.client.publish(topic, payload, qos=i % 500 == 0, properties=_properties(chance))
        if i % 500 == 0:
            sent.wait_for_publish(60)
    asked_s = -ASK_AGAIN_S

    def answered() -> bool:
        """Link drops what comes while a thousand wait, as docs/mqtt.md says; who is not answered asks again."""
        nonlocal asked_s
        if time.monotonic() - asked_s >= ASK_AGAIN_S:
            asked_s = time.monotonic()
            ear.client.publish(f"{TOPIC}resend", good, qos=1)
        return bool(ear.messages("response/resend"))

    wait_for(answered, "the answer to the one good request", 120)
    assert [m["transaction"] for m in ear.messages("response/resend")] == ["good"]
    assert link.process is not None
    assert link.process.poll() is None
    assert link.stop() == 0
    assert len(link.log()) < 20_000
    assert "Traceback" not in link.log()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        assert db.execute("SELECT handle, outcome FROM audit").fetchall() == [("good", "ok")]


def _good(link: Link, broker: Broker, started: ExitStack) -> dict[str, Any]:
    first = Ear(broker.port, client_id="first")
    started.callback(first.close)
    wait_for(lambda: first.messages("info"), "info")
    epoch = first.messages("info")[-1]["epoch"]
    return {"schema": "nigiwai/1", "type": "resend", "transaction": "good", "epoch": epoch, "first": 1, "last": 1}


def _properties(chance: random.Random) -> Properties:
    """Any of the properties that a PUBLISH may carry, with anything in them."""
    made = Properties(PacketTypes.PUBLISH)
    if chance.random() < 0.5:
        made.ResponseTopic = chance.choice(["nigiwai/v1/ward/gate-1/counts", "x" * 500, "$SYS/x"])
        made.CorrelationData = chance.randbytes(chance.randint(0, 200))
    if chance.random() < 0.5:
        made.ContentType = chance.choice(["image/jpeg", "", "application/json" * 20])
        made.PayloadFormatIndicator = chance.randint(0, 1)
    if chance.random() < 0.5:
        made.MessageExpiryInterval = chance.randint(1, 2**32 - 1)
    for _ in range(chance.randint(0, 3)):
        made.UserProperty = (f"k{chance.random()}", "v" * chance.randint(0, 300))
    return made


def test_a_retained_request_is_not_carried_out(broker: Broker, link: Link) -> None:
    ear = Ear(broker.port)
    request = {"schema": "nigiwai/1", "type": "resend", "transaction": "t", "epoch": "0" * 8, "first": 1, "last": 1}
    ear.client.publish(f"{TOPIC}resend", json.dumps(request), qos=1, retain=True).wait_for_publish(10)

    link.start()
    wait_for(lambda: ear.messages("health"), "link")
    answers = ear.messages("response/resend")

    assert all(a["error"] == "retained" for a in answers)
    ear.close()
