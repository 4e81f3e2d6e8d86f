# SPDX-License-Identifier: Apache-2.0
"""What every message is made of: a frozen type that refuses unknown fields, and the kinds of field that recur."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nigiwai.door.records import Name

SCHEMA = "nigiwai/1"

ROOT = "nigiwai/v1"

Stamp = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?(Z|[+-][0-9]{2}:[0-9]{2})$"
    ),
]
"""RFC 3339 with offset, whole seconds unless milliseconds are needed."""

Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]

Epoch = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]

Total = Annotated[int, Field(ge=0, le=2**53)]

Number = Annotated[int, Field(ge=1, le=2**53)]


class Message(BaseModel):
    """A frozen message that refuses unknown fields; `schema` and `type` say what it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def to_json(self) -> bytes:
        """The payload as it is sent."""
        return self.model_dump_json(by_alias=True).encode()


class Part(Message):
    """A piece of a message."""


class Envelope(Message):
    """What every message begins with."""

    version: Literal["nigiwai/1"] = Field("nigiwai/1", alias="schema", description="This contract's version.")
    site: Name
    device: Name


Percent = Annotated[float, Field(ge=-100.0, le=10_000.0)]
