# SPDX-License-Identifier: Apache-2.0
"""What may be asked of the device, and its answer."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nigiwai.link.messages.base import Envelope, Epoch, Message, Number

MAX_RESEND = 1_440
"""Records one `resend` request may ask for: a day of one-minute intervals."""

Transaction = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Request(Message):
    """What every request carries. `transaction` is the asker's own and is answered; one is taken only once."""

    version: Literal["nigiwai/1"] = Field("nigiwai/1", alias="schema")
    transaction: Transaction


class Resend(Request):
    """Send records first..last of an epoch again; they come as `counts` with `late`."""

    type: Literal["resend"] = "resend"
    epoch: Epoch
    first: Number
    last: Number


class SetOccupancy(Request):
    """People inside are this many now."""

    type: Literal["set_occupancy"] = "set_occupancy"
    inside: Annotated[int, Field(ge=0, le=1_000_000)]


class Event(Request):
    """An event starts or ends here; the people inside begin at zero when it starts."""

    type: Literal["event"] = "event"
    action: Literal["start", "end"]


class Identify(Request):
    """Blink, so that somebody standing there finds the device."""

    type: Literal["identify"] = "identify"


class Restart(Request):
    """End the process; systemd starts it again."""

    type: Literal["restart"] = "restart"


class Response(Envelope):
    """The answer to a request that could be read."""

    type: Literal["response"] = "response"
    command: Literal["resend", "set_occupancy", "event", "identify", "restart"]
    transaction: Transaction
    status: Literal["ok", "error"]
    error: Literal[
        "none", "not_enabled", "too_often", "seen_before", "retained", "range", "unknown_epoch", "failed"
    ] = "none"
    sending: Annotated[int, Field(ge=0, le=MAX_RESEND)] = Field(0, description="Records that will be sent again.")
    gone: Annotated[int, Field(ge=0, le=MAX_RESEND)] = Field(
        0, description="Records of the span that are no longer kept, or were replaced."
    )


REQUESTS: dict[str, type[Request]] = {
    "resend": Resend,
    "set_occupancy": SetOccupancy,
    "event": Event,
    "identify": Identify,
    "restart": Restart,
}
