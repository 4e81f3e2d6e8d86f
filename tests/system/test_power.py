# SPDX-License-Identifier: Apache-2.0
"""The plug is pulled at random moments of normal running and of updates: the device always boots to counting.

NIGIWAI_PROOF=1 pytest --timeout=14400 tests/system/test_power.py --log-cli-level=INFO     200 cuts
NIGIWAI_POWER_CUTS=20 pytest tests/system/test_power.py --log-cli-level=INFO               so many
"""

import contextlib
import logging
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from nigiwai.update import bundle as releases
from tests.conftest import PROOF
from tests.system import power
from tests.system.machine import UP, Machine, MachineError, booted, wait_for, why_not
from tests.system.test_install import bundle_copy, current, make_newer
from tests.system.test_update import (
    EYE,
    LINK,
    SYSTEM,
    assert_whole,
    counting,
    device,
    make_key,
    spoil,
    trial_is_over,
    update,
)

log = logging.getLogger(__name__)

CUTS = int(os.environ.get("NIGIWAI_POWER_CUTS") or (200 if PROOF else 2))
SEED = int(os.environ.get("NIGIWAI_POWER_SEED") or 6)
SHORT = CUTS <= 2
"""Whether this is the short form: one cut while the device updates itself, one while it does nothing but count."""
RESTS_S = (8.0, 8.0) if SHORT else (0.0, 40.0)
"""Of the device between two updates: at least, at most."""
BAD_EVERY = 5
"""Of so many releases one counts no more, and has to be taken back by the device itself."""
BOOT_S = 900.0 if PROOF else 300.0


def why_not_here() -> str | None:
    """Why these tests cannot run, or None."""
    missing = None if shutil.which("ssh-keygen") else "ssh-keygen is not installed"
    return why_not(SYSTEM) or power.why_no_shelf() or missing


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(14_400 if PROOF else 900),
    pytest.mark.skipif(why_not_here() is not None, reason=str(why_not_here())),
]


class Updates:
    """Release after release for a running device, in a thread of its own; one in so many counts no more."""

    def __init__(self, machine: Machine, bundles: tuple[Path, Path], key: Path, rests: random.Random) -> None:
        self.doing = "rest"
        self.failure: BaseException | None = None
        self.taken = Counter[str]()
        self._machine, self._bundles, self._key, self._rests = machine, bundles, key, rests
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> "Updates":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(1_800)

    def _go_on(self) -> None:
        try:
            number = 2
            while not self._ended.wait(self._rests.uniform(*RESTS_S)):
                self._one(number, bad=number % BAD_EVERY == 0)
                number += 1
        except BaseException as e:  # noqa: BLE001  the test's thread raises it
            self.failure = e

    def _one(self, number: int, *, bad: bool) -> None:
        new = self._bundles[bad]
        make_newer(new)
        releases.make(new, f"0.{number}", number, self._key)
        self.doing = "update"
        before = current(self._machine.root)
        done = update(self._machine, place=f"/opt/bundles/{'bad' if bad else 'good'}")
        assert done.returncode == 0, done.stderr
        self.doing = "trial of a bad release" if bad else "trial"
        wait_for("the trial is over", lambda: self._ended.is_set() or trial_is_over(self._machine), 300)
        kept = current(self._machine.root) != before
        assert self._ended.is_set() or kept != bad
        wait_for("the device counts", lambda: self._ended.is_set() or counting(self._machine), 180)
        self.taken["taken back" if bad else "kept"] += 1
        self.doing = "rest"


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    """A release that works and one that counts no more."""
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    good, bad = bundle_copy(tmp_path / "good"), bundle_copy(tmp_path / "bad")
    spoil(bad, "nigiwai/eye/service.py")
    return good, bad


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@contextlib.contextmanager
def running(tmp_path: Path, disk: Path, bundles: tuple[Path, Path]) -> Iterator[Machine]:
    """The device whose plug will be pulled, counting."""
    binds = [f"--bind-ro={b}:/opt/bundles/{name}" for b, name in zip(bundles, ("good", "bad"), strict=True)]
    with power.mounted(disk, tmp_path / "device") as root, booted(root, tmp_path / "device.log", *binds) as machine:
        wait_for("the device counts", lambda: counting(machine), BOOT_S)
        yield machine


