# SPDX-License-Identifier: Apache-2.0
"""What the device is, and whether it speaks."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nigiwai.door.records import MAX_GATES, CameraKind, Hex64, Name, Version
from nigiwai.link.messages.base import Envelope, Epoch, Part, Percent, Stamp

PRIVACY = (
    "Frames are processed in memory and overwritten; no image, track or position of a person is stored or sent."
    " Only numbers of passages leave this device; of ages and groups only tables about k people or more."
)


class Availability(Envelope):
    """Whether the device speaks: `online`, `offline` (the broker says so, by will) or `stopped` (on purpose)."""

    type: Literal["availability"] = "availability"
    state: Literal["online", "offline", "stopped"]


class Checked(Part):
    """The last accuracy check by staff who tapped: the count's error in percent with its 95 % interval, +2 is two too
    many of a hundred, and whether that lies within the limit (`open`: nobody can tell yet).
    """

    at: Stamp
    gate: Name
    passages: Annotated[int, Field(ge=0, le=4_000)]
    verdict: Literal["pass", "fail", "open"]
    limit: Percent
    error: Percent
    low: Percent
    high: Percent


class Info(Envelope):
    """What the device is. Retained; sent at each connection and when something of it changes."""

    type: Literal["info"] = "info"
    software: Version
    interval_s: Annotated[int, Field(ge=1, le=86_400)]
    gates: Annotated[tuple[Name, ...], Field(max_length=MAX_GATES)]
    zones: Annotated[tuple[Name, ...], Field(max_length=MAX_GATES)] = ()
    settings_sha256: Hex64
    camera: CameraKind | None = Field(description="Null until eye has said hello.")
    model: Name | None
    model_sha256: Hex64 | None
    epoch: Epoch
    previous_epoch: Epoch | None = Field(None, description="The epoch before, whose records end at previous_last.")
    previous_last: Annotated[int, Field(ge=0, le=2**53)] | None = None
    k: Annotated[int, Field(ge=1, le=1_000)] = Field(10, description="No trait cell about fewer people is released.")
    check: Checked | None = Field(
        None, description="How exact the count is; holds for all that follows. Null: unknown."
    )
    privacy: Annotated[str, StringConstraints(max_length=240)] = PRIVACY
