# SPDX-License-Identifier: Apache-2.0
"""Power is cut at any moment, on a disk that loses whatever was not synced: in part, out of order, torn in sectors.

Every write and sync that the ledger makes is written down (powercut.c), and disks are made of them as a cut could have
left them. A test run makes 150 such disks; NIGIWAI_PROOF=1 makes 5,000.
"""

import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from nigiwai.link.salvage import open_or_salvage
from tests.conftest import PROOF
from tests.link.conftest import RAM
from tests.link.harness import ROOT
from tests.link.world import MINUTE, Eye, S, World, everything, rules, run_minutes, sums

SHIM = Path(__file__).with_name("powercut.c")
CUTS = 5_000 if PROOF else 150
BINS = 480
SECTOR = 512
MARKS = "marks"

WORK = f"""
import os, sys
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "device")!r}]
from tests.link.world import Eye, World, everything, opened
folder = Path(sys.argv[1])
marks = os.open(folder / {MARKS!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
world = World()
eye, ledger = Eye(world), opened(folder, world, size_bytes=60_000)
ledger.greet(eye.hello())
ledger._db.execute("PRAGMA wal_autocheckpoint = 50")
for i in range({BINS}):
    ledger.commit([eye.bin(1, i % 2)])
    os.write(marks, b"%d\\n" % (i + 1))
    if i % 60 == 59:
        ledger.acknowledge([r.key for r in everything(ledger)][:-2], world.true_utc_ns)
    if i % 180 == 179:
        ledger.tidy(world.true_utc_ns)
ledger.close()
"""


@dataclass(frozen=True)
class Call:
    """One call of the process: W, S, T or U."""

    kind: str
    name: str
    at: int = 0
    content: bytes = b""


@dataclass
class Disk:
    """What is on the platter, and what is still on its way there, file by file."""

    synced: dict[str, bytearray] = field(default_factory=dict)
    pending: dict[str, list[Call]] = field(default_factory=dict)

    def take(self, call: Call) -> None:
        if call.kind != "S":
            self.pending.setdefault(call.name, []).append(call)
        elif call.name:
            self._sync(call.name, len(self.pending.get(call.name, [])))
        else:
            for name, waiting in self.pending.items():
                self._sync(name, 1 + max((i for i, c in enumerate(waiting) if c.kind == "U"), default=-1))

    def _sync(self, name: str, count: int) -> None:
        waiting = self.pending.get(name, [])
        for call in waiting[:count]:
            _apply(self.synced, call)
        del waiting[:count]

    def cut(self, chance: random.Random) -> dict[str, bytearray]:
        """The files after a cut: of what was on its way all, nothing, or any of it, the last perhaps torn."""
        files = {name: bytearray(content) for name, content in self.synced.items()}
        share = chance.choice([0.0, 1.0, chance.random()])
        for waiting in self.pending.values():
            for i, call in enumerate(waiting):
                if chance.random() < share:
                    _apply(files, _torn(call, chance) if i == len(waiting) - 1 else call)
        return files


def _apply(files: dict[str, bytearray], call: Call) -> None:
    if call.kind == "U":
        files.pop(call.name, None)
        return
    content = files.setdefault(call.name, bytearray())
    if call.kind == "T":
        del content[call.at :]
        content.extend(bytes(call.at - len(content)))
        return
    content.extend(bytes(max(0, call.at - len(content))))
    content[call.at : call.at + len(call.content)] = call.content


def _torn(call: Call, chance: random.Random) -> Call:
    sectors = len(call.content) // SECTOR
    if call.kind != "W" or sectors < 2 or chance.random() < 0.5:
        return call
    return Call("W", call.name, call.at, call.content[: chance.randrange(1, sectors) * SECTOR])


