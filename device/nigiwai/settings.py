# SPDX-License-Identifier: Apache-2.0
"""The operator's settings: one TOML file, validated once, every mistake told together.

Both rooms read the same file. Each key has a default, a unit in its name and one sentence; docs/settings.md is made
from this page and a test compares the two.
"""

import hashlib
import ipaddress
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from nigiwai.door.records import MAX_GATES, Name
from nigiwai.errors import SettingsError
from nigiwai.geometry import Point, crosses_itself, polyline_length, signed_distance
from nigiwai.mistakes import told
from nigiwai.paths import ADDED_MODELS

MAX_POINTS = 16
MIN_GATE_LENGTH = 0.02
"""A gate shorter than 2 % of the picture is narrower than a person's foot and can only count noise."""

MIN_INSIDE_DISTANCE = 0.005
"""`inside` must lie clearly on one side: half a percent of the picture is about two pixels of 416."""

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Command = Literal["resend", "set_occupancy", "event", "identify", "restart"]


class Section(BaseModel):
    """A frozen table of the settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Device(Section):
    """Who this device is."""

    site: Name = Field("site", description="The site's name in MQTT topics, such as a ward or a hall.")
    name: Name = Field("device", description="This device's name in MQTT topics, unique within the site.")
    language: Literal["ja", "en"] = Field("ja", description="The language the page opens in.")


class Camera(Section):
    """Where the pictures come from."""

    source: Literal["pi", "v4l2", "recording"] = Field("pi", description="The kind of camera.")
    device: str = Field("/dev/video0", description="V4L2: the camera's device file.")
    index: Annotated[int, Field(ge=0, le=7)] = Field(0, description="Pi camera: which one, counted from 0.")
    path: Path | None = Field(None, description="Recording: the file, relative to the settings file.")
    loop: bool = Field(False, description="Recording: begin again at its end.")
    pace: Literal["real", "fast"] = Field(
        "real", description="Recording: play at its own speed, or as fast as the detector goes."
    )
    width_px: Annotated[int, Field(ge=160, le=4_096)] = Field(1_280, description="Width asked of the camera.")
    height_px: Annotated[int, Field(ge=120, le=2_160)] = Field(720, description="Height asked of the camera.")
    fps: Annotated[int, Field(ge=1, le=60)] = Field(15, description="Frames a second asked of the camera.")
    fov_deg: Annotated[float, Field(ge=20.0, le=150.0)] | None = Field(
        None,
        description="The picture's horizontal angle of view, where there is no [view] (Raspberry Pi camera module 3:"
        " 66, wide: 102); with it the aiming page tells the gates' widths, from the people seen.",
    )

    @model_validator(mode="after")
    def _recording_has_a_path(self) -> "Camera":
        if self.source == "recording" and self.path is None:
            raise ValueError('path is needed when source = "recording"')
        return self


class Model(Section):
    """Which detector, and how it is run."""

    name: Name = Field("nigiwai-person", description="The detector's name in models/manifest.toml.")
    width_px: Annotated[int, Field(ge=64, le=1_280)] | None = Field(
        None, description="Input width, one of the manifest's; unless set, the size that suits the camera's aspect."
    )
    height_px: Annotated[int, Field(ge=64, le=1_280)] | None = Field(None, description="Input height, likewise.")
    threads: Annotated[int, Field(ge=1, le=16)] = Field(2, description="Threads of the detector.")
    folder: Path = Field(ADDED_MODELS, description="Where `nigiwai models add` keeps detectors besides those shipped.")


class Gate(Section):
    """A line that people cross, in picture coordinates 0..1, and a point on its inner side."""

    name: Name = Field(description="The gate's name: a-z, 0-9, - and _, at most 32 characters.")
    line: Annotated[tuple[tuple[Unit, Unit], ...], Field(min_length=2, max_length=MAX_POINTS)] = Field(
        description="Two to sixteen points [x, y] from one end to the other; 0, 0 is the top left corner."
    )
    inside: tuple[Unit, Unit] = Field(description="Any point on the inner side; whoever goes there counts as in.")

    @model_validator(mode="after")
    def _line_has_two_sides(self) -> "Gate":
        line = [Point(*p) for p in self.line]
        if polyline_length(line) < MIN_GATE_LENGTH:
            raise ValueError(f"line is shorter than {MIN_GATE_LENGTH} of the picture; draw it across the doorway")
        if abs(signed_distance(Point(*self.inside), line)) < MIN_INSIDE_DISTANCE:
            raise ValueError(
                f"inside = {list(self.inside)} lies on the line or straight beyond its end;"
                " choose any point clearly on the inner side"
            )
        return self


class Zone(Section):
    """An area of the floor in picture coordinates 0..1: how many people are there, for how long, how many queue."""

    name: Name = Field(description="The zone's name: a-z, 0-9, - and _, at most 32 characters.")
    corners: Annotated[tuple[tuple[Unit, Unit], ...], Field(min_length=3, max_length=MAX_POINTS)] = Field(
        description="Three to sixteen corners [x, y] in order around it; 0, 0 is the top left corner."
    )

    @model_validator(mode="after")
    def _is_an_area(self) -> "Zone":
        if len(set(self.corners)) < 3:
            raise ValueError("corners name fewer than three different points; draw an area")
        if crosses_itself([Point(*p) for p in self.corners]):
            raise ValueError("edges cross; list the corners in order around the area")
        return self


class View(Section):
    """Where the camera hangs; without it nobody's height is known. `nigiwai view` estimates it from the people seen."""

    height_m: Annotated[float, Field(ge=1.5, le=10.0)] = Field(description="The lens above the floor, in metres.")
    tilt_deg: Annotated[float, Field(ge=0.0, le=90.0)] = Field(
        description="How far the camera looks below the horizon; above 62 heights are not measured. From 60 on people"
        " are looked for as they are seen from above."
    )
    fov_deg: Annotated[float, Field(ge=20.0, le=150.0)] = Field(description="The picture's horizontal angle of view.")
    distortion: Annotated[float, Field(ge=0.0, le=0.3)] = Field(
        0.0, description="Barrel distortion of the lens (division model); 0 for lenses up to 70 degrees."
    )


