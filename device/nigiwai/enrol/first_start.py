# SPDX-License-Identifier: Apache-2.0
"""The first start of a card: the boot partition's file becomes this device's settings, PIN and enrolment."""

import contextlib
import os
import tomllib
from pathlib import Path

from nigiwai.enrol import file as device_file
from nigiwai.enrol import station
from nigiwai.enrol.toml_text import to_toml
from nigiwai.errors import EnrolmentError

RESULT_NAME = "nigiwai-result.txt"


def begin(places: station.Places, source: Path) -> str:
    """Adopts the file and empties it of secrets; says what was done. Raises EnrolmentError and leaves all as it was.

    The result is also written beside the file: a PC can read the boot partition, and a clerk has no other screen.
    """
    result = source.with_name(RESULT_NAME)
    try:
        parsed, settings = device_file.load(source)
        table = tomllib.loads(source.read_text(encoding="utf-8-sig"))["settings"]
        station.adopt(places, parsed, settings, to_toml(table))
    except EnrolmentError as e:
        _write(result, f"{e.trouble}\n{e}\n")
        raise
    # Cut short before it is unlinked: a FAT partition keeps the blocks of a file that is merely removed.
    with source.open("r+b") as used:
        used.write(b"#" * source.stat().st_size)
        used.flush()
        os.fsync(used.fileno())
    source.unlink()
    done = f"this device is now {settings.device.site}/{settings.device.name}"
    _write(result, f"OK\n{done}\n")
    return done


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(text, encoding="utf-8")
