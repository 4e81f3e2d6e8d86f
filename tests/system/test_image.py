# SPDX-License-Identifier: Apache-2.0
"""The image's and RAUC's files, as far as they can be tried without a board.

A small system is laid out on an image with the recipe's own script, read back without mounting, and updated by RAUC
into the other slot. This kernel has no dm-verity, so the update's format is `plain` here and `verity` on a device.
"""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

IMAGE = ROOT / "provisioning/image"
BACKEND = IMAGE / "rauc/rauc-tryboot"
BUILD = IMAGE / "build.sh"
SIZES = {"BOOTFS_SIZE": "40M", "BOOT_SIZE": "40M", "ROOT_SIZE": "32M", "DATA_SIZE": "16M"}
MIB = 2**20


def missing(*tools: str) -> str | None:
    """Why a test that needs those tools cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    lacking = [tool for tool in tools if shutil.which(tool, path=path) is None]
    return f"{', '.join(lacking)} not installed" if lacking else None


NO_IMAGE = missing("genimage", "mcopy", "mkfs.vfat", "mke2fs", "sfdisk", "debugfs")
NO_RAUC = NO_IMAGE or missing("rauc", "mksquashfs", "dbus-daemon", "losetup", "openssl")
needs_genimage = pytest.mark.skipif(NO_IMAGE is not None, reason=str(NO_IMAGE))
needs_rauc = pytest.mark.skipif(NO_RAUC is not None, reason=str(NO_RAUC))


def backend(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"BOOT": str(folder), "STATES": str(folder / "states"), "CMDLINE": str(folder / "cmdline")}
    return subprocess.run(
        [str(BACKEND), *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(("slot", "partition", "other"), [("A", 2, 3), ("B", 3, 2)])
def test_the_firmware_is_told_which_slot_and_which_to_try(
    tmp_path: Path, slot: str, partition: int, other: int
) -> None:
    assert backend(tmp_path, "set-primary", slot).returncode == 0
    assert (tmp_path / "autoboot.txt").read_text() == (
        f"[all]\ntryboot_a_b=1\nboot_partition={partition}\n[tryboot]\nboot_partition={other}\n"
    )
    assert backend(tmp_path, "get-primary").stdout.strip() == slot


def autoboot(folder: Path) -> list[str]:
    """The partitions of [all] and [tryboot]."""
    lines = (folder / "autoboot.txt").read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith("boot_partition=")]


def test_a_new_slot_is_tried_and_takes_over_only_when_it_is_marked_good(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("rauc.slot=A\n")
    backend(tmp_path, "set-primary", "A")

    backend(tmp_path, "set-state", "B", "bad")
    backend(tmp_path, "set-primary", "B")
    assert (autoboot(tmp_path), backend(tmp_path, "get-primary").stdout.strip()) == (["2", "3"], "B")

    (tmp_path / "cmdline").write_text("rauc.slot=B\n")
    backend(tmp_path, "set-state", "B", "good")
    assert (autoboot(tmp_path), backend(tmp_path, "get-primary").stdout.strip()) == (["3", "2"], "B")


def test_a_new_slot_that_fails_leaves_the_proven_one_in_place(tmp_path: Path) -> None:
    """The firmware's fallback starts A again, which marks itself good."""
    (tmp_path / "cmdline").write_text("rauc.slot=A\n")
    backend(tmp_path, "set-primary", "A")
    backend(tmp_path, "set-primary", "B")

    backend(tmp_path, "set-state", "A", "good")

    assert (autoboot(tmp_path), backend(tmp_path, "get-primary").stdout.strip()) == (["2", "3"], "A")


