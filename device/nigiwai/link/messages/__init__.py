# SPDX-License-Identifier: Apache-2.0
"""What MQTT carries, one frozen type per message. docs/schema/ is generated from this page (schema.py).

    retained     availability, info, totals, closing, health
    stream       counts                              numbered without gaps within an epoch
    stream       traits                              tables of who came, numbered
    passing      alert, request/<command>, response/<command>

No field is meant or sized for a picture, a track or a coordinate: everything is a number with a range, a member of a
closed list, a configured name, a time stamp, a digest, or one of the two fixed sentences of the privacy statement.
"""

from nigiwai.link.messages.base import ROOT, SCHEMA, Day, Envelope, Epoch, Message, Number, Part, Percent, Stamp, Total
from nigiwai.link.messages.condition import Alert, Cause, Health, Light, Losses, Subject
from nigiwai.link.messages.device import PRIVACY, Availability, Checked, Info
from nigiwai.link.messages.passages import (
    MAX_SPANS,
    ClockState,
    Closing,
    Counts,
    Mark,
    Occupancy,
    Passed,
    PerGate,
    Totals,
)
from nigiwai.link.messages.requests import (
    MAX_RESEND,
    REQUESTS,
    Event,
    Identify,
    Request,
    Resend,
    Response,
    Restart,
    SetOccupancy,
    Transaction,
)
from nigiwai.link.messages.visitors import Estimate, TraitBlock, Traits, Unit, ZoneNow, Zones

__all__ = [
    "MAX_RESEND",
    "MAX_SPANS",
    "PRIVACY",
    "REQUESTS",
    "ROOT",
    "SCHEMA",
    "SENT",
    "Alert",
    "Availability",
    "Cause",
    "Checked",
    "ClockState",
    "Closing",
    "Counts",
    "Day",
    "Envelope",
    "Epoch",
    "Estimate",
    "Event",
    "Health",
    "Identify",
    "Info",
    "Light",
    "Losses",
    "Mark",
    "Message",
    "Number",
    "Occupancy",
    "Part",
    "Passed",
    "PerGate",
    "Percent",
    "Request",
    "Resend",
    "Response",
    "Restart",
    "SetOccupancy",
    "Stamp",
    "Subject",
    "Total",
    "Totals",
    "TraitBlock",
    "Traits",
    "Transaction",
    "Unit",
    "ZoneNow",
    "Zones",
]

SENT: tuple[type[Envelope], ...] = (Availability, Info, Totals, Closing, Counts, Traits, Zones, Health, Alert, Response)
