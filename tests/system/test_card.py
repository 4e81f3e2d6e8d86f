# SPDX-License-Identifier: Apache-2.0
"""Updates of the whole system on a running machine: RAUC writes system B, which takes over once it is seen to count.

The card is what provisioning/image makes; provisioning/virtual/card.sh starts it and plays the firmware of the board.
"""

import logging
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nigiwai.lab.broker import running_broker
from tests.conftest import ROOT
from tests.system.card import (
    BOOT_A,
    BOOT_B,
    IMAGE,
    PATIENCE_S,
    ROOT_B,
    UPDATE,
    Card,
    Running,
    enter_by_key,
    output,
    running_from,
)
from tests.system.machine import needs_proof, wait_for
from tests.system.test_image import lay_out, make_keys, missing

CUTS = int(os.environ.get("NIGIWAI_CARD_CUTS") or 3)
SEED = int(os.environ.get("NIGIWAI_POWER_SEED") or 6)
TRYBOOT = 'systemctl reboot --reboot-argument="0 tryboot"'
PROVEN = "/usr/lib/nigiwai/rauc-tryboot get-proven"
STATES = "/data/rauc"
COUNT_BINS = (
    'import sqlite3; print(sqlite3.connect("file:/var/lib/nigiwai/ledger.db?mode=ro", uri=True)'
    '.execute("SELECT count(*) FROM bin").fetchone()[0])'
)
PARTITION = "/dev/disk/by-partuuid/4e494757-0"
SETTINGS = """[device]
site = "virtual"
name = "card"
[camera]
source = "recording"
path = "/opt/nigiwai/current/venv/lib/python3.13/site-packages/nigiwai/data/models/demo/entrance.mp4"
loop = true
[ledger]
interval_s = 5
[mqtt]
host = "10.0.2.2"
port = {port}
"""

log = logging.getLogger(__name__)


def why_no_card() -> str | None:
    """Why no card can be started here, or None."""
    if reason := missing("qemu-system-x86_64", "rauc", "genimage", "mcopy", "sfdisk", "ssh"):
        return reason
    return None if UPDATE.is_file() else f"{UPDATE} is missing: run provisioning/virtual/card.sh build"


NO_CARD = why_no_card()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(86_400),
    needs_proof,
    pytest.mark.skipif(NO_CARD is not None, reason=str(NO_CARD)),
]


def await_proven(machine: Running, slot: str) -> None:
    """Until the system of that slot runs, is well, and is what the next start would start."""
    machine.await_system(slot)
    well = f"nigiwai status >/dev/null && {PROVEN}"
    wait_for(f"system {slot} is well and proven", lambda: machine.finished(well).stdout.strip() == slot, PATIENCE_S, 10)


