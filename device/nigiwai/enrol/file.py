# SPDX-License-Identifier: Apache-2.0
"""The file that makes a card this device's: `nigiwai-device.toml`, written at headquarters, read at the first start.

It lies on the boot partition, which every PC can read and write, so it may come back with typos, and what is secret in
it (PIN, one-time code) is taken out as soon as it has been used.
"""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from nigiwai import settings as settings_file
from nigiwai.enrol.trouble import Trouble
from nigiwai.errors import EnrolmentError, SettingsError
from nigiwai.mistakes import nearest
from nigiwai.settings import Settings

FILE_NAME = "nigiwai-device.toml"


class _Table(BaseModel):
    """A frozen table that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Enrolment(_Table):
    """How this device gets its certificate."""

    url: Annotated[str, Field(pattern=r"^https://[^\s/]+$")] | None = Field(
        None, description="The enrolment desk, https://HOST:PORT; without it the signing request is carried by hand."
    )
    code: SecretStr | None = Field(None, description="The one-time code for this device.")
    expires: datetime | None = Field(None, description="Until when the code is good, with the time zone.")
    ca: str = Field(description="The site's CA certificate (PEM).")


class Updates(_Table):
    """Whose releases this device takes, and where it looks for them."""

    signers: str = Field(description="Lines for /etc/nigiwai/release-signers: `release ssh-ed25519 AAAA...`.")
    source: Annotated[str, Field(pattern=r"^(https://|/)\S+$")] | None = Field(
        None, description="The folder of releases, https://... or mounted; without it only sticks are taken."
    )


class DeviceFile(_Table):
    """Everything that makes a card this device's."""

    enrolment: Enrolment
    updates: Updates | None = Field(None, description="Whose releases it takes; none without it.")
    pin: SecretStr = Field(description="The PIN of the label.")
    access_point_password: SecretStr | None = Field(
        None, description="The Wi-Fi password of the device's own access point, 8 to 63 characters."
    )
    group: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")] = Field(
        "all", description="The group by which updates are staged."
    )
    settings: dict[str, Any] = Field(description="The device's nigiwai.toml, as a table.")

    @field_validator("access_point_password")
    @classmethod
    def _password_is_wpa(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and not re.fullmatch(r"[!-~]{8,63}", password.get_secret_value()):
            raise ValueError("is not 8 to 63 plain characters")
        return password

    @field_validator("pin")
    @classmethod
    def _pin_is_digits(cls, pin: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[0-9]{6,12}", pin.get_secret_value()):
            raise ValueError("is not 6 to 12 digits")
        return pin


def read(text: str, where: str) -> tuple[DeviceFile, Settings]:
    """The file's content and the settings in it. Raises EnrolmentError that names every mistake, one a line."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise EnrolmentError(
            f"{where}: not valid TOML: {e}; copy the file from headquarters again", Trouble.FILE
        ) from None
    mistakes: list[str] = []
    parsed = _parse(table, where, mistakes)
    settings = _parse_settings(table.get("settings"), where, mistakes)
    if parsed is None or settings is None or mistakes:
        raise EnrolmentError("\n".join(mistakes), Trouble.FILE)
    return parsed, settings


def load(path: Path) -> tuple[DeviceFile, Settings]:
    """Reads the file. Raises EnrolmentError."""
    try:
        return read(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError:
        raise EnrolmentError(
            f"{path}: no such file; headquarters makes it with `nigiwai site add`", Trouble.FILE
        ) from None
    except (OSError, UnicodeDecodeError) as e:
        raise EnrolmentError(f"{path}: cannot be read ({e}); copy it from headquarters again", Trouble.FILE) from None


def check_code(enrolment: Enrolment, now: datetime) -> None:
    """Raises EnrolmentError where the code's time is over."""
    if enrolment.expires is not None and now > enrolment.expires.astimezone(UTC):
        raise EnrolmentError(
            f"the one-time code ended on {enrolment.expires:%Y-%m-%d}; get a new one: nigiwai site add --again"
            " (if that day is not over, this device's clock is wrong)",
            Trouble.CODE_OVER,
        )


def _parse(table: dict[str, Any], where: str, mistakes: list[str]) -> DeviceFile | None:
    try:
        return DeviceFile.model_validate(table)
    except ValidationError as e:
        mistakes.extend(f"{where}: {_explain(err)}" for err in e.errors(include_input=False))
        return None


def _parse_settings(table: Any, where: str, mistakes: list[str]) -> Settings | None:
    if not isinstance(table, dict):
        return None
    try:
        return settings_file.parse(table, f"{where}: settings")
    except SettingsError as e:
        mistakes.extend(str(e).splitlines())
        return None


def _explain(error: Any) -> str:
    """One mistake. The value is not quoted: it may be a secret."""
    loc = [str(part) for part in error["loc"]]
    key = ".".join(loc)
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; {nearest(loc[-1], _section(loc).model_fields)}"
    message = "is missing" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")
    field = _section(loc).model_fields.get(loc[-1])
    return f"{key}: {message[0].lower()}{message[1:]}; {field.description if field else 'see docs/install'}"


def _section(loc: list[str]) -> type[_Table]:
    """The table that a key belongs to."""
    inner: dict[str, type[_Table]] = {"enrolment": Enrolment, "updates": Updates}
    return inner.get(loc[0], DeviceFile) if len(loc) > 1 else DeviceFile