class Traits(Section):
    """Who came: children, adults, kinds of group, in tables about k people or more. Needs [view]."""

    enabled: bool = Field(True, description="Estimate it at all; without [view] nothing is estimated.")
    k: Annotated[int, Field(ge=5, le=1_000)] = Field(10, description="No cell about fewer people is ever told.")
    model: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?$")] = Field(
        "nigiwai-traits",
        description="The model that looks at people, beside their height; empty: ages are told from heights alone.",
    )
    experimental: Annotated[tuple[Literal["sex", "teen", "senior"], ...], Field(max_length=3)] = Field(
        (),
        description="What the model may tell besides child and adult. Experimental: nothing shows yet that it is right"
        " about real people.",
    )

    epsilon: Annotated[float, Field(ge=0.05, le=10.0)] | None = Field(
        None,
        description="Noise on the numbers of a table (differential privacy) with this epsilon, the smaller the more;"
        " needs the extra `noise`. Without it numbers are as they are.",
    )

    @model_validator(mode="after")
    def _experiments_need_the_model(self) -> "Traits":
        if self.experimental and not self.model:
            raise ValueError(
                f"experimental = {list(self.experimental)}: cannot be told from heights; set model, or leave it empty"
            )
        return self


class Door(Section):
    """The socket between eye and link."""

    socket: Path = Field(Path("/run/nigiwai/door.sock"), description="Where link listens for eye.")


class Ledger(Section):
    """The ledger and the intervals in it."""

    path: Path = Field(Path("/var/lib/nigiwai/ledger.db"), description="The SQLite file.")
    interval_s: Literal[5, 10, 15, 20, 30, 60, 300, 600, 900] = Field(
        60, description="Length of one published interval."
    )
    clock: Literal["system", "synchronised"] = Field(
        "system",
        description="Place intervals by the system clock and correct them when it is set, or hold them until then.",
    )
    timezone: str = Field("Asia/Tokyo", description="Time zone of the day's sums and of the time stamps.")
    keep_days: Annotated[int, Field(ge=1, le=400)] = Field(30, description="How long delivered records are kept.")
    size_mib: Annotated[int, Field(ge=4, le=4_096)] = Field(
        64, description="Size above which the oldest detail is merged."
    )

    @field_validator("timezone")
    @classmethod
    def _timezone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            raise ValueError(f'{name!r} is no time zone of this system; for example "Asia/Tokyo" or "UTC"') from None
        return name


class Occupancy(Section):
    """The number of people inside."""

    reset_at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):(00|15|30|45)$")] = Field(
        "00:00",
        description="When the number begins at zero again each day, on a quarter of an hour; for an event beyond"
        ' midnight a time at which nobody is inside, such as "04:00". The balance until then is noted.',
    )


