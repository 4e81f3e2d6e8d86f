# SPDX-License-Identifier: Apache-2.0
"""Asks NetworkManager how the device is connected, and switches its access point (the profile of enrol/station.py)."""

import logging
import re
import subprocess
import threading
import time

from nigiwai.errors import NigiwaiError
from nigiwai.venue.access_point import Air, Phase, State, update

log = logging.getLogger(__name__)

PROFILE = "nigiwai-access-point"
_LOOK_S = 5.0
_REAL = {"802-11-wireless", "802-3-ethernet", "gsm", "wifi", "ethernet"}


def read_air() -> Air:
    """How the device is connected now. Raises NigiwaiError where NetworkManager does not answer."""
    return Air(parse_connected(_nmcli("-t", "-f", "NAME,TYPE,STATE", "connection", "show", "--active")), _guests())


def parse_connected(said: str) -> bool:
    """Whether any line of NAME:TYPE:STATE is an active connection other than ours. A colon in a name is escaped."""
    for line in said.splitlines():
        name, kind, state = [*re.split(r"(?<!\\):", line), "", ""][:3]
        if name != PROFILE and kind in _REAL and state == "activated":
            return True
    return False


def _guests() -> int:
    """How many phones are on the access point; their addresses are not kept."""
    radio = next(
        iter(re.findall(r"^(\S+):" + PROFILE + "$", _nmcli("-t", "-f", "DEVICE,CONNECTION", "device"), re.M)), ""
    )
    if not radio:
        return 0
    try:
        said = subprocess.run(["iw", "dev", radio, "station", "dump"], capture_output=True, text=True, check=False)  # noqa: S607
    except FileNotFoundError:
        return 0
    return said.stdout.count("Station ")


def serve(*, on: bool) -> None:
    """Switches the access point on or off."""
    log.info("access point: %s", "on" if on else "off")
    try:
        _nmcli("connection", "up" if on else "down", PROFILE)
    except NigiwaiError as e:
        # No radio, or off already: counting does not depend on it, and the next look finds out what is true.
        log.warning("access point: %s", e)


def run(stop: threading.Event) -> None:
    """Looks every few seconds until asked to stop; then the access point goes off."""
    state = State(Phase.WAITING, time.monotonic())
    while not stop.wait(_LOOK_S):
        following = update(state, read_air(), time.monotonic())
        if (following.phase is Phase.SERVING) != (state.phase is Phase.SERVING):
            serve(on=following.phase is Phase.SERVING)
        state = following
    if state.phase is Phase.SERVING:
        serve(on=False)


def _nmcli(*arguments: str) -> str:
    try:
        done = subprocess.run(["nmcli", *arguments], capture_output=True, text=True, check=False, timeout=60)  # noqa: S607
    except FileNotFoundError:
        raise NigiwaiError("nmcli is missing; the access point needs NetworkManager") from None
    except subprocess.TimeoutExpired:
        raise NigiwaiError("NetworkManager does not answer") from None
    if done.returncode != 0:
        raise NigiwaiError((done.stderr.strip().splitlines() or ["nmcli failed"])[-1])
    return done.stdout
