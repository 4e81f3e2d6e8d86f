# SPDX-License-Identifier: Apache-2.0
"""What staff can ask for on the page, one frozen type each. What does not fit is refused before link's loop sees it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from nigiwai.door.records import MAX_GATES, Name

Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]
"""One line that staff typed. It is shown as text only, and goes to no topic and no file name."""

Day = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$")]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class Deed(BaseModel):
    """Something asked for. `changes` says whether the audit log keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SignIn(Deed):
    """Somebody typed the PIN; carried out by the page itself and handed on for the audit log."""

    what: Literal["sign_in"] = "sign_in"
    outcome: Literal["ok", "wrong"]


class SetInside(Deed):
    """So many people are inside now."""

    what: Literal["set_inside"]
    inside: Annotated[int, Field(ge=0, le=1_000_000)]


class Incident(Deed):
    """Something happened that explains the numbers."""

    what: Literal["incident"]
    topic: Literal["crowding", "equipment", "weather", "programme", "safety", "other"]
    text: Text


class Event(Deed):
    """The event starts (people inside begin at zero) or ends."""

    what: Literal["event"]
    action: Literal["start", "end"]


class StaffPassages(Deed):
    """Passages of staff themselves, kept apart from the count and never subtracted from it."""

    what: Literal["staff_passages"]
    gate: Name
    entered: Annotated[int, Field(ge=0, le=10_000)]
    left: Annotated[int, Field(ge=0, le=10_000)]


class ReadDay(Deed):
    """The day's result, for the CSV and the print."""

    what: Literal["read_day"] = "read_day"


class StartCheck(Deed):
    """Staff begin to tap at a gate."""

    what: Literal["start_check"]
    gate: Name
    minutes: Literal[10, 15]


Sheet = Annotated[int, Field(ge=0, le=2**31)]
"""Which phone taps, and since which start of its page: a number that it makes up."""


class Tapped(Deed):
    """One person passed, as a person saw it `age_ms` ago. `tap` is the phone's own number of it on that sheet."""

    what: Literal["tap"]
    sheet: Sheet = 0
    tap: Annotated[int, Field(ge=1, le=2_000)]
    direction: Literal["in", "out"]
    age_ms: Annotated[int, Field(ge=0, le=900_000)]
    child: bool = False


class TakeBack(Deed):
    """That tap was a mistake."""

    what: Literal["take_back"]
    sheet: Sheet = 0
    tap: Annotated[int, Field(ge=1, le=2_000)]


class EndCheck(Deed):
    """Staff are done; the result is stored. With `discard` it is not."""

    what: Literal["end_check"]
    discard: bool = False


class ReadCheck(Deed):
    """How the check stands."""

    what: Literal["read_check"] = "read_check"


class AimOn(Deed):
    """Show where people stand, for ten minutes."""

    what: Literal["aim_on"]


class AimOff(Deed):
    """No longer."""

    what: Literal["aim_off"]


class ReadAim(Deed):
    """What is seen while somebody aims."""

    what: Literal["read_aim"] = "read_aim"


class DrawnGate(Deed):
    """A gate as it was dragged on the page: picture coordinates 0..1."""

    name: Name
    line: Annotated[tuple[tuple[Unit, Unit], ...], Field(min_length=2, max_length=16)]
    inside: tuple[Unit, Unit]


class DrawnZone(Deed):
    """A zone as it was dragged on the page: picture coordinates 0..1."""

    name: Name
    corners: Annotated[tuple[tuple[Unit, Unit], ...], Field(min_length=3, max_length=16)]


class TryGates(Deed):
    """Count at these as well, for the eye of those who draw them only."""

    what: Literal["try_gates"]
    gates: Annotated[tuple[DrawnGate, ...], Field(max_length=MAX_GATES)]


class SaveGates(Deed):
    """These gates and zones from here on; without `zones` those stay. `version` is what the drawing began from: a
    newer one refuses it.
    """

    what: Literal["save_gates"]
    version: Annotated[int, Field(ge=0, le=2**31)]
    gates: Annotated[tuple[DrawnGate, ...], Field(min_length=1, max_length=MAX_GATES)]
    zones: Annotated[tuple[DrawnZone, ...], Field(max_length=MAX_GATES)] | None = None


class NoticeUp(Deed):
    """The notice hangs since that day."""

    what: Literal["notice_up"]
    since: Day


class ReadNotice(Deed):
    """Whether the notice hangs, and what is estimated."""

    what: Literal["read_notice"] = "read_notice"


Staff = Annotated[
    SetInside
    | Incident
    | Event
    | StaffPassages
    | StartCheck
    | Tapped
    | TakeBack
    | EndCheck
    | AimOn
    | AimOff
    | TryGates
    | SaveGates
    | NoticeUp,
    Field(discriminator="what"),
]
STAFF: TypeAdapter[Staff] = TypeAdapter(Staff)
READS: dict[str, type[Deed]] = {"day": ReadDay, "check": ReadCheck, "aim": ReadAim, "notice": ReadNotice}
