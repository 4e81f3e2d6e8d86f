# SPDX-License-Identifier: Apache-2.0
"""What passes the door while staff work at the device: checking its accuracy, aiming it, moving its gates.

    to eye     CheckOn, Tap, Untap, CheckOff    AimOn, AimOff, TryGates           SetGates      NoticeHung
    from eye   CheckResult                      Scene, Coverage, Advice,          GatesTaken
                                                Gauge, Tried

Taps are matched with crossings inside eye; link learns sums. A Scene holds boxes on a coarse grid, without numbers that
would join one to the next; eye sends it for ten minutes after AimOn and thirty a day, whatever link asks.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from nigiwai.door.records import MAX_GATES, BootMs, Count, Name, Record

COLUMNS, ROWS = 32, 18
"""The grid of a Scene and of Coverage; a cell is 3 % of the picture's width."""

MOST_TAPS = 2_000
MOST_BOXES = 32
AIM_S = 600
AIM_A_DAY_S = 1_800

CheckNumber = Annotated[int, Field(ge=1, le=2**31)]
TapNumber = Annotated[int, Field(ge=1, le=MOST_TAPS)]
Permille = Annotated[int, Field(ge=0, le=1_000)]
Column = Annotated[int, Field(ge=0, le=COLUMNS)]
Row = Annotated[int, Field(ge=0, le=ROWS)]
Few = Annotated[int, Field(ge=0, le=999)]


class CheckOn(Record):
    """Taps for `gate` follow, for so many minutes at most. It ends a check that was going on."""

    kind: Literal["check_on"] = "check_on"
    check: CheckNumber
    gate: Name
    minutes: Annotated[int, Field(ge=1, le=15)]


class Tap(Record):
    """Staff saw somebody pass at that time."""

    kind: Literal["tap"] = "tap"
    check: CheckNumber
    tap: TapNumber
    direction: Literal["in", "out"]
    at_ms: BootMs
    child: bool


class Untap(Record):
    """That tap was a mistake."""

    kind: Literal["untap"] = "untap"
    check: CheckNumber
    tap: TapNumber


class CheckOff(Record):
    """Staff are done; `discard`: their taps are to be forgotten."""

    kind: Literal["check_off"] = "check_off"
    check: CheckNumber
    discard: bool = False


class Matched(Record):
    """One direction of a check: passages tapped, passages counted, and those that are both."""

    taps: Count
    counted: Count
    matched: Count


class Audited(Record):
    """How often eye said child of those whom staff tapped as children, and of the others: one batch (eye/audit.py).

    children, others: passages, `k` or more each. children_said, others_said: how many whole `k` of them were said to be
    children, rounded down.
    """

    kind: Literal["audited"] = "audited"
    k: Annotated[int, Field(ge=5, le=1_000)]
    children: Count
    children_said: Count
    others: Count
    others_said: Count

    @model_validator(mode="after")
    def _fits(self) -> "Audited":
        for people, said in ((self.children, self.children_said), (self.others, self.others_said)):
            if people < self.k or said * self.k > people:
                raise ValueError("fewer people than k, or more said than there are")
        return self


class CheckResult(Record):
    """How a check stands; `final` once, at its end, with what may be told of children then."""

    kind: Literal["check_result"] = "check_result"
    check: CheckNumber
    gate: Name
    final: bool
    length_s: Annotated[int, Field(ge=0, le=1_000)]
    entered: Matched
    left: Matched
    audited: Audited | None = None


class AimOn(Record):
    """Somebody with the PIN aims the camera."""

    kind: Literal["aim_on"] = "aim_on"


class AimOff(Record):
    """They are done."""

    kind: Literal["aim_off"] = "aim_off"


class Box(Record):
    """Somebody, on the grid, rounded outwards. Nothing says which box of the next Scene is the same person."""

    left: Column
    top: Row
    right: Column
    bottom: Row


class Scene(Record):
    """Who is in view now, at most twice a second, `left_s` seconds more."""

    kind: Literal["scene"] = "scene"
    people: Annotated[tuple[Box, ...], Field(max_length=MOST_BOXES)]
    left_s: Annotated[int, Field(ge=0, le=AIM_S)]


class Coverage(Record):
    """Where feet have been seen since aiming began: a digit a cell, row by row from the top left; 0 never, 9 often."""

    kind: Literal["coverage"] = "coverage"
    cells: Annotated[str, StringConstraints(pattern=rf"^[0-9]{{{COLUMNS * ROWS}}}$")]


