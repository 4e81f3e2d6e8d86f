# SPDX-License-Identifier: Apache-2.0
"""Eye without its camera, as a process that can be killed: its own bins and its own end of the door.

python eye_process.py SOCKET TRUTH SEED        each passage is a line of TRUTH before it is counted; SIGTERM ends it
"""

import random
import secrets
import signal
import sys
import threading
import time
from pathlib import Path

from nigiwai import clock
from nigiwai.clock import BootNs
from nigiwai.door.caller import Caller
from nigiwai.door.records import CameraKind, Hello
from nigiwai.eye.bins import BinBuilder
from nigiwai.eye.types import Crossing, Direction

FRAME_S = 0.05


def main(socket: Path, truth: Path, seed: int) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    hello = Hello(
        run=secrets.token_hex(16),
        boot=clock.boot_id(),
        version="0.1.0",
        model="test",
        model_sha256="0" * 64,
        settings_sha256="0" * 64,
        camera=CameraKind.RECORDING,
    )
    caller, chance = Caller(socket, hello), random.Random(seed)  # noqa: S311
    builder = BinBuilder(hello.run, ["door"], BootNs(clock.boot_ns()))
    with truth.open("a", buffering=1) as written:
        while not stop.wait(FRAME_S):
            now = BootNs(clock.boot_ns())
            crossings = []
            if chance.random() < 0.2:
                crossings = [Crossing("door", chance.choice([Direction.IN, Direction.OUT]), now)]
                written.write(f"{now} {crossings[0].direction}\n")
            for closed in builder.update(now, crossings, ()):
                caller.add(closed)
            caller.update(time.monotonic())
    for closed in builder.finish(BootNs(clock.boot_ns())):
        caller.add(closed)
    while caller.unacknowledged:
        caller.update(time.monotonic())
        caller.wait(0.1)
    caller.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
