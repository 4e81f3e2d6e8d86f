# SPDX-License-Identifier: Apache-2.0
"""Where releases come from by themselves: a folder that headquarters serves over HTTPS, or a mounted one.

/etc/nigiwai/update.toml:

    source = "https://releases.example.jp/nigiwai"   # or a folder; without it nothing is fetched
    group = "pilot"                                  # this device's group
    ca_file = "/etc/nigiwai/credentials/ca.crt"      # whom to trust for HTTPS; the system's list unless given

What is fetched is believed only for its signature; HTTPS keeps others from seeing which device runs what.
"""

import hashlib
import shutil
import ssl
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nigiwai.errors import UpdateError
from nigiwai.update import bundle
from nigiwai.update.manifest import LARGEST_BYTES, MANIFEST, ROLLOUT, SIGNATURE, Manifest, check_serial, is_open_for
from nigiwai.update.releases import Releases

CONFIG = Path("/etc/nigiwai/update.toml")
LARGEST_FILE_BYTES = 512 * 2**20
_PATIENCE_S = 60.0

Fetch = Callable[[str, Path, int], None]
"""(path relative to the source, where to, largest size in bytes). Raises UpdateError."""


class Config(BaseModel):
    """update.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, Field(pattern=r"^(https://|/)\S+$")] | None = None
    group: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")] = "all"
    ca_file: Path | None = None


def read_config(path: Path = CONFIG) -> Config:
    """What update.toml says; without it nothing is fetched. Raises UpdateError."""
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise UpdateError(f"{path}: cannot be used ({e})") from None
    except ValidationError as e:
        told = "; ".join(f"{'.'.join(map(str, err['loc']))}: {err['msg']}" for err in e.errors())
        raise UpdateError(f"{path}: {told}; known here: source, group, ca_file") from None


def fetch_next(config: Config, releases: Releases, signers: Path) -> Path | None:
    """A folder with the release that is open to this device, or None where there is nothing new. Raises UpdateError.

    What an earlier attempt fetched is kept if its digest is right: an interrupted download goes on where it was.
    """
    if config.source is None:
        return None
    folder = releases.base / "download"
    folder.mkdir(mode=0o700, exist_ok=True)
    get = _getter(config)
    for name in (ROLLOUT, ROLLOUT + SIGNATURE):
        get(name, folder / name, LARGEST_BYTES)
    rollout = bundle.check_rollout(folder, signers)
    if not is_open_for(rollout, releases.standing(config.group)):
        return None
    for name in (MANIFEST, MANIFEST + SIGNATURE):
        get(name, folder / name, LARGEST_BYTES)
    if hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() != rollout.manifest_sha256:
        raise UpdateError(f"{ROLLOUT} and {MANIFEST} do not belong together; headquarters is about to change them")
    manifest = bundle.check_manifest(folder, signers)
    check_serial(manifest, releases.standing(config.group))
    _fetch_files(get, folder, manifest)
    return folder


def _fetch_files(get: Fetch, folder: Path, manifest: Manifest) -> None:
    for path, expected in manifest.files.items():
        target = folder / path
        if target.is_file() and bundle.digest(target) == expected:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        get(path, part, LARGEST_FILE_BYTES)
        if bundle.digest(part) != expected:
            part.unlink()
            raise UpdateError(f"{path}: what came differs from what was signed; tried again later")
        part.rename(target)


def _getter(config: Config) -> Fetch:
    source = str(config.source)
    if source.startswith("/"):
        return lambda path, target, largest: _copy(Path(source) / path, target, largest)
    context = ssl.create_default_context(cafile=config.ca_file)
    return lambda path, target, largest: _download(f"{source.rstrip('/')}/{path}", context, target, largest)


def _copy(file: Path, target: Path, largest: int) -> None:
    try:
        if file.stat().st_size > largest:
            raise UpdateError(f"{file}: larger than {largest} bytes")
        shutil.copyfile(file, target)
    except OSError as e:
        raise UpdateError(f"{file}: cannot be read ({e.strerror})") from None


def _download(url: str, context: ssl.SSLContext, target: Path, largest: int) -> None:
    try:
        with (
            urllib.request.urlopen(url, timeout=_PATIENCE_S, context=context) as answer,  # noqa: S310  https, see Config
            target.open("wb") as file,
        ):
            while block := answer.read(2**16):
                file.write(block)
                if file.tell() > largest:
                    raise UpdateError(f"{url}: larger than {largest} bytes")
    except (urllib.error.URLError, OSError) as e:
        raise UpdateError(f"{url}: cannot be fetched ({e}); tried again later") from None
