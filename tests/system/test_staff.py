# SPDX-License-Identifier: Apache-2.0
"""The staff's commands on an installed system: what blocks the camera is named, and the device can be ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.machine import Machine, booted, copy_of, needs_proof, wait_for, why_not
from tests.system.test_running import PACKAGE, SETTINGS

SYSTEM = "trixie"
NIGIWAI = "/usr/local/bin/nigiwai"
UNIT = "/etc/systemd/system/nigiwai-eye.service"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(why_not(SYSTEM) is not None, reason=str(why_not(SYSTEM))),
    needs_proof,
]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with copy_of(SYSTEM, tmp_path) as root:
        demo = f"/{PACKAGE}/data/models/demo"
        gates = (root / f"{demo.lstrip('/')}/entrance.gates.toml").read_text()
        settings = SETTINGS.format(clip=f"{demo}/entrance.mp4", broker="127.0.0.1", port=1, gates=gates)
        (root / "etc/nigiwai/nigiwai.toml").write_text(settings)
        with booted(root, tmp_path / "log") as running:
            yield running


def test_the_camera_works_under_every_restriction(machine: Machine) -> None:
    done = machine.run(NIGIWAI, "check", "--sandbox", check=False, timeout_s=300)
    assert (done.returncode, "under every restriction" in done.stdout) == (0, True), done.stderr
    left = machine.run("ls", "/run/systemd/system", check=False).stdout
    assert "nigiwai-try" not in left


@pytest.mark.parametrize(
    ("instead", "of"),
    [("LimitNOFILE=5", "LimitNOFILE=1024"), ("InaccessiblePaths=/opt/nigiwai", "UMask=0777")],
)
def test_the_line_that_blocks_is_named(machine: Machine, instead: str, of: str) -> None:
    new = "/opt/nigiwai/current/systemd/nigiwai-eye.service"
    change = f"sed 's#^{of}#{instead}#' {new} >/tmp/unit; mv /tmp/unit {UNIT}"
    machine.run("sh", "-c", change)
    done = machine.run(NIGIWAI, "check", "--sandbox", check=False, timeout_s=600)
    named = [line for line in done.stdout.splitlines() if "blocks the camera" in line]
    assert done.returncode == 4
    assert len(named) == 1
    assert instead in named[0]


def test_a_device_is_asked_how_it_is_and_ended(machine: Machine) -> None:
    machine.run("systemctl", "start", "nigiwai.target")
    wait_for("link runs", lambda: machine.is_active("nigiwai-link"))
    asked = (NIGIWAI, "status", "--language", "ja")
    wait_for("the broker was tried", lambda: "本部と通信できません" in machine.run(*asked, check=False).stdout)
    assert "送信・記録(link): 動作中" in machine.run(*asked, check=False).stdout
    assert "nigiwai" in machine.run(NIGIWAI, "logs").stdout
    wiped = machine.run(NIGIWAI, "wipe", "--device", "hall/entrance", timeout_s=120)
    assert "消去証明書" in wiped.stdout
    assert machine.run("ls", "/var/lib/nigiwai").stdout == ""
    assert not machine.is_active("nigiwai-link")