class Hint(StrEnum):
    """What may be wrong with where the camera is and looks."""

    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    GATE_PART_UNSEEN = "gate_part_unseen"
    GATE_AT_EDGE = "gate_at_edge"
    FEET_CUT = "feet_cut"
    TILT_DOWN = "tilt_down"
    TILT_UP = "tilt_up"
    ROLLED = "rolled"
    WAITING = "waiting"
    GOOD = "good"


class Advised(Record):
    """One piece of advice: `have` is measured and `need` is wanted, in the hint's unit (pixels, degrees, thirds)."""

    hint: Hint
    gate: Name | None
    have: Annotated[int, Field(ge=0, le=10_000)]
    need: Annotated[int, Field(ge=0, le=10_000)]


class Advice(Record):
    """What to do about the camera, most important first."""

    kind: Literal["advice"] = "advice"
    advised: Annotated[tuple[Advised, ...], Field(max_length=12)]


class GaugeState(StrEnum):
    """Where the metres come from, or why there are none.

    `given`: [view] of the settings. `learnt`: from the people seen. `few`, `one_distance`, `steep`, `above`, `uneven`:
    these did not do. `no_lens`: the lens's angle is not set.
    """

    GIVEN = "given"
    LEARNT = "learnt"
    NO_LENS = "no_lens"
    FEW = "few"
    ONE_DISTANCE = "one_distance"
    STEEP = "steep"
    ABOVE = "above"
    UNEVEN = "uneven"


Centimetres = Annotated[int, Field(ge=0, le=9_999)]


class WidthOf(Record):
    """A gate's width on the floor (null above the horizon), and how far from it an adult is clearly on a side.

    `_off`: so much more or less, with a probability of 95 %.
    """

    width_cm: Centimetres | None
    width_off_cm: Centimetres
    band_cm: Centimetres
    band_off_cm: Centimetres


class Gauge(Record):
    """The gates in metres, in their order, while somebody aims; `looks` at people so far, where the view is learnt."""

    kind: Literal["gauge"] = "gauge"
    state: GaugeState
    looks: Annotated[int, Field(ge=0, le=9_999)]
    widths: Annotated[tuple[WidthOf, ...], Field(max_length=MAX_GATES)]


class GateShape(Record):
    """A gate in thousandths of the picture."""

    name: Name
    line: Annotated[tuple[tuple[Permille, Permille], ...], Field(min_length=2, max_length=16)]
    inside: tuple[Permille, Permille]


class ZoneShape(Record):
    """A zone in thousandths of the picture."""

    name: Name
    corners: Annotated[tuple[tuple[Permille, Permille], ...], Field(min_length=3, max_length=16)]


class SetGates(Record):
    """These gates and zones from here on."""

    kind: Literal["set_gates"] = "set_gates"
    version: Annotated[int, Field(ge=0, le=2**31)]
    gates: Annotated[tuple[GateShape, ...], Field(min_length=1, max_length=MAX_GATES)]
    zones: Annotated[tuple[ZoneShape, ...], Field(max_length=MAX_GATES)] = ()


class TryGates(Record):
    """While somebody aims: also count at these, apart from the count; none ends it."""

    kind: Literal["try_gates"] = "try_gates"
    gates: Annotated[tuple[GateShape, ...], Field(max_length=MAX_GATES)]


class Tried(Record):
    """In and out at the gates on trial since they were put there, in their order; a trial is short."""

    kind: Literal["tried"] = "tried"
    passed: Annotated[tuple[tuple[Few, Few], ...], Field(max_length=MAX_GATES)]


class NoticeHung(Record):
    """The day on which the notice was put up is recorded: who came may be estimated from here on."""

    kind: Literal["notice_hung"] = "notice_hung"


class GatesTaken(Record):
    """Eye's answer: in force, no good, or changed too often."""

    kind: Literal["gates_taken"] = "gates_taken"
    version: Annotated[int, Field(ge=0, le=2**31)]
    outcome: Literal["taken", "refused", "too_often"]


Reported = CheckResult | Scene | Coverage | Advice | Gauge | Tried | GatesTaken
"""What comes from eye."""

Order = CheckOn | Tap | Untap | CheckOff | AimOn | AimOff | TryGates | SetGates | NoticeHung
"""What goes to eye."""

RATES: dict[str, tuple[float, float]] = {
    "check_result": (3, 0.5),
    "scene": (2, 2.0),
    "coverage": (2, 0.2),
    "advice": (2, 0.2),
    "gauge": (2, 0.2),
    "tried": (2, 0.5),
    "gates_taken": (4, 1 / 60),
}
"""Per kind from eye: burst, and records a second in the long run."""
