# SPDX-License-Identifier: Apache-2.0
"""What a release says of itself, and whether this device takes it. Pure.

`manifest.json` names every file of the release with its SHA-256 and is what gets signed. Releases are ordered by
`serial`, a number that grows with each; a device never goes below the highest that has proved itself on it, or an old
weakness could be brought back with an old, well-signed release. `rollout.json` says to which groups of devices
headquarters has opened a release; it is signed too. Only automatic updates ask for it: who carries a stick has decided.
"""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from nigiwai.enrol.trouble import Trouble
from nigiwai.errors import UpdateError

MANIFEST, ROLLOUT, SIGNATURE = "manifest.json", "rollout.json", ".sig"
SCHEMA = 1
LARGEST_BYTES = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """A release. files: path relative to the release's folder -> SHA-256."""

    version: str
    serial: int
    files: dict[str, str]

    def to_json(self) -> bytes:
        """The bytes that are signed."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, sort_keys=True).encode()


@dataclass(frozen=True)
class Rollout:
    """To whom a release is open. manifest_sha256: which one."""

    manifest_sha256: str
    serial: int
    groups: tuple[str, ...]

    def to_json(self) -> bytes:
        """The bytes that are signed."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, sort_keys=True).encode()


def read_manifest(data: bytes) -> Manifest:
    """The manifest in signed bytes. Raises UpdateError."""
    table = _table(data, MANIFEST)
    try:
        found = Manifest(str(table["version"]), int(table["serial"]), dict(table["files"]))
    except (KeyError, TypeError, ValueError) as e:
        raise UpdateError(
            f"{MANIFEST}: {type(e).__name__} {e}; this release was not made by `nigiwai release`"
        ) from None
    for path, digest in found.files.items():
        if not _is_inside(path) or not _SHA256.fullmatch(str(digest)):
            raise UpdateError(f"{MANIFEST}: {path!r} is no path inside a release with a SHA-256")
    return found


def read_rollout(data: bytes) -> Rollout:
    """The rollout in signed bytes. Raises UpdateError."""
    table = _table(data, ROLLOUT)
    try:
        return Rollout(str(table["manifest_sha256"]), int(table["serial"]), tuple(map(str, table["groups"])))
    except (KeyError, TypeError, ValueError) as e:
        raise UpdateError(f"{ROLLOUT}: {type(e).__name__} {e}") from None


def _table(data: bytes, name: str) -> dict[str, Any]:
    try:
        table = json.loads(data)
        schema = table["schema"]
    except (ValueError, KeyError, TypeError):
        raise UpdateError(f"{name}: not readable") from None
    if schema != SCHEMA:
        raise UpdateError(f"{name}: schema {schema!r} is newer than this device knows; update in smaller steps")
    return dict(table)


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return bool(path) and path.isprintable() and not path.startswith("/") and not {"", ".", ".."} & set(parts)


@dataclass(frozen=True)
class Standing:
    """What this device has. proved: the highest serial that proved itself; refused: serials that failed here."""

    serial: int
    proved: int
    refused: tuple[int, ...] = ()
    group: str = "all"


def check_serial(offered: Manifest, standing: Standing) -> None:
    """Raises UpdateError for a downgrade and for what failed here before."""
    if offered.serial < standing.proved:
        raise UpdateError(
            f"release {offered.version} (number {offered.serial}) is older than number {standing.proved}, which this"
            " device has run; an older release is not taken, because its weaknesses are known. To go back to the one"
            " before, which is still on the card: nigiwai update --back",
            Trouble.OLDER,
        )
    if offered.serial in standing.refused:
        raise UpdateError(
            f"release {offered.version} (number {offered.serial}) did not prove itself on this device and is not tried"
            " again; make a newer one, or allow it once more: nigiwai update --forgive",
            Trouble.UNPROVEN,
        )


def is_open_for(rollout: Rollout, standing: Standing) -> bool:
    """Whether headquarters has opened the release to this device's group and it is newer than what runs."""
    wanted = bool({standing.group, "all"} & set(rollout.groups))
    return wanted and rollout.serial > standing.serial and rollout.serial not in standing.refused
