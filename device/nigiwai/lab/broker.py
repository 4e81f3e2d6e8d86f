# SPDX-License-Identifier: Apache-2.0
"""A real MQTT broker on a private port of this machine, for the demo and the tests.

Mosquitto where it is installed; otherwise amqtt, a broker in Python that speaks MQTT 3.1.1.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from nigiwai.errors import BrokerError

HOST = "127.0.0.1"
Kind = Literal["auto", "mosquitto", "amqtt"]
_START_S = 20.0
_STOP_S = 5.0

_CONFIG = """\
listener {port} {host}
allow_anonymous true
persistence false
log_type error
"""


@dataclass(frozen=True)
class RunningBroker:
    """Where a broker listens and which MQTT version to speak with it."""

    port: int
    version: Literal["5", "3.1.1"]
    name: str


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there, otherwise a port that is free at this moment."""
    for port in dict.fromkeys((wanted, 0)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise BrokerError(f"no free port on {HOST}")


def mosquitto() -> str | None:
    """The path of Mosquitto's program, or None; Debian puts it where ordinary users do not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def running_broker(folder: Path, kind: Kind = "auto") -> Iterator[RunningBroker]:
    """A broker that runs until the block ends. `folder` takes its configuration; `kind` may ask for one of the two.

    Raises BrokerError if there is none to start or it does not start.
    """
    port = free_port()
    program, broker = _command(folder, port, kind)
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_it_listens(process, broker)
        yield broker
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(folder: Path, port: int, kind: Kind) -> tuple[list[str], RunningBroker]:
    if kind != "amqtt" and (program := mosquitto()):
        config = folder / "mosquitto.conf"
        config.write_text(_CONFIG.format(host=HOST, port=port), encoding="utf-8")
        return [program, "-c", str(config)], RunningBroker(port, "5", "Mosquitto")
    if kind != "mosquitto" and find_spec("amqtt"):
        module = [sys.executable, "-m", "nigiwai.lab.python_broker", str(port)]
        return module, RunningBroker(port, "3.1.1", "amqtt")
    raise BrokerError(
        "no broker to start: install Mosquitto (sudo apt install mosquitto), or pip install 'nigiwai[demo]'"
    )


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", broker: RunningBroker) -> None:
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((HOST, broker.port), timeout=1):
            return
        time.sleep(0.02)
    raise BrokerError(f"{broker.name} did not start on port {broker.port}; try again, or start it by hand to see why")
