# SPDX-License-Identifier: Apache-2.0
"""A release in a folder: made, signed and checked file by file."""

import hashlib
import os
from pathlib import Path

from nigiwai.enrol.trouble import Trouble
from nigiwai.errors import UpdateError
from nigiwai.update import signature
from nigiwai.update.manifest import (
    LARGEST_BYTES,
    MANIFEST,
    ROLLOUT,
    SIGNATURE,
    Manifest,
    Rollout,
    read_manifest,
    read_rollout,
)

_OUTSIDE = {MANIFEST, MANIFEST + SIGNATURE, ROLLOUT, ROLLOUT + SIGNATURE}


def make(folder: Path, version: str, serial: int, key: Path) -> Manifest:
    """Writes and signs the manifest of everything in the folder. Raises UpdateError."""
    if not (folder / "provisioning/install.sh").is_file():
        raise UpdateError(f"{folder}: not a release; make one with provisioning/bundle.sh")
    files = {str(p.relative_to(folder)): digest(p) for p in sorted(_files(folder))}
    made = Manifest(version, serial, files)
    _write(folder / MANIFEST, made.to_json())
    signature.sign(folder / MANIFEST, key)
    return made


def stage(folder: Path, groups: tuple[str, ...], key: Path) -> Rollout:
    """Opens the release in the folder to groups of devices. Raises UpdateError."""
    data = _read(folder / MANIFEST)
    opened = Rollout(hashlib.sha256(data).hexdigest(), read_manifest(data).serial, groups)
    _write(folder / ROLLOUT, opened.to_json())
    signature.sign(folder / ROLLOUT, key)
    return opened


def check(folder: Path, signers: Path) -> Manifest:
    """The manifest, if it is signed and every file is as it says and no other is there. Raises UpdateError."""
    found = check_manifest(folder, signers)
    present = {str(p.relative_to(folder)) for p in _files(folder)}
    if strange := sorted(present - set(found.files)):
        raise UpdateError(f"{strange[0]}: is not part of the signed release; nothing of it is used", Trouble.SIGNATURE)
    for path, expected in found.files.items():
        file = folder / path
        if not file.is_file() or file.is_symlink():
            raise UpdateError(f"{path}: missing; the release is not whole, copy it again", Trouble.SIGNATURE)
        if digest(file) != expected:
            raise UpdateError(f"{path}: differs from what was signed; copy the release again", Trouble.SIGNATURE)
    return found


def check_manifest(folder: Path, signers: Path) -> Manifest:
    """The manifest alone, if it is signed. Raises UpdateError."""
    data = _read(folder / MANIFEST)
    signature.verify(data, folder / (MANIFEST + SIGNATURE), signers)
    return read_manifest(data)


def check_rollout(folder: Path, signers: Path) -> Rollout:
    """The rollout, if it is signed. Raises UpdateError."""
    data = _read(folder / ROLLOUT)
    signature.verify(data, folder / (ROLLOUT + SIGNATURE), signers)
    return read_rollout(data)


def digest(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    found = []
    for base, folders, names in os.walk(folder):
        for name in [*names, *(f for f in folders if (Path(base) / f).is_symlink())]:
            path = Path(base) / name
            if str(path.relative_to(folder)) not in _OUTSIDE:
                found.append(path)
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise UpdateError(f"{path}: missing; this is no signed release") from None
    except OSError as e:
        raise UpdateError(f"{path}: cannot be read ({e.strerror})") from None
    if len(data) > LARGEST_BYTES:
        raise UpdateError(f"{path}: larger than any manifest")
    return data


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as e:
        raise UpdateError(f"{path}: cannot be written ({e.strerror})") from None
