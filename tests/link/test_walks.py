# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a device, and in whatever order, the reference consumer ends with every passage once.

A walk delays, doubles and loses what goes to the broker, stops and restarts link, moves the clock, fills the disk so
that detail is merged, and cuts the power; then everything that is left is sent and asked for.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nigiwai.door.records import Bin
from nigiwai.link.intervals import Gates, sum_gates
from nigiwai.link.report import Reporter
from nigiwai.link.store.rows import Record
from nigiwai.link.zone import load_zone
from nigiwai.settings import parse
from tests.link.harness import BRANCH, reference_consumer
from tests.link.world import Eye, S, World, everything, opened

REPORTER = Reporter(parse({"device": {"site": "ward", "name": "gate-1"}}), load_zone("Asia/Tokyo"))
TINY_BYTES = 50_000
"""The empty tables alone take more than this: whatever may be merged is merged."""

STEPS = ["bin"] * 8 + ["deliver"] * 4 + ["send"] * 3 + ["quiet", "restart", "stop", "jump", "slew", "tidy", "reboot"]


@dataclass
class Walk:
    """A device, its broker and its consumer."""

    path: Path
    data: st.DataObject
    world: World
    counted: list[Gates] = field(default_factory=list)
    waiting: list[Bin] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.eye, self.ledger = Eye(self.world), opened(self.path, self.world)
        self.ledger.greet(self.eye.hello())
        self.consumer: Any = reference_consumer().Consumer(":memory:", lambda *_: None)

    def hear(self, record: Record) -> None:
        self.consumer.take(f"nigiwai/v1/{BRANCH}/counts", REPORTER.counts(record, late=False).to_json())

    def bin(self) -> None:
        self.waiting.append(self.eye.bin(self.data.draw(st.integers(0, 3)), self.data.draw(st.integers(0, 3))))

    def deliver(self) -> None:
        self.ledger.commit(self.waiting)
        if self.data.draw(st.booleans()):
            self.waiting = []

    def send(self) -> None:
        """Some of it is heard, and some of that is acknowledged."""
        for record in self.ledger.pending(limit=self.data.draw(st.integers(1, 8))):
            if heard := self.data.draw(st.booleans()):
                self.hear(record)
            if heard and self.data.draw(st.booleans()):
                self.ledger.acknowledge([record.key], self.world.now().utc_ns)

    def quiet(self) -> None:
        quiet = self.data.draw(st.sampled_from([7, 30, 200, 3 * 86_400]))
        self.world.forward(quiet)
        self.ledger.tick(self.world.now(), quiet * S)

    def restart(self) -> None:
        self.ledger.close()
        self.ledger = opened(self.path, self.world)

    def stop(self) -> None:
        self.ledger.finish()
        self.restart()

    def jump(self) -> None:
        self.world.wrong_ns = self.data.draw(st.sampled_from([0, 3_600, -3_600, 86_400, -94_000_000])) * S
        self.world.synchronised = self.data.draw(st.booleans())
        self.ledger.tick(self.world.now(), 0)

    def slew(self) -> None:
        self.world.wrong_ns += self.data.draw(st.sampled_from([-2, 2, 1])) * S
        self.ledger.tick(self.world.now(), 0)

    def tidy(self) -> None:
        """Hardly any room: what was delivered goes, what was not is merged."""
        rules = self.ledger._rules
        object.__setattr__(self.ledger, "_rules", type(rules)(**{**_fields(rules), "size_bytes": TINY_BYTES}))
        self.ledger.tidy(self.world.now().utc_ns)
        self.ledger._rules = rules

    def reboot(self) -> None:
        self.ledger.commit(self.waiting)
        self.counted, self.waiting = self.counted + self.eye.counted, []
        self.ledger.close()
        name = f"{secrets.token_hex(16)}"
        self.world.reboot(name, off_s=self.data.draw(st.integers(0, 300)))
        self.eye = Eye(self.world, run=name)
        self.ledger = opened(self.path, self.world)
        self.ledger.greet(self.eye.hello())

    def end(self) -> None:
        """Everything that is left is sent, and gaps are asked for as the document says."""
        self.ledger.commit(self.waiting)
        self.ledger.finish()
        for record in everything(self.ledger):
            self.hear(record)
        for epoch, first, last in [*self.consumer.gaps(BRANCH)]:
            for record in self.ledger.span(epoch, first, last):
                self.hear(record)


def _fields(rules: Any) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in rules.__slots__}


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_a_consumer_ends_with_every_passage_once(tmp_path: Path, data: st.DataObject) -> None:
    walk = Walk(tmp_path / f"walk-{secrets.token_hex(8)}", data, World(synchronised=data.draw(st.booleans())))
    walk.ledger._db.execute("PRAGMA synchronous = OFF")
    taken = []
    for _ in range(data.draw(st.integers(5, 60))):
        taken.append(data.draw(st.sampled_from(STEPS)))
        getattr(walk, taken[-1])()
    walk.end()

    expected = {k: list(v) for k, v in sum_gates([*walk.counted, *walk.eye.counted]).items() if v != (0, 0)}
    heard = {k: v for k, v in walk.consumer.sums(BRANCH).items() if v != [0, 0]}
    assert heard == expected, taken
    total = {k: list(v) for k, v in walk.ledger.total().items() if v != (0, 0)}
    assert total == expected, taken
    walk.consumer.db.close()
    walk.ledger.close()
