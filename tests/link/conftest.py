# SPDX-License-Identifier: Apache-2.0
"""Where link's tests keep their files: in memory where there is room, since every commit waits for its disk."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.link.harness import Broker, FakeEye, Link

RAM = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder of the test's own, in memory where the system has such a place."""
    with tempfile.TemporaryDirectory(prefix="nigiwai-", dir=RAM if RAM.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A real Mosquitto that keeps what it has over its own restarts."""
    folder = tmp_path / "broker"
    folder.mkdir()
    running = Broker(folder)
    yield running
    running.stop()


@pytest.fixture
def link(tmp_path: Path, broker: Broker) -> Iterator[Link]:
    """link, to be started by the test, with intervals of ten seconds."""
    process = Link(tmp_path, broker.port, interval_s=10)
    yield process
    process.stop(signal.SIGABRT)
    print(process.log()[-4_000:])  # noqa: T201 # shown where the test failed


@pytest.fixture
def started(tmp_path: Path) -> Iterator[ExitStack]:
    """Where a test leaves what it started by itself: it is ended, last first, whatever becomes of the test."""
    with ExitStack() as stack:
        yield stack
        for log in sorted(tmp_path.rglob("link.log")):
            print(log.read_text(encoding="utf-8")[-4_000:])  # noqa: T201 # shown where the test failed


@pytest.fixture
def eye(link: Link) -> Iterator[FakeEye]:
    """Eye's end of the door."""
    calling = FakeEye(link.socket)
    yield calling
    calling.close()