def _calls(log: bytes) -> Iterator[Call]:
    at = 0

    def number() -> int:
        nonlocal at
        (n,) = struct.unpack_from("=Q", log, at)
        at += 8
        return int(n)

    def text(length: int) -> bytes:
        nonlocal at
        at += length
        return log[at - length : at]

    while at < len(log):
        kind = text(1).decode()
        name = text(number()).decode()
        where = number() if kind in "WT" else 0
        yield Call(kind, name, where, text(number()) if kind == "W" else b"")


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """What the ledger did to its files while it stored forty minutes."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (apt install gcc)")
    folder = tmp_path_factory.mktemp("powercut")
    shim, log, disk = folder / "powercut.so", folder / "log", folder / "disk"
    disk.mkdir()
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, SHIM, "-ldl", "-lpthread"], check=True)
    environment = {"LD_PRELOAD": str(shim), "POWERCUT_FOLDER": str(disk), "POWERCUT_LOG": str(log)}
    subprocess.run([sys.executable, "-c", WORK, disk], check=True, env={**os.environ, **environment}, timeout=250)
    return list(_calls(log.read_bytes()))


def test_what_was_written_down_makes_the_files_again(calls: list[Call], tmp_path: Path) -> None:
    disk = Disk()
    for call in calls:
        disk.take(call)
    files = disk.cut(random.Random(0))  # noqa: S311

    (tmp_path / "ledger.db").write_bytes(files["ledger.db"])
    ledger, salvaged = open_or_salvage(tmp_path / "ledger.db", rules(), World().now())

    assert not salvaged
    assert ledger.total() == {"door": (BINS, BINS // 2)}
    assert [c for c in calls if c.kind == "S"]
    ledger.close()


@pytest.mark.slow
@pytest.mark.timeout(60 + CUTS)
def test_no_cut_loses_a_committed_bin_or_damages_the_file(calls: list[Call]) -> None:
    chance = random.Random(20261123)  # noqa: S311
    cuts = sorted(chance.randrange(len(calls)) for _ in range(CUTS))
    folder = (RAM if RAM.is_dir() else Path("/tmp")) / f"nigiwai-cut-{os.getpid()}"
    disk, marked, at = Disk(), 0, 0
    try:
        for cut in cuts:
            for call in calls[at : cut + 1]:
                marked = int(call.content) if call.name == MARKS and call.kind == "W" else marked
                disk.take(call)
            at = cut + 1
            folder.mkdir()
            for name, content in disk.cut(chance).items():
                if name.endswith((".db", "-wal", "-journal")):
                    (folder / name).write_bytes(content)
            _assert_whole(folder, marked)
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _assert_whole(folder: Path, marked: int) -> None:
    """The file opens as it is; all that was committed is there, or that and the commit that was under way."""
    world = World(boot_ns=marked * 5 * S)
    ledger, salvaged = open_or_salvage(folder / "ledger.db", rules(), world.now())
    total = ledger.total().get("door", (0, 0))
    assert not salvaged
    assert total in ((marked, marked // 2), (marked + 1, (marked + 1) // 2))
    assert sums(everything(ledger)).get("door", (0, 0))[0] <= total[0]
    ledger.close()


def test_the_time_of_a_cut_is_blind_and_said_so(tmp_path: Path) -> None:
    """The bin that was open is all that is lost; the time until eye counts again is not zero but unseen."""
    world = World()
    eye = Eye(world)
    ledger, _ = open_or_salvage(tmp_path / "ledger.db", rules(), world.now())
    ledger.tick(world.now(), 0)
    ledger.greet(eye.hello())
    run_minutes(ledger, eye, [(4, 2)] * 3)
    shutil.copytree(tmp_path, tmp_path.with_name(tmp_path.name + "-cut"))
    ledger.close()
    world.reboot("c" * 32, off_s=95)
    cut = tmp_path.with_name(tmp_path.name + "-cut") / "ledger.db"

    ledger, salvaged = open_or_salvage(cut, rules(), world.now())
    ledger.tick(world.now(), 0)
    again = Eye(world, run="f" * 32)
    ledger.greet(again.hello())
    run_minutes(ledger, again, [(1, 1)] * 3)

    records = sorted(everything(ledger), key=lambda r: r.interval.end_ns)
    assert not salvaged
    assert sum(r.interval.blind_ns for r in records) == 95 * S
    assert all(a.interval.end_ns == b.interval.start_ns for a, b in pairwise(records))
    assert records[-1].interval.end_ns - (records[0].interval.start_ns or 0) <= 6 * MINUTE + 95 * S
    assert ledger.total() == {"door": (15, 9)}
    ledger.close()
    shutil.rmtree(cut.parent)
