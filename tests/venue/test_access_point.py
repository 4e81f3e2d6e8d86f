# SPDX-License-Identifier: Apache-2.0
"""When the access point is on: walks through a day, five seconds at a time."""

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from nigiwai.enrol.station import access_point
from nigiwai.venue.access_point import ALONE_S, BETWEEN_LOOKS_S, LOOK_S, Air, Phase, State, update
from nigiwai.venue.nmcli import parse_connected

ALONE, HOME, GUEST = Air(False, 0), Air(True, 0), Air(False, 1)
STEP_S = 5.0


def walk(*parts: tuple[Air, float]) -> list[tuple[float, Phase]]:
    """The changes of phase, each with its moment, of a walk through what is in the air for how long."""
    state, now_s, changes = State(Phase.WAITING, 0.0), 0.0, []
    for air, length_s in parts:
        end_s = now_s + length_s
        while now_s < end_s:
            now_s += STEP_S
            following = update(state, air, now_s)
            if following.phase is not state.phase:
                changes.append((now_s, following.phase))
            state = following
    return changes


@pytest.mark.parametrize(
    ("parts", "changes"),
    [
        ([(HOME, 3_600)], []),
        ([(ALONE, ALONE_S - STEP_S)], []),
        ([(ALONE, 130)], [(120, Phase.SERVING)]),
        # A network that comes and goes: two minutes count from when it went.
        ([(ALONE, 115), (HOME, 5), (ALONE, 115)], []),
        # A cable is plugged in: off at once.
        ([(ALONE, 200), (HOME, 5)], [(120, Phase.SERVING), (205, Phase.WAITING)]),
        # Nobody on it: after ten minutes it looks for half a minute, then serves again.
        ([(ALONE, 760)], [(120, Phase.SERVING), (720, Phase.LOOKING), (750, Phase.SERVING)]),
        # It looks and finds the known network.
        ([(ALONE, 725), (HOME, 5)], [(120, Phase.SERVING), (720, Phase.LOOKING), (730, Phase.WAITING)]),
        # A guest keeps it on; ten minutes count from the last one.
        ([(ALONE, 125), (GUEST, 3_600), (ALONE, 595)], [(120, Phase.SERVING)]),
        ([(ALONE, 125), (GUEST, 3_600), (ALONE, 600)], [(120, Phase.SERVING), (4_325, Phase.LOOKING)]),
    ],
)
def test_a_walk(parts: list[tuple[Air, float]], changes: list[tuple[float, Phase]]) -> None:
    assert walk(*parts) == changes


def test_a_phone_never_waits_long_for_a_device_alone() -> None:
    """In any ten minutes alone, the access point is off for half a minute at most once it was on."""
    changes = walk((ALONE, 7_200))
    off = [later - at for (at, phase), (later, _) in pairwise(changes) if phase is Phase.LOOKING]
    assert off == [LOOK_S] * len(off)
    assert len(off) == int((7_200 - ALONE_S) // (BETWEEN_LOOKS_S + LOOK_S))


@pytest.mark.parametrize(
    ("said", "connected"),
    [
        ("", False),
        ("lo:loopback:activated\n", False),
        ("nigiwai-access-point:802-11-wireless:activated\n", False),
        ("site-wifi:802-11-wireless:activated\n", True),
        ("site-wifi:802-11-wireless:activating\n", False),
        ("Wired connection 1:802-3-ethernet:activated\nnigiwai-access-point:802-11-wireless:activated\n", True),
        ("a\\:b:802-3-ethernet:activated\n", True),
        ("docker0:bridge:activated\n", False),
    ],
)
def test_what_networkmanager_says_is_understood(said: str, connected: bool) -> None:
    assert parse_connected(said) is connected


@pytest.mark.skipif(shutil.which("nmcli") is None, reason="NetworkManager is not installed")
def test_networkmanager_can_read_the_profile(tmp_path: Path) -> None:
    (tmp_path / "x.nmconnection").write_text(access_point("east", "ABCD-EFGH"))
    done = subprocess.run(["nmcli", "--offline", "connection", "modify", "ipv6.method", "ignore"],
        stdin=(tmp_path / "x.nmconnection").open(), capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mode=ap" in done.stdout
