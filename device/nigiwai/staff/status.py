# SPDX-License-Identifier: Apache-2.0
"""`nigiwai status`: how this device is, one line a thing."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nigiwai import settings as settings_file
from nigiwai.enrol import keys
from nigiwai.enrol.station import Places
from nigiwai.enrol.trouble import REMEDIES, UPDATE_TOLD, told
from nigiwai.errors import NigiwaiError
from nigiwai.link.messages import Cause, Light, Subject
from nigiwai.staff import words
from nigiwai.staff.words import Language, say
from nigiwai.update.health import ask_page
from nigiwai.update.releases import Releases


@dataclass(frozen=True)
class Line:
    """A thing, whether it is well, and what to say of it."""

    thing: str
    well: bool
    text: str


def status(settings_path: Path, language: Language) -> Iterator[Line]:
    """Everything that is to know, what runs first. Raises SettingsError."""
    for unit, name in words.ROOMS.items():
        yield room(say(name, language), unit_facts(unit), language)
    yield _release(Releases(), language)
    settings = settings_file.load(settings_path)
    now = ask_page(settings) if settings.page.enabled else {}
    yield from page_lines(now, language)
    yield from _enrolment(Places(), language)


def unit_facts(unit: str) -> dict[str, str]:
    """What systemd says of a unit; empty where there is no systemd."""
    asked = "--property=ActiveState,SubState,NRestarts,Result"
    try:
        done = subprocess.run(["systemctl", "show", unit, asked], capture_output=True, text=True, check=False)  # noqa: S607
    except FileNotFoundError:
        return {}
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())


def room(name: str, facts: dict[str, str], language: Language) -> Line:
    """A service as a line."""
    active = facts.get("ActiveState") == "active"
    text = say(words.ACTIVE if active else words.NOT_ACTIVE, language)
    if not active and facts:
        text += f" ({facts.get('ActiveState')}, {facts.get('Result')})"
    if (restarts := facts.get("NRestarts", "0")) != "0":
        text += ", " + say(words.RESTARTS, language).format(restarts)
    return Line(name, active, text)


def page_lines(now: dict[str, Any], language: Language) -> Iterator[Line]:
    """What link's page says, as lines."""
    if not now:
        yield Line(say(words.ROOMS["nigiwai-link.service"], language), False, say(words.NO_PAGE, language))
        return
    counts = say(words.COUNTS, language).format(now["in"], now["out"])
    yield Line(say(words.TODAY, language), True, f"{counts}, {say(words.WAITING, language).format(now['queue'])}")
    for shown in now["lights"]:
        light, cause = Light(shown["light"]), Cause(shown["cause"])
        text = f"{say(words.LIGHTS[light], language)} {say(words.CAUSES[cause], language)}".strip()
        yield Line(say(words.SUBJECTS[Subject(shown["subject"])], language), light is not Light.BAD, text)


def _release(releases: Releases, language: Language) -> Line:
    text = releases.current() or "-"
    if releases.trial() is not None:
        text += f" ({say(words.ON_TRIAL, language)})"
    return Line(say(words.RELEASE, language), True, text)


def _enrolment(places: Places, language: Language) -> Iterator[Line]:
    """The certificate's end (for root, who alone can read it), and trouble with the enrolment or an update."""
    try:
        found = keys.read_certificate(places.credentials / "device.crt")
        until = say(words.UNTIL, language).format(f"{found.ends:%Y-%m-%d}")
        good = found.begins <= datetime.now(UTC) < found.ends
        yield Line(say(words.CERTIFICATE, language), good, f"{found.name}, {until}")
    except (NigiwaiError, OSError):
        pass
    updates = places.root / UPDATE_TOLD.relative_to("/")
    for name, path in ((words.ENROLMENT, places.told), (words.UPDATE, updates)):
        for trouble in told((path,)):
            yield Line(say(name, language), False, f"{trouble} {say(REMEDIES[trouble], language)}")
