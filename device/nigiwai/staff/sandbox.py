# SPDX-License-Identifier: Apache-2.0
"""`nigiwai check --sandbox`: runs the camera under eye's very unit, and names the restrictions that block it.

The unit is copied line by line to a passing one whose command only opens the camera. If that fails although the camera
works without any restriction, its lines are searched by halves for those that block: about a dozen starts for one.
"""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from nigiwai.errors import CameraError

UNIT = Path("/etc/systemd/system/nigiwai-eye.service")
_TRIAL = Path("/run/systemd/system/nigiwai-try.service")
_NEEDED = (
    *("User=", "Group=", "SupplementaryGroups=", "WorkingDirectory=", "Environment="),
    # These allow what other lines forbid; without them the others would be named in their place.
    *("ExecPaths=", "DeviceAllow=", "BindReadOnlyPaths=", "SystemCallErrorNumber="),
)
_LIFETIME = (
    *("Type=", "ExecStart=", "Restart", "Watchdog", "Timeout", "NotifyAccess=", "OOM"),
    *("StartLimit", "OnFailure=", "PartOf=", "Description=", "Documentation="),
)


def restrictions_of(unit: str) -> tuple[list[str], list[str]]:
    """The lines of a unit's [Service] section: those that the program needs, and those that restrict it. Pure."""
    needed, restricting, section = [], [], ""
    for line in _lines(unit):
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line.startswith(_NEEDED):
            needed.append(line)
        elif section == "[Service]" and not line.startswith(_LIFETIME):
            restricting.append(line)
    return needed, restricting


def _lines(unit: str) -> list[str]:
    """Whole lines without comments."""
    kept = "\n".join(line for line in unit.splitlines() if not line.lstrip().startswith(("#", ";")))
    return [line.strip() for line in kept.replace("\\\n", " ").splitlines() if line.strip()]


def blockers(
    works: Callable[[Sequence[str]], bool], restrictions: Sequence[str], kept: Sequence[str] = ()
) -> list[str]:
    """The fewest lines that have to go so that it works with all the others. Pure but for `works`.

    It must work with `kept` alone. Halves that are harmless are settled with one start.
    """
    if not restrictions or works([*kept, *restrictions]):
        return []
    if len(restrictions) == 1:
        return list(restrictions)
    half = len(restrictions) // 2
    first = blockers(works, restrictions[:half], kept)
    good = [r for r in restrictions[:half] if r not in first]
    return first + blockers(works, restrictions[half:], [*kept, *good])


def look(settings: Path) -> list[str]:
    """The lines of eye's unit that keep the camera from working; none where all is well.

    Raises CameraError where it does not work without any restriction either, or there is no unit.
    """
    try:
        needed, restricting = restrictions_of(UNIT.read_text(encoding="utf-8"))
    except OSError:
        raise CameraError(f"{UNIT}: not here; install Nigiwai first (provisioning/install.sh)") from None

    def works(lines: Sequence[str]) -> bool:
        return _try([*needed, *lines], settings) == 0

    try:
        if works(restricting):
            return []
        if not works(()):
            raise CameraError("the camera does not work without the sandbox either: nigiwai check says more")
        return blockers(works, restricting)
    finally:
        _TRIAL.unlink(missing_ok=True)
        _systemctl("daemon-reload")


def _try(lines: Sequence[str], settings: Path) -> int:
    """The exit code of a look through the camera under these lines."""
    command = f"/opt/nigiwai/current/venv/bin/nigiwai check --only camera --settings {settings}"
    text = ["[Unit]", "Description=Nigiwai: tries the camera in eye's sandbox", "StartLimitIntervalSec=0"]
    text += ["[Service]", "Type=oneshot", "TimeoutStartSec=60", f"ExecStart={command}", *lines]
    _TRIAL.parent.mkdir(parents=True, exist_ok=True)
    _TRIAL.write_text("\n".join(text) + "\n", encoding="utf-8")
    _systemctl("daemon-reload")
    code = _systemctl("start", _TRIAL.name)
    _systemctl("reset-failed", _TRIAL.name)
    return code


def _systemctl(*arguments: str) -> int:
    return subprocess.run(["systemctl", *arguments], capture_output=True, check=False).returncode  # noqa: S607
