# SPDX-License-Identifier: Apache-2.0
"""Makes the board's own lights blink, so that somebody standing there finds the device.

link may not write to /sys. It leaves a mark beside the door's socket; nigiwai-identify.path then runs this module
(`python -m nigiwai.link.identify FOLDER`), which blinks and takes the mark away. It reads nothing that link wrote.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

MARK = "identify"
NAMES = ("ACT", "PWR", "led0")
"""The board's lights as Raspberry Pi OS and Debian name them."""

LEDS = Path("/sys/class/leds")
BLINKS = 30
HALF_S = 0.5


def ask(folder: Path, leds: Path = LEDS) -> bool:
    """Leaves the mark in `folder`. Whether the light will blink: not where there is none, or no mark can be left."""
    if not any((leds / name).exists() for name in NAMES):
        return False
    try:
        (folder / MARK).touch()
    except OSError:
        return False
    return True


def blink(leds: Path = LEDS, blinks: int = BLINKS, wait: Callable[[float], None] = time.sleep) -> None:
    """Blinks every light there is, and leaves each showing what it showed before."""
    found = [leds / name for name in NAMES if (leds / name / "trigger").exists()]
    before = {led: _shown(led) for led in found}
    try:
        for led in found:
            _write(led / "trigger", "none")
        for value in ("255", "0") * blinks:
            for led in found:
                _write(led / "brightness", value)
            wait(HALF_S)
    finally:
        for led, shown in before.items():
            _write(led / "trigger", shown)


def _shown(led: Path) -> str:
    """What drives the light: the word in brackets, as in `none [mmc0] heartbeat`."""
    _, _, rest = (led / "trigger").read_text(encoding="ascii").partition("[")
    return rest.partition("]")[0] or "none"


def _write(path: Path, value: str) -> None:
    with contextlib.suppress(OSError):  # a light that went away is none to blink
        path.write_text(value, encoding="ascii")


if __name__ == "__main__":
    try:
        blink()
    finally:
        (Path(sys.argv[1]) / MARK).unlink(missing_ok=True)
