# SPDX-License-Identifier: Apache-2.0
"""Carries out what staff ask for on the page, in link's loop. Every change is audited before it takes effect."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from nigiwai.door.field import NoticeHung, Order, Reported
from nigiwai.door.tables import EventOver
from nigiwai.errors import LedgerError
from nigiwai.link.aiming import Aiming
from nigiwai.link.checking import Checking
from nigiwai.link.day import day_report
from nigiwai.link.ledger import Ledger
from nigiwai.link.report import Tally
from nigiwai.link.status.deeds import (
    AimOff,
    AimOn,
    Deed,
    EndCheck,
    Event,
    Incident,
    NoticeUp,
    ReadAim,
    ReadCheck,
    ReadDay,
    ReadNotice,
    SaveGates,
    SetInside,
    SignIn,
    StaffPassages,
    StartCheck,
    TakeBack,
    Tapped,
    TryGates,
)
from nigiwai.link.status.desk import Answer, Asked, Desk
from nigiwai.link.store.audit import Entry
from nigiwai.link.store.hand import Noted
from nigiwai.link.zone import day
from nigiwai.settings import Settings

log = logging.getLogger(__name__)

SOURCE = "page"
NOTICE = "notice_up"
_SILENT = (ReadAim, ReadCheck, ReadNotice, Tapped, TakeBack, TryGates)
"""Reading changes nothing, taps are told by the check that they belong to, trials by the aiming that they belong to."""


@dataclass(frozen=True, slots=True)
class World:
    """What the clerk may use of link."""

    tally: Callable[[], Tally]
    set_inside: Callable[[int, int], object]
    """People inside, and now in nanoseconds of UTC."""

    close: Callable[[int], object]
    """Notes the balance at the end of an event, now."""

    tell_eye: Callable[[Order | EventOver], bool]


class Clerk:
    """The staff's side of link."""

    def __init__(self, settings: Settings, ledger: Ledger, desk: Desk, zone: tzinfo, world: World) -> None:
        self._settings, self._ledger, self._desk, self._zone, self._world = settings, ledger, desk, zone, world
        self.checking = Checking(settings, ledger, zone, world.tell_eye)
        self.aiming = Aiming(settings, ledger, world.tell_eye)
        self._notice_since = ledger.read_note(NOTICE) or settings.notice.since
        self._notice_told = False
        self._changed = False

    def serve(self, now_ns: int) -> bool:
        """Carries out what waits; whether it changed anything that the page shows."""
        self._changed = False
        self._desk.serve(lambda asked: self._carry_out(asked, now_ns))
        if self._notice_since and not self._notice_told and self._notice_since <= day(now_ns, self._zone):
            self._notice_told = self._world.tell_eye(NoticeHung())
        return self._changed

    def take(self, told: Reported, now_ns: int) -> None:
        """Takes what eye tells while staff work at the device."""
        self.checking.take(told, now_ns)
        self.aiming.take(told)

    def eye_came(self) -> None:
        """A new eye knows neither the check that was going on, nor the gates drawn here, nor that the notice hangs."""
        self._notice_told = False
        self.checking.eye_came()
        self.aiming.eye_came()

    def _carry_out(self, asked: Asked, now_ns: int) -> Answer:
        self._changed |= not isinstance(asked.deed, _SILENT)
        try:
            self._audit(asked, now_ns, "asked")
            answer = self._do(asked, now_ns)
        except LedgerError as e:
            log.error("%s", e)
            return Answer("storage")
        if answer.error:
            self._audit(asked, now_ns, answer.error)
        return answer

    def _audit(self, asked: Asked, now_ns: int, outcome: str) -> None:
        deed = asked.deed
        if isinstance(deed, _SILENT):
            return
        said = deed.model_dump(mode="json", exclude={"what"})
        if isinstance(deed, SaveGates):
            said = {"version": deed.version, "gates": [g.name for g in deed.gates]}  # where they lie is in the overlay
        if isinstance(deed, SignIn):
            outcome = deed.outcome
        detail = json.dumps(said, ensure_ascii=False)
        self._ledger.audit(Entry(now_ns, SOURCE, getattr(deed, "what", ""), asked.who, detail, outcome))

    def _do(self, asked: Asked, now_ns: int) -> Answer:
        deed = asked.deed
        match deed:
            case SetInside() | Incident() | Event() | StaffPassages() | NoticeUp():
                return self._note(deed, now_ns)
            case ReadDay():
                return Answer(body=self.report(now_ns))
            case StartCheck() | EndCheck() | Tapped() | TakeBack() | ReadCheck():
                return self.checking.do(deed, asked.boot_ms, now_ns)
            case ReadNotice():
                drawn = self.aiming.in_force.model_dump(mode="json", include={"gate", "zone"})
                return Answer(body={"since": self._notice_since, "estimates": self._estimates(now_ns), **drawn})
            case AimOn() | AimOff() | ReadAim() | TryGates() | SaveGates():
                return self.aiming.do(deed, now_ns)
            case _:
                return Answer()

    def _note(self, deed: Deed, now_ns: int) -> Answer:
        """Notes it in the ledger; what it changes beyond that follows."""
        match deed:
            case NoticeUp() if deed.since <= day(now_ns, self._zone):
                self._ledger.write_note(NOTICE, deed.since)
                self._notice_since = deed.since
            case StaffPassages() if deed.gate not in self.aiming.names:
                return Answer("no_gate")
            case NoticeUp():
                return Answer("future")
            case SetInside():
                self._world.set_inside(deed.inside, now_ns)
            case Event(action="start"):
                self._ledger.set_event("start")
                self._world.set_inside(0, now_ns)
            case Event(action="end"):
                self._ledger.set_event("end")
                self._world.close(now_ns)
                self._world.tell_eye(EventOver())
            case _:
                pass
        body = deed.model_dump(mode="json", exclude={"what"})
        self._ledger.write_hand(Noted(now_ns, getattr(deed, "what", ""), body))
        return Answer(body={"done": True})

    def _estimates(self, now_ns: int) -> str:
        """Whether children and groups are estimated: `off` by the settings, `waiting` for the notice, or `on`."""
        if not self._settings.traits.enabled or self._settings.view is None:
            return "off"
        hangs = self._notice_since and self._notice_since <= day(now_ns, self._zone)
        return "on" if hangs else "waiting"

    def report(self, now_ns: int) -> dict[str, Any]:
        """The day's result."""
        tally = self._world.tally()
        noted = self._ledger.hand_since(tally.midnight_ns)
        blind = self._ledger.blind_since(tally.midnight_ns)
        return day_report(self._settings, self._zone, now_ns, tally, noted, self.checking.stamp(), blind)
