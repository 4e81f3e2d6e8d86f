# SPDX-License-Identifier: Apache-2.0
"""docs/consumer.py as its reader runs it: a process that comes too late, is killed between, and ends with the truth."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.link.harness import BRANCH, ROOT, Broker, Ear, FakeEye, Link, reference_consumer, wait_for


class Script:
    """The reference consumer in a folder of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        folder.mkdir()
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, ROOT / "docs" / "consumer.py", "127.0.0.1", str(self._port)]
        self._process = subprocess.Popen(command, cwd=self.folder, env={**os.environ})

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def count(self) -> int:
        path = self.folder / "consumer.db"
        if not path.exists():
            return 0
        with closing(sqlite3.connect(path)) as db:
            try:
                return int(db.execute("SELECT count(*) FROM record").fetchone()[0])
            except sqlite3.OperationalError:  # it is just making its tables
                return 0

    def has(self, sums: dict[str, list[int]]) -> bool:
        """Whether its file holds these sums and no gap."""
        consumer = reference_consumer().Consumer(str(self.folder / "consumer.db"), lambda *_: None)
        with closing(consumer.db):
            return bool(consumer.sums(BRANCH) == sums and not [*consumer.gaps(BRANCH)])


@pytest.mark.slow
def test_the_script_of_the_document_comes_late_is_killed_and_ends_with_the_truth(
    broker: Broker, tmp_path: Path, started: ExitStack
) -> None:
    link = Link(tmp_path, broker.port, interval_s=5)
    started.callback(link.stop, signal.SIGKILL)
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    ear = Ear(broker.port)
    started.callback(ear.close)
    script = Script(tmp_path / "consumer", broker.port)
    started.callback(script.kill)
    link.start()
    for _ in range(20):
        eye.count(2, 1)
    eye.deliver()
    wait_for(lambda: len(ear.messages("counts")) >= 19, "records that nobody keeps")

    script.start()
    wait_for(lambda: script.count() >= 1 or eye.count(1, 0) or eye.pump() < 0, "the script to hear and ask")
    for _ in range(4):
        before = script.count()
        for _ in range(5):
            eye.count(3, 2)
        eye.deliver()
        wait_for(lambda at_least=before: script.count() > at_least, "something new")
        script.kill()
        eye.count(1, 1)
        eye.deliver()
        script.start()
    assert link.stop() == 0
    link.start()

    wait_for(lambda: script.has({"door": [eye.entered, eye.left]}), "the truth", 120)
    assert [t for t, _, _ in ear.heard if t.endswith("/request/resend")]