def nothing_is_gone(before: power.Held, left: power.Held) -> None:
    """Raises AssertionError where something that was committed before a cut is not there after it."""
    assert before.bins <= left.bins, f"bins that were committed are gone: {sorted(before.bins - left.bins)}"
    assert left.records >= before.records, "records that were committed are gone"


def runs_whole(machine: Machine) -> bool:
    """Whether both rooms are up and run from the release that `current` names."""
    pids = [machine.main_pid(unit) for unit in (EYE, LINK) if machine.is_active(unit)]
    commands = [machine.run("cat", f"/proc/{pid}/cmdline", check=False).stdout for pid in pids if pid]
    return len(commands) == 2 and all(Path(current(machine.root)).name in command for command in commands)


def check_copy(tmp_path: Path, copy: Path, check: Callable[[power.Held], None]) -> str:
    """What release the disk that the cut left behind came to count with. Raises AssertionError or MachineError."""
    with power.mounted(copy, tmp_path / "copy") as root:
        left = power.check_ledger(root)
        check(left)
        assert_whole(root)
        # A release on trial that does not count is started again until it is taken back; so long it is "starting".
        with booted(root, tmp_path / "copy.log", up=UP | {"starting"}) as machine:
            try:
                wait_for("new bins are in the ledger", lambda: bool(power.held(root).runs - left.runs), BOOT_S)
                wait_for("both rooms run from the release in use", lambda: runs_whole(machine), BOOT_S)
            except MachineError as e:
                said = machine.run("journalctl", "--no-pager", "-b", "-n", 60, "-u", "nigiwai-*", check=False).stdout
                raise MachineError(f"{e}\n{said}") from None
            assert_whole(root)
            nothing_is_gone(left, power.held(root))
            used = current(root)
            # The plug once more: orderly ends are shown elsewhere, and the copy is thrown away.
            os.kill(machine.leader, signal.SIGKILL)
    return used


def await_moment(updates: Updates, wanted: str | None) -> None:
    """Waits until the device does what is wanted; not at all where any moment will do."""
    wait_for(
        f"the device does its {wanted}", lambda: wanted in (None, updates.doing) or updates.failure is not None, 300
    )


def test_a_cut_loses_what_was_not_on_the_card_and_nothing_else(tmp_path: Path) -> None:
    """Without this the other test would prove nothing."""
    (tmp_path / "empty").mkdir()
    with power.shelf(tmp_path) as place:
        power.make_disk(tmp_path / "empty", place / "disk.img")
        with power.mounted(place / "disk.img", tmp_path / "device") as root:
            (root / "synced").write_bytes(b"x" * 2**20)
            subprocess.run(["sync", "--file-system", root], check=True)
            (root / "unsynced").write_bytes(b"x" * 2**20)
            power.cut(place / "disk.img", place / "cut.img")
        with power.mounted(place / "cut.img", tmp_path / "copy") as left:
            assert (left / "synced").read_bytes() == b"x" * 2**20
            assert not (left / "unsynced").exists()


def test_the_plug_pulled_at_any_moment_leaves_a_device_that_counts_on(
    tmp_path: Path, key: Path, bundles: tuple[Path, Path]
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    moments = Counter[str]()
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(power.shelf(tmp_path))
        disk, copy = place / "disk.img", place / "cut.img"
        with device(tmp_path, key) as (root, _):
            power.make_disk(root, disk)
        machine = stack.enter_context(running(tmp_path, disk, bundles))
        updates = stack.enter_context(Updates(machine, bundles, key, random.Random(SEED + 1)))  # noqa: S311
        for number in range(1, CUTS + 1):
            await_moment(updates, ("rest", "update")[number % 2] if SHORT else None)
            time.sleep(chance.uniform(0, 4 if SHORT else 10))
            if updates.failure is not None:
                raise updates.failure
            doing, before = updates.doing, power.held(machine.root)
            begun = time.monotonic()
            power.cut(disk, copy)
            used = check_copy(tmp_path, copy, partial(nothing_is_gone, before))
            copy.unlink()
            moments[doing] += 1
            log.info(
                "cut %d of %d during %s: counts with %s after %.0f s, %d bins held; so far %s, releases %s",
                *(number, CUTS, doing, used, time.monotonic() - begun, len(before.bins)),
                *(dict(moments), dict(updates.taken)),
            )
