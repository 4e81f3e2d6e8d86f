# SPDX-License-Identifier: Apache-2.0
"""Real parts for link's tests: Mosquitto, link as a process, eye's end of the door, and the reference consumer."""

import contextlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from nigiwai import clock
from nigiwai.door.caller import Caller
from nigiwai.door.records import Bin, CameraKind, GateCount, Hello
from nigiwai.lab.broker import mosquitto

ROOT = Path(__file__).resolve().parents[2]
SITE, DEVICE = "ward", "gate-1"
BRANCH = f"{SITE}/{DEVICE}"
STEP_S = 0.02


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    """The first true value of `condition`; fails naming `what` when the deadline has passed."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:.0f} s for {what}")
        threading.Event().wait(STEP_S)
    return value


def lasting_port() -> int:
    """A free port below those that systems hand out by themselves (from 32,768 on Linux), so that nobody takes it while
    a test has its owner stopped.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), contextlib.closing(socket.create_server(("127.0.0.1", port))):
            return port
    pytest.fail("no port is free between 20000 and 32000")


class Broker:
    """A real Mosquitto on a port of its own, which can be stopped, killed and started again."""

    def __init__(self, folder: Path, config: str = "", port: int = 0) -> None:
        program = mosquitto()
        if program is None:
            pytest.skip("Mosquitto is not installed (apt install mosquitto)")
        self.port = port or lasting_port()
        self._folder = folder
        path = folder / "mosquitto.conf"
        path.write_text(config or self._plain(), encoding="utf-8")
        self._command = [program, "-c", str(path)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _plain(self) -> str:
        return (
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {self._folder}/\nautosave_interval 1\nautosave_on_changes true\n"
            "max_queued_messages 0\nmax_inflight_messages 100\nuser root\n"
        )

    def start(self) -> None:
        log = (self._folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        log.close()
        wait_for(self._listens, "Mosquitto to listen")

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
        with contextlib.suppress(OSError), contextlib.closing(_connected(self.port)):
            return True
        return False

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(10)
            self._process = None


def _connected(port: int) -> Any:
    return socket.create_connection(("127.0.0.1", port), timeout=1)


SETTINGS = """\
[device]
site = "{site}"
name = "{device}"
[door]
socket = "{folder}/door.sock"
[ledger]
path = "{folder}/ledger.db"
interval_s = {interval_s}
[page]
enabled = {page}
port = {page_port}
[[gate]]
name = "door"
line = [[0.0, 0.75], [1.0, 0.75]]
inside = [0.5, 0.4]
[mqtt]
host = "127.0.0.1"
port = {port}
{mqtt}
"""


class Link:
    """link as a process."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        interval_s: int = 60,
        mqtt: str = "",
        page_port: int = 0,
        device: str = DEVICE,
    ) -> None:
        self.folder = folder
        self.page_port = page_port or lasting_port()
        self.settings = folder / "nigiwai.toml"
        text = SETTINGS.format(
            site=SITE,
            device=device,
            folder=folder,
            interval_s=interval_s,
            port=port,
            mqtt=mqtt,
            page="true" if page_port >= 0 else "false",
            page_port=max(1, self.page_port),
        )
        tomllib.loads(text)
        self.settings.write_text(text, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "door.sock"

    def start(self) -> None:
        log = (self.folder / "link.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nigiwai", "link", "--settings", str(self.settings)],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT / "device"), "PYTHONFAULTHANDLER": "1"},
        )
        log.close()

    def log(self) -> str:
        path = self.folder / "link.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(sign)
        code = self.process.wait(60)
        self.process = None
        return code


class FakeEye:
    """Eye's real end of the door, counting as it is told; the bins lie one after the other in boot time."""

    def __init__(self, socket: Path) -> None:
        self.run = secrets.token_hex(16)
        self._hello = Hello(
            run=self.run,
            boot=clock.boot_id(),
            version="0.1.0",
            model="test",
            model_sha256="0" * 64,
            settings_sha256="0" * 64,
            camera=CameraKind.RECORDING,
        )
        self.caller = Caller(socket, self._hello)
        self._start_ms = clock.boot_ns() // 1_000_000
        self._sequence = 0
        self.entered = 0
        self.left = 0

    @property
    def counted(self) -> int:
        """How many bins there were so far."""
        return self._sequence

    def count(self, entered: int = 1, left: int = 0) -> None:
        """One bin."""
        self._sequence += 1
        self.entered += entered
        self.left += left
        self.caller.add(
            Bin(
                run=self.run,
                sequence=self._sequence,
                first_sequence=self._sequence,
                start_ms=self._start_ms,
                length_ms=5_000,
                blind_ms=0,
                gates=(GateCount(gate="door", entered=entered, left=left),),
                flags=(),
            )
        )
        self._start_ms += 5_000

    def pump(self) -> int:
        """Sends and reads; how many bins are not acknowledged."""
        self.caller.update(time.monotonic())
        return self.caller.unacknowledged

    def deliver(self, at_most: int = 0) -> None:
        """Until link has all but `at_most`."""
        wait_for(lambda: self.pump() <= at_most, "link to acknowledge the bins", 120)

    def close(self) -> None:
        self.caller.close()


@dataclass
class Ear:
    """A client of the broker that keeps everything it hears."""

    port: int
    pattern: str = "nigiwai/#"
    client_id: str = "ear"
    version5: bool = True
    persistent: bool = False
    on: Callable[[str, bytes], None] | None = None
    tls: tuple[Path, Path, Path] | None = None
    heard: list[tuple[str, bytes, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        protocol = mqtt.MQTTv5 if self.version5 else mqtt.MQTTv311
        clean = None if self.version5 else not self.persistent
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, self.client_id, clean_session=clean, protocol=protocol
        )
        self.subscribed = threading.Event()
        self.client.on_connect = lambda c, *_: c.subscribe(self.pattern, qos=1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda _c, _d, m: self._take(m)
        if self.tls is not None:
            self.client.tls_set(*map(str, self.tls))
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert self.subscribed.wait(10)

    def _take(self, message: mqtt.MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload), bool(message.retain)))
        if self.on is not None:
            self.on(message.topic, bytes(message.payload))

    def messages(self, leaf: str) -> list[dict[str, Any]]:
        return [json.loads(p) for t, p, _ in list(self.heard) if t == f"nigiwai/v1/{BRANCH}/{leaf}" and p]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def reference_consumer() -> ModuleType:
    """docs/consumer.py, as a reader of the document would run it."""
    spec = spec_from_file_location("consumer", ROOT / "docs" / "consumer.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def records_of(consumer: Any, branch: str) -> list[dict[str, Any]]:
    """The records that count, as the reference consumer finds them."""
    rows = consumer.db.execute(consumer.take.__globals__["LIVE"], (branch,)).fetchall()
    return [json.loads(body) for (body,) in rows]


@contextlib.contextmanager
def consuming(folder: Path, port: int) -> Iterator[tuple[Any, Ear]]:
    """The reference consumer with a persistent session on that broker."""

    def ask(topic: str, request: dict[str, object]) -> None:
        ear.client.publish(topic, json.dumps(request), qos=1)

    consumer = reference_consumer().Consumer(str(folder / "consumer.db"), ask)
    consumer.ask_for_gaps.__func__.__defaults__ = (1.0,)
    lock = threading.Lock()

    def take(topic: str, payload: bytes) -> None:
        with lock:
            consumer.take(topic, payload)

    ear = Ear(port, "nigiwai/v1/+/+/#", "consumer", version5=False, persistent=True, on=take)
    consumer.lock = lock
    try:
        yield consumer, ear
    finally:
        ear.close()
        consumer.db.close()
