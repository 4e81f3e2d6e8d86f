# SPDX-License-Identifier: Apache-2.0
"""How the device is: what systemd says of its services, and what link's page says of counting, ledger and broker."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nigiwai import settings as settings_file
from nigiwai.errors import NigiwaiError
from nigiwai.settings import Settings

FRESH_S = 15.0
"""A bin comes every five seconds; three missing ones are an outage."""

LINK, COUNTING, BROKER = "link", "counting", "broker"


@dataclass(frozen=True)
class Facts:
    """What works, of LINK, COUNTING and BROKER; and whether an event is under way."""

    works: frozenset[str]
    event: bool = False


def look(settings_path: Path, release: str | None = None) -> Facts:
    """What works at this moment; only what runs from `release` counts, where one is named."""
    works = {LINK} if _runs("nigiwai-link.service", release) else set()
    settings = _settings(settings_path)
    if settings is None or not settings.page.enabled:
        return Facts(frozenset(works | ({COUNTING} if _runs("nigiwai-eye.service", release) else set())))
    now = ask_page(settings)
    age_s = now.get("bin_age_s")
    if isinstance(age_s, int | float) and age_s < FRESH_S and _runs("nigiwai-eye.service", release):
        works.add(COUNTING)
    lights = {light.get("subject"): light for light in now.get("lights", []) if isinstance(light, dict)}
    if _connected(lights.get("broker", {})):
        works.add(BROKER)
    if not now or lights.get("storage", {}).get("light") == "bad":
        works.discard(LINK)
    return Facts(frozenset(works), bool(now.get("event")))


def _connected(light: dict[str, Any]) -> bool:
    """By the broker's light. It warns while connected too, of a certificate that soon ends: no fault of a release."""
    shown = light.get("light")
    return shown == "ok" or (shown == "warn" and light.get("cause") != "broker_away")


def ask_page(settings: Settings) -> dict[str, Any]:
    """What link's page says now; empty where it does not answer."""
    secure = settings.page.cert_file is not None
    # To this very machine, so there is nobody to be mistaken for; the certificate may still be the device's own.
    context = ssl._create_unverified_context() if secure else None  # noqa: S323
    url = f"{'https' if secure else 'http'}://127.0.0.1:{settings.page.port}/api/now"
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:  # noqa: S310  our own address
            table = json.loads(answer.read(2**20))
    except (urllib.error.URLError, OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _settings(path: Path) -> Settings | None:
    try:
        return settings_file.load(path)
    except NigiwaiError:
        return None


def _runs(unit: str, release: str | None) -> bool:
    """Whether the unit is up, from that release."""
    shown = subprocess.run(
        ["systemctl", "show", unit, "--property=ActiveState,MainPID"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    facts = dict(line.partition("=")[::2] for line in shown.splitlines())
    if facts.get("ActiveState") != "active":
        return False
    return release is None or release in _command(facts.get("MainPID", "0"))


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
