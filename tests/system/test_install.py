# SPDX-License-Identifier: Apache-2.0
"""install.sh on a Debian 13 without a network: fresh, again, over an older release, and when things go wrong.

Whatever happens, what ran before must run on, and the words must say what to do.
"""

import contextlib
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.machine import MACHINES, Machine, booted, copy_of, needs_proof, wait_for, why_not

SYSTEM = "trixie"
BUNDLE = MACHINES / "bundle"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(why_not(SYSTEM) is not None, reason=str(why_not(SYSTEM))),
]


def bundle_copy(folder: Path) -> Path:
    """The bundle, its small parts to be changed at will; the libraries are shared."""
    copy = folder / "bundle"
    shutil.copytree(BUNDLE, copy, ignore=shutil.ignore_patterns("wheels"), symlinks=True)
    shutil.copytree(BUNDLE / "wheels", copy / "wheels", copy_function=os.link)
    return copy


def install(root: Path, bundle: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """install.sh in the system at `root`, which is not booted and has no network."""
    container = ["systemd-nspawn", "--quiet", f"--directory={root}", "--private-network", "--register=no"]
    container += ["--keep-unit", "--console=pipe", f"--bind-ro={bundle}:/mnt"]
    return subprocess.run(
        [*container, "/mnt/provisioning/install.sh", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def system(name: str, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / name
    folder.mkdir()
    with copy_of(name, folder) as root:
        yield root


def current(root: Path) -> str:
    return os.readlink(root / "opt/nigiwai/current")


def files_of(root: Path) -> dict[str, tuple[int, int]]:
    """Modification time and inode of everything that install.sh puts into the system."""
    places = ("etc/systemd/system", "etc/nigiwai", "etc/sysctl.d", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d")
    found = (p for place in places for p in (root / place).rglob("*") if p.is_file() and not p.is_symlink())
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in found if "nigiwai" in str(p)}


def make_newer(bundle: Path) -> None:
    """Makes the bundle another release: one is known by the checksum of its wheel and lock."""
    lock = bundle / "provisioning/requirements.lock"
    lock.write_text(lock.read_text(encoding="utf-8") + "# a newer release\n", encoding="utf-8")


def broken_wheel(bundle: Path) -> None:
    """Replaces the bundle's wheel by one whose link ends at once."""
    (wheel,) = (bundle / "dist").glob("*.whl")
    changed = wheel.with_suffix(".new")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename == "nigiwai/link/service.py":
                data = b"raise SystemExit('this release is broken')\n"
            new.writestr(item, data)
    wheel.unlink()
    changed.rename(wheel)


def test_a_fresh_system_needs_no_network(tmp_path: Path) -> None:
    with system("base-trixie", tmp_path) as root:
        done = install(root, BUNDLE)
        assert done.returncode == 0, done.stderr
        release = root / "opt/nigiwai" / current(root)
        assert (release / ".complete").exists()
        enabled = root / "etc/systemd/system"
        assert (enabled / "multi-user.target.wants/nigiwai.target").is_symlink()
        assert (enabled / "sysinit.target.wants/nigiwai-firewall.service").is_symlink()
        assert (root / "etc/nigiwai/nigiwai.toml").exists()
        assert "nigiwai-eye" in (root / "etc/passwd").read_text()


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    with system(SYSTEM, tmp_path) as root:
        (root / "etc/nigiwai/nigiwai.toml").write_text('[device]\nsite = "mine"\n')
        install(root, BUNDLE)
        before, release = files_of(root), current(root)
        done = install(root, BUNDLE)
        assert done.returncode == 0, done.stderr
        assert "is already here" in done.stdout
        assert (files_of(root), current(root)) == (before, release)
        assert "mine" in (root / "etc/nigiwai/nigiwai.toml").read_text()


@needs_proof
def test_what_an_earlier_attempt_left_unfinished_is_made_anew(tmp_path: Path) -> None:
    """As after a power cut in the middle: a release without its mark of completion."""
    with system(SYSTEM, tmp_path) as root:
        release = root / "opt/nigiwai" / current(root)
        (release / ".complete").unlink()
        (release / "venv/bin/nigiwai").unlink()
        done = install(root, BUNDLE)
        assert done.returncode == 0, done.stderr
        assert (release / ".complete").exists()
        assert (release / "venv/bin/nigiwai").exists()


def test_a_damaged_library_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    with system(SYSTEM, tmp_path) as root:
        bundle = bundle_copy(tmp_path)
        make_newer(bundle)
        (library,) = (bundle / "wheels").glob("paho_mqtt*")
        damaged = bytearray(library.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        library.unlink()
        library.write_bytes(damaged)
        before, release = files_of(root), current(root)
        done = install(root, bundle)
        assert done.returncode != 0
        assert "STOPPED" in done.stderr
        assert "hash" in done.stderr.lower()
        assert (files_of(root), current(root)) == (before, release)
        assert len(list((root / "opt/nigiwai/releases").iterdir())) == 1


def test_a_full_disk_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    with system(SYSTEM, tmp_path) as root:
        bundle = bundle_copy(tmp_path)
        make_newer(bundle)
        before, release = files_of(root), current(root)
        small = root / "opt/nigiwai/releases"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200M", "tmpfs", str(small)], check=True)
        try:
            done = install(root, bundle)
        finally:
            subprocess.run(["umount", str(small)], check=True)
        assert done.returncode != 0
        assert "900 are needed" in done.stderr
        assert "Nothing was changed" in done.stderr
        assert (files_of(root), current(root)) == (before, release)


@needs_proof
def test_a_disk_that_fills_up_half_way_leaves_no_unfinished_release(tmp_path: Path) -> None:
    """The check before is fooled: the disk looks large enough and is not."""
    with system(SYSTEM, tmp_path) as root:
        bundle = bundle_copy(tmp_path)
        script = bundle / "provisioning/install.sh"
        script.write_text(script.read_text().replace("NEED_MIB=900", "NEED_MIB=1"))
        make_newer(bundle)
        release = current(root)
        small = root / "opt/nigiwai/releases"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60M", "tmpfs", str(small)], check=True)
        try:
            done = install(root, bundle)
            left = list(small.iterdir())
        finally:
            subprocess.run(["umount", str(small)], check=True)
        assert done.returncode != 0
        assert "disk full" in done.stderr
        assert left == []
        assert current(root) == release


@needs_proof
def test_a_missing_package_without_network_is_told(tmp_path: Path) -> None:
    with system("base-trixie", tmp_path) as root:
        subprocess.run(
            ["chroot", str(root), "dpkg", "--purge", "--force-depends", "tzdata"], check=True, capture_output=True
        )
        done = install(root, BUNDLE)
        assert done.returncode != 0
        assert "could not install tzdata" in done.stderr
        assert "connect this device to the network once" in done.stderr
        assert not (root / "opt/nigiwai/current").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ID=debian\nVERSION_ID=11\n", "12 or 13 is needed"),
        ("ID=fedora\nVERSION_ID=40\n", "Raspberry Pi OS or Debian is needed"),
    ],
)
def test_other_systems_are_refused_in_clear_words(tmp_path: Path, text: str, words: str) -> None:
    with system("base-trixie", tmp_path) as root:
        (root / "usr/lib/os-release").write_text(text)
        done = install(root, BUNDLE)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
        assert not (root / "opt/nigiwai").exists()


def test_passwords_over_ssh_end_where_a_key_is_there_and_swap_ends_everywhere(tmp_path: Path) -> None:
    with system(SYSTEM, tmp_path) as root:
        (root / "etc/ssh/sshd_config.d").mkdir(parents=True)
        (root / "etc/fstab").write_text("/dev/mmcblk0p2 / ext4 defaults 0 1\n/var/swap none swap sw 0 0\n")
        (root / "boot/firmware").mkdir(parents=True)
        (root / "boot/firmware/cmdline.txt").write_text("console=tty1 root=PARTUUID=1 rootwait\n")
        done = install(root, BUNDLE)
        assert done.returncode == 0, done.stderr
        assert "SSH still takes passwords" in done.stderr
        assert not (root / "etc/ssh/sshd_config.d/60-nigiwai.conf").exists()
        assert (root / "etc/fstab").read_text().splitlines()[1].startswith("# nigiwai: /var/swap")
        line = "console=tty1 root=PARTUUID=1 rootwait cgroup_enable=memory\n"
        assert (root / "boot/firmware/cmdline.txt").read_text() == line

        (root / "root/.ssh").mkdir(exist_ok=True)
        (root / "root/.ssh/authorized_keys").write_text("ssh-ed25519 AAAA somebody\n")
        assert install(root, BUNDLE).returncode == 0
        assert "PasswordAuthentication no" in (root / "etc/ssh/sshd_config.d/60-nigiwai.conf").read_text()
        assert (root / "boot/firmware/cmdline.txt").read_text() == line


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Machine, Path]]:
    """A booted machine on which link runs, and a bundle of a newer release that it sees as /opt/bundle."""
    bundle = bundle_copy(tmp_path)
    make_newer(bundle)
    with system(SYSTEM, tmp_path) as root, booted(root, tmp_path / "log", f"--bind-ro={bundle}:/opt/bundle") as machine:
        machine.run("systemctl", "start", "nigiwai-link")
        wait_for("link runs", lambda: machine.is_active("nigiwai-link"))
        yield machine, bundle


def test_an_update_is_switched_to_in_a_running_system_and_keeps_the_one_before(running: tuple[Machine, Path]) -> None:
    machine, _ = running
    old, pid = current(machine.root), machine.main_pid("nigiwai-link")
    done = machine.run("/opt/bundle/provisioning/install.sh", "--no-host", timeout_s=600)
    new = current(machine.root)
    assert new != old
    assert (machine.root / "opt/nigiwai" / old / ".complete").exists()
    assert machine.main_pid("nigiwai-link") not in (0, pid)
    command = machine.run("cat", f"/proc/{machine.main_pid('nigiwai-link')}/cmdline").stdout
    assert new in command
    assert "done: release" in done.stdout


@needs_proof
def test_a_release_that_does_not_start_is_taken_back(running: tuple[Machine, Path]) -> None:
    machine, bundle = running
    broken_wheel(bundle)
    old = current(machine.root)
    done = machine.run("/opt/bundle/provisioning/install.sh", "--no-host", check=False, timeout_s=600)
    assert done.returncode != 0
    assert "is used again" in done.stderr
    assert "this release is broken" in done.stderr
    assert current(machine.root) == old
    wait_for("link runs as before", lambda: machine.is_active("nigiwai-link"))


def test_a_read_only_system_counts_takes_updates_and_is_written_nowhere_else(tmp_path: Path) -> None:
    bundle = bundle_copy(tmp_path)
    with system(SYSTEM, tmp_path) as root:
        assert install(root, bundle, "--no-host", "--read-only").returncode == 0
        # Eye has no camera here, and would be tried again for ever.
        (root / "etc/systemd/system/multi-user.target.wants/nigiwai.target").unlink()
        make_newer(bundle)
        with booted(root, tmp_path / "log", f"--bind-ro={bundle}:/opt/bundle") as machine:
            machine.run("systemctl", "start", "nigiwai-link")
            assert_closed(machine)
            assert machine.is_active("nigiwai-link")
            assert machine.run("stat", "-c", "%s", "/var/lib/nigiwai/ledger.db").stdout.strip() != "0"

            old = current(root)
            machine.run("/opt/bundle/provisioning/install.sh", "--no-host", timeout_s=600)
            assert current(root) != old
            assert_closed(machine)

            machine.run("/opt/bundle/provisioning/install.sh", "--no-host", "--writable", timeout_s=600)
            machine.run("touch", "/etc/something", "/usr/something")


def assert_closed(machine: Machine) -> None:
    """Settings, releases and ledger can be written, and so can what lies in memory; nothing else."""
    tried = machine.run("touch", "/etc/x", "/usr/x", "/var/lib/x", "/usr/lib/nigiwai/x", "/opt/x", check=False)
    assert (tried.returncode, tried.stderr.count("Read-only file system")) == (1, 5), tried.stderr
    machine.run("touch", "/etc/nigiwai/x", "/opt/nigiwai/x", "/var/lib/nigiwai/x", "/var/log/x", "/var/tmp/x")
    assert not (machine.root / "var/log/x").exists(), "in memory, not on the card"
