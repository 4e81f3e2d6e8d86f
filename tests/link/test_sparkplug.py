# SPDX-License-Identifier: Apache-2.0
"""Sparkplug B is decoded by a host that knows nothing of Nigiwai: pysparkplug, in an environment of its own."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nigiwai.errors import SettingsError
from nigiwai.link.mqtt import sparkplug
from nigiwai.settings import parse
from tests.conftest import ROOT
from tests.link.harness import DEVICE, SITE, Broker, FakeEye, Link, wait_for

HOST = "pysparkplug==0.6.1"
ENVIRONMENT = ROOT / ".venv" / "sparkplug-host"
pytest.importorskip("google.protobuf", reason="protobuf is not installed (pip install 'nigiwai[sparkplug]')")


@pytest.fixture(scope="session")
def host_python() -> Path:
    """The host's own Python; it needs an older paho than we do."""
    python = ENVIRONMENT / "bin" / "python"
    if python.exists() and _runs(python, "-c", "import pysparkplug"):
        return python
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", HOST]
    if not _runs(Path(sys.executable), "-m", "venv", str(ENVIRONMENT)) or not _runs(python, *pip):
        pytest.skip(f"{HOST} cannot be installed here")
    return python


def _runs(*command: str | Path) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


class Host:
    """The host as a process, and what it decoded."""

    def __init__(self, python: Path, port: int) -> None:
        command = [python, Path(__file__).with_name("sparkplug_host.py"), str(port), SITE, DEVICE]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.heard: list[dict[str, Any]] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def of(self, kind: str) -> list[dict[str, Any]]:
        while not self._lines.empty():
            self.heard.append(json.loads(self._lines.get()))
        return [m for m in self.heard if m["kind"] == kind]

    def ask_for_rebirth(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self._reading.join(20)
        self.process.stdout.close()


@pytest.fixture
def host(host_python: Path, broker: Broker) -> Iterator[Host]:
    running = Host(host_python, broker.port)
    wait_for(lambda: running.of("ready"), "the host", 20)
    yield running
    running.close()


@pytest.fixture
def node(tmp_path: Path, broker: Broker, started: ExitStack) -> Link:
    link = Link(tmp_path, broker.port, interval_s=10)
    with link.settings.open("a") as file:
        file.write(f'[sparkplug]\nenabled = true\nhost = "127.0.0.1"\nport = {broker.port}\n')
    started.callback(link.stop, signal.SIGKILL)
    return link


def _values(message: dict[str, Any]) -> dict[str, Any]:
    return {m["name"]: m["value"] for m in message["metrics"]}


def test_a_host_that_knows_nothing_of_us_reads_what_was_counted(host: Host, node: Link, started: ExitStack) -> None:
    node.start()
    eye = FakeEye(node.socket)
    started.callback(eye.close)
    wait_for(lambda: host.of("NBIRTH"), "the birth certificate")
    for _ in range(6):
        eye.count(2, 1)
    eye.deliver()

    wait_for(lambda: [m for m in host.of("NDATA") if "Interval/Record" in _values(m)], "an interval")
    wait_for(lambda: {**_last(host)}.get("Gates/door/In") == 12, "the sums")

    (birth, *_), data = host.of("NBIRTH"), host.of("NDATA")
    named = {m["name"] for m in birth["metrics"]}
    assert (birth["group"], birth["node"], birth["seq"], birth["qos"], birth["retain"]) == (SITE, DEVICE, 0, 0, False)
    assert _values(birth)["Node Control/Rebirth"] is False
    assert "bdSeq" in named
    assert [m["seq"] for m in data] == [(i + 1) % 256 for i in range(len(data))]
    assert all({m["name"] for m in d["metrics"]} <= named for d in data)
    assert (_last(host)["Gates/door/Out"], _last(host)["Occupancy"]) == (6, 6)
    assert _last(host)["Lights/Broker"] == "ok"
    intervals = [_values(m) for m in data if "Interval/Record" in _values(m)]
    assert [i["Interval/Record"] for i in intervals] == list(range(1, len(intervals) + 1))
    assert all(not m["historical"] for d in data for m in d["metrics"])


def _last(host: Host) -> dict[str, Any]:
    """What a SCADA shows: the last value of each metric that is not of the past."""
    shown: dict[str, Any] = {}
    for message in [*host.of("NBIRTH"), *host.of("NDATA")]:
        shown |= {m["name"]: m["value"] for m in message["metrics"] if not m["historical"]}
    return shown


def test_a_death_is_told_and_tied_to_its_birth(host: Host, node: Link) -> None:
    node.start()
    wait_for(lambda: host.of("NBIRTH"), "the first birth")
    node.stop(signal.SIGKILL)
    wait_for(lambda: host.of("NDEATH"), "the will")
    node.start()
    wait_for(lambda: len(host.of("NBIRTH")) == 2, "the second birth")
    assert node.stop() == 0
    wait_for(lambda: len(host.of("NDEATH")) >= 2, "the good-bye")

    births = [_values(m)["bdSeq"] for m in host.of("NBIRTH")]
    deaths = [_values(m)["bdSeq"] for m in host.of("NDEATH")]
    assert births == deaths[:2] == [0, 1]


def test_a_host_that_asks_gets_a_new_birth(host: Host, node: Link) -> None:
    node.start()
    wait_for(lambda: host.of("NBIRTH"), "the first birth")

    host.ask_for_rebirth()

    wait_for(lambda: len(host.of("NBIRTH")) == 2, "the second birth")
    assert host.of("NBIRTH")[1]["seq"] == 0


def test_intervals_of_an_outage_come_as_history(host: Host, broker: Broker, node: Link, started: ExitStack) -> None:
    node.start()
    eye = FakeEye(node.socket)
    started.callback(eye.close)
    wait_for(lambda: host.of("NBIRTH"), "the birth")
    node.stop()
    node.settings.write_text(node.settings.read_text().replace("enabled = true\nhost", "enabled = false\nhost"))
    node.start()
    for _ in range(12):
        eye.count(1, 0)
    eye.deliver()
    node.stop()
    node.settings.write_text(node.settings.read_text().replace("enabled = false\nhost", "enabled = true\nhost"))
    before = len(host.of("NDATA"))

    node.start()

    wait_for(lambda: [m for m in host.of("NDATA")[before:] if "Interval/Record" in _values(m)], "the history")
    history = [m for m in host.of("NDATA")[before:] if "Interval/Record" in _values(m)]
    assert all(m["historical"] for d in history for m in d["metrics"])
    assert all(m["at"] <= time.time() * 1_000 + 120_000 for d in history for m in d["metrics"])


def test_what_cannot_be_read_is_no_command() -> None:
    assert not sparkplug.rebirth_asked(b"\xff\xff\xff")
    assert not sparkplug.rebirth_asked(b"")


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    sparkplug._payload_type.cache_clear()
    monkeypatch.setitem(sys.modules, "google.protobuf", None)

    with pytest.raises(SettingsError, match=r"pip install 'nigiwai\[sparkplug\]'"):
        sparkplug.check_library()


def test_a_certificate_without_its_key_is_named() -> None:
    with pytest.raises(SettingsError, match=r"sparkplug: cert_file and key_file go together"):
        parse({"sparkplug": {"cert_file": "x", "ca_file": "y"}})