def test_states_of_slots_are_kept_and_strangers_refused(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("rauc.slot=A\n")
    assert backend(tmp_path, "get-state", "B").stdout.strip() == "good"
    backend(tmp_path, "set-state", "B", "bad")
    assert backend(tmp_path, "get-state", "B").stdout.strip() == "bad"
    assert backend(tmp_path, "set-primary", "C").returncode == 1
    assert not (tmp_path / "autoboot.txt").exists()
    assert backend(tmp_path, "nonsense").returncode == 2


def test_the_running_slot_is_read_from_the_kernels_command_line(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("console=tty1 rauc.slot=B root=LABEL=b\n")
    assert backend(tmp_path, "get-current").stdout.strip() == "B"


def judge(folder: Path, works: bool, running: str) -> tuple[int, list[str]]:
    """How the judge of a system ended, where A is proven; and what of RAUC and systemd it called."""
    (folder / "cmdline").write_text(f"rauc.slot={running}\n")
    backend(folder, "set-primary", "A")
    for name, body in {
        "nigiwai": f"exit {0 if works else 1}",
        "rauc": f'echo "rauc $*" >>{folder}/called',
        "systemctl": f'echo "systemctl $*" >>{folder}/called',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    environment = {"BOOT": str(folder), "CMDLINE": str(folder / "cmdline"), "BACKEND": str(BACKEND)}
    path = {"PATH": f"{folder}:{os.environ['PATH']}", "TRIES": "2", "PAUSE_S": "0"}
    done = subprocess.run([str(IMAGE / "rauc/rauc-judge")], env={**os.environ, **environment, **path}, check=False)
    called = folder / "called"
    return done.returncode, called.read_text().splitlines() if called.exists() else []


@pytest.mark.parametrize(
    ("works", "running", "code", "called"),
    [
        (True, "A", 0, ["rauc status mark-good"]),
        (True, "B", 0, ["rauc status mark-good"]),
        (False, "B", 0, ["systemctl reboot"]),
        (False, "A", 1, []),
    ],
    ids=["proven", "tried", "tried and broken", "proven and broken"],
)
def test_only_a_system_on_trial_that_does_not_work_is_left(
    tmp_path: Path, works: bool, running: str, code: int, called: list[str]
) -> None:
    assert judge(tmp_path, works, running) == (code, called)


def test_the_recipe_says_how_it_is_used() -> None:
    done = subprocess.run([str(BUILD)], capture_output=True, text=True, check=False)
    assert (done.returncode, "OUT.img RELEASE_FOLDER" in done.stdout) == (2, True)


# A card and what is on it


@dataclass(frozen=True)
class Card:
    """An image, and the update with the same system."""

    image: Path
    update: Path

    def partitions(self) -> list[dict[str, Any]]:
        """The partition table's entries, in order."""
        told = output("sfdisk", "--json", self.image)
        found: list[dict[str, Any]] = json.loads(told)["partitiontable"]["partitions"]
        return found

    def at(self, number: int) -> tuple[int, int]:
        """Where a partition begins, and how long it is, in bytes."""
        entry = self.partitions()[number - 1]
        return entry["start"] * 512, entry["size"] * 512

    def on_fat(self, number: int, name: str) -> str:
        """A file of a FAT partition."""
        return output("mtype", "-i", f"{self.image}@@{self.at(number)[0]}", f"::{name}")

    def on_ext4(self, number: int, name: str, folder: Path) -> str:
        """A file of an ext4 partition."""
        start, size = self.at(number)
        part = folder / f"part{number}"
        with self.image.open("rb") as image, part.open("wb") as out:
            image.seek(start)
            out.write(image.read(size))
        return output("debugfs", "-R", f"cat {name}", part)


def output(*command: object) -> str:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout


def make_keys(folder: Path) -> dict[str, str]:
    key, certificate = folder / "image.key", folder / "image.crt"
    ask = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    output(*ask, "-keyout", key, "-out", certificate, "-subj", "/CN=images")
    return {"RAUC_KEY": str(key), "RAUC_CERT": str(certificate)}


def lay_out(folder: Path, version: str, keys: dict[str, str], bundle_format: str = "plain") -> Card:
    """A system of a few files on a small card."""
    root = folder / "root"
    for place in ("etc/nigiwai", "etc/systemd/system", "var/lib/nigiwai", "boot/firmware"):
        (root / place).mkdir(parents=True)
    (root / "etc/version").write_text(version)
    (root / "etc/nigiwai/nigiwai.toml").write_text("# settings\n")
    (root / "boot/firmware/kernel8.img").write_text(f"kernel {version}")
    (root / "boot/firmware/cmdline.txt").write_text("as the kernel's package wrote it")
    (root / "boot/firmware/user-data").write_text("#cloud-config\n{}\n")
    card = Card(folder / "card.img", folder / "card.raucb")
    environment = {
        **os.environ,
        **SIZES,
        **keys,
        "RAUC_FORMAT": bundle_format,
        "PATH": f"{os.environ['PATH']}:/usr/sbin",
    }
    made = subprocess.run(
        [str(IMAGE / "layout.sh"), str(root), str(card.image)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert made.returncode == 0, made.stderr
    return card


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Card:
    folder = tmp_path_factory.mktemp("card")
    return lay_out(folder, "one", make_keys(folder) if NO_RAUC is None else {})


@needs_genimage
def test_the_card_has_two_whole_systems_and_their_data(card: Card) -> None:
    table = json.loads(output("sfdisk", "--json", card.image))["partitiontable"]
    assert (table["label"], table["id"]) == ("dos", "0x4e494757"), "the firmware's tryboot knows no GPT"
    rows = [(p["type"], p["size"] * 512 // MIB, bool(p.get("bootable"))) for p in table["partitions"]]
    assert rows == [
        ("c", 40, True),
        ("c", 40, False),
        ("c", 40, False),
        ("f", 83, False),
        ("83", 32, False),
        ("83", 32, False),
        ("83", 16, False),
    ]
    ends = [(p["start"], p["start"] + p["size"]) for p in table["partitions"]]
    flat = [*ends[:3], *ends[4:]]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(flat))
    assert ends[3][0] < ends[4][0] < ends[6][1] <= ends[3][1], "4 holds 5, 6 and 7"
    assert all(start % 2048 == 0 for start, _ in ends), "whole erase blocks"


@needs_genimage
def test_every_partition_holds_what_belongs_to_it(card: Card, tmp_path: Path) -> None:
    assert card.on_fat(1, "autoboot.txt") == "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
    assert card.on_fat(1, "user-data").startswith("#cloud-config")
    assert card.on_fat(2, "kernel8.img") == "kernel one"
    words = card.on_fat(2, "cmdline.txt").split()
    assert {"root=PARTUUID=4e494757-05", "rauc.slot=A", "cgroup_enable=memory"} <= set(words)
    assert "user-data" not in output("mdir", "-b", "-i", f"{card.image}@@{card.at(2)[0]}")
    fstab = [line.split()[:2] for line in card.on_ext4(5, "/etc/fstab", tmp_path).splitlines()]
    assert fstab == [
        ["PARTUUID=4e494757-01", "/boot/firmware"],
        ["PARTUUID=4e494757-07", "/data"],
        ["/data/etc/nigiwai", "/etc/nigiwai"],
        ["/data/var/lib/nigiwai", "/var/lib/nigiwai"],
        ["/data/etc/NetworkManager/system-connections", "/etc/NetworkManager/system-connections"],
    ]
    assert card.on_ext4(7, "/etc/nigiwai/nigiwai.toml", tmp_path) == "# settings\n"


@needs_genimage
def test_rauc_and_the_card_agree_on_the_slots(card: Card, tmp_path: Path) -> None:
    conf = card.on_ext4(5, "/etc/rauc/system.conf", tmp_path)
    devices = [line.rpartition("-")[2] for line in conf.splitlines() if line.startswith("device=")]
    assert devices == ["05", "06", "02", "03"]
    for name in ("rauc-tryboot", "rauc-judge", "grow-data"):
        assert card.on_ext4(5, f"/usr/lib/nigiwai/{name}", tmp_path).startswith("#!/bin/sh")


@needs_genimage
def test_the_data_partition_grows_to_the_card_and_nothing_else_moves(card: Card, tmp_path: Path) -> None:
    larger = Card(tmp_path / "larger.img", card.update)
    shutil.copyfile(card.image, larger.image)
    os.truncate(larger.image, larger.image.stat().st_size + 64 * MIB)
    before = larger.partitions()
    for _ in range(2):
        output(IMAGE / "rauc/grow-data", larger.image)
        after = larger.partitions()
        assert [p["start"] for p in after] == [p["start"] for p in before]
        grown = [(a["size"] - b["size"]) * 512 // MIB for a, b in zip(after, before, strict=True)]
        assert grown == [0, 0, 0, 64, 0, 0, 64]
    assert larger.on_ext4(7, "/etc/nigiwai/nigiwai.toml", tmp_path) == "# settings\n"


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>
"""


@dataclass(frozen=True)
class Device:
    """A card in a device that was started from A, with RAUC's service on a bus of its own."""

    folder: Path
    environment: dict[str, str]

    def install(self, update: Path) -> "subprocess.CompletedProcess[str]":
        """How `rauc install` ended."""
        command = ["rauc", "install", str(update)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment, timeout=120)

    def autoboot(self) -> list[str]:
        return autoboot(self.folder)


@contextlib.contextmanager
def running(*command: object, **options: Any) -> Iterator[None]:
    process = subprocess.Popen(
        [*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **options
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def slots_of(card: Card, folder: Path) -> Iterator[None]:
    """The card's partitions as devices, under the names of /dev/disk/by-partuuid."""
    loops = []
    try:
        for number in (2, 3, 5, 6):
            start, size = card.at(number)
            loop = output("losetup", "--find", "--show", "--offset", start, "--sizelimit", size, card.image).strip()
            loops.append(loop)
            (folder / f"4e494757-0{number}").symlink_to(loop)
        yield
    finally:
        for loop in loops:
            subprocess.run(["losetup", "--detach", loop], check=False)


@pytest.fixture
def device(card: Card, tmp_path: Path) -> Iterator[tuple[Device, Card]]:
    mine = Card(tmp_path / "card.img", card.update)
    shutil.copyfile(card.image, mine.image)
    conf = (IMAGE / "rauc/system.conf").read_text()
    for theirs, ours in {
        "/dev/disk/by-partuuid": tmp_path,
        "=verity": "=plain",
        "/data/rauc": tmp_path / "data",
        "/usr/lib/nigiwai/rauc-tryboot": BACKEND,
        "/etc/rauc/keyring.pem": card.image.with_name("image.crt"),
    }.items():
        assert theirs in conf
        conf = conf.replace(theirs, str(ours))
    (tmp_path / "system.conf").write_text(conf)
    (tmp_path / "bus.conf").write_text(BUS.format(path=tmp_path / "bus"))
    for name in ("data", "mnt"):
        (tmp_path / name).mkdir()
    (tmp_path / "cmdline").write_text("rauc.slot=A\n")
    assert backend(tmp_path, "set-primary", "A").returncode == 0
    environment = {
        **os.environ,
        "BOOT": str(tmp_path),
        "STATES": str(tmp_path / "states"),
        "CMDLINE": str(tmp_path / "cmdline"),
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path / 'bus'}",
    }
    with slots_of(mine, tmp_path), running("dbus-daemon", f"--config-file={tmp_path / 'bus.conf'}", "--nofork"):
        await_true(lambda: (tmp_path / "bus").exists())
        service = ("rauc", f"--mount={tmp_path / 'mnt'}", "-c", tmp_path / "system.conf", "service")
        with running(*service, "--override-boot-slot=A", env=environment):
            await_true(lambda: subprocess.run(["rauc", "status"], env=environment, capture_output=True).returncode == 0)
            yield Device(tmp_path, environment), mine


def await_true(ask: Any) -> None:
    deadline = time.monotonic() + 60
    while not ask():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@needs_rauc
def test_an_update_goes_into_the_other_slot_with_its_own_command_line(
    device: tuple[Device, Card], card: Card, tmp_path: Path
) -> None:
    started, mine = device
    newer = tmp_path / "newer"
    newer.mkdir()
    keys = {
        name: str(card.image.with_name(f"image.{end}")) for name, end in (("RAUC_KEY", "key"), ("RAUC_CERT", "crt"))
    }
    update = lay_out(newer, "two", keys).update

    done = started.install(update)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (mine.on_ext4(6, "/etc/version", tmp_path), mine.on_fat(3, "kernel8.img")) == ("two", "kernel two")
    assert {"root=PARTUUID=4e494757-06", "rauc.slot=B"} <= set(mine.on_fat(3, "cmdline.txt").split())
    assert (mine.on_ext4(5, "/etc/version", tmp_path), mine.on_fat(2, "kernel8.img")) == ("one", "kernel one")
    assert "rauc.slot=A" in mine.on_fat(2, "cmdline.txt")
    assert started.autoboot() == ["2", "3"], "A stays the proven one; B is tried once"

    (started.folder / "cmdline").write_text("rauc.slot=B\n")
    assert backend(started.folder, "set-state", "B", "good").returncode == 0
    assert started.autoboot() == ["3", "2"]


@needs_rauc
def test_an_update_that_a_stranger_signed_is_refused(device: tuple[Device, Card], tmp_path: Path) -> None:
    started, mine = device
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    update = lay_out(stranger, "evil", make_keys(stranger)).update
    before = mine.image.read_bytes()

    done = started.install(update)

    assert done.returncode != 0
    assert "signature" in (done.stdout + done.stderr).lower()
    assert mine.image.read_bytes() == before, "no slot was touched"