def install(machine: Running, name: str) -> "subprocess.CompletedProcess[str]":
    """How RAUC ended with an update that lies on the stick."""
    machine.run("mountpoint -q /mnt || mount -o ro /dev/disk/by-label/STICK /mnt")
    done = machine.finished(f"rauc install /mnt/{name}.raucb")
    log.info("rauc: %s", done.stdout.strip().rpartition("\n")[2])
    return done


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with an update of ours, and with one that a stranger has signed."""
    folder, made = tmp_path_factory.mktemp("stick"), tmp_path_factory.mktemp("updates")
    lay_out(made, "evil", make_keys(made), "verity").update.rename(folder / "stranger.raucb")
    shutil.copyfile(UPDATE, folder / "ours.raucb")
    disk = made / "stick.img"
    output("mke2fs", "-q", "-t", "ext4", "-L", "STICK", "-d", folder, disk, "2G")
    return disk


@dataclass(frozen=True)
class Device:
    """A card whose system A counts and has been marked good, and the key of its user."""

    card: Card
    key: Path

    def copy(self, to: Path) -> Card:
        """A card to write on."""
        output("cp", "--sparse=always", self.card.image, to)
        return Card(to)


@pytest.fixture(scope="module")
def broker_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker.port


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory, broker_port: int) -> Device:
    """Started for the first time from a new card, given its settings by SSH, and switched off once it was well."""
    folder = tmp_path_factory.mktemp("device")
    card = Card(folder / "card.img")
    output("cp", "--sparse=always", IMAGE, card.image)
    key = enter_by_key(card, folder)
    gates = (ROOT / "models/demo/entrance.gates.toml").read_text(encoding="utf-8")
    with running_from(card, key) as machine:
        machine.await_system("A")
        machine.run("cat >/etc/nigiwai/nigiwai.toml", SETTINGS.format(port=broker_port) + gates)
        ports = f"s/^define broker_ports = .*/define broker_ports = {{ {broker_port} }}/"
        machine.run(f"sed -i '{ports}' /etc/nigiwai/firewall.nft && systemctl reload nigiwai-firewall")
        machine.run("systemctl restart --no-block nigiwai-link nigiwai-eye nigiwai-rauc-good")
        wait_for("A is well", lambda: machine.finished("nigiwai status").returncode == 0, PATIENCE_S, 10)
        wait_for(
            "A is marked good",
            lambda: machine.finished(f"grep -q good {STATES}/state.A").returncode == 0,
            PATIENCE_S,
            10,
        )
        machine.soon("poweroff")
        machine.process.wait(PATIENCE_S)
    assert machine.starts() == [BOOT_A]
    return Device(card, key)


def bins(machine: Running) -> int:
    """How many bins the ledger holds."""
    return int(machine.run(f"python3 -c '{COUNT_BINS}'"))


def written(machine: Running) -> int:
    """How many sectors of system B have been written since this start."""
    name = f"$(basename $(readlink -f {PARTITION}{ROOT_B}))"
    return int(machine.run(f"awk '{{ print $7 }}' /sys/class/block/{name}/stat"))


def test_another_system_takes_over_when_it_counts_and_not_before(device: Device, stick: Path, tmp_path: Path) -> None:
    """Refused from a stranger; installed; left where it cannot begin, and where its power is cut; at last proven."""
    card = device.copy(tmp_path / "card.img")
    with running_from(card, device.key, stick) as machine:
        await_proven(machine, "A")
        before = bins(machine)

        refused = install(machine, "stranger")
        assert refused.returncode != 0
        assert "signature" in (refused.stdout + refused.stderr).lower()
        assert written(machine) == 0

        assert install(machine, "ours").returncode == 0
        assert machine.run(PROVEN).strip() == "A", "nothing but a start that counts changes that"

        root_b = f"{PARTITION}{ROOT_B}"
        machine.run(f"dd if={root_b} of=/data/head bs=1M count=1 && dd if=/dev/zero of={root_b} bs=1M count=1 && sync")
        machine.soon(TRYBOOT)
        wait_for("B is tried and left", lambda: machine.starts() == [BOOT_A, BOOT_B, BOOT_A], PATIENCE_S)
        await_proven(machine, "A")

        machine.run(f"dd if=/data/head of={root_b} bs=1M && sync")
        machine.soon(TRYBOOT)
        machine.await_system("B")
        assert machine.run(PROVEN).strip() == "A"
    with running_from(card, device.key) as machine:
        await_proven(machine, "A")
        assert machine.starts() == [BOOT_A], "the plug was pulled while B was on trial"
        machine.soon(TRYBOOT)
        await_proven(machine, "B")
        assert machine.starts() == [BOOT_A, BOOT_B]
        assert bins(machine) > before, "settings and ledger are those of before"
        machine.soon("reboot")
        wait_for("it starts again", lambda: machine.starts() == [BOOT_A, BOOT_B, BOOT_B], PATIENCE_S)
        await_proven(machine, "B")


def test_a_plug_pulled_during_an_installation_leaves_the_system_that_runs(
    device: Device, stick: Path, tmp_path: Path
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    card = device.copy(tmp_path / "card.img")
    for number in range(1, CUTS + 1):
        with running_from(card, device.key, stick) as machine:
            await_proven(machine, "A")
            at_least = chance.uniform(0.02, 0.98) * int(machine.run(f"blockdev --getsz {PARTITION}{ROOT_B}"))
            machine.run("mount -o ro /dev/disk/by-label/STICK /mnt && systemd-run --quiet rauc install /mnt/ours.raucb")
            wait_for("so much is written", lambda at=at_least, of=machine: written(of) >= at, PATIENCE_S, 0.5)  # type: ignore[misc]
            machine.cut_power()
        assert card.proven() == BOOT_A
        log.info("cut %d of %d: at least %d sectors of B were written", number, CUTS, at_least)
    with running_from(card, device.key, stick) as machine:
        await_proven(machine, "A")
        assert machine.starts() == [BOOT_A]
        assert install(machine, "ours").returncode == 0
        machine.soon(TRYBOOT)
        await_proven(machine, "B")
