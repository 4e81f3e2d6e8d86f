# SPDX-License-Identifier: Apache-2.0
"""The learnt view over a restart of eye: what is kept, for which gates, and the service itself, restarted."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.door.listener import Listener
from nigiwai.door.records import Ack, Bin, Flag, Hello
from nigiwai.eye.cameras.opencv import cv2
from nigiwai.eye.keepsake import VIEW_NAME, Keepsake, open_keepsake
from nigiwai.eye.known_view import KEEP_NS, Kept, KnownView, encode, maybe_decode
from nigiwai.eye.types import Frame
from nigiwai.settings import Settings, parse
from tests.eye.test_watch import OTHER, ROOM

S = 1_000_000_000
RNG = np.random.default_rng(3)


@pytest.fixture
def memory() -> Iterator[Keepsake]:
    kept = open_keepsake({}, VIEW_NAME)
    yield kept
    kept.close()


def settings_of(line_at: float, camera: str = "/dev/video0") -> Settings:
    gate = {"name": "door", "line": [[0.0, line_at], [1.0, line_at]], "inside": [0.5, 0.1]}
    return parse({"gate": [gate], "camera": {"source": "v4l2", "device": camera}})


def picture(room: NDArray[np.float32]) -> NDArray[np.uint8]:
    grey = np.clip(room * 255 + RNG.normal(0, 1.5, room.shape), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def look(view: KnownView, room: NDArray[np.float32], begin_s: int, seconds: int) -> tuple[Flag, ...]:
    """The flags after so many seconds of that room; what is learnt is kept."""
    for i in range(seconds * 5):
        at = BootNs(begin_s * S + i * S // 5)
        view.lookout.needs_detector(Frame(picture(room), at), ())
        view.keep(at)
    return view.lookout.flags


def after(memory: Keepsake, settings: Settings) -> KnownView:
    """Eye started again: it reads the same memory."""
    return KnownView(Keepsake(os.dup(memory._fd)), settings)


def test_edges_survive_being_kept() -> None:
    edges = RNG.uniform(-1, 1, (54, 96)).astype(np.float32)
    back = maybe_decode(encode(Kept(b"a" * 32, b"b" * 32, edges)))
    assert back is not None
    assert (back.filed, back.in_force) == (b"a" * 32, b"b" * 32)
    assert np.abs(back.edges - edges).max() <= 0.5 / 127 + 1e-6


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 5_000])
def test_memory_of_another_version_is_no_view(content: bytes) -> None:
    assert maybe_decode(content) is None


def test_nothing_is_kept_before_it_is_learnt(memory: Keepsake) -> None:
    look(KnownView(memory, settings_of(0.5)), ROOM, 100, 5)
    assert Keepsake(memory._fd).content == b""


def test_a_turned_camera_is_unconfirmed_after_a_restart_until_it_is_put_back(memory: Keepsake) -> None:
    assert look(KnownView(memory, settings_of(0.5)), ROOM, 100, 20) == ()
    again = after(memory, settings_of(0.5))
    assert look(again, OTHER, 200, 30) == (Flag.UNCONFIRMED,)
    assert look(again, ROOM, 230, 30) == ()


def test_what_was_turned_is_not_kept_as_the_right_view(memory: Keepsake) -> None:
    look(KnownView(memory, settings_of(0.5)), ROOM, 100, 20)
    look(after(memory, settings_of(0.5)), OTHER, 200, 3 * KEEP_NS // S)
    assert look(after(memory, settings_of(0.5)), ROOM, 400, 30) == ()


@pytest.mark.parametrize("filed", [settings_of(0.6), settings_of(0.5, "/dev/video2")], ids=["gate", "camera"])
def test_gates_or_camera_changed_in_the_file_begin_anew(memory: Keepsake, filed: Settings) -> None:
    look(KnownView(memory, settings_of(0.5)), ROOM, 100, 20)
    assert look(after(memory, filed), OTHER, 200, 20) == ()


def test_gates_that_link_hands_over_again_are_not_taken_for_new_ones(memory: Keepsake) -> None:
    """The file says one gate, staff drew another: link hands theirs over after a restart, which accepts no view."""
    filed, drawn = settings_of(0.5), settings_of(0.7).gate
    first = KnownView(memory, filed)
    first.change_gates(drawn)
    assert look(first, ROOM, 100, 20) == ()
    again = after(memory, filed)
    again.change_gates(drawn)
    assert look(again, OTHER, 200, 30) == (Flag.UNCONFIRMED,)


def test_gates_that_staff_draws_anew_make_the_present_view_the_right_one(memory: Keepsake) -> None:
    view = KnownView(memory, settings_of(0.5))
    look(view, ROOM, 100, 20)
    assert look(view, OTHER, 120, 20) == (Flag.MOVED,)
    view.change_gates(settings_of(0.8).gate)
    assert look(view, OTHER, 140, 20) == ()
    again = after(memory, settings_of(0.5))
    again.change_gates(settings_of(0.8).gate)
    assert look(again, OTHER, 200, 30) == ()


# --- the service itself, with systemd's side played ----------------------------------------------------------------

RUN = (
    "import os, sys; os.environ['FD'] and os.dup2(int(os.environ['FD']), 3);"
    "os.environ['LISTEN_PID'] = str(os.getpid());"
    "os.execv(sys.executable, [sys.executable, '-m', 'nigiwai', 'eye', '--settings', sys.argv[1]])"
)


def film(path: Path, room: NDArray[np.float32]) -> None:
    """20 s at 8 frames a second, nobody in it."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 8.0, (ROOM.shape[1], ROOM.shape[0]))
    for _ in range(160):
        writer.write(picture(room))
    writer.release()


