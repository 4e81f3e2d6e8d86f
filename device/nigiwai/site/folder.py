# SPDX-License-Identifier: Apache-2.0
"""A site's folder at headquarters: its CA, what the broker needs, and one folder for each device.

    SITE/site.toml                    name, hosts of the broker, enrolment desk
    SITE/authority/ca.key ca.crt      the key signs; keep the folder on an encrypted disk and a copy in a safe
    SITE/broker/                      what is copied to the broker; revoked.crl is made anew with each revocation
    SITE/register.json                every certificate and code that was given out
    SITE/devices/NAME/                label.pdf, boot/ (files for the card), device.crt

The register is written beside and renamed: whatever happens, the old one or the new one is there.
"""

import contextlib
import fcntl
import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from nigiwai.errors import EnrolmentError
from nigiwai.site import authority
from nigiwai.site.authority import Authority


@dataclass(frozen=True)
class Site:
    """What site.toml says."""

    name: str
    hosts: tuple[str, ...]
    port: int
    desk_port: int


@dataclass
class Given:
    """One certificate that was given out. Times are ISO 8601 in UTC."""

    serial: str
    device: str
    issued: str
    expires: str
    fingerprint: str
    revoked: str | None = None


@dataclass
class Code:
    """A one-time code; only a digest of it is kept."""

    device: str
    code_sha256: str
    expires: str
    used: str | None = None


@dataclass
class Register:
    """Everything that was given out."""

    certificates: list[Given] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)

    def valid_of(self, device: str, now: datetime) -> list[Given]:
        """The device's certificates that are neither revoked nor over, oldest first."""
        return [
            g
            for g in self.certificates
            if g.device == device and g.revoked is None and datetime.fromisoformat(g.expires) > now
        ]


class SiteFolder:
    """The files of one site."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def ca_file(self) -> Path:
        """The CA's certificate."""
        return self.root / "authority" / "ca.crt"

    @property
    def broker(self) -> Path:
        """What is copied to the broker."""
        return self.root / "broker"

    def device(self, name: str) -> Path:
        """A device's folder."""
        return self.root / "devices" / name

    def create(self, site: Site, made: Authority) -> None:
        """Makes the folder. Raises EnrolmentError where a site already lies."""
        if (self.root / "site.toml").exists() or (self.root / "authority").exists():
            raise EnrolmentError(f"{self.root}: a site is already here; a second CA would shut out its devices")
        try:
            for folder in (self.root, self.root / "authority", self.broker, self.root / "devices"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as e:
            raise EnrolmentError(f"{self.root}: cannot be made ({e.strerror})") from None
        write_key(self.root / "authority" / "ca.key", made.key)
        write(self.ca_file, made.certificate.public_bytes(Encoding.PEM))
        hosts = ", ".join(f'"{h}"' for h in site.hosts)
        text = f'name = "{site.name}"\nhosts = [{hosts}]\nport = {site.port}\ndesk_port = {site.desk_port}\n'
        # Last: it is what makes the folder a site.
        write(self.root / "site.toml", text.encode())

    def site(self) -> Site:
        """What site.toml says. Raises EnrolmentError."""
        try:
            table = tomllib.loads((self.root / "site.toml").read_text(encoding="utf-8"))
            return Site(table["name"], tuple(table["hosts"]), int(table["port"]), int(table["desk_port"]))
        except FileNotFoundError:
            raise EnrolmentError(f"{self.root}: no site here; make one with `nigiwai site init`") from None
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as e:
            raise EnrolmentError(f"{self.root / 'site.toml'}: cannot be used ({type(e).__name__}: {e})") from None

    def authority(self) -> Authority:
        """The CA with its key. Raises EnrolmentError."""
        file = self.root / "authority" / "ca.key"
        try:
            certificate = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
            key = load_pem_private_key(file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as e:
            raise EnrolmentError(f"{file}: cannot be used ({e}); bring the copy from the safe") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise EnrolmentError(f"{file}: not a key of this site's kind")
        return Authority(certificate, key)

    @contextlib.contextmanager
    def register(self) -> Iterator[Register]:
        """The register, for one process at a time; written when the block ends well."""
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            register = self._read_register()
            yield register
            write(self.root / "register.json", json.dumps(asdict(register), indent=1).encode())

    def _read_register(self) -> Register:
        file = self.root / "register.json"
        try:
            table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return Register([Given(**g) for g in table["certificates"]], [Code(**c) for c in table["codes"]])
        except FileNotFoundError:
            return Register()
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise EnrolmentError(f"{file}: cannot be used ({type(e).__name__}); bring the copy from the safe") from None

    def write_revocations(self, made: Authority, register: Register, now: datetime) -> Path:
        """Writes the broker's revocation list and returns where."""
        gone = [(int(g.serial, 16), datetime.fromisoformat(g.revoked)) for g in register.certificates if g.revoked]
        file = self.broker / "revoked.crl"
        write(file, authority.revocations(made, gone, now), 0o644)
        return file


def note(register: Register, device: str, certificate: x509.Certificate) -> Given:
    """Enters a certificate in the register."""
    given = Given(
        f"{certificate.serial_number:x}",
        device,
        certificate.not_valid_before_utc.isoformat(),
        certificate.not_valid_after_utc.isoformat(),
        authority.fingerprint(certificate),
    )
    register.certificates.append(given)
    return given


def utc_now() -> datetime:
    """Now, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Writes a private key, readable by its owner only from the first byte on."""
    write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes a file whole or not at all. Raises EnrolmentError."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except OSError as e:
        beside.unlink(missing_ok=True)
        raise EnrolmentError(f"{path}: cannot be written ({e.strerror}); nothing was changed") from None
