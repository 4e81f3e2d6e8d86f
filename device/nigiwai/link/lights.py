# SPDX-License-Identifier: Apache-2.0
"""The health lights: facts in, light and cause out. Pure; what to do about a cause is the page's to say."""

from dataclasses import dataclass

from nigiwai.door.records import Flag
from nigiwai.link.certificates import Flaw
from nigiwai.link.messages import Cause, ClockState, Light, Subject

Lights = dict[Subject, tuple[Light, Cause]]

LOW_DISK_MIB = 256
HOT_C = 80.0
"""A Raspberry Pi slows itself down from here on (Raspberry Pi documentation, "Frequency management and thermal
control").
"""

_FLAGS: tuple[tuple[Flag, Light, Cause], ...] = (
    (Flag.CAMERA_LOST, Light.BAD, Cause.CAMERA_LOST),
    (Flag.COVERED, Light.BAD, Cause.COVERED),
    (Flag.FROZEN, Light.BAD, Cause.FROZEN),
    (Flag.DARK, Light.BAD, Cause.DARK),
    (Flag.GATE_AT_EDGE, Light.BAD, Cause.GATE_AT_EDGE),
    (Flag.MOVED, Light.WARN, Cause.MOVED),
    (Flag.BLOWN_OUT, Light.WARN, Cause.BLOWN_OUT),
    (Flag.BLURRED, Light.WARN, Cause.BLURRED),
    (Flag.SLOW, Light.WARN, Cause.SLOW),
)
"""Worst first: the first that holds is shown."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one moment."""

    eye_connected: bool
    eye_flags: tuple[Flag, ...]
    broker_enabled: bool
    broker_tried: bool
    broker_connected: bool
    broker_refused: bool
    clock: ClockState | None
    storage: Cause
    disk_free_mib: int | None
    temperature_c: float | None
    undervoltage: bool | None
    throttled: bool | None
    certificate: Flaw | None = None


def assess(facts: Facts) -> Lights:
    """Every light with its cause."""
    return {
        Subject.CAMERA: _camera(facts),
        Subject.BROKER: _broker(facts),
        Subject.CLOCK: _clock(facts),
        Subject.STORAGE: _storage(facts),
        Subject.POWER: _power(facts),
    }


def changed(before: Lights, after: Lights) -> list[Subject]:
    """The lights that are not what they were. At first, those that somebody should look at."""
    if not before:
        return [s for s, (light, _) in after.items() if light in (Light.WARN, Light.BAD)]
    return [s for s in after if before[s] != after[s]]


def _camera(facts: Facts) -> tuple[Light, Cause]:
    if not facts.eye_connected and Flag.CAMERA_LOST not in facts.eye_flags:
        return Light.BAD, Cause.EYE_AWAY
    found = ((light, cause) for flag, light, cause in _FLAGS if flag in facts.eye_flags)
    return next(found, (Light.OK, Cause.NONE))


def _broker(facts: Facts) -> tuple[Light, Cause]:
    if not facts.broker_enabled:
        return Light.UNKNOWN, Cause.BROKER_OFF
    if facts.certificate is not None and (facts.broker_connected or facts.certificate.shuts_out):
        # A broker that lets it in all the same asks for a password instead.
        return (Light.WARN if facts.broker_connected else Light.BAD), facts.certificate.cause
    if facts.broker_refused:
        return Light.BAD, Cause.BROKER_REFUSES
    if facts.broker_connected:
        return Light.OK, Cause.NONE
    return (Light.WARN, Cause.BROKER_AWAY) if facts.broker_tried else (Light.UNKNOWN, Cause.NONE)


def _clock(facts: Facts) -> tuple[Light, Cause]:
    if facts.clock is None:
        return Light.WARN, Cause.CLOCK_UNSET
    if facts.clock is ClockState.SYSTEM:
        return Light.WARN, Cause.CLOCK_UNCHECKED
    return Light.OK, Cause.NONE


def _storage(facts: Facts) -> tuple[Light, Cause]:
    if facts.storage is not Cause.NONE:
        return (Light.WARN if facts.storage is Cause.STORAGE_SALVAGED else Light.BAD), facts.storage
    if facts.disk_free_mib is not None and facts.disk_free_mib < LOW_DISK_MIB:
        return Light.WARN, Cause.STORAGE_LOW
    return Light.OK, Cause.NONE


def _power(facts: Facts) -> tuple[Light, Cause]:
    if facts.undervoltage:
        return Light.BAD, Cause.UNDERVOLTAGE
    if facts.temperature_c is not None and facts.temperature_c >= HOT_C:
        return Light.WARN, Cause.HOT
    if facts.throttled:
        return Light.WARN, Cause.THROTTLED
    if facts.temperature_c is None and facts.undervoltage is None:
        return Light.UNKNOWN, Cause.NONE
    return Light.OK, Cause.NONE
