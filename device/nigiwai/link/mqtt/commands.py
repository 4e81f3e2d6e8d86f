# SPDX-License-Identifier: Apache-2.0
"""What headquarters may ask over MQTT. Few, rate-limited, each in the audit log; nothing that returns a picture exists.

What cannot be read has no effect and no answer. A request that was retained, or whose transaction was seen before, is
refused: a broker or a recorder may hand it out again at any time.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from nigiwai.link.ledger import Ledger
from nigiwai.link.messages import (
    MAX_RESEND,
    REQUESTS,
    Event,
    Identify,
    Request,
    Resend,
    Response,
    Restart,
    SetOccupancy,
)
from nigiwai.link.occupancy import Occupancy
from nigiwai.link.pacing import Budget
from nigiwai.link.report import Tally
from nigiwai.link.store.audit import Entry
from nigiwai.link.store.rows import Record
from nigiwai.link.topics import Topics
from nigiwai.settings import Settings

log = logging.getLogger(__name__)

RATE = (20.0, 0.2)
"""Requests at once, and a second in the long run."""

_LOG_S = 60.0
"""Between two lines about what was refused unread, in the log, or unheard, in the audit log: neither can be flooded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said back, what is sent again, and what is to be done."""

    response: Response
    records: Sequence[Record] = ()
    effect: Callable[[], bool] | None = None
    """What is to be done once the audit log holds it; whether that worked."""

    def too_often(self) -> "Answer":
        """The same refused for want of room."""
        refused = self.response.model_copy(update={"status": "error", "error": "too_often", "sending": 0})
        return replace(self, response=refused, records=())


class Commands:
    """Reads requests, carries them out, and remembers what they set."""

    def __init__(
        self, settings: Settings, ledger: Ledger, tally: Callable[[], Tally], identify: Callable[[], bool]
    ) -> None:
        self._enabled = settings.mqtt.commands
        self._topics = Topics(settings.device.site, settings.device.name)
        self._ledger = ledger
        self._tally = tally
        self._identify = identify
        self._rate = Budget(*RATE)
        self._log_after_s = 0.0
        self._note_after_s = 0.0
        self.refused = 0
        self.restart_asked = False
        self.event_over = False
        """Set when headquarters said that the event is over; whoever tells eye clears it."""
        self.occupancy = Occupancy(ledger, tally)

    def take(self, topic: str, payload: bytes, now_s: float, utc_ns: int, *, retained: bool) -> Answer | None:
        """The answer to what came; None if it could not be read."""
        command = self._topics.command_in(topic)
        request = _read(command, payload)
        if request is None:
            self._refuse(now_s)
            return None
        if not self._rate.take(1.0, now_s):
            return self._too_often(command, request, now_s, utc_ns)
        answer = self._judge(command, request, retained=retained) or self._plan(command, request, utc_ns)
        self._audit(command, request, answer, utc_ns)
        if answer.effect is not None and not answer.effect():
            return Answer(self._response(command, request, error="failed"))
        return answer

    def _too_often(self, command: str, request: Request, now_s: float, utc_ns: int) -> Answer:
        """Refused; the first of a minute's flood is audited for all of them."""
        self.refused += 1
        answer = Answer(self._response(command, request, error="too_often"))
        if now_s >= self._note_after_s:
            self._note_after_s = now_s + _LOG_S
            self._audit(command, request, answer, utc_ns)
        return answer

    def _refuse(self, now_s: float) -> None:
        self.refused += 1
        if now_s >= self._log_after_s:
            self._log_after_s = now_s + _LOG_S
            log.warning("a malformed request was refused (%d so far)", self.refused)

    def _judge(self, command: str, request: Request, *, retained: bool) -> Answer | None:
        """The refusal, if it must be refused."""
        if retained:
            error = "retained"
        elif command not in self._enabled:
            error = "not_enabled"
        elif self._ledger.seen_transaction(request.transaction):
            error = "seen_before"
        else:
            return None
        self.refused += 1
        return Answer(self._response(command, request, error=error))

    def _plan(self, command: str, request: Request, utc_ns: int) -> Answer:
        """The answer to a request that is granted. It takes effect after it was written to the audit log."""
        effect: Callable[[], bool] | None = None
        match request:
            case Resend():
                return self._resend(request)
            case SetOccupancy():
                effect = partial(self.occupancy.set_inside, request.inside, utc_ns)
            case Event(action="start"):
                effect = partial(self._start_event, utc_ns)
            case Event(action="end"):
                effect = partial(self._end_event, utc_ns)
            case Identify():
                effect = self._identify
            case Restart():
                effect = self._restart
        return Answer(self._response(command, request), effect=effect)

    def _start_event(self, utc_ns: int) -> bool:
        self._ledger.set_event("start")
        return self.occupancy.set_inside(0, utc_ns)

    def _end_event(self, utc_ns: int) -> bool:
        self._ledger.set_event("end")
        self.occupancy.close(utc_ns)
        self.event_over = True
        return True

    def _restart(self) -> bool:
        self.restart_asked = True
        return True

    def _resend(self, request: Resend) -> Answer:
        asked = request.last - request.first + 1
        if not 1 <= asked <= MAX_RESEND:
            return Answer(self._response("resend", request, error="range"))
        if not self._ledger.knows_epoch(request.epoch):
            return Answer(self._response("resend", request, error="unknown_epoch"))
        found = self._ledger.span(request.epoch, request.first, request.last)
        response = self._response("resend", request, sending=len(found), gone=asked - len(found))
        return Answer(response, records=found)

    def _response(self, command: str, request: Request, **fields: Any) -> Response:
        error = fields.get("error", "none")
        return Response.model_validate(
            {
                "site": self._topics.site,
                "device": self._topics.device,
                "command": command,
                "transaction": request.transaction,
                "status": "ok" if error == "none" else "error",
                **fields,
            }
        )

    def _audit(self, command: str, request: Request, answer: Answer, utc_ns: int) -> None:
        detail = request.model_dump_json(exclude={"version", "transaction", "type"})
        outcome = answer.response.error if answer.response.status == "error" else "ok"
        self._ledger.audit(Entry(utc_ns, "mqtt", command, request.transaction, detail, outcome))


def _read(command: str, payload: bytes) -> Request | None:
    """The request of that kind; None if there is no such kind or it cannot be read."""
    kind = REQUESTS.get(command)
    if kind is None:
        return None
    try:
        return kind.model_validate_json(payload, strict=True)
    except (ValidationError, ValueError, RecursionError):
        return None
