# SPDX-License-Identifier: Apache-2.0
"""The device's key and signing request, made with the system's own OpenSSL (every Debian has it).

No library is added to a device for this. The key is written into a folder that only root can enter, and nothing ever
prints it or sends it.
"""

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nigiwai.enrol.trouble import Trouble
from nigiwai.errors import EnrolmentError

CREDENTIALS = Path("/etc/nigiwai/credentials")


@dataclass(frozen=True)
class Certificate:
    """What is to know of a certificate."""

    name: str
    begins: datetime
    ends: datetime


def make_key(path: Path) -> None:
    """Makes a key at `path`, for its owner's eyes only. Raises EnrolmentError."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(beside))
        _sync(beside)
        beside.rename(path)
    except OSError as e:
        raise EnrolmentError(
            f"{path}: cannot be written ({e.strerror}); is the card full or read-only?", Trouble.CARD
        ) from None


def make_request(key: Path, name: str) -> bytes:
    """A signing request (PEM) for SITE/DEVICE. Raises EnrolmentError."""
    # A slash separates parts of a subject for openssl and is escaped; the names hold nothing else that it minds.
    subject = "/CN=" + name.replace("/", "\\/")
    return _openssl("req", "-new", "-sha256", "-key", str(key), "-subj", subject, "-batch")


def make_placeholder(key: Path, name: str, host: str, path: Path) -> None:
    """A certificate signed by the device's own key, until headquarters has given one. Raises EnrolmentError.

    With it link starts and the page is served over HTTPS; the broker refuses it, which is what the page then says.
    """
    subject = "/CN=" + name.replace("/", "\\/")
    made = _openssl(
        *("req", "-x509", "-new", "-sha256", "-days", "3650", "-key", str(key), "-subj", subject, "-batch"),
        *("-addext", f"subjectAltName=DNS:{host}"),
    )
    put(path, made)


def read_certificate(path: Path) -> Certificate:
    """What a certificate says. Raises EnrolmentError."""
    said = _openssl(
        *("x509", "-in", str(path), "-noout", "-subject", "-startdate", "-enddate"),
        *("-nameopt", "multiline,utf8"),
    ).decode()
    facts = dict(line.strip().split("=", 1) for line in said.splitlines() if "=" in line)
    name = next((v.strip() for k, v in facts.items() if k.strip() == "commonName"), "")
    return Certificate(name, _date(facts["notBefore"]), _date(facts["notAfter"]))


def check_pair(certificate: Path, key: Path, ca: Path, name: str) -> Certificate:
    """The certificate, if it is for this key, from this CA and for this name. Raises EnrolmentError."""
    _openssl("verify", "-no_check_time", "-purpose", "sslclient", "-CAfile", str(ca), str(certificate))
    if _openssl("x509", "-in", str(certificate), "-noout", "-pubkey") != _openssl("pkey", "-in", str(key), "-pubout"):
        raise EnrolmentError(
            f"{certificate}: belongs to another key; sign this device's own request", Trouble.CERTIFICATE
        )
    found = read_certificate(certificate)
    if found.name != name:
        raise EnrolmentError(f"{certificate}: is for {found.name!r}, this device is {name!r}", Trouble.CERTIFICATE)
    return found


def put(path: Path, data: bytes) -> None:
    """Writes a credential whole or not at all, readable by root only. Raises EnrolmentError."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        _sync(beside)
        beside.rename(path)
    except OSError as e:
        raise EnrolmentError(
            f"{path}: cannot be written ({e.strerror}); is the card full or read-only?", Trouble.CARD
        ) from None


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _date(text: str) -> datetime:
    return datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)


def _openssl(*arguments: str) -> bytes:
    """What openssl answers. Raises EnrolmentError with its last line, which names no secret."""
    try:
        done = subprocess.run(
            ["openssl", *arguments],  # noqa: S607  Debian's own, wherever it lies
            capture_output=True,
            check=False,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise EnrolmentError("openssl is missing: sudo apt install openssl") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise EnrolmentError(f"openssl {arguments[0]}: {said[-1]}", Trouble.CERTIFICATE)
    return done.stdout
