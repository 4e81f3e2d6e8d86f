# SPDX-License-Identifier: Apache-2.0
"""The image's and RAUC's files, as far as they can be tried without a board."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

BACKEND = ROOT / "provisioning/image/rauc/rauc-tryboot"
BUILD = ROOT / "provisioning/image/build.sh"


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


def test_the_recipe_says_how_it_is_used() -> None:
    done = subprocess.run([str(BUILD)], capture_output=True, text=True, check=False)
    assert (done.returncode, "OUT.img RELEASE_FOLDER" in done.stdout) == (2, True)