def eye_run(folder: Path, memory: int | None) -> list[Bin]:
    """What one run of eye tells link over the film, given what systemd kept."""
    listener, bins = Listener(folder / "door.sock"), list[Bin]()
    kept = {"FD": "" if memory is None else str(memory), "NOTIFY_SOCKET": str(folder / "notify")}
    environment = {**os.environ, **kept, "LISTEN_FDNAMES": VIEW_NAME if memory is not None else "", "LISTEN_FDS": "1"}
    eye = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder / "nigiwai.toml")],
        env=environment,
        pass_fds=() if memory is None else (memory,),
        stdout=subprocess.DEVNULL,
    )
    run = ""
    while eye.poll() is None:
        for connection, record in listener.poll(0.1):
            if isinstance(record, Hello):
                run = record.run
            if isinstance(record, Bin):
                bins.append(record)
                listener.send(connection, Ack(run=run, sequence=record.sequence))
    listener.close()
    assert eye.returncode == 0
    return bins


def handed_over(systemd: socket.socket) -> int:
    """The descriptor of the view among what eye told systemd."""
    found = None
    systemd.setblocking(False)
    try:
        while True:
            said, fds, *_ = socket.recv_fds(systemd, 4_096, 4)
            if f"FDNAME={VIEW_NAME}" in said.decode():
                found = fds[0]
    except BlockingIOError:
        assert found is not None
        return found


def test_eye_started_again_before_another_view_says_that_it_is_unconfirmed(tmp_path: Path) -> None:
    (tmp_path / "nigiwai.toml").write_text(
        f'[camera]\nsource = "recording"\npath = "film.avi"\npace = "fast"\n[door]\nsocket = "{tmp_path}/door.sock"\n'
        '[[gate]]\nname = "door"\nline = [[0.0, 0.75], [1.0, 0.75]]\ninside = [0.5, 0.4]\n'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        systemd.bind(str(tmp_path / "notify"))
        film(tmp_path / "film.avi", ROOM)
        learning = eye_run(tmp_path, None)
        memory = handed_over(systemd)
    film(tmp_path / "film.avi", OTHER)
    turned = eye_run(tmp_path, memory)
    film(tmp_path / "film.avi", ROOM)
    same = eye_run(tmp_path, memory)
    os.close(memory)
    assert Flag.UNCONFIRMED in learning[0].flags
    assert Flag.UNCONFIRMED not in learning[-1].flags
    assert all(Flag.UNCONFIRMED in b.flags for b in turned)
    assert Flag.UNCONFIRMED not in same[-1].flags
