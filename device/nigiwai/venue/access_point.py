# SPDX-License-Identifier: Apache-2.0
"""When the device's own access point is on. Pure; nmcli.py asks and tells NetworkManager.

    WAITING ── no known network for two minutes ──► SERVING
    SERVING ── a cable or another radio connects ──► WAITING (the access point goes off)
    SERVING ── ten minutes without a guest ──► LOOKING (off: a radio that serves cannot look for networks)
    LOOKING ── connected ──► WAITING
    LOOKING ── half a minute in vain ──► SERVING

With a guest on it, the access point stays: somebody is standing before the device with the page open.
"""

from dataclasses import dataclass
from enum import StrEnum

ALONE_S = 120.0
BETWEEN_LOOKS_S = 600.0
LOOK_S = 30.0


class Phase(StrEnum):
    """What the device does about a network."""

    WAITING = "waiting"
    SERVING = "serving"
    LOOKING = "looking"


@dataclass(frozen=True)
class State:
    """The phase, and since when: of no network (WAITING), of the last guest (SERVING), of the look (LOOKING)."""

    phase: Phase
    since_s: float


@dataclass(frozen=True)
class Air:
    """What NetworkManager says. connected: by anything but our access point."""

    connected: bool
    guests: int


def update(state: State, air: Air, now_s: float) -> State:
    """The state that follows; the access point is on in SERVING and off in the others."""
    if air.connected:
        return State(Phase.WAITING, now_s)
    if state.phase is Phase.WAITING:
        return State(Phase.SERVING, now_s) if now_s - state.since_s >= ALONE_S else state
    if state.phase is Phase.LOOKING:
        return State(Phase.SERVING, now_s) if now_s - state.since_s >= LOOK_S else state
    if air.guests:
        return State(Phase.SERVING, now_s)
    return State(Phase.LOOKING, now_s) if now_s - state.since_s >= BETWEEN_LOOKS_S else state
