# SPDX-License-Identifier: Apache-2.0
"""The virtual device: a Debian with a kernel of its own, whose power is cut while it counts.

provisioning/virtual/appliance.sh makes the disk and runs it. An emulated processor is slow: only `make proof` runs it,
and cuts the power 200 times or as often as NIGIWAI_POWER_CUTS says. During updates too: test_power.py.
"""

import contextlib
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from nigiwai.lab.broker import free_port
from tests.conftest import ROOT
from tests.system import power
from tests.system.machine import MACHINES, MachineError, needs_proof, wait_for
from tests.system.test_power import check_copy

APPLIANCE = ROOT / "provisioning/virtual/appliance.sh"
DISK = MACHINES / "appliance-trixie.img"
CUTS = int(os.environ.get("NIGIWAI_POWER_CUTS") or 200)
STARTS = 3
SEED = 6
BOOT_S = 1_200.0
"""An emulated boot takes half a minute on an idle machine; this one may be very busy."""

log = logging.getLogger(__name__)


def why_not_here() -> str | None:
    """Why no virtual device can be run here, or None."""
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is not installed"
    return None if DISK.is_file() else f"{DISK} is missing: run provisioning/virtual/appliance.sh build"


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(86_400),
    needs_proof,
    pytest.mark.skipif(why_not_here() is not None, reason=str(why_not_here())),
]

State = dict[str, str]


@dataclass
class Device:
    """A running virtual device, and what it has said on its console."""

    process: "subprocess.Popen[str]"
    lines: list[str]

    def states(self, word: str = "@@ ") -> list[State]:
        """Every line of state with that word in it, oldest first."""
        return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in self.lines if "@@ " in line and word in line]

    def await_counting(self, more_than: int = 0) -> State:
        """The first state in which both rooms run and the ledger holds more bins than that."""
        return wait_for("the device counts", lambda: self._counting(more_than), BOOT_S)

    def _counting(self, more_than: int) -> State | None:
        if self.process.poll() is not None:
            raise MachineError("the device ended:\n" + "\n".join(self.lines[-20:]))
        return next((s for s in reversed(self.states()) if counts(s, more_than)), None)

    def cut_power(self) -> None:
        """Without any warning, as when somebody pulls the plug."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def counts(state: State, more_than: int) -> bool:
    running = state.get("eye") == "active" and state.get("link") == "active"
    return running and state["bins"].isdigit() and int(state["bins"]) > more_than


@contextlib.contextmanager
def device_on(disk: Path) -> Iterator[Device]:
    environment = {**os.environ, "PAGE_PORT": str(free_port()), "BROKER_PORT": "1883"}
    process = subprocess.Popen(
        [str(APPLIANCE), "run", str(disk)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    )
    device = Device(process, [])
    reader = threading.Thread(target=lambda: device.lines.extend(process.stdout or []), daemon=True)
    reader.start()
    try:
        yield device
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return copy_of_disk(tmp_path / "disk.img")


def copy_of_disk(copy: Path) -> Path:
    subprocess.run(["cp", "--sparse=always", str(DISK), str(copy)], check=True)
    return copy


def at_least(bins: int, left: power.Held) -> None:
    assert len(left.bins) >= bins, "bins that were in the ledger are gone"


@pytest.mark.skipif(power.why_no_shelf() is not None, reason=str(power.why_no_shelf()))
def test_the_plug_pulled_at_any_moment_leaves_a_device_that_counts_on(tmp_path: Path) -> None:
    """The machine is stopped, its disk copied in one step, and the machine goes on; the copy is started in a container.

    So the emulated machine, which takes minutes to start, is started once.
    """
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    with power.shelf(tmp_path) as place:
        image, copy = copy_of_disk(place / "disk.img"), place / "cut.img"
        with device_on(image) as device:
            device.await_counting()
            for number in range(1, CUTS + 1):
                time.sleep(chance.uniform(0, 10))
                bins = int(device.states()[-1]["bins"])
                device.process.send_signal(signal.SIGSTOP)
                try:
                    power.cut(image, copy)
                finally:
                    device.process.send_signal(signal.SIGCONT)
                with power.mounted(copy, tmp_path / "fresh") as root:
                    (root / "etc/fstab").write_text("")
                used = check_copy(tmp_path, copy, partial(at_least, bins))
                copy.unlink()
                log.info("cut %d of %d: counts with %s, %d bins held", number, CUTS, used, bins)


def test_the_machine_itself_starts_again_after_power_cuts(disk: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    held = 0
    for _ in range(STARTS):
        with device_on(disk) as device:
            begun = wait_for("the device has booted", lambda device=device: device.states("begin"), BOOT_S)[0]  # type: ignore[misc]
            if held:
                assert begun["integrity"] == "ok"
                assert int(begun["bins"]) >= held, "bins that were in the ledger are gone"
            state = device.await_counting(held + chance.randrange(4))
            held = int(state["bins"])
            device.cut_power()


def test_memory_limits_hold_in_a_kernel_of_its_own(disk: Path) -> None:
    with device_on(disk) as device:
        used, limit = device.await_counting()["memory"].split("/")
        assert int(limit) == 400 * 2**20
        assert 0 < int(used) < int(limit)
