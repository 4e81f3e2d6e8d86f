# SPDX-License-Identifier: Apache-2.0
"""The whole house on one machine: a real broker, link and eye as processes, the bundled clip as the camera."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nigiwai.errors import NigiwaiError
from nigiwai.lab.broker import HOST, Kind, RunningBroker, free_port, running_broker
from nigiwai.lab.subscriber import Subscriber, Sums
from nigiwai.paths import demo_dir

SITE, DEVICE = "demo", "entrance"
_PAGE_PORT = 8_080
_PATIENCE_S = 60.0

_SETTINGS = """\
[device]
site = "{site}"
name = "{device}"

[camera]
source = "recording"
path = "{clip}"
pace = "{pace}"

[door]
socket = "{folder}/door.sock"

[ledger]
path = "{folder}/ledger.db"
interval_s = 10

[page]
host = "{host}"
port = {page_port}

[mqtt]
host = "{host}"
port = {broker_port}
version = "{mqtt_version}"

{gates}
"""


class DemoError(NigiwaiError):
    """A part of the demo ended too early, or what arrived is not what was counted."""

    exit_code = 10


@dataclass(frozen=True)
class Result:
    """What eye counted, what is true, and what the subscriber received."""

    counted: Sums
    true: Sums
    published: Sums

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"counted": self.counted, "true": self.true, "published": self.published})


def play(
    *, once: bool, broker: Kind, tell: Callable[[str], None], show: Callable[[Sums], None], stay: Callable[[], None]
) -> Result:
    """Plays the bundled clip through the whole house; with `once` as fast as it goes.

    broker: which one to start. tell: a line for the user. show: live counts. stay: called when the clip is over and
    the page still there.
    """
    with tempfile.TemporaryDirectory(prefix="nigiwai-demo-") as name:
        folder = Path(name)
        with running_broker(folder, broker) as running, _subscribed(running, show) as subscriber:
            settings, page_port = _write_settings(folder, running, once=once)
            with _process("link", settings) as link:
                tell(f"Broker: {running.name} on port {running.port}. Page: http://{HOST}:{page_port}/")
                with _process("eye", settings) as eye:
                    counted = _counted_by(eye, link)
                stay()
                _end(link)
            if not subscriber.stopped.wait(_PATIENCE_S):
                raise DemoError("link ended without saying so over MQTT; its counts may be incomplete")
            return Result(counted, read_truth(demo_dir() / "entrance.truth.jsonl"), subscriber.published)


def read_truth(path: Path) -> Sums:
    """The true number of passages per gate and direction, from a file with one crossing a line."""
    sums: Sums = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        crossing = json.loads(line)
        sums.setdefault(crossing["gate"], {"in": 0, "out": 0})[crossing["direction"]] += 1
    return sums


def _write_settings(folder: Path, broker: RunningBroker, *, once: bool) -> tuple[Path, int]:
    page_port = free_port(0 if once else _PAGE_PORT)  # nobody looks at the page of a run that ends by itself
    path = folder / "nigiwai.toml"
    path.write_text(
        _SETTINGS.format(
            site=SITE,
            device=DEVICE,
            clip=demo_dir() / "entrance.mp4",
            pace="fast" if once else "real",
            folder=folder,
            host=HOST,
            page_port=page_port,
            broker_port=broker.port,
            mqtt_version=broker.version,
            gates=(demo_dir() / "entrance.gates.toml").read_text(encoding="utf-8"),
        ),
        encoding="utf-8",
    )
    return path, page_port


@contextlib.contextmanager
def _subscribed(broker: RunningBroker, show: Callable[[Sums], None]) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker, f"nigiwai/v1/{SITE}/{DEVICE}", show)
    try:
        if not subscriber.subscribed.wait(_PATIENCE_S):
            raise DemoError(f"{broker.name} did not accept a subscriber")
        yield subscriber
    finally:
        subscriber.close()


class Part:
    """One service as a process, its log kept aside until it is needed."""

    def __init__(self, name: str, settings: Path) -> None:
        self.name = name
        self._log_path = settings.with_name(f"{name}.log")
        self._log = self._log_path.open("wb")
        command = [sys.executable, "-m", "nigiwai", name, "--settings", str(settings)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)

    def why_it_ended(self) -> str:
        """Its name, exit code and last words."""
        words = self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        return "\n".join([f"{self.name} ended with exit code {self.process.returncode}:", *words])

    def close(self) -> None:
        """Ends the process whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self._log.close()


@contextlib.contextmanager
def _process(name: str, settings: Path) -> Iterator[Part]:
    part = Part(name, settings)
    try:
        yield part
    finally:
        part.close()


def _counted_by(eye: Part, link: Part) -> Sums:
    """What eye printed when its recording was over. Raises DemoError if eye or link ended badly before."""
    while (code := eye.process.poll()) is None:
        if link.process.poll() is not None:
            raise DemoError(link.why_it_ended())
        with contextlib.suppress(subprocess.TimeoutExpired):
            eye.process.wait(0.2)
    output = eye.process.stdout.read() if eye.process.stdout else ""
    if code != 0:
        raise DemoError(eye.why_it_ended())
    counted: Sums = json.loads(output.splitlines()[-1])["counted"]
    return counted


def _end(part: Part) -> None:
    """Asks the process to end in order and waits for it."""
    part.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_S
    try:
        part.process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise DemoError(f"{part.name} did not end within {_PATIENCE_S:.0f} s") from None
    if part.process.returncode != 0:
        raise DemoError(part.why_it_ended())
