# SPDX-License-Identifier: Apache-2.0
"""What waits in link while the disk takes nothing is stored when it does, whatever became of eye meanwhile."""

import time
from pathlib import Path

from nigiwai.link.keeper import RETRY_S, Keeper
from nigiwai.link.report import Reporter
from nigiwai.link.status.board import Board
from nigiwai.link.zone import load_zone
from nigiwai.settings import parse
from tests.link.harness import wait_for
from tests.link.test_wire import Door
from tests.link.world import Eye, World, opened


def test_bins_of_an_eye_that_was_started_anew_before_the_disk_healed_are_stored(tmp_path: Path) -> None:
    world = World()
    gate = {"name": "door", "line": [[0.0, 0.75], [1.0, 0.75]], "inside": [0.5, 0.4]}
    settings = parse({"gate": [gate], "ledger": {"path": tmp_path / "ledger.db"}})
    ledger, door = opened(tmp_path, world), Door()
    reporter = Reporter(settings, load_zone("UTC"))
    keeper = Keeper(settings, door, ledger, None, reporter, Board(), world.now)  # type: ignore[arg-type]
    first, second = Eye(world), Eye(world, run="f" * 32)
    ledger._db.execute("PRAGMA query_only = ON")
    door.records = [(1, first.hello()), (1, first.bin(4, 0))]
    keeper.step(0.0)
    door.records = [(2, second.hello()), (2, second.bin(3, 1))]
    keeper.step(0.0)
    assert door.acked == 0

    ledger._db.execute("PRAGMA query_only = OFF")
    begun_s = time.monotonic()
    wait_for(lambda: (keeper.step(0.0), door.acked)[1] == 2, "both bins to be stored")

    assert ledger.total() == {"door": (7, 1)}
    assert time.monotonic() - begun_s < 30 * RETRY_S
    ledger.close()
