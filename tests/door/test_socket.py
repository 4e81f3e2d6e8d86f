# SPDX-License-Identifier: Apache-2.0
"""Both ends of the door over a real socket."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nigiwai.door.allowance import RATES, Allowance
from nigiwai.door.buffer import WINDOW
from nigiwai.door.caller import Caller
from nigiwai.door.codec import encode
from nigiwai.door.listener import Listener
from nigiwai.door.records import Ack, Bin, Hello
from nigiwai.errors import DoorError
from tests.door.test_codec import a_bin, a_hello


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "door.sock"


@pytest.fixture
def listener(path: Path) -> Iterator[Listener]:
    listener = Listener(path)
    yield listener
    listener.close()


def take(listener: Listener, *, until: Callable[[list[object]], bool]) -> list[tuple[int, object]]:
    received: list[tuple[int, object]] = []
    for _ in range(200):
        received += listener.poll(0.02)
        if until([r for _, r in received]):
            return received
    raise AssertionError(f"only {len(received)} records came")


def raw(path: Path) -> socket.socket:
    calling = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    calling.connect(str(path))
    return calling


def test_bins_reach_link_and_are_forgotten_when_acknowledged(path: Path, listener: Listener) -> None:
    caller = Caller(path, a_hello())
    for i in (1, 2, 3):
        caller.add(a_bin(i))
    caller.update(0.0)
    received = take(listener, until=lambda rs: len(rs) == 4)
    assert [type(r) for _, r in received] == [Hello, Bin, Bin, Bin]
    assert listener.connected
    for number, record in received[1:]:
        assert isinstance(record, Bin)
        listener.send(number, Ack(run=record.run, sequence=record.sequence))
    caller.update(0.1)
    assert caller.unacknowledged == 0
    caller.close()


def test_counting_goes_on_without_link_and_nothing_is_lost_when_it_comes_back(path: Path) -> None:
    caller = Caller(path, a_hello())
    caller.add(a_bin(1))
    caller.update(0.0)
    first = Listener(path)
    caller.update(10.0)
    take(first, until=lambda rs: len(rs) == 2)
    first.close()  # link dies before it has committed
    caller.add(a_bin(2))
    caller.update(20.0)
    second = Listener(path)
    caller.update(30.0)
    received = take(second, until=lambda rs: len(rs) == 3)
    assert [r.sequence for _, r in received if isinstance(r, Bin)] == [1, 2]
    caller.close()
    second.close()


def test_a_malformed_record_ends_the_connection_and_is_counted(path: Path, listener: Listener) -> None:
    calling = raw(path)
    calling.send(encode(a_hello()))
    calling.send(b'{"kind":"bin","image":"..."}')
    take(listener, until=lambda rs: len(rs) == 1)
    listener.poll(0.02)
    assert listener.refused == 1
    assert not listener.connected
    calling.close()


def test_nothing_is_taken_from_one_that_does_not_say_hello(path: Path, listener: Listener) -> None:
    calling = raw(path)
    calling.send(encode(a_bin()))
    for _ in range(3):
        assert listener.poll(0.02) == []
    assert listener.refused == 1
    calling.close()


def test_a_new_eye_replaces_the_old_one(path: Path, listener: Listener) -> None:
    old, new = raw(path), None
    old.send(encode(a_hello()))
    ((number, _),) = take(listener, until=lambda rs: len(rs) == 1)
    new = raw(path)
    new.send(encode(a_hello()))
    ((newer, _),) = take(listener, until=lambda rs: len(rs) == 1)
    assert newer != number
    assert old.recv(100) == b""
    old.close()
    new.close()


def test_more_than_the_allowance_waits_in_the_socket(path: Path, listener: Listener) -> None:
    burst = int(RATES["bin"][0])
    calling = raw(path)
    calling.send(encode(a_hello()))
    for i in range(1, burst + 4):
        calling.send(encode(a_bin(i)))
    received = take(listener, until=lambda rs: len(rs) >= 1 + burst)
    assert len(received) == 1 + burst
    # The rest comes as the allowance grows, in order and unharmed.
    rest = take(listener, until=lambda rs: len(rs) == 3)
    assert [r.sequence for _, r in rest if isinstance(r, Bin)] == [burst + 1, burst + 2, burst + 3]
    calling.close()


def test_an_allowance_grows_with_time_up_to_its_burst() -> None:
    allowance = Allowance(burst=2, per_s=0.5)
    assert [allowance.take(0.0) for _ in range(3)] == [True, True, False]
    assert allowance.wait_s(0.0) == 2.0
    assert allowance.take(2.0)
    assert [allowance.take(100.0) for _ in range(3)] == [True, True, False]


def test_a_second_link_is_refused_and_a_leftover_socket_is_not(path: Path) -> None:
    first = Listener(path)
    with pytest.raises(DoorError, match="another link"):
        Listener(path)
    first.close()
    path.touch()  # what a link that was killed leaves behind
    Listener(path).close()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DoorError, match=r"door\.socket.*cannot listen"):
        Listener(tmp_path / "file" / "door.sock")


def test_a_window_of_bins_fits_the_kernels_buffer(path: Path, listener: Listener) -> None:
    caller = Caller(path, a_hello())
    for i in range(1, 100):
        caller.add(a_bin(i))
    caller.update(0.0)
    received = take(listener, until=lambda rs: len(rs) == 1 + WINDOW)
    assert len(received) == 1 + WINDOW
    caller.close()