class Page(Section):
    """The status page."""

    enabled: bool = Field(True, description="Serve the page at all.")
    host: str = Field("127.0.0.1", description='Address to listen on; "0.0.0.0" for the local network.')
    port: Port = Field(8_080, description="Port to listen on.")
    pin_file: Path | None = Field(
        None, description="File whose first line is the staff's PIN, 6 to 12 digits; without it the page only shows."
    )
    cert_file: Path | None = Field(None, description="This device's own certificate for HTTPS.")
    key_file: Path | None = Field(None, description="The key of `cert_file`.")
    access_point: str | None = Field(
        None,
        description='The device\'s own access point, such as "10.42.0.0/24": the PIN works there without HTTPS.',
    )
    names: Annotated[tuple[Line, ...], Field(max_length=8)] = Field(
        (),
        description='Public DNS names of this device, such as "gate-1.ward.example". Addresses, names without a dot and'
        " local ones (.local, .lan, .internal, .home.arpa) always work; the page answers to no other.",
    )
    check_limit_percent: Annotated[float, Field(gt=0.0, le=50.0)] = Field(
        5.0, description="An accuracy check passes if the count's error lies within this, with its whole interval."
    )

    @field_validator("access_point")
    @classmethod
    def _access_point_is_a_network(cls, network: str | None) -> str | None:
        try:
            return None if network is None else str(ipaddress.ip_network(network))
        except ValueError:
            raise ValueError(f'{network!r} is no network; for example "10.42.0.0/24"') from None

    @model_validator(mode="after")
    def _certificate_and_key_together(self) -> "Page":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together; set both or neither")
        return self


class Notice(Section):
    """What the notice at the entrance says; the page makes a poster of it."""

    operator: Line = Field("", description="Who operates the camera and answers for it.")
    contact: Line = Field("", description="Where visitors can ask: a section, a telephone number.")
    purpose: Line = Field("来場者数の把握と、安全で快適な運営のため", description="What the numbers are for.")
    purpose_en: Line = Field("", description="The purpose in English, where `purpose` was changed.")
    purpose_zh: Line = Field("", description="The purpose in Chinese, where `purpose` was changed.")
    purpose_ko: Line = Field("", description="The purpose in Korean, where `purpose` was changed.")
    period: Line = Field("", description='When the camera counts, such as "2026年5月3日 9:00〜17:00".')
    since: Annotated[str, Field(pattern=r"^(20[0-9]{2}-[01][0-9]-[0-3][0-9])?$")] = Field(
        "",
        description="The day on which the notice was put up, such as 2026-05-01, where it is not recorded on the page;"
        " children and groups are estimated only once one of the two is recorded.",
    )
    statement_url: Annotated[str, Field(max_length=200, pattern=r"^(https?://[^\s<>\"]+)?$")] = Field(
        "",
        description="Where the privacy statement can be read; the poster's QR code leads there. Without it the code"
        " holds the statement itself.",
    )
    font_file: Path = Field(
        Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
        description="The poster's font: OpenType with Japanese, Chinese and Korean.",
    )


class Broker(Section):
    """A further broker, tried when those before it cannot be reached."""

    host: str = Field(description="The broker's host name or address.")
    port: Port = Field(1_883, description="The broker's port; 8883 is usual with TLS.")


class Mqtt(Section):
    """The broker at headquarters."""

    enabled: bool = Field(True, description="Publish at all; without, the ledger and the page go on.")
    host: str = Field("localhost", description="The broker's host name or address.")
    port: Port = Field(1_883, description="The broker's port; 8883 is usual with TLS.")
    version: Literal["5", "3.1.1"] = Field("5", description="MQTT version the broker speaks.")
    username: str | None = Field(None, description="User name, if the broker wants one.")
    password_file: Path | None = Field(None, description="File whose first line is the password.")
    ca_file: Path | None = Field(None, description="The site's CA certificate; setting it turns TLS on.")
    cert_file: Path | None = Field(None, description="This device's certificate.")
    key_file: Path | None = Field(None, description="This device's key.")
    keepalive_s: Annotated[int, Field(ge=5, le=3_600)] = Field(30, description="Keep-alive.")
    fallback: Annotated[tuple[Broker, ...], Field(max_length=4)] = Field(
        (), description="Further brokers in order, tried when the first cannot be reached; same credentials."
    )
    home_assistant: bool = Field(False, description="Announce the device to Home Assistant (MQTT discovery).")
    commands: Annotated[tuple[Command, ...], Field(max_length=5)] = Field(
        ("resend",), description="Commands taken from MQTT; the others are refused."
    )

    @model_validator(mode="after")
    def _certificate_and_key_together(self) -> "Mqtt":
        _check_certificate(self)
        return self


