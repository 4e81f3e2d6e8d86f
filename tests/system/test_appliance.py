# SPDX-License-Identifier: Apache-2.0
"""The virtual device: a Debian with a kernel of its own, whose power is cut while it counts.

provisioning/virtual/appliance.sh makes the disk and runs it. An emulated processor is slow: only `make proof` runs it,
and cuts the power 200 times or as often as NIGIWAI_POWER_CUTS says. During updates too: test_power.py.
"""

import contextlib
import logging
import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from nigiwai.lab.broker import running_broker
from nigiwai.lab.demo import read_truth
from nigiwai.lab.subscriber import Subscriber
from tests.conftest import ROOT
from tests.system import power
from tests.system.appliance import BOOT_S, MACHINE, copy_of_disk, device_on, passes, why_no_device
from tests.system.machine import needs_proof, wait_for
from tests.system.test_power import check_copy

CUTS = int(os.environ.get("NIGIWAI_POWER_CUTS") or 200)
STARTS = 3
SEED = int(os.environ.get("NIGIWAI_POWER_SEED") or 6)
PASS_S = 7_200.0
"""What one pass of the clip, 40 s long, may take with an emulated processor of a busy machine."""

MOST_MEMORY = 280_000_000
LEAST_FREE_KIB = 64 * 1024

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(86_400), needs_proof]
NO_DEVICE = why_no_device("amd64")
needs_device = pytest.mark.skipif(NO_DEVICE is not None, reason=str(NO_DEVICE))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return copy_of_disk("amd64", tmp_path / "disk.img")


@pytest.mark.parametrize("arch", sorted(MACHINE))
def test_the_clip_counts_the_same_in_a_device_of_either_processor(tmp_path: Path, arch: str) -> None:
    """Every picture of it, by the real units, with 512 MB, and what a broker across the virtual network hears of it."""
    if reason := why_no_device(arch):
        pytest.skip(reason)
    truth = read_truth(ROOT / "models/demo/entrance.truth.jsonl")
    disk = copy_of_disk(arch, tmp_path / "disk.img")
    with (
        running_broker(tmp_path) as broker,
        contextlib.closing(Subscriber(broker, "nigiwai/v1/virtual/appliance")) as heard,
        device_on(disk, ARCH=arch, CAMERA="replay", MEMORY_MIB=512, BROKER_PORT=broker.port) as device,
    ):
        device.await_counting()
        assert device.await_replayed(PASS_S) == (truth["door"]["in"], truth["door"]["out"])
        wait_for("the broker has heard all of it", lambda: heard.published == truth, 600)
        memory = device.memory()
    log.info("proportional memory of both %d KiB, at least %d KiB free", memory.both_kib, memory.free_kib)
    assert memory.both_kib * 1024 < MOST_MEMORY
    assert memory.free_kib > LEAST_FREE_KIB


def test_a_camera_behind_the_kernel_is_counted_like_the_clip_that_it_sees(tmp_path: Path) -> None:
    """V4L2 from end to end, through the devices that eye's unit may open; the test pattern would count nobody.

    arm64: with one instruction in a nanosecond it looks ten times a second, an emulated x86 without AVX hardly once.
    """
    if reason := why_no_device("arm64"):
        pytest.skip(reason)
    truth = read_truth(ROOT / "models/demo/entrance.truth.jsonl")
    disk = copy_of_disk("arm64", tmp_path / "disk.img")
    with (
        running_broker(tmp_path) as broker,
        device_on(disk, ARCH="arm64", CAMERA="kernel", ACCEL="tcg", BROKER_PORT=broker.port) as device,
    ):
        device.await_counting()
        wait_for("the camera has seen all of it", lambda: [x for x in device.lines if x.startswith("@# ")], PASS_S)
        last = device.await_counting(int(device.states()[-1]["bins"]) + 1)
    assert (last["camera"], last["restarts"]) == ("vivid", "0+0")
    assert passes(last) == [(truth["door"]["in"], truth["door"]["out"])]


def at_least(bins: int, left: power.Held) -> None:
    assert len(left.bins) >= bins, "bins that were in the ledger are gone"


@needs_device
@pytest.mark.skipif(power.why_no_shelf() is not None, reason=str(power.why_no_shelf()))
def test_the_plug_pulled_at_any_moment_leaves_a_device_that_counts_on(tmp_path: Path) -> None:
    """The machine is stopped, its disk copied in one step, and the machine goes on; the copy is started in a container.

    So the emulated machine, which takes minutes to start, is started once.
    """
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    with power.shelf(tmp_path) as place:
        image, copy = copy_of_disk("amd64", place / "disk.img"), place / "cut.img"
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


@needs_device
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


@needs_device
def test_memory_limits_hold_in_a_kernel_of_its_own(disk: Path) -> None:
    with device_on(disk) as device:
        used, limit = device.await_counting()["memory"].split("/")
        assert int(limit) == 400 * 2**20
        assert 0 < int(used) < int(limit)
