# SPDX-License-Identifier: Apache-2.0
"""Only names that were configured are stored and sent, however eye calls its gates and however often they change."""

import signal
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from nigiwai.door.records import Bin, GateCount
from nigiwai.link.ledger import MOST_NAMES
from nigiwai.link.messages import MAX_SPANS
from nigiwai.link.names import UNKNOWN_GATE, known_only
from tests.link.harness import Broker, Ear, FakeEye, Link, wait_for
from tests.link.test_walks import REPORTER
from tests.link.world import Eye, World, everything, opened, sums

WRITTEN = ("secret-words-of-a-hostile-eye", "thirty-two-characters-of-text-xx")


def _renamed(counted: Bin, *names: str) -> Bin:
    first = counted.gates[0]
    return counted.model_copy(
        update={"gates": tuple(GateCount(gate=n, entered=first.entered, left=first.left) for n in names)}
    )


def test_passages_under_a_name_that_nobody_configured_are_kept_without_it() -> None:
    counted = _renamed(Eye(World()).bin(2, 1), "door", *WRITTEN)

    known = known_only(counted, {"door", "back"})

    assert [(g.gate, g.entered, g.left) for g in known.gates] == [
        ("door", 2, 1),
        (UNKNOWN_GATE, 2, 1),
        (UNKNOWN_GATE, 2, 1),
    ]
    assert known_only(known, {"door", UNKNOWN_GATE}) is known


def test_names_that_eye_makes_up_reach_neither_broker_nor_ledger(
    broker: Broker, tmp_path: Path, started: ExitStack
) -> None:
    link = Link(tmp_path, broker.port, interval_s=5)
    started.callback(link.stop, signal.SIGKILL)
    ear = Ear(broker.port, "#")
    started.callback(ear.close)
    link.start()
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    add = eye.caller.add
    eye.caller.add = lambda counted: add(_renamed(counted, "door", *WRITTEN))  # type: ignore[method-assign]
    for _ in range(4):
        eye.count(2, 1)
    eye.deliver()
    assert link.stop() == 0
    wait_for(lambda: [m for m in ear.messages("availability") if m["state"] == "stopped"], "the end")

    sent = b"".join(topic.encode() + payload for topic, payload, _ in ear.heard)
    kept = b"".join(p.read_bytes() for p in tmp_path.glob("ledger.db*"))
    assert not [w for w in WRITTEN if w.encode() in sent + kept + link.log().encode()]
    total = ear.messages("totals")[-1]["total"]
    assert total == {"door": {"in": 8, "out": 4}, UNKNOWN_GATE: {"in": 16, "out": 8}}


def test_gates_renamed_for_years_leave_every_message_sendable(tmp_path: Path) -> None:
    """Sums are kept under old names until a message is full of them; then numbering begins anew."""
    world = World()
    eye, ledger = Eye(world), opened(tmp_path, world)
    ledger.greet(eye.hello())
    for i in range(2 * MOST_NAMES):
        known = ledger.know_gates([f"gate-{i}", "other"])
        assert {f"gate-{i}", "other"} <= known
        assert len(known) <= MOST_NAMES
        for _ in range(12):
            ledger.commit([known_only(_renamed(eye.bin(1, 0), f"gate-{i}", f"text-{i}"), known)])

    records = everything(ledger)
    epochs = [r.epoch for r in records]
    assert len(set(epochs)) == 3
    assert all(REPORTER.counts(r, late=False) for r in records)
    assert sums(records)[UNKNOWN_GATE] == (12 * 2 * MOST_NAMES, 0)
    assert next(r.number for r in records if r.epoch == epochs[-1]) == 1
    assert all(a.interval.end_ns == b.interval.start_ns for a, b in pairwise(records))
    assert max(len(r.replaces) for r in records) <= MAX_SPANS
    ledger.close()
