# SPDX-License-Identifier: Apache-2.0
"""A virtual device under QEMU: provisioning/virtual/appliance.sh makes its disk and runs it."""

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nigiwai.lab.broker import free_port
from tests.conftest import ROOT
from tests.system.machine import MACHINES, MachineError, wait_for

log = logging.getLogger(__name__)

SCRIPT = ROOT / "provisioning/virtual/appliance.sh"
BOOT_S = 2_400.0
"""An emulated boot takes half a minute on an idle machine; this one may be very busy."""

MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}


def disk_of(arch: str) -> Path:
    """The disk that `appliance.sh build` makes."""
    return MACHINES / f"appliance-trixie{'' if MACHINE[arch] == os.uname().machine else f'-{arch}'}.img"


def why_no_device(arch: str) -> str | None:
    """Why no virtual device of that processor can be run here, or None."""
    emulator = f"qemu-system-{MACHINE[arch]}"
    if shutil.which(emulator) is None:
        return f"{emulator} is not installed"
    disk = disk_of(arch)
    return None if disk.is_file() else f"{disk} is missing: run ARCH={arch} provisioning/virtual/appliance.sh build"


State = dict[str, str]


@dataclass(frozen=True)
class Memory:
    """The most that both rooms held together, proportionally, and the least that was free."""

    both_kib: int
    free_kib: int


@dataclass
class Device:
    """A running virtual device, and what it has said on its console."""

    process: "subprocess.Popen[str]"
    lines: list[str]

    def listen(self) -> None:
        """Takes in what the console says, until it ends."""
        for line in self.process.stdout or ():
            self.lines.append(line)
            log.debug("%s", line.rstrip())

    def states(self, word: str = "@@ ") -> list[State]:
        """Every line of state with that word in it, oldest first."""
        return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in self.lines if "@@ " in line and word in line]

    def await_counting(self, more_than: int = 0) -> State:
        """The first state in which both rooms run and the ledger holds more bins than that."""
        return wait_for("the device counts", lambda: self._counting(more_than), BOOT_S)

    def await_replayed(self, patience_s: float) -> tuple[int, int]:
        """How many went in and out when eye has seen the whole clip (CAMERA=replay) and has ended."""

        def ask() -> list[tuple[int, int]]:
            self._demand_running()
            state = self.states()[-1] if self.states() else {}
            return passes(state) if state.get("eye") == "inactive" else []

        (once,) = wait_for("the whole clip is counted", ask, patience_s)
        return once

    def memory(self) -> Memory:
        """Over all that was told so far."""
        states = [state for state in self.states() if "pss" in state]
        return Memory(
            max(sum(map(int, state["pss"].split("+"))) for state in states),
            min(int(state["free"].partition("/")[0]) for state in states),
        )

    def _counting(self, more_than: int) -> State | None:
        self._demand_running()
        return next((s for s in reversed(self.states()) if counts(s, more_than)), None)

    def _demand_running(self) -> None:
        if self.process.poll() is not None:
            raise MachineError("the device ended:\n" + "\n".join(self.lines[-20:]))

    def cut_power(self) -> None:
        """Without any warning, as when somebody pulls the plug."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def counts(state: State, more_than: int) -> bool:
    """Whether both rooms run and the ledger holds more bins than that."""
    running = state.get("eye") == "active" and state.get("link") == "active"
    return running and state["bins"].isdigit() and int(state["bins"]) > more_than


def passes(state: State) -> list[tuple[int, int]]:
    """How many went in and out in each start of eye, oldest first."""
    return [(int(i), int(o)) for i, o in re.findall(r"(\d+)\+(\d+)", state.get("passes", ""))]


@contextlib.contextmanager
def device_on(disk: Path, **wanted: object) -> Iterator[Device]:
    """A device that runs from `disk` until the block ends. wanted: what appliance.sh reads, such as CAMERA."""
    wishes = {name: str(value) for name, value in wanted.items()}
    process = subprocess.Popen(
        [str(SCRIPT), "run", str(disk)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PAGE_PORT": str(free_port()), **wishes},
    )
    device = Device(process, [])
    reader = threading.Thread(target=device.listen, daemon=True)
    reader.start()
    try:
        yield device
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        if process.stdout:
            process.stdout.close()


def copy_of_disk(arch: str, copy: Path) -> Path:
    """A disk to write on."""
    subprocess.run(["cp", "--sparse=always", str(disk_of(arch)), str(copy)], check=True)
    return copy
