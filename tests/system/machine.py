# SPDX-License-Identifier: Apache-2.0
"""A Debian with its own systemd, booted in a container on a throw-away copy of a prepared system.

provisioning/virtual/prepare.sh makes the systems. Booting takes some seconds. The kernel is that of the machine below,
so what needs its help (memory limits, real cameras) is shown in the virtual machine instead (provisioning/virtual).
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from tests.conftest import PROOF

MACHINES = Path(os.environ.get("NIGIWAI_MACHINES", "/var/cache/nigiwai/machines"))

CANNOT_BOOT = MACHINES / "cannot-boot"
"""Why machines cannot be booted on this host, as `python -m tests.system.machine` found out; missing where they can."""

needs_proof = pytest.mark.skipif(not PROOF, reason="takes a minute or more: make proof")

PATIENCE_S = 60.0
_POLL_S = 0.05

UP = frozenset({"running", "degraded"})
"""What `systemctl is-system-running` says when everything that starts at boot has started or failed."""

T = TypeVar("T")


class MachineError(AssertionError):
    """A machine or a command in it did not do what the test needs."""


def why_not(system: str) -> str | None:
    """Why no machine of that system can be booted here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is not installed (apt install systemd-container)"
    if CANNOT_BOOT.exists():
        return CANNOT_BOOT.read_text(encoding="utf-8").strip()
    if not (MACHINES / system).is_dir():
        return f"{MACHINES / system} is missing: run provisioning/virtual/prepare.sh"
    return None


def wait_for(what: str, ask: Callable[[], T | None], patience_s: float = PATIENCE_S, poll_s: float = _POLL_S) -> T:
    """The first answer that is neither None, False nor empty. Raises MachineError."""
    deadline = time.monotonic() + patience_s
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise MachineError(f"waited {patience_s:.0f} s in vain until {what}")
        time.sleep(poll_s)
    return answer


@dataclass(frozen=True)
class Machine:
    """A booted system: its root folder as seen from here, and the process id of its systemd."""

    root: Path
    leader: int

    def run(
        self, *command: object, check: bool = True, timeout_s: float = PATIENCE_S
    ) -> "subprocess.CompletedProcess[str]":
        """A finished command, run as root in the machine. Raises MachineError if it fails, unless told not to check."""
        enter = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        done = subprocess.run(
            [*enter, *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            cwd="/",
        )
        if check and done.returncode != 0:
            raise MachineError(f"{shlex.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Writes a file of the machine's disk (not of its /run or /tmp)."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def property(self, unit: str, name: str) -> str:
        """One property of a unit, as `systemctl show` tells it."""
        return self.run("systemctl", "show", unit, "--property", name, "--value").stdout.strip()

    def main_pid(self, unit: str) -> int:
        """The main process's id inside the machine, 0 if there is none."""
        return int(self.property(unit, "MainPID") or 0)

    def journal(self, unit: str, lines: int = 40) -> str:
        """The last lines that a unit said."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-n", lines, "-u", unit).stdout

    def is_active(self, unit: str) -> bool:
        """Whether the unit is up and has said so."""
        return self.property(unit, "ActiveState") == "active"


@contextlib.contextmanager
def copy_of(system: str, folder: Path) -> Iterator[Path]:
    """A writable copy of a prepared system; what is written goes to `folder` and is gone afterwards.

    Nigiwai is installed in it and does not start with it: each test starts what it is about.
    """
    parts = {name: folder / name for name in ("upper", "work", "root")}
    for part in parts.values():
        part.mkdir()
    options = f"lowerdir={MACHINES / system},upperdir={parts['upper']},workdir={parts['work']}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(parts["root"])], check=True)
    try:
        (parts["root"] / "etc/systemd/system/multi-user.target.wants/nigiwai.target").unlink(missing_ok=True)
        yield parts["root"]
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(parts["root"])], check=True)


@contextlib.contextmanager
def booted(root: Path, log: Path, *options: str, up: frozenset[str] = UP) -> Iterator[Machine]:
    """The system in `root` while it runs, from the first of the states `up` on. Ends it, in order if it lets us."""
    with log.open("wb") as out:
        container = subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--private-network"),
                *("--register=no", "--keep-unit", "--console=pipe", "--link-journal=no", *options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        try:
            yield wait_for("the machine is up", lambda: _if_up(root, container, up))
        finally:
            _power_off(container)


def _leader(container: "subprocess.Popen[bytes]") -> int | None:
    if container.poll() is not None:
        raise MachineError(f"systemd-nspawn ended with {container.returncode}")
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
    return int(children[0]) if children else None


def _if_up(root: Path, container: "subprocess.Popen[bytes]", up: frozenset[str]) -> Machine | None:
    """The machine once its systemd says a state of `up`. The first child of systemd-nspawn is not yet the last."""
    leader = _leader(container)
    if leader is None:
        return None
    machine = Machine(root, leader)
    state = machine.run("systemctl", "is-system-running", check=False).stdout.strip()
    return machine if state in up else None


def _power_off(container: "subprocess.Popen[bytes]") -> None:
    """Asks the machine's systemd to power off (SIGRTMIN+4), and pulls the plug if it takes long."""
    with contextlib.suppress(OSError, MachineError):
        leader = _leader(container)
        if leader is not None:
            os.kill(leader, signal.SIGRTMIN + 4)
    try:
        container.wait(30)
    except subprocess.TimeoutExpired:
        container.kill()
        container.wait()


def try_boot(system: str) -> str | None:
    """Why a machine that should boot does not, as in a container without the rights for one; or None."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with copy_of(system, Path(folder)) as root, booted(root, Path(folder) / "log") as machine:
                machine.run("true")
        except (MachineError, OSError, subprocess.SubprocessError) as e:
            return f"machines cannot be booted here: {str(e).splitlines()[0]}"
    return None


if __name__ == "__main__":
    CANNOT_BOOT.unlink(missing_ok=True)
    if why_not("trixie") is None and (reason := try_boot("trixie")) is not None:
        CANNOT_BOOT.write_text(reason + "\n", encoding="utf-8")
    print("machines:", why_not("trixie") or "ready")  # noqa: T201 - for whoever runs `make machines`
