# SPDX-License-Identifier: Apache-2.0
"""The unit files as the tests read them."""

from pathlib import Path

from tests.conftest import ROOT

UNITS = ROOT / "systemd"

Unit = dict[str, list[str]]
"""Every line of a unit by "Section.Key", in order; a key may stand more than once."""


def read_unit(path: Path) -> Unit:
    """What a unit file says. Raises ValueError for a line that is no setting, comment or heading."""
    unit: Unit = {}
    section = ""
    for line in settings_of(path):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if not (section and equals):
            raise ValueError(f"{path.name}: {line!r} is no setting")
        unit.setdefault(f"{section}.{key}", []).append(value)
    return unit


def settings_of(path: Path) -> list[str]:
    """The lines of a unit without comments, each whole: a backslash at the end joins it with the next."""
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith(("#", ";")))
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def words(unit: Unit, key: str) -> set[str]:
    """Every word of every line of a key of the [Service] section."""
    return {word for line in unit.get(f"Service.{key}", []) for word in line.split()}


def with_command(path: Path, command: str, *, kind: str | None = None) -> str:
    """The unit's text, everything as it is but the command and, where `kind` is given, Type, watchdog and restarts."""
    lines = []
    for line in settings_of(path):
        key = line.partition("=")[0]
        if key in {"ExecStart", "ExecReload", "ExecStop"}:
            line = f"{key}={command}"
        if kind is not None and key == "Type":
            line = f"Type={kind}"
        if kind is not None and key in {
            "WatchdogSec",
            "OnFailure",
            "PartOf",
            "RestartSteps",
            "RestartMaxDelaySec",
            "RestartMode",
        }:
            continue
        if kind is not None and key == "Restart":
            line = "Restart=no"
        lines.append(line)
    return "\n".join(lines) + "\n"
