# SPDX-License-Identifier: Apache-2.0
"""How the device is: what eye says of itself, disk, certificates and machine, and the lights that come of it."""

import logging
from pathlib import Path

from nigiwai.door.records import Flag, Vitals
from nigiwai.enrol.trouble import Trouble
from nigiwai.errors import LedgerError
from nigiwai.link import machine
from nigiwai.link.certificate_files import Certificates
from nigiwai.link.lights import Facts, Lights, assess, changed
from nigiwai.link.messages import Cause, ClockState, Light, Subject
from nigiwai.link.mqtt.publisher import State
from nigiwai.link.store.file import DamagedError, FullError
from nigiwai.settings import Settings

log = logging.getLogger(__name__)

VITALS_FRESH_S = 15.0


class Condition:
    """What is known of the device at the moment."""

    def __init__(self, settings: Settings, *, salvaged: bool) -> None:
        self._folder: Path = settings.ledger.path.parent
        self._broker_enabled = settings.mqtt.enabled
        self._certificates = Certificates(settings.mqtt)
        self._vitals_s = 0.0
        self._storage = Cause.STORAGE_SALVAGED if salvaged else Cause.NONE
        self.vitals: Vitals | None = None
        self.lights: Lights = {}

    def take(self, vitals: Vitals, now_s: float) -> None:
        """What eye says of itself."""
        self.vitals, self._vitals_s = vitals, now_s

    def fail(self, error: LedgerError) -> None:
        """The ledger cannot be written. Raises where only a new start helps: it salvages the file, and eye keeps its
        bins until then.
        """
        if isinstance(error, DamagedError):
            raise error
        if self._storage not in (Cause.STORAGE_FAILED, Cause.STORAGE_FULL):
            log.error("%s%s", "" if isinstance(error, FullError) else f"{Trouble.CARD}: ", error)
        self._storage = Cause.STORAGE_FULL if isinstance(error, FullError) else Cause.STORAGE_FAILED

    def heal(self) -> None:
        """The ledger was written."""
        if self._storage in (Cause.STORAGE_FAILED, Cause.STORAGE_FULL):
            log.info("the ledger can be written again")
            self._storage = Cause.NONE

    @property
    def disk_free_mib(self) -> int | None:
        """Free space where the ledger lies."""
        return machine.disk_free_mib(self._folder)

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Those of the certificates."""
        return tuple(flaw.trouble for flaw in self._certificates.flaws)

    def look(
        self, now_s: float, utc_ns: int, broker: State, clock: ClockState | None, *, eye_connected: bool
    ) -> list[Subject]:
        """Sets the lights; says which changed, here and in the journal. utc_ns: by the system's clock, as TLS goes."""
        before, self.lights = self.lights, assess(self._facts(now_s, utc_ns, broker, clock, eye_connected))
        subjects = changed(before, self.lights)
        for subject in subjects:
            light, cause = self.lights[subject]
            log.log(logging.INFO if light is Light.OK else logging.WARNING, "%s: %s (%s)", subject, light, cause)
        return subjects

    def _facts(self, now_s: float, utc_ns: int, broker: State, clock: ClockState | None, eye_connected: bool) -> Facts:
        fresh = self.vitals is not None and now_s - self._vitals_s < VITALS_FRESH_S
        undervoltage, throttled = machine.power()
        flags: tuple[Flag, ...] = self.vitals.flags if self.vitals else ()
        if not fresh:  # that there is no camera are an eye's last words, and hold until another says otherwise
            flags = tuple(flag for flag in flags if flag is Flag.CAMERA_LOST)
        return Facts(
            eye_connected=eye_connected,
            eye_flags=flags,
            broker_enabled=self._broker_enabled,
            broker_tried=broker.tried,
            broker_connected=broker.connected,
            broker_refused=broker.refused,
            certificate=next(iter(self._certificates.look(utc_ns)), None),
            clock=clock,
            storage=self._storage,
            disk_free_mib=self.disk_free_mib,
            temperature_c=machine.temperature_c(),
            undervoltage=undervoltage,
            throttled=throttled,
        )
