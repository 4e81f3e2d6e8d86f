# SPDX-License-Identifier: Apache-2.0
"""A broker that speaks nonsense: link lives, its log stays short, and what was counted reaches a sound one."""

import random
import signal
import socket
import struct
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.conftest import PROOF
from tests.link.harness import BRANCH, Broker, Ear, FakeEye, Link, wait_for

VISITS = 300 if PROOF else 10
CONNACK = b"\x20\x03\x00\x00\x00"
TOPIC = f"nigiwai/v1/{BRANCH}/request/resend".encode()


def _nonsense(chance: random.Random) -> bytes:
    """Packets with a wrong length, a wrong kind, properties that are none, topics that are no text."""
    match chance.randrange(6):
        case 0:
            return chance.randbytes(chance.randint(1, 200))
        case 1:
            return bytes([chance.randrange(256), chance.randrange(128)]) + chance.randbytes(120)
        case 2:
            return b"\x32" + b"\xff\xff\xff\xff\xff" + chance.randbytes(10)
        case 3:
            properties = chance.randbytes(chance.randint(1, 60))
            body = struct.pack("!H", len(TOPIC)) + TOPIC + b"\x00\x01" + bytes([len(properties)]) + properties
            return b"\x32" + bytes([len(body) % 128]) + body
        case 4:
            return b"\x30\x06" + struct.pack("!H", 3) + b"\xff\xfe\xfd" + b"\x00"
        case _:
            return b"\x40\x04" + chance.randbytes(4) + b"\x90\x02\x00\x00"


class Nonsense:
    """Accepts, greets, and talks nonsense until it is hung up on, or hangs up."""

    def __init__(self) -> None:
        self.visits = 0
        self._chance = random.Random(23)  # noqa: S311
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                visitor, _ = self._listening.accept()
                visitor.settimeout(0.2)
                self.visits += 1
                with suppress(OSError), visitor:
                    visitor.recv(4_096)
                    if self._chance.random() < 0.9:
                        visitor.sendall(CONNACK)
                    for _ in range(self._chance.randint(1, 20)):
                        visitor.sendall(_nonsense(self._chance))
                        with suppress(TimeoutError):
                            visitor.recv(65_536)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@pytest.mark.slow
@pytest.mark.timeout(200 + 10 * VISITS)
def test_a_broker_that_speaks_nonsense_costs_nothing(broker: Broker, tmp_path: Path, started: ExitStack) -> None:
    nonsense = Nonsense()
    started.callback(nonsense.close)
    fallback = f'fallback = [{", ".join([f"""{{host = "127.0.0.1", port = {nonsense.port}}}"""] * 4)}]'  # no pauses
    broker.stop()
    link = Link(tmp_path, nonsense.port, interval_s=5, mqtt=fallback)
    started.callback(link.stop, signal.SIGKILL)
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    link.start()

    def visited() -> bool:
        if eye.pump() < 20:
            eye.count(1, 1)
        assert link.process is not None
        assert link.process.poll() is None, link.log()
        return nonsense.visits >= VISITS

    wait_for(visited, "visits", 120 + 8 * VISITS)
    eye.deliver()
    assert link.stop() == 0
    assert "Traceback" not in link.log()
    assert len(link.log()) < 4_000 + 300 * nonsense.visits
    link.settings.write_text(link.settings.read_text().replace(f"port = {nonsense.port}", f"port = {broker.port}"))
    broker.start()
    ear = Ear(broker.port)
    started.callback(ear.close)
    link.start()
    wait_for(lambda: ear.messages("totals"), "the sound broker")
    assert ear.messages("totals")[-1]["total"] == {"door": {"in": eye.entered, "out": eye.left}}
    assert not any(m["refused_records"] for m in ear.messages("health"))
