# SPDX-License-Identifier: Apache-2.0
"""From frames to released tables, over restarts, kills and the end of an event."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nigiwai.clock import BootNs
from nigiwai.door.tables import TraitTable
from nigiwai.eye.ground import Ground, given
from nigiwai.eye.keepsake import MOST_BYTES, NAME, SIZE_BYTES, Keepsake, open_keepsake
from nigiwai.eye.passers import SETTLE_S
from nigiwai.eye.tally import QUARTER_MS
from nigiwai.eye.traits import Traits, ground_of
from nigiwai.eye.types import Crossing, Direction
from nigiwai.eye.view import View
from nigiwai.settings import parse

RUN = "0" * 31 + "1"
SIZE = (640, 384)
MS = 1_000_000
QUARTER = QUARTER_MS * MS
SETTLE = round(SETTLE_S * 1e9)


def ground(size: tuple[int, int]) -> Ground:
    return given(View(2.8, 30.0, 75.0, size))


def traits(kept: bytes = b"", run: str = RUN) -> Traits:
    return Traits(run, 10, ground, kept)


def pass_by(eye: Traits, people: int, at: int, direction: Direction = Direction.IN) -> list[TraitTable]:
    """So many unknown people are counted in one frame."""
    crossings = [Crossing("door", direction, BootNs(at))] * people
    return eye.see([], crossings, range(people), SIZE, BootNs(at))


def test_nothing_is_told_before_everybody_is_settled() -> None:
    eye = traits()
    assert eye.tick(BootNs(0)) == []
    pass_by(eye, 60, QUARTER - MS)
    assert eye.tick(BootNs(QUARTER + MS)) == []
    (table,) = eye.tick(BootNs(QUARTER - MS + SETTLE))
    assert (table.direction, table.people, table.end_ms) == ("in", 60, QUARTER_MS)
    assert [b[3] for b in table.blocks] == [60]


def test_a_restart_goes_on_where_it_was_and_a_kill_makes_who_waited_unknown() -> None:
    before = traits()
    before.tick(BootNs(0))
    pass_by(before, 30, MS)
    before.tick(BootNs(MS + SETTLE))
    pass_by(before, 25, 10 * SETTLE)  # counted, not settled: killed here
    after = traits(before.state([]), run="0" * 31 + "2")
    (table,) = after.tick(BootNs(QUARTER + 1))
    assert (table.people, table.start_ms, table.run[-1], table.number) == (55, 0, "2", 1)


def test_tables_that_link_has_not_taken_survive_the_restart() -> None:
    eye = traits()
    eye.tick(BootNs(0))
    pass_by(eye, 60, MS)
    tables = eye.tick(BootNs(QUARTER + 1))
    assert traits(eye.state(tables)).left_over == tuple(tables)


@pytest.mark.parametrize(
    "kept", [b"", b"\xff\x00", b"[]", b'{"form":99}', b'{"form":1}', b'{"form":1,"sheets":{"in":5}}']
)
def test_a_state_that_cannot_be_read_is_as_none(kept: bytes) -> None:
    eye = traits(kept)
    eye.tick(BootNs(0))
    assert eye.left_over == ()
    assert pass_by(eye, 1, MS) == []


def test_the_end_of_an_event_tells_or_withholds_everybody() -> None:
    eye = traits()
    eye.tick(BootNs(0))
    pass_by(eye, 12, MS)
    pass_by(eye, 3, 2 * MS, Direction.OUT)
    came, went = eye.end(BootNs(QUARTER + MS))
    assert (came.direction, came.people, [b[3] for b in came.blocks]) == ("in", 12, [12])
    assert (went.direction, went.people, went.blocks) == ("out", 3, ())


def test_a_change_of_the_pictures_size_loses_nobody() -> None:
    eye = traits()
    eye.tick(BootNs(0))
    pass_by(eye, 20, MS)
    crossings = [Crossing("door", Direction.IN, BootNs(2 * MS))] * 5
    eye.see([], crossings, range(5), (320, 192), BootNs(2 * MS))
    assert [t.people for t in eye.end(BootNs(QUARTER + MS))] == [25]


def test_the_state_stays_small_and_holds_no_person() -> None:
    eye = traits()
    eye.tick(BootNs(0))
    for i in range(100):
        pass_by(eye, 5, (i + 1) * 1_000 * MS)
    eye.tick(BootNs(101_000 * MS + SETTLE))
    state = eye.state([])
    assert len(state) < 2_000
    assert set(json.loads(state)) == {"form", "sheets", "waiting", "tables"}


def test_without_a_measured_view_or_switched_off_nothing_is_estimated() -> None:
    view = {"height_m": 2.8, "tilt_deg": 30.0, "fov_deg": 75.0}
    assert ground_of(parse({})) is None
    assert ground_of(parse({"view": view, "traits": {"enabled": False}})) is None
    made = ground_of(parse({"view": view}))
    assert made is not None
    assert made(SIZE).view == View(2.8, 30.0, 75.0, SIZE)


@pytest.fixture
def memory() -> Iterator[Keepsake]:
    kept = open_keepsake({})
    yield kept
    kept.close()


def test_what_was_written_last_is_read_again(memory: Keepsake) -> None:
    assert memory.content == b""
    for content in (b"one", b"two", b"three"):
        memory.write(content)
        assert Keepsake(memory._fd).content == content


def test_a_write_that_was_cut_off_leaves_the_state_before(memory: Keepsake) -> None:
    memory.write(b"whole")
    memory.write(b"cut off")
    os.pwrite(memory._fd, b"\x00\x00", SIZE_BYTES // 2 * (memory._serial % 2) + 18)
    assert Keepsake(memory._fd).content == b"whole"


def test_the_memory_is_sealed_and_bounded(memory: Keepsake) -> None:
    seals = fcntl.fcntl(memory._fd, fcntl.F_GET_SEALS)
    assert seals & fcntl.F_SEAL_GROW
    assert seals & fcntl.F_SEAL_SHRINK
    with pytest.raises(PermissionError):
        os.ftruncate(memory._fd, 2 * SIZE_BYTES)
    with pytest.raises(ValueError, match="fit"):
        memory.write(b"x" * (MOST_BYTES + 1))


def test_systemd_is_handed_the_memory_and_gives_it_back(tmp_path: Path) -> None:
    """systemd's side played by a socket and by a child that inherits the descriptor as number 3."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        kept = open_keepsake({"NOTIFY_SOCKET": address})
        said, fds, *_ = socket.recv_fds(systemd, 256, 1)
    assert said.decode().splitlines() == ["FDSTORE=1", f"FDNAME={NAME}"]
    kept.write(b"carried over")
    kept.close()
    code = (
        "import os; os.dup2(int(os.environ['FD']), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        "from nigiwai.eye.keepsake import open_keepsake; print(open_keepsake().content.decode())"
    )
    environment = {**os.environ, "FD": str(fds[0]), "LISTEN_FDNAMES": NAME, "LISTEN_FDS": "1", "PYTHONPATH": "device"}
    child = subprocess.run(
        [sys.executable, "-c", code], env=environment, pass_fds=fds, capture_output=True, text=True, check=True
    )
    os.close(fds[0])
    assert child.stdout.strip() == "carried over"
