# SPDX-License-Identifier: Apache-2.0
"""Signed updates of a running system: one that works stays, one that does not goes, and a power cut harms neither.

A power cut here ends every process of the machine at once; what the kernel below has in its page cache survives. That a
card's file system also survives is shown in test_power.py.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nigiwai.update import bundle as releases
from tests.conftest import PROOF
from tests.system.machine import Machine, booted, copy_of, needs_proof, wait_for, why_not
from tests.system.test_install import bundle_copy, current, make_newer
from tests.system.test_running import SETTINGS

SYSTEM = "trixie"
CLIP = "/opt/nigiwai/current/venv/lib/python3.13/site-packages/nigiwai/data/models/demo/entrance"
EYE, LINK, TRIAL = "nigiwai-eye.service", "nigiwai-link.service", "nigiwai-trial.service"
CUTS = 60 if PROOF else 1
SEED = 66
LONGEST_UPDATE_S = 30.0
"""Over which the moments of the cuts are spread; an update takes about this long on an idle machine."""

QUICK = """
[Service]
ExecStart=
ExecStart=/opt/nigiwai/judge/venv/bin/nigiwai update --judge --proof-s 60 --steady-s 6
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7_200 if PROOF else 600),
    pytest.mark.skipif(why_not(SYSTEM) is not None, reason=str(why_not(SYSTEM))),
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"),
]


def make_key(path: Path) -> Path:
    """A key that signs releases."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("signer") / "key")


@contextlib.contextmanager
def device(tmp_path: Path, key: Path) -> Iterator[tuple[Path, Path]]:
    """The root of an installed system that trusts the key and counts the bundled clip, and a newer bundle."""
    new = bundle_copy(tmp_path)
    make_newer(new)
    disk = tmp_path / "disk"
    disk.mkdir()
    with copy_of(SYSTEM, disk) as root:
        public = " ".join(key.with_name("key.pub").read_text().split()[:2])
        (root / "etc/nigiwai/release-signers").write_text(f"release {public}\n")
        gates = (root / f"{CLIP.lstrip('/')}.gates.toml").read_text()
        settings = SETTINGS.format(clip=f"{CLIP}.mp4", broker="127.0.0.1", port=1, gates=gates)
        (root / "etc/nigiwai/nigiwai.toml").write_text(settings)
        quick = root / "etc/systemd/system/nigiwai-trial.service.d/quick.conf"
        quick.parent.mkdir()
        quick.write_text(QUICK)
        wanted = root / "etc/systemd/system/multi-user.target.wants"
        (wanted / "nigiwai.target").symlink_to("/opt/nigiwai/current/systemd/nigiwai.target")
        yield root, new


def counting(machine: Machine) -> bool:
    """Whether bins come, from the release in use."""
    code = (
        "import sys; from pathlib import Path; from nigiwai.update import health;"
        "print(*sorted(health.look(Path('/etc/nigiwai/nigiwai.toml'), sys.argv[1]).works))"
    )
    python = "/opt/nigiwai/current/venv/bin/python"
    release = Path(current(machine.root)).name
    done = machine.run(python, "-c", code, release, check=False)
    return {"link", "counting"} <= set(done.stdout.split())


def spoil(new: Path, member: str) -> None:
    """Makes a module of the bundle's wheel end at once."""
    (wheel,) = (new / "dist").glob("*.whl")
    changed = wheel.with_suffix(".new")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w") as made:
        for item in old.infolist():
            made.writestr(item, b"raise SystemExit('broken')\n" if item.filename == member else old.read(item))
    wheel.unlink()
    changed.rename(wheel)


def update(machine: Machine, place: str = "/opt/bundle") -> "subprocess.CompletedProcess[str]":
    return machine.run("/usr/local/bin/nigiwai", "update", place, check=False, timeout_s=1_800)


def trial_is_over(machine: Machine) -> bool:
    return not (machine.root / "opt/nigiwai/trial.json").exists()


@needs_proof
def test_a_release_that_works_stays_and_one_that_counts_no_more_goes(tmp_path: Path, key: Path) -> None:
    with device(tmp_path, key) as (root, new):
        releases.make(new, "0.2.0", 2, key)
        with booted(root, tmp_path / "log", f"--bind-ro={new}:/opt/bundle") as machine:
            wait_for("the device counts", lambda: counting(machine), 180)
            first = current(root)
            done = update(machine)
            assert done.returncode == 0, done.stderr
            second = current(root)
            assert second != first
            wait_for("the release has proved itself", lambda: trial_is_over(machine), 120)
            assert current(root) == second, machine.journal(TRIAL)

            spoil(new, "nigiwai/eye/service.py")
            releases.make(new, "0.3.0", 3, key)
            done = update(machine)
            assert done.returncode == 0, done.stderr
            assert current(root) not in (first, second)
            wait_for("the release is taken back", lambda: current(root) == second and trial_is_over(machine), 120)
            assert "has not proved itself" in machine.journal(TRIAL)
            wait_for("the device counts again", lambda: counting(machine), 180)

            again = update(machine)
            assert (again.returncode, "did not prove itself" in again.stderr) == (12, True), again.stderr
            releases.make(new, "0.1.0", 1, key)
            older = update(machine)
            assert (older.returncode, "is older than number 2" in older.stderr) == (12, True), older.stderr


def test_a_power_cut_at_any_moment_of_an_update_leaves_a_device_that_counts(tmp_path: Path, key: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    with device(tmp_path, key) as (root, new):
        for cut in range(CUTS):
            releases.make(new, f"0.{cut + 2}", cut + 2, key)
            with booted(root, tmp_path / "log", f"--bind-ro={new}:/opt/bundle") as machine:
                wait_for("the device counts", lambda machine=machine: counting(machine), 180)  # type: ignore[misc]
                assert_whole(root)
                inside = ["nsenter", "-t", str(machine.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
                updating = subprocess.Popen(
                    [*inside, "/usr/local/bin/nigiwai", "update", "/opt/bundle"],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                deadline = time.monotonic() + chance.uniform(0, LONGEST_UPDATE_S)
                while time.monotonic() < deadline and updating.poll() is None:
                    time.sleep(0.02)
                os.kill(machine.leader, signal.SIGKILL)
                updating.wait(60)
            assert_whole(root)
        with booted(root, tmp_path / "log") as machine:
            wait_for("the device counts", lambda: counting(machine), 180)


def assert_whole(root: Path) -> None:
    release = root / "opt/nigiwai" / current(root)
    assert (release / ".complete").exists()
    assert (release / "venv/bin/nigiwai").exists()