class Sparkplug(Section):
    """Sparkplug B for an industrial SCADA, over a connection of its own; needs `nigiwai[sparkplug]`."""

    enabled: bool = Field(False, description="Report to a SCADA as well; group = site, edge node = device.")
    host: str = Field("localhost", description="The SCADA's broker.")
    port: Port = Field(1_883, description="Its port; 8883 is usual with TLS.")
    version: Literal["5", "3.1.1"] = Field("3.1.1", description="MQTT version it speaks.")
    username: str | None = Field(None, description="User name, if it wants one.")
    password_file: Path | None = Field(None, description="File whose first line is the password.")
    ca_file: Path | None = Field(None, description="Its CA certificate; setting it turns TLS on.")
    cert_file: Path | None = Field(None, description="This device's certificate there.")
    key_file: Path | None = Field(None, description="This device's key there.")
    keepalive_s: Annotated[int, Field(ge=5, le=3_600)] = Field(30, description="Keep-alive.")

    @model_validator(mode="after")
    def _certificate_and_key_together(self) -> "Sparkplug":
        _check_certificate(self)
        return self


def _check_certificate(access: Mqtt | Sparkplug) -> None:
    if (access.cert_file is None) != (access.key_file is None):
        raise ValueError("cert_file and key_file go together; set both or neither")
    if access.cert_file is not None and access.ca_file is None:
        raise ValueError("cert_file needs ca_file: without the site's CA there is no TLS")


class Settings(Section):
    """Everything the operator sets."""

    device: Device = Device()
    camera: Camera = Camera()
    model: Model = Model()
    gate: Annotated[tuple[Gate, ...], Field(max_length=MAX_GATES)] = ()
    zone: Annotated[tuple[Zone, ...], Field(max_length=MAX_GATES)] = ()
    view: View | None = Field(None, description="The camera's place, once it is measured.")
    traits: Traits = Traits()
    door: Door = Door()
    ledger: Ledger = Ledger()
    occupancy: Occupancy = Occupancy()
    page: Page = Page()
    notice: Notice = Notice()
    mqtt: Mqtt = Mqtt()
    sparkplug: Sparkplug = Sparkplug()

    @field_validator("gate")
    @classmethod
    def _gate_names_differ(cls, gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
        if mistake := _same_name("gate", [g.name for g in gates]):
            raise ValueError(mistake)
        return gates

    @field_validator("zone")
    @classmethod
    def _zone_names_differ(cls, zones: tuple[Zone, ...]) -> tuple[Zone, ...]:
        if mistake := _same_name("zone", [z.name for z in zones]):
            raise ValueError(mistake)
        return zones

    @property
    def sha256(self) -> str:
        """A digest of what is in force, the same for the same settings however the file is laid out."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load(path: Path) -> Settings:
    """The settings in the TOML file at `path`; relative paths in it are taken from its folder.

    Raises SettingsError that names every mistake, one a line.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; give the settings file with --settings") from None
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"{path}: cannot be read ({e})") from None
    except tomllib.TOMLDecodeError as e:
        raise SettingsError(f"{path}: not valid TOML: {e}") from None
    return _anchored(parse(table, where=str(path)), path.resolve().parent)


def parse(table: dict[str, Any], where: str = "settings") -> Settings:
    """The settings in `table`. Raises SettingsError that names every mistake, one a line, each beginning `where`."""
    try:
        return Settings.model_validate(table)
    except ValidationError as e:
        mistakes = told(e, Settings)
        mistakes += [m for m in _unchecked_names(table) if m not in mistakes]
        raise SettingsError("\n".join(f"{where}: {mistake}" for mistake in mistakes)) from None


def _same_name(kind: str, names: Sequence[str]) -> str | None:
    """What is wrong where two of a kind have one name, else None."""
    twice = sorted({n for n in names if names.count(n) > 1})
    return f"two {kind}s are named {twice[0]!r}; give each its own name" if twice else None


def _unchecked_names(table: dict[str, Any]) -> list[str]:
    """Names given twice among gates or zones that were not compared because one of them has another mistake."""
    mistakes = []
    for kind in ("gate", "zone"):
        rows = table.get(kind)
        names = [r.get("name") for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []
        if mistake := _same_name(kind, [n for n in names if isinstance(n, str)]):
            mistakes.append(f"{kind}: {mistake}")
    return mistakes


def _anchored(settings: Settings, folder: Path) -> Settings:
    """The same settings with the recording's path made absolute."""
    path = settings.camera.path
    if path is None or path.is_absolute():
        return settings
    camera = settings.camera.model_copy(update={"path": folder / path})
    return settings.model_copy(update={"camera": camera})


def read_secret(path: Path, key: str = "mqtt.password_file") -> SecretStr:
    """The first line of a secret's file, which `key` names. Raises SettingsError."""
    try:
        return SecretStr(path.read_text(encoding="utf-8").splitlines()[0])
    except (OSError, UnicodeDecodeError, IndexError) as e:
        raise SettingsError(f"{key} = {str(path)!r}: cannot be read ({e})") from None
