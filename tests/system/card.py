# SPDX-License-Identifier: Apache-2.0
"""A card of two systems in a virtual machine: provisioning/virtual/card.sh makes it, and plays the board's firmware.

The card's files are those of a real one. What is done on the device is done over SSH, by a user that the card's own
user-data makes; an update comes on a second disk, as on a USB stick.
"""

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nigiwai.lab.broker import free_port
from tests.conftest import ROOT
from tests.system.machine import MACHINES, MachineError, wait_for

log = logging.getLogger(__name__)

SCRIPT = ROOT / "provisioning/virtual/card.sh"
IMAGE = MACHINES / "card-trixie.img"
UPDATE = IMAGE.with_suffix(".raucb")

PATIENCE_S = 3_600.0
"""An emulated start of a whole Debian takes three minutes on an idle machine; this one may be very busy."""

_POLL_S = 2.0
"""A question by SSH takes an emulated processor some seconds, which are taken from what is waited for."""

_NO_CONNECTION = 255

BOOTFS, BOOT_A, BOOT_B, ROOT_A, ROOT_B = 1, 2, 3, 5, 6
"""Partitions, as provisioning/image/genimage.cfg numbers them."""

USER_DATA = """#cloud-config
users:
  - name: keeper
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    ssh_authorized_keys: ["{key}"]
"""


def output(*command: object, text: str | None = None) -> str:
    """What a program says that must end well."""
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    return subprocess.run(
        [*map(str, command)], input=text, capture_output=True, text=True, check=True, env=environment
    ).stdout


@dataclass(frozen=True)
class Card:
    """An image file, while no machine runs from it."""

    image: Path

    def at(self, number: int) -> str:
        """A partition, as mtools name it."""
        line = next(x for x in output("sfdisk", "--dump", self.image).splitlines() if f"{self.image}{number} :" in x)
        return f"{self.image}@@{int(line.partition('start=')[2].partition(',')[0]) * 512}"

    def read(self, number: int, name: str) -> str:
        """A file of a FAT partition."""
        return output("mtype", "-i", self.at(number), f"::{name}")

    def write(self, number: int, name: str, text: str) -> None:
        """Puts a file on a FAT partition."""
        output("mcopy", "-o", "-i", self.at(number), "-", f"::{name}", text=text)

    def proven(self) -> int:
        """The partition that the firmware starts unless it is told to try the other one."""
        words = self.read(BOOTFS, "autoboot.txt").partition("[tryboot]")[0].split()
        return int(next(word for word in words if word.startswith("boot_partition=")).partition("=")[2])


def enter_by_key(card: Card, folder: Path) -> Path:
    """Lets the card's first start make a user who has a key, which is returned."""
    key = folder / "key"
    output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    card.write(BOOTFS, "user-data", USER_DATA.format(key=key.with_suffix(".pub").read_text().strip()))
    return key


@dataclass
class Running:
    """A machine that runs from a card: its console, and a way in."""

    process: "subprocess.Popen[str]"
    key: Path
    port: int
    lines: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Takes in what the console says, until it ends."""
        for line in self.process.stdout or ():
            self.lines.append(line)
            log.debug("%s", line.rstrip())

    def starts(self) -> list[int]:
        """The partitions that the firmware has started, oldest first."""
        return [
            int(line.split("starts partition ")[1].split(",")[0]) for line in self.lines if "starts partition" in line
        ]

    def ssh(self, command: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        """A command as root, which is given `text` to read. A connection that does not come about ends with 255."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=60")
        way = [word for option in options for word in ("-o", option)]
        return subprocess.run(
            [
                "ssh",
                *way,
                "-i",
                str(self.key),
                "-p",
                str(self.port),
                "keeper@127.0.0.1",
                f"sudo sh -c {shlex.quote(command)}",
            ],
            capture_output=True,
            text=True,
            check=False,
            input=text,
            timeout=PATIENCE_S,
        )

    def finished(self, command: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        """The same once there is a connection: while a system starts, its SSH server is started more than once."""

        def ask() -> "subprocess.CompletedProcess[str] | None":
            self._demand_running()
            done = self.ssh(command, text)
            return done if done.returncode != _NO_CONNECTION else None

        return wait_for("a command is taken", ask, PATIENCE_S, _POLL_S)

    def run(self, command: str, text: str = "") -> str:
        """What a command says that must end well. Raises MachineError."""
        done = self.finished(command, text)
        if done.returncode != 0:
            raise MachineError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def soon(self, command: str) -> None:
        """Begins a command that ends the connection."""
        self.run(f"systemd-run --quiet --on-active=1 {command}")

    def await_system(self, slot: str) -> None:
        """Until the system of that slot, by its kernel's command line, lets somebody in."""
        asked = "sed 's/.*rauc.slot=\\(.\\).*/\\1/' /proc/cmdline"
        wait_for(f"system {slot} is up", lambda: self.run(asked).strip() == slot, PATIENCE_S, _POLL_S)

    def _demand_running(self) -> None:
        if self.process.poll() is not None:
            raise MachineError("the machine ended:\n" + "".join(self.lines[-20:]))

    def cut_power(self) -> None:
        """Without any warning."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running_from(card: Card, key: Path, *disks: Path) -> Iterator[Running]:
    """A machine that runs from a card, with further disks, until the block ends: then its power is cut."""
    port = free_port()
    extra = " ".join(f"-drive file={disk},format=raw,if=virtio,readonly=on" for disk in disks)
    process = subprocess.Popen(
        [str(SCRIPT), "run", str(card.image)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, "SSH_PORT": str(port), "PAGE_PORT": str(free_port()), "EXTRA": extra},
    )
    machine = Running(process, key, port)
    reader = threading.Thread(target=machine.listen, daemon=True)
    reader.start()
    try:
        yield machine
    finally:
        with contextlib.suppress(ProcessLookupError):
            machine.cut_power()
        reader.join(10)
        if process.stdout:
            process.stdout.close()
